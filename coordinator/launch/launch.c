#include "launch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/host.h"
#include "common/log.h"
#include "common/moment.h"
#include "common/shell.h"
#include "coordinator/launch/launch_command.h"
#include "coordinator/launch/machine.h"
#include "coordinator/launch/mpirun.h"
#include "coordinator/launch/segments.h"
#include "coordinator/ledger/owner.h"
#include "coordinator/watch/progress.h"

enum {
    LOOK_MS = 200,    /* how often output, signals and the child are looked at */
    LEDGER_MS = 1000, /* how often the ledger is */
    PROBES = 20,      /* of the hosts, when none answers: about ten minutes */
    PROBE_AGAIN_MS = 30000,
    FIRST_PAUSE_MS = 2000, /* after a job that never began on several hosts; then twice as long */
    LAST_PAUSE_MS = 120000,
    LEAST_BLOCKS = 256, /* of the file system, free: with fewer no ledger can be written */
    LAST_LINES = 8,
    SEGMENT_WAIT_MS = 10000,
    SEGMENT_AGE_S =
        30 /* of shared memory that nobody maps: a job that starts beside this one maps its own within seconds */
};

bool launch_is_parent(void) { return claim_inherited() > 0; }

typedef struct {
    const LaunchOptions *options;
    char self[4096]; /* this program's file */
    Ledger *ledger;  /* only read */
    FILE *log;       /* DIR/run.log: everything that the job prints */
    ProgressView view;
    Mpirun mpirun;
    int64_t epoch_before; /* of the ledger, when the job was started */
    int64_t looked_ms, changed_ms, ended_ms, stop_ms;
    char segments[SEGMENTS_JOB]; /* what the job's are called, once its coordinator was seen */
    int was_alive;               /* the coordinator's process number, when it was found alive on this host */
    double heard_s;
    bool began; /* the job's epoch, in the ledger */
    bool told_stop, yielded;
    char last_words[LAST_LINES][160]; /* of mpirun or a library: shown when a job never began */
    int last_count;
} Launch;

/* ---- the child ---- */

/* Shows the lines that reelwright prints; what mpirun and libraries print goes to the log only. */
static void take_line(void *self, const char *line)
{
    static const char own[] = "reelwright: ";
    Launch *l = self;
    fprintf(l->log, "%s\n", line);
    fflush(l->log);
    if (strncmp(line, own, sizeof own - 1) == 0) {
        progress_view_clear(&l->view);
        foreign_print(stderr, "%s\n", line);
        l->changed_ms = moment_ms(); /* a coordinator that waits for the ledger's lock says so */
    } else if (line[strspn(line, "- ")]) {
        snprintf(l->last_words[l->last_count++ % LAST_LINES], sizeof *l->last_words, "%s", line);
    }
}

static Status start_child(Launch *l)
{
    l->mpirun = (Mpirun){.take = take_line, .self = l};
    TRY(mpirun_start(&l->mpirun, l->options, l->self));
    l->changed_ms = l->mpirun.started_ms;
    l->ended_ms = 0;
    l->began = false;
    l->told_stop = false;
    l->last_count = 0;
    *l->segments = 0;
    return status_ok();
}

static void end_job(Launch *l, const char *why)
{
    if (mpirun_end(&l->mpirun) && why) log_line(LOG_WARNING, "%s; the job is ended", why);
}

/* ---- watching ---- */

/* A process that has ended and that nobody has waited for (a zombie) is not alive. */
static bool is_alive(int pid)
{
    char path[32], state = 'Z';
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    if (!f) return errno != ENOENT;
    if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1) state = 'Z';
    fclose(f);
    return state != 'Z';
}

/* The coordinator died and could not end its epoch. mpirun may then sleep for ever, without a rank (seen twice in some fifty such
 * deaths), so the launcher looks itself: at the coordinator's process, when it is on this host and was alive before; and at mpirun's
 * children, for an mpirun that has begun and has none is at its end. */
static bool coordinator_died(Launch *l, const Snapshot *s)
{
    char host[HOST_BYTES] = "";
    host_name(host);
    if (s->epoch <= l->epoch_before || strcmp(s->host, host) != 0) return false;
    if (is_alive(s->pid)) l->was_alive = s->pid;
    return !is_alive(s->pid) && (l->was_alive == s->pid || mpirun_has_nobody(&l->mpirun));
}

static Status read_ledger(Launch *l, int64_t now_ms)
{
    Snapshot s;
    TRY(ledger_check_place(l->ledger));
    TRY(ledger_check_launch(l->ledger));
    TRY(ledger_read_snapshot(l->ledger, &s));
    if (s.epoch > l->epoch_before && s.left > 0) progress_view_show(&l->view, &s, moment_wall_s());
    l->began = s.epoch > l->epoch_before;
    if (s.heard_s > l->heard_s || s.heard_s < l->heard_s) l->changed_ms = now_ms;
    l->heard_s = s.heard_s;
    if (l->ended_ms == 0 && s.epoch > l->epoch_before && s.ended_s > 0) l->ended_ms = now_ms;
    if (l->ended_ms == 0 && coordinator_died(l, &s)) l->ended_ms = now_ms;
    if (!*l->segments && l->was_alive) segments_of(l->was_alive, l->segments);
    snapshot_clear(&s);
    return status_ok();
}

/* While another process holds the lock, the coordinator can write no word either. */
static Status look_at_ledger(Launch *l)
{
    const int64_t now_ms = moment_ms();
    if (now_ms - l->looked_ms < LEDGER_MS) return status_ok();
    l->looked_ms = now_ms;
    Status status = read_ledger(l, now_ms);
    if (!ledger_is_locked(status)) return status;
    l->changed_ms = now_ms;
    return status_ok();
}

static void stop_job(Launch *l, const char *why)
{
    progress_view_clear(&l->view);
    log_line(LOG_INFO, "%s: every shot in work is checkpointed at its next step", why);
    l->told_stop = true;
    l->stop_ms = moment_ms();
    mpirun_stop(&l->mpirun);
}

/* MPI_Init waits for a dead rank for ever. */
static void end_if_none_joins(Launch *l)
{
    if (l->began || l->ended_ms || !mpirun_lost_one(&l->mpirun)) return;
    if (mpirun_end(&l->mpirun))
        log_line(LOG_WARNING, "rank %d died before the job began (mpirun: %s); the job is ended", l->mpirun.death.rank,
                 l->mpirun.death.how);
}

static void watch_limits(Launch *l)
{
    int64_t now_ms = moment_ms();
    if (moment_stops() > 0 && !l->told_stop) stop_job(l, "stopping (once more to stop at once)");
    if (!l->told_stop && l->options->must_yield && l->options->must_yield(l->options->self)) {
        l->yielded = true;
        stop_job(l, "a campaign of higher priority is ready");
    }
    if (l->ended_ms && now_ms - l->ended_ms > MPIRUN_END_MS) end_job(l, NULL);
    if (!l->ended_ms && now_ms - l->changed_ms > MPIRUN_SILENT_MS) end_job(l, "the coordinator is silent");
    end_if_none_joins(l);
    if (moment_stops() > 1) end_job(l, NULL);
    if (l->told_stop && now_ms - l->stop_ms > (int64_t)(l->options->grace_s + 10) * 1000)
        end_job(l, "the stop takes too long");
}

/* What ranks left, of this job and of earlier ones. Ranks die with their mpirun, but a moment later. */
static void sweep_segments(const Launch *l)
{
    int mapped;
    for (const int64_t end_ms = moment_ms() + SEGMENT_WAIT_MS;; moment_sleep_ms(LOOK_MS)) {
        segments_sweep("/dev/shm", SEGMENT_AGE_S, l->segments, &mapped);
        if (mapped == 0 || moment_ms() >= end_ms || moment_stops() > 1) return;
    }
}

/* Until mpirun has ended and been waited for. */
static Status watch_child(Launch *l)
{
    Status status = status_ok();
    ledger_set_patience(l->ledger, LOOK_MS);
    while (mpirun_listen(&l->mpirun, LOOK_MS)) {
        if (!failed(status)) status = look_at_ledger(l);
        if (failed(status)) end_job(l, status.message);
        watch_limits(l);
    }
    ledger_set_patience(l->ledger, -1);
    const int how = l->mpirun.how;
    fprintf(l->log, "-- mpirun ended: %s %d\n", WIFSIGNALED(how) ? "signal" : "status",
            WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
    fflush(l->log);
    sweep_segments(l);
    return status;
}

/* ---- launching again ---- */

typedef struct {
    int64_t final, steps, epoch;
    bool complete;
    char outcome[32];
} Progress;

static Status read_progress(Launch *l, Progress *out)
{
    Snapshot s;
    TRY(ledger_read_snapshot(l->ledger, &s));
    *out = (Progress){.final = s.finished + s.failed + s.refused + s.cancelled,
                      .steps = s.steps,
                      .epoch = s.epoch,
                      .complete = s.left == 0};
    snprintf(out->outcome, sizeof out->outcome, "%s", s.ended_s > 0 ? s.outcome : "");
    snapshot_clear(&s);
    return status_ok();
}

static void show_last_words(const Launch *l)
{
    int first = l->last_count > LAST_LINES ? l->last_count - LAST_LINES : 0;
    for (int i = first; i < l->last_count; i++) log_line(LOG_WARNING, "mpirun: %s", l->last_words[i % LAST_LINES]);
}

static Status why_not_again(const Launch *l, const Progress *now, int without)
{
    bool ran = now->epoch > l->epoch_before;
    if (l->yielded) return status_fail(ERR_STOP, "it goes on after a campaign of higher priority");
    if (moment_stops() > 0 || (ran && strcmp(now->outcome, "stopped") == 0))
        return status_fail(ERR_STOP, "run the same command again to go on");
    if (ran && strcmp(now->outcome, "cancelled") == 0)
        return shell_advise(ERR_STOP, "the campaign is cancelled; `%s`, then run, goes on", "resume",
                            l->options->folder);
    if (ran && strcmp(now->outcome, "waiting") == 0)
        return status_fail(ERR_FATAL,
                           "the run has ended, because it waits for somebody's word; run it again after that");
    if (ran && strcmp(now->outcome, "max fails") == 0)
        return shell_advise(ERR_FATAL, "too many clips failed; `%s` or a larger max_fails, then run, goes on", "retry",
                            l->options->folder);
    TRY(status_at(file_check_writable(l->options->folder), "the farm cannot go on"));
    if (ran && strcmp(now->outcome, "stuck") == 0)
        return status_fail(ERR_FATAL, "the farm cannot go on; %s/run.log has every message", l->options->folder);
    struct statvfs disk;
    if (statvfs(l->options->folder, &disk) == 0 && disk.f_bavail < LEAST_BLOCKS)
        return status_fail(ERR_FATAL, "%s: the disk is full; run the same command again when there is room",
                           l->options->folder);
    char *obstacle = ran ? NULL : machine_obstacle();
    if (obstacle) {
        show_last_words(l);
        Status status = status_fail(ERR_FATAL, "mpirun cannot start here: %s", obstacle);
        free(obstacle);
        return status;
    }
    int most = l->options->hosts->count > 1 ? LAUNCH_MOST_ON_HOSTS : LAUNCH_MOST_WITHOUT_PROGRESS;
    if (without >= most && !ran) show_last_words(l);
    if (without >= most)
        return status_fail(ERR_FATAL, "the job ended %d times without progress; %s/run.log has its messages", without,
                           l->options->folder);
    return status_ok();
}

/* Finds the hosts that answer. When none does, it asks again for about ten minutes: a short failure of the network must not end the night. */
static Status find_hosts(Launch *l)
{
    for (int tries = 1;; tries++) {
        Status status = hosts_probe(l->options->hosts, l->self, l->options->folder);
        if (moment_stops() > 0) return status_fail(ERR_STOP, "run the same command again to go on");
        if (status.err != ERR_RETRY || tries == PROBES) return status;
        log_line(LOG_WARNING, "%s; asked again in %d s", status.message, PROBE_AGAIN_MS / 1000);
        moment_sleep_ms(PROBE_AGAIN_MS);
    }
}

/* On several hosts a job that does not begin is often a node that has just died: the network and the batch system need time
 * to know. */
static void pause_before(const Launch *l, int without, bool ran)
{
    int ms = FIRST_PAUSE_MS;
    if (l->options->hosts->count <= 1 || without == 0 || ran) return;
    for (int i = 1; i < without && ms < LAST_PAUSE_MS; i++) ms *= 2;
    for (int64_t end_ms = moment_ms() + (ms < LAST_PAUSE_MS ? ms : LAST_PAUSE_MS); moment_ms() < end_ms;) {
        if (moment_stops() > 0) return;
        moment_sleep_ms(LOOK_MS);
    }
}

static Status launch_until_complete(Launch *l)
{
    Progress before, now;
    TRY(read_progress(l, &before));
    for (int without = 0; !before.complete; before = now) {
        l->epoch_before = before.epoch;
        TRY(find_hosts(l));
        TRY(ledger_check_place(l->ledger));
        TRY(ledger_check_launch(l->ledger));
        TRY(start_child(l));
        TRY(watch_child(l));
        TRY(ledger_check_place(l->ledger));
        TRY(read_progress(l, &now));
        if (now.complete) break;
        without = now.final > before.final || now.steps > before.steps ? 0 : without + 1;
        TRY(why_not_again(l, &now, without));
        log_line(LOG_WARNING, "the job ended (%s) with work left; it is started again",
                 now.epoch > before.epoch ? now.outcome[0] ? now.outcome : "died" : "before it began");
        pause_before(l, without, now.epoch > before.epoch);
    }
    return status_ok();
}

Status launch_campaign(const LaunchOptions *o, bool *yielded)
{
    Launch l = {.options = o};
    char *log_file = path_join(o->folder, "run.log");
    Status status = status_ok();
    progress_view_open(&l.view, o->quiet);
    l.log = fopen(log_file, "ae");
    if (!l.log) TRY_OUT(status_errno(ERR_FATAL, "cannot write %s", log_file));
    if (readlink("/proc/self/exe", l.self, sizeof l.self - 1) < 0) TRY_OUT(status_errno(ERR_FATAL, "/proc/self/exe"));
    /* The launcher only reads, but it opens the ledger for writing: that takes back what a killed coordinator left half-written. */
    TRY_OUT(ledger_open(o->folder, LEDGER_WRITE, &l.ledger));
    ledger_join_launch(l.ledger, o->claim->launch);
    status = launch_until_complete(&l);
    progress_view_clear(&l.view);
out:
    *yielded = l.yielded;
    if (l.log) fclose(l.log);
    ledger_close(&l.ledger);
    free(log_file);
    return status;
}
