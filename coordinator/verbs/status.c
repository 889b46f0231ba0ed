/* status.c - `reelwright status DIR`: the campaign as it stands, read beside a coordinator that goes on writing. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <jansson.h>

#include "common/foreign.h"
#include "common/moment.h"
#include "common/options.h"
#include "coordinator/plan/left.h"
#include "coordinator/verbs/verbs.h"
#include "coordinator/watch/progress.h"
#include "coordinator/watch/serve.h"
#include "coordinator/watch/suggest.h"

enum { ANY_WIDTH = 1 << 16 }; /* in a pipe or a file nothing is cut */

static json_t *counts_json(const Snapshot *s)
{
    json_t *clips = json_object(), *shots = json_object();
    for (int i = 0; i < CLIP_STATES; i++)
        json_object_set_new(clips, ledger_clip_state_name((ClipState)i), json_integer(s->clip_count[i]));
    for (int i = 0; i < SHOT_STATES; i++)
        json_object_set_new(shots, ledger_shot_state_name((ShotState)i), json_integer(s->shot_count[i]));
    return json_pack("{s:o,s:o}", "clips", clips, "shots", shots);
}

/* What the worker still decodes beside its lease. */
static json_t *tail_json(const WorkerLine *w)
{
    return json_pack("{s:s,s:i,s:i,s:s,s:i}", "stage", w->stage, "done", w->done, "total", w->total, "clip", w->clip,
                     "clips", w->clip_count);
}

static json_t *workers_json(const Snapshot *s)
{
    json_t *list = json_array();
    for (int i = 0; i < s->worker_count; i++) {
        const WorkerLine *w = &s->worker[i];
        if (w->is_tail) {
            json_object_set_new(json_array_get(list, json_array_size(list) - 1), "tail", tail_json(w));
            continue;
        }
        json_array_append_new(list,
                              json_pack("{s:i,s:s,s:i,s:s,s:s,s:s,s:i,s:i,s:s,s:i,s:i,s:i,s:b,s:b,s:f,s:n}", "worker",
                                        w->rank, "host", w->host, "pid", w->pid, "state", w->state, "kind",
                                        strcmp(w->state, "working") == 0 ? lease_kind_name((LeaseKind)w->kind) : "",
                                        "stage", w->stage, "done", w->done, "total", w->total, "clip", w->clip, "clips",
                                        w->clip_count, "shots_done", w->renders, "clips_done", w->finished, "renders",
                                        w->takes >> LEASE_RENDER & 1, "finishes", w->takes >> LEASE_FINISH & 1,
                                        "heard_s", w->heard_s, "tail"));
    }
    return list;
}

static json_t *left_json(const TimeLeft *t)
{
    return t ? json_pack("{s:f,s:f,s:f}", "p10", t->p10_s, "p50", t->p50_s, "p90", t->p90_s) : json_null();
}

/* left: NULL where it is not known. */
static Status print_json(const Snapshot *s, const TimeLeft *left, double now_s)
{
    static const char *const control[] = {"", "paused", "cancelled"};
    json_t *page = json_pack(
        "{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:f,s:I,s:s,s:b,s:s,s:s,s:s,s:i,s:f,s:f,s:f,s:o,s:o}", "campaign",
        s->name, "fingerprint", s->fingerprint, "clips", (json_int_t)s->clips, "finished", (json_int_t)s->finished,
        "failed", (json_int_t)s->failed, "refused", (json_int_t)s->refused, "cancelled", (json_int_t)s->cancelled,
        "left", (json_int_t)s->left, "shots", (json_int_t)s->shots, "states", counts_json(s), "clips_per_hour",
        snapshot_clips_per_hour(s, now_s), "epoch", (json_int_t)s->epoch, "outcome", s->outcome, "going_on",
        snapshot_goes_on(s, now_s), "control", control[s->control], "pilot", ledger_pilot_state_name(s->pilot),
        "waits_for", snapshot_waits_for(s), "priority", s->priority, "deadline_s", s->deadline_s, "started_s",
        s->started_s, "heard_s", s->heard_s, "workers", workers_json(s), "time_left_s", left_json(left));
    if (!page || !foreign_print_json(stdout, page, JSON_INDENT(2))) abort();
    json_decref(page);
    return status_ok();
}

static void print_left(const TimeLeft *t)
{
    char text[3][32];
    foreign_print(stdout, "  as it goes, about %s are left; in eight cases of ten %s to %s\n",
                  moment_length(t->p50_s, text[0]), moment_length(t->p10_s, text[1]), moment_length(t->p90_s, text[2]));
}

static Status print_page(const Snapshot *s, const TimeLeft *left, const char *folder, double now_s)
{
    struct winsize size = {0};
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    char *page = progress_page(s, now_s, known ? size.ws_col : ANY_WIDTH, SNAPSHOT_WORKERS + 2);
    char *next = suggest_next(s, folder, now_s);
    fputs(page, stdout);
    if (left) print_left(left);
    if (next) foreign_print(stdout, "%s\n", next);
    free(page);
    free(next);
    return status_ok();
}

static Status show(const char *folder, bool json)
{
    Ledger *l = NULL;
    Snapshot s;
    TRY(ledger_open_shown(folder, &l));
    TimeLeft left;
    bool known = false;
    const double now_s = moment_wall_s();
    Status status = ledger_read_snapshot(l, &s);
    if (!failed(status)) {
        status = left_estimate(l, &s, now_s, &left, &known);
        if (!failed(status))
            status = json ? print_json(&s, known ? &left : NULL, now_s)
                          : print_page(&s, known ? &left : NULL, folder, now_s);
        snapshot_clear(&s);
    }
    ledger_close(&l);
    return status;
}

/* The page that a run has, with or without one. */
static Status serve_page(const char *where, char **folder, int count)
{
    Serve *s = NULL;
    sigset_t end;
    int which;
    for (int i = 0; i < count; i++) { /* campaigns', before anything is printed */
        Ledger *l = NULL;
        TRY(ledger_open_shown(folder[i], &l));
        ledger_close(&l);
    }
    sigemptyset(&end);
    sigaddset(&end, SIGINT);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, NULL);
    TRY(serve_start(where, (const char *const *)folder, count, &s));
    foreign_print(stdout, "%s\n", serve_address(s));
    fflush(stdout);
    sigwait(&end, &which);
    serve_stop(&s);
    return status_ok();
}

Status verb_status(int argc, char **argv)
{
    bool json = false;
    const char *listen = NULL;
    const Option table[] = {{"json", OPTION_FLAG, &json, .help = "for a program; of several campaigns one object each"},
                            {"listen", OPTION_TEXT, &listen, .value = "PORT",
                             .help = "show it as a page and /metrics on 127.0.0.1:PORT, as `run --listen` does, until "
                                     "Ctrl-C"}};
    const Usage usage = {
        .verb = "status",
        .arguments = "DIR... [--json | --listen PORT]",
        .about = "The campaign in folder DIR as it stands: done, failed, left, speed, and what each worker does.",
        .option = table,
        .option_count = sizeof table / sizeof *table,
        .min_arguments = 1,
        .max_arguments = INT_MAX};
    int first;
    TRY(options_read(&usage, argc, argv, &first));
    if (first >= 0 && listen) return serve_page(listen, argv + first, argc - first);
    for (char **folder = argv + first; first >= 0 && *folder; folder++) TRY(show(*folder, json));
    return status_ok();
}
