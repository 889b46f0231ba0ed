/* control.c - `pause`, `resume`, `cancel`, `retry`, `deliver` and `explain`: steering a campaign from another terminal.
 *
 * Only the coordinator changes states. The steering verbs leave a request in the ledger, which a running coordinator takes
 * up within a second and the next run at its start. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/moment.h"
#include "common/options.h"
#include "coordinator/conclude.h"
#include "coordinator/deliver.h"
#include "coordinator/events.h"
#include "coordinator/verbs.h"

static Status read_words(const Usage *u, int argc, char **argv, const char **folder, const char **clip)
{
    int first;
    TRY(options_read(u, argc, argv, &first));
    *folder = first < 0 ? NULL : argv[first];
    *clip = first >= 0 && first + 1 < argc ? argv[first + 1] : NULL;
    return status_ok();
}

/* Asked for with `clip`, which must exist; "" means the campaign. */
static Status ask(const char *folder, const char *verb, const char *clip)
{
    Ledger *l = NULL;
    Snapshot s = {0};
    Status status = status_ok();
    TRY_OUT(ledger_open(folder, LEDGER_READ, &l));
    TRY_OUT(ledger_read_snapshot(l, &s));
    ledger_close(&l);
    TRY_OUT(ledger_open(folder, LEDGER_WRITE, &l));
    TRY_OUT(ledger_request(l, verb, clip, moment_wall_s()));
    bool running = s.epoch > 0 && s.ended_s <= 0;
    printf("%s: %s%s%s\n", s.name, verb, *clip ? " " : "", clip);
    if (!running) printf("no run is going on: the next one takes it up\n");
out:
    ledger_close(&l);
    snapshot_clear(&s);
    return status;
}

static Status ask_for_campaign(int argc, char **argv, const char *about)
{
    const Usage usage = {.verb = argv[0], .arguments = "DIR", .about = about, .min_arguments = 1, .max_arguments = 1};
    const char *folder, *clip;
    TRY(read_words(&usage, argc, argv, &folder, &clip));
    return folder ? ask(folder, argv[0], "") : status_ok();
}

Status verb_pause(int argc, char **argv)
{
    return ask_for_campaign(argc, argv, "No further shot is handed out; those in work are finished. `resume` goes on.");
}

Status verb_resume(int argc, char **argv)
{
    return ask_for_campaign(argc, argv, "Goes on with a campaign that was paused or cancelled.");
}

Status verb_cancel(int argc, char **argv)
{
    return ask_for_campaign(
        argc, argv, "Shots in work are checkpointed and given back, and the run ends. `resume`, then `run`, goes on.");
}

typedef struct {
    const char *clip_id;
    int64_t shot;
    bool found;
} Wanted;

static Status find_clip(const char *folder, Ledger *l, const char *clip, ClipSink sink, const Wanted *w)
{
    TRY(ledger_read_clips(l, clip, sink));
    if (w->found) return status_ok();
    return status_fail(ERR_INPUT, "%s: no clip \"%s\"; the ids are the customers' (delivery.csv lists them)", folder,
                       clip);
}

static Status note_clip(void *self, const ClipRow *row)
{
    Wanted *w = self;
    w->found = true;
    w->shot = row->shot;
    return status_ok();
}

static Status check_clip(const char *folder, const char *clip)
{
    Ledger *l = NULL;
    Wanted w = {.clip_id = clip};
    TRY(ledger_open(folder, LEDGER_READ, &l));
    Status status = find_clip(folder, l, clip, (ClipSink){note_clip, &w}, &w);
    ledger_close(&l);
    return status;
}

Status verb_retry(int argc, char **argv)
{
    const Usage usage = {.verb = "retry",
                         .arguments = "DIR [CLIP]",
                         .about =
                             "Failed clips (all, or the one) are tried again, by the run that goes on or the next one.",
                         .min_arguments = 1,
                         .max_arguments = 2};
    const char *folder, *clip;
    TRY(read_words(&usage, argc, argv, &folder, &clip));
    if (!folder) return status_ok();
    if (clip) TRY(check_clip(folder, clip));
    return ask(folder, "retry", clip ? clip : "");
}

/* ---- explain ---- */

static Status print_lease(void *self, const LeaseRow *r)
{
    char given[32], *length = NULL;
    (void)self;
    events_time(r->given_s, given);
    size_t bytes = 0;
    FILE *f = open_memstream(&length, &bytes);
    if (!f) abort();
    if (r->ended_s > 0) fprintf(f, " after %.1f s", r->ended_s - r->given_s);
    fclose(f);
    printf("  %s  lease %lld to %s: %s%s", given, (long long)r->lease, r->worker, r->outcome, length);
    if (r->steps_done || r->steps_resumed) printf(", %d steps (%d from a checkpoint)", r->steps_done, r->steps_resumed);
    printf("%s%s\n", *r->reason ? ": " : "", r->reason);
    free(length);
    return status_ok();
}

static Status print_clip(void *self, const ClipRow *r)
{
    Wanted *w = self;
    char when[32];
    note_clip(w, r);
    printf("clip %s: %s%s%s\n", r->clip_id, r->state, *r->reason ? ", because: " : "", r->reason);
    if (r->decided_s > 0) {
        events_time(r->decided_s, when);
        printf("  since    %s\n", when);
    }
    if (*r->file)
        printf("  file     %s (%dx%d, %.2f s)\n  sha256   %s\n", r->file, r->width, r->height, r->duration_s,
               r->sha256);
    if (r->shot < 0) return status_ok();
    printf("  shot     %s, seed %llu, %d steps", r->key, (unsigned long long)r->seed, r->steps);
    if (r->sharers > 1) printf(", shared by %lld clips", (long long)r->sharers);
    printf("\n  prompt   %s\n", r->prompt);
    return status_ok();
}

Status verb_explain(int argc, char **argv)
{
    const Usage usage = {.verb = "explain",
                         .arguments = "DIR CLIP",
                         .about = "Why one clip is where it is: its state, its shot, and every attempt at it.",
                         .min_arguments = 2,
                         .max_arguments = 2};
    const char *folder, *clip;
    Ledger *l = NULL;
    TRY(read_words(&usage, argc, argv, &folder, &clip));
    if (!folder) return status_ok();
    Wanted w = {.clip_id = clip, .shot = -1};
    TRY(ledger_open(folder, LEDGER_READ, &l));
    Status status = find_clip(folder, l, clip, (ClipSink){print_clip, &w}, &w);
    if (!failed(status) && w.shot >= 0) {
        printf("attempts\n");
        status = ledger_read_leases(l, w.shot, (LeaseSink){print_lease, NULL});
    }
    ledger_close(&l);
    return status;
}

/* ---- deliver ---- */

Status verb_deliver(int argc, char **argv)
{
    const Usage usage = {
        .verb = "deliver",
        .arguments = "DIR",
        .about = "Copies approved clips into DIR/delivery, compares their hashes with the ledger's while copying, and\n"
                 "writes the delivery list there and in DIR. A run does the same at its end.",
        .min_arguments = 1,
        .max_arguments = 1};
    const char *folder, *clip;
    TRY(read_words(&usage, argc, argv, &folder, &clip));
    return folder ? conclude_delivery(folder) : status_ok();
}
