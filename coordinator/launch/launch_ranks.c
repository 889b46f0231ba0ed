#include "launch_ranks.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/foreign.h"
#include "common/log.h"
#include "common/moment.h"
#include "common/outcome.h"
#include "coordinator/launch/launch_command.h"
#include "coordinator/launch/mpirun.h"

enum {
    LOOK_MS = 100,
    MOST_TRIES = 3 /* mpirun itself sometimes does not start on a busy machine ("listener thread failed to start") */
};

typedef struct {
    int count;
    Mpirun mpirun;
    char *outcome;
    char other[512];  /* what mpirun said first: shown when no rank started */
    int64_t ended_ms; /* the ranks came to their end, or are gone */
    bool passed_on;   /* a signal was passed on to the ranks */
    bool cut_short;   /* the ranks were ended because of a signal */
} Ranks;

/* Lines of reelwright's own are for people, but for a rank's last words, which outcome.h has; mpirun's are kept. */
static void take_line(void *self, const char *line)
{
    static const char own[] = "reelwright: ";
    Ranks *r = self;
    const bool is_own = strncmp(line, own, sizeof own - 1) == 0;
    if (is_own && !strstr(line, "error: ") && !strstr(line, ": stopped: "))
        foreign_print(stderr, "%s\n", line);
    else if (!is_own && line[strspn(line, "- ")] && !*r->other)
        snprintf(r->other, sizeof r->other, "%s", line);
}

static Status start(Ranks *r, char *const *arguments)
{
    char self[4096];
    Hosts here = {0};
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0) return status_errno(ERR_NODE, "/proc/self/exe");
    self[n] = 0;
    const LaunchOptions o = {.hosts = &here, .workers = r->count - 1, .arguments = arguments};
    r->mpirun = (Mpirun){.take = take_line, .self = r, .errors_only = true};
    return mpirun_start(&r->mpirun, &o, self);
}

/* A first signal is passed on to ranks that have all joined; they stop after their step. Nobody here knows how long a step takes, so
 * they may take as long as they need. A second signal ends them, and so does a first one before all have joined: such a rank may not
 * hear signals yet, and nothing is lost with it. */
static void watch_stops(Ranks *r, const OutcomeSoFar *now)
{
    const int stops = moment_stops();
    if (stops == 0 || r->ended_ms) return;
    if (now->joined < r->count || stops > 1) r->cut_short = true;
    if (r->cut_short) mpirun_end(&r->mpirun);
    if (r->passed_on || r->cut_short) return;
    r->passed_on = true;
    mpirun_stop(&r->mpirun);
}

static void watch_end(Ranks *r, const OutcomeSoFar *now)
{
    const int64_t now_ms = moment_ms();
    if (!r->ended_ms && (now->told || (now->joined > 0 && !now->alive))) r->ended_ms = now_ms;
    const bool never =
        now->joined < r->count && (mpirun_lost_one(&r->mpirun) || now_ms - r->mpirun.started_ms > MPIRUN_SILENT_MS);
    if (never || (r->ended_ms && now_ms - r->ended_ms > MPIRUN_END_MS)) mpirun_end(&r->mpirun);
}

/* *begun: a rank has joined or said why it does not. */
static Status launch_once(Ranks *r, char *const *arguments, bool *begun)
{
    OutcomeSoFar now;
    *r->other = 0;
    TRY(start(r, arguments));
    do {
        now = outcome_look(r->outcome);
        watch_end(r, &now);
        watch_stops(r, &now);
    } while (mpirun_listen(&r->mpirun, LOOK_MS));
    now = outcome_look(r->outcome);
    *begun = now.joined > 0 || now.told;
    if (r->mpirun.death.at_ms)
        snprintf(r->other, sizeof r->other, "rank %d: %s", r->mpirun.death.rank, r->mpirun.death.how);
    return status_ok();
}

Status launch_ranks(int ranks, char *const *arguments)
{
    Ranks r = {.count = ranks};
    bool begun = false;
    moment_catch_stops();
    TRY(outcome_begin(&r.outcome));
    Status status = status_ok();
    for (int tries = 0; !failed(status) && !begun && !r.cut_short && tries < MOST_TRIES; tries++)
        status = launch_once(&r, arguments, &begun);
    Status said = outcome_end(&r.outcome, r.other);
    if (failed(status)) return status;
    if (failed(said) && r.cut_short) return status_fail(ERR_STOP, "by a signal, without waiting for a step's end");
    return said;
}
