/* explain.c - `reelwright explain DIR CLIP`: why one clip is where it is, and what happens next. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/finish_spec.h"
#include "common/foreign.h"
#include "common/json_member.h"
#include "common/likeness.h"
#include "common/moment.h"
#include "common/options.h"
#include "common/plural.h"
#include "common/shell.h"
#include "coordinator/deliver/handover.h"
#include "coordinator/ledger/view.h"
#include "coordinator/verbs/verbs.h"
#include "coordinator/watch/events.h"
#include "coordinator/watch/suggest.h"

typedef struct {
    const char *folder;
    Snapshot now;
    int64_t shot, clip; /* shot -1: none */
    char key[HASH_TEXT];
    char *finish; /* the clip's own keys, owned */
    bool found;
} Explain;

static bool in_state(const ClipRow *r, ClipState s) { return strcmp(r->state, ledger_clip_state_name(s)) == 0; }

/* "before `reelwright VERB FOLDER [CLIP]` after", ready to be pasted. */
static char *advise(const Explain *e, const char *before, const char *verb, const char *clip, const char *after)
{
    char *command = shell_suggest(verb, e->folder, clip);
    char *text = text_format("%s`%s`%s", before, command, after);
    free(command);
    return text;
}

static char *advise_run(const Explain *e)
{
    char *command = suggest_run(&e->now, e->folder), *text = text_format("no run is going on: `%s`", command);
    free(command);
    return text;
}

/* What a person has to do so that this clip goes on. NULL: nothing, the run goes on with it. */
static char *held_text(const Explain *e, const ClipRow *r)
{
    const Snapshot *s = &e->now;
    if (s->pilot == PILOT_REJECTED) return advise(e, "the pilot was rejected: ", "pilot approve", NULL, "");
    if (s->control == CONTROL_PAUSED) return advise(e, "the campaign is paused: ", "resume", NULL, "");
    if (s->control == CONTROL_CANCELLED) return advise(e, "the campaign is cancelled: ", "resume", NULL, ", then run");
    if (s->pilot == PILOT_OPEN && !r->pilot)
        return s->pilot_left > 0
                   ? text_format("waits for the pilot, %lld clip%s of which %s still to be made",
                                 (long long)s->pilot_left, plural_s(s->pilot_left), s->pilot_left == 1 ? "is" : "are")
                   : advise(e, "waits for the pilot's approval: ", "pilot approve", NULL, "");
    return snapshot_goes_on(s, moment_wall_s()) ? NULL : advise_run(e);
}

static bool is_rendered_now(const Explain *e, const ClipRow *r)
{
    bool is = false;
    for (int i = 0; i < e->now.worker_count && !is; i++) {
        const WorkerLine *w = &e->now.worker[i];
        is = w->shot == r->shot && w->kind == LEASE_RENDER && strcmp(w->state, "working") == 0;
    }
    return is && e->now.ended_s <= 0 && snapshot_goes_on(&e->now, moment_wall_s());
}

static char *next_text(const Explain *e, const ClipRow *r)
{
    if (in_state(r, CLIP_PLANNED) && is_rendered_now(e, r)) return text_copy("its worker renders it");
    if (in_state(r, CLIP_PLANNED)) {
        char *held = held_text(e, r);
        return held ? held
                    : text_format("the next worker that is free takes it, after %s",
                                  r->failures ? "those that have not failed at it yet"
                                              : "what is before it in the plan");
    }
    if (in_state(r, CLIP_WAITING)) {
        char *held = held_text(e, r);
        return held ? held : text_copy("its shot is rendered; the next finisher that is free takes it");
    }
    if (in_state(r, CLIP_FINISHING))
        return snapshot_goes_on(&e->now, moment_wall_s()) ? text_copy("its worker finishes it") : advise_run(e);
    if (in_state(r, CLIP_PAUSED)) return advise(e, "", "resume", r->clip_id, "");
    if (in_state(r, CLIP_CANCELLED)) return advise(e, "nothing; ", "resume", r->clip_id, " takes it up again");
    if (in_state(r, CLIP_FAILED)) return advise(e, "nothing; ", "retry", r->clip_id, " tries it again");
    if (in_state(r, CLIP_HELD) || in_state(r, CLIP_REVIEW))
        return advise(e, "somebody looks at it: ", "review approve", r->clip_id, ", reject or rerender");
    if (in_state(r, CLIP_REJECTED))
        return advise(e, "nothing, unless ", "review rerender", r->clip_id, " makes another");
    if (in_state(r, CLIP_REFUSED)) return text_copy("nothing; its row gets no clip");
    if (in_state(r, CLIP_APPROVED)) return advise(e, "it is delivered when the run ends, or by ", "deliver", NULL, "");
    return text_copy("nothing; it is done");
}

static void print_worker(const Explain *e, const ClipRow *r)
{
    for (int i = 0; i < e->now.worker_count && e->now.ended_s <= 0 && snapshot_goes_on(&e->now, moment_wall_s()); i++) {
        const WorkerLine *w = &e->now.worker[i];
        if (w->shot != r->shot || strcmp(w->state, "working") != 0) continue;
        if (w->kind == LEASE_FINISH && strncmp(w->clip, r->clip_id, strlen(w->clip)) != 0) continue; /* another one */
        double silent_s = moment_wall_s() - w->heard_s;
        foreign_print(stdout, "  worker   %d (process %d on %s), %s %d of %d, heard of %.0f s ago\n", w->rank, w->pid,
                      w->host, *w->stage ? w->stage : "start", w->done, w->total, silent_s > 0 ? silent_s : 0);
    }
}

static void print_checkpoint(const Explain *e, const ClipRow *r)
{
    struct stat info;
    char *name = text_format("%s/latents/%s.h5", e->folder, r->key);
    if (r->step > 0) foreign_print(stdout, "  reached  step %d of %d", r->step, r->steps);
    if (r->step > 0 && stat(name, &info) == 0 && S_ISREG(info.st_mode))
        foreign_print(stdout, "; checkpoint latents/%s.h5, %.0f s old", r->key,
                      moment_wall_s() - (double)info.st_mtime);
    if (r->step > 0) foreign_print(stdout, "\n");
    free(name);
}

static Status print_clip(void *self, const ClipRow *r)
{
    Explain *e = self;
    char when[32], *next = next_text(e, r);
    e->found = true;
    e->shot = r->shot;
    e->clip = r->clip;
    snprintf(e->key, sizeof e->key, "%s", r->key);
    free(e->finish);
    e->finish = text_copy(r->finish);
    char *not_handed = *r->reason ? NULL : handover_reason(r->result);
    const char *reason = not_handed ? not_handed : r->reason;
    foreign_print(stdout, "clip %s: %s%s%s\n", r->clip_id, r->state, *reason ? ", because: " : "", reason);
    free(not_handed);
    if (r->decided_s > 0) {
        events_time(r->decided_s, when);
        foreign_print(stdout, "  since    %s\n", when);
    }
    foreign_print(stdout, "  next     %s\n", next);
    free(next);
    if (*r->file)
        foreign_print(stdout, "  file     %s (%dx%d, %.2f s)\n  sha256   %s\n", r->file, r->width, r->height,
                      r->duration_s, r->sha256);
    if (r->shot < 0) return status_ok();
    print_worker(e, r);
    print_checkpoint(e, r);
    foreign_print(stdout, "  shot     %s, seed %llu, %d step%s", r->key, (unsigned long long)r->seed, r->steps,
                  plural_s(r->steps));
    if (r->sharers > 1) foreign_print(stdout, ", shared by %lld clips", (long long)r->sharers);
    foreign_print(stdout, "\n  prompt   %s\n", r->prompt);
    return status_ok();
}

/* What the shot is made from: what workers say of a file names its key alone, for logs and events are for others, too. */
static Status print_files(Ledger *l, int64_t number)
{
    ShotSpec shot;
    TRY(ledger_read_shot(l, number, &shot));
    ShotMediaFile list[SHOT_MAX_FILES];
    const int count = shot_media_files(shot.media, list);
    for (int i = 0; i < count; i++) {
        char which[16] = "";
        if (list[i].number) snprintf(which, sizeof which, " %d", list[i].number);
        if (!likeness_is(list[i].file->path))
            foreign_print(stdout, "  made of  %s%s: %s\n", list[i].key, which, list[i].file->path);
    }
    shot_clear(&shot);
    return status_ok();
}

/* What is said in the clip: a text, or a recording. */
static Status print_voice(const Explain *e, Ledger *l)
{
    FinishSpec spec;
    char *campaign = NULL;
    TRY(ledger_read_finish(l, &campaign));
    Status status = finish_spec_read(campaign, e->finish, &spec);
    const json_t *voice = finish_spec_get(&spec, "voice");
    const char *text = member_text(voice, "text", ""), *file = member_text(voice, "file", "");
    if (*file && !likeness_is(file)) foreign_print(stdout, "  voice    %s\n", file);
    if (*text && !*file) foreign_print(stdout, "  voice    says: %s\n", text);
    finish_spec_clear(&spec);
    free(campaign);
    return status;
}

static Status print_lease(void *self, const LeaseRow *r)
{
    char given[32], length[32] = "";
    (void)self;
    events_time(r->given_s, given);
    if (r->ended_s > 0) snprintf(length, sizeof length, " after %.1f s", r->ended_s - r->given_s);
    foreign_print(stdout, "  %s  %s, lease %lld to %s: %s%s", given, lease_kind_name(r->kind), (long long)r->lease,
                  r->worker, r->outcome, length);
    if (r->steps_done || r->steps_resumed)
        foreign_print(stdout, ", %d step%s (%d from a checkpoint)", r->steps_done, plural_s(r->steps_done),
                      r->steps_resumed);
    foreign_print(stdout, "%s%s\n", *r->reason ? ": " : "", r->reason);
    return status_ok();
}

enum { TAIL_LINES = 10, TAIL_BYTES = 256 << 10 };

/* The end of what its workers wrote. */
static void print_log(const Explain *e)
{
    char *name = text_format("%s/logs/%s.log", e->folder, e->key), *text;
    size_t bytes;
    if (file_exists(name) && !failed(file_read(name, TAIL_BYTES, &text, &bytes))) {
        size_t at = bytes;
        for (int lines = 0; at > 0; at--)
            if (text[at - 1] == '\n' && at < bytes && ++lines == TAIL_LINES) break;
        foreign_print(stdout, "log %s\n", name);
        for (char *line = text + at, *end; *line; line = end) {
            end = line + strcspn(line, "\n");
            foreign_print(stdout, "  %.*s\n", (int)(end - line), line);
            end += *end == '\n';
        }
        free(text);
    }
    free(name);
}

static Status explain(Explain *e, Ledger *l, const char *clip)
{
    TRY(ledger_read_snapshot(l, &e->now));
    TRY(ledger_read_clips(l, clip, (ClipSink){print_clip, e}));
    if (!e->found)
        return status_fail(ERR_INPUT, "%s: no clip \"%s\"; the ids are the customers' (delivery.csv lists them)",
                           e->folder, clip);
    if (e->shot < 0) return status_ok();
    TRY(print_files(l, e->shot));
    TRY(print_voice(e, l));
    foreign_print(stdout, "attempts\n");
    TRY(ledger_read_leases(l, e->shot, e->clip, (LeaseSink){print_lease, NULL}));
    print_log(e);
    return status_ok();
}

Status verb_explain(int argc, char **argv)
{
    const Usage usage = {
        .verb = "explain",
        .arguments = "DIR CLIP",
        .about = "Why one clip is where it is and what happens next: its state, who works on it, how far it is,\n"
                 "every attempt at it, and the end of its log.",
        .min_arguments = 2,
        .max_arguments = 2};
    int first;
    Ledger *l = NULL;
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    Explain e = {.folder = argv[first], .shot = -1};
    TRY(ledger_open_shown(e.folder, &l));
    Status status = explain(&e, l, argv[first + 1]);
    ledger_close(&l);
    snapshot_clear(&e.now);
    free(e.finish);
    return status;
}
