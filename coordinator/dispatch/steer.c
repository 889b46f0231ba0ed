/* steer.c - takes up what people ask of a running farm, and waits or ends when nothing may be handed out. */
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/log.h"
#include "common/plural.h"
#include "common/shell.h"
#include "coordinator/dispatch/inside.h"
#include "coordinator/ledger/view.h"

enum { ASK_MS = 500 /* how often the requests of other processes are looked at */, REASONS_TOLD = 5 };

/* ---- requests ---- */

static Member *find_worker_of(Dispatch *d, int64_t lease)
{
    for (int rank = 1; rank < d->roster.count; rank++) {
        Member *m = &d->roster.member[rank], *tail = &d->roster.tail[rank];
        if (m->state == MEMBER_WORKING && m->lease == lease) return m;
        if (tail->state == MEMBER_WORKING && tail->lease == lease) return tail;
    }
    return NULL;
}

/* The worker drops it at its next step; its late result is ignored, because the lease has ended. */
Status dispatch_end_leases(Dispatch *d, Status status, int64_t *lease, int64_t count, const char *reason)
{
    for (int64_t i = 0; i < count && !failed(status); i++) {
        Member *m = find_worker_of(d, lease[i]);
        if (!m) continue;
        const int64_t shot = m->shot;
        const bool renders = m->kind == LEASE_RENDER;
        dispatch_post_drop(d, m, lease[i]);
        status = dispatch_lose(d, m, MEMBER_READY, LEASE_STOPPED, NULL, reason);
        if (!failed(status) && renders) status = ledger_follow_clips(d->ledger, shot);
    }
    free(lease);
    return status;
}

/* Finishes of cancelled clips are ended before the request is applied, renders that no clip wants any more after it. */
static Status take_request(Dispatch *d, const LedgerRequest *r)
{
    int64_t changed = 0, *lease = NULL, count = 0;
    TRY(dispatch_begin_changes(d));
    Status status = ledger_request_leases(d->ledger, r, &lease, &count);
    TRY(dispatch_end_leases(d, status, lease, count, "the clip was cancelled"));
    TRY(ledger_apply_request(d->ledger, r, &changed));
    /* a filter holds cells, and events hold none */
    dispatch_event(d, "request", "{s:s,s:s,s:i,s:I,s:I}", "verb", r->verb, "clip", r->clip_id, "filtered",
                   r->filter && *r->filter, "number", r->number, "changed", changed);
    d->count_failed = true;
    const bool review = strncmp(r->verb, "review ", 7) == 0;
    d->decided = d->decided || review;
    if (changed == 0 || (review && strcmp(r->verb, "review rerender") != 0)) return status_ok();
    status = ledger_unwanted_leases(d->ledger, &lease, &count);
    TRY(dispatch_end_leases(d, status, lease, count, "no clip wants it any more"));
    d->files.sweep = true;
    return dispatch_fill_queues(d); /* what can be handed out has changed */
}

Status dispatch_take_requests(Dispatch *d)
{
    ControlState control;
    if (d->now_ms - d->asked_ms < ASK_MS) return status_ok();
    d->asked_ms = d->now_ms;
    for (LedgerRequest r;;) {
        TRY(ledger_next_request(d->ledger, &r));
        Status status = r.id ? take_request(d, &r) : status_ok();
        bool last = r.id == 0;
        ledger_request_clear(&r);
        TRY(status);
        if (last) break;
    }
    TRY(ledger_get_control(d->ledger, &control));
    d->paused = control == CONTROL_PAUSED;
    if (control == CONTROL_CANCELLED) dispatch_halt(d, DISPATCH_CANCELLED, "cancelled");
    return status_ok();
}

/* ---- waiting for somebody's word ---- */

static const char *hold_text(const Dispatch *d, Hold hold)
{
    if (hold == HOLD_PILOT) return "the pilot is made and waits for approval";
    return d->paused ? "the campaign is paused" : "the clips that are left are paused";
}

static const char *hold_verb(const Dispatch *d, Hold hold)
{
    if (hold == HOLD_PILOT) return "pilot approve";
    return d->paused ? "resume" : "resume --where state=paused";
}

static Status tell_of_hold(Dispatch *d, Hold hold)
{
    Snapshot s;
    TRY(ledger_read_snapshot(d->ledger, &s));
    if (hold == HOLD_PILOT)
        dispatch_event(d, "pilot.ready", "{s:I,s:I,s:I}", "clips", s.pilot_clips, "finished", s.finished, "failed",
                       s.failed);
    else
        dispatch_event(d, "run.waiting", "{s:I,s:s}", "left", s.left, "reason", hold_text(d, hold));
    char *command = shell_suggest(hold_verb(d, hold), ledger_folder(d->ledger), NULL);
    log_line(LOG_INFO, "%s: `%s`", hold_text(d, hold), command);
    free(command);
    snapshot_clear(&s);
    return status_ok();
}

Status dispatch_rest(Dispatch *d)
{
    Hold hold = HOLD_PAUSED;
    if (!d->paused) TRY(ledger_get_hold(d->ledger, &hold));
    if (hold == HOLD_NONE) {
        dispatch_halt(d, DISPATCH_DONE, "");
        return status_ok();
    }
    if (hold != d->hold) {
        TRY(tell_of_hold(d, hold));
        d->hold = hold;
        d->hold_ms = d->now_ms;
    }
    if (d->options.wait_ms >= 0 && d->now_ms - d->hold_ms >= d->options.wait_ms)
        dispatch_halt(d, DISPATCH_WAITING, hold_text(d, hold));
    return status_ok();
}

/* ---- too much fails ---- */

Status dispatch_count_failed(Dispatch *d)
{
    int64_t count;
    char *what = NULL;
    if (!d->count_failed || d->options.most_failed < 0 || d->end != DISPATCH_WORKING) return status_ok();
    TRY(ledger_count_failed(d->ledger, &count));
    d->count_failed = false;
    if (count <= d->options.most_failed) return status_ok();
    Status status = ledger_describe_failures(d->ledger, REASONS_TOLD, &what);
    if (!failed(status)) {
        char *reason = text_format("%lld clip%s failed, and at most %lld may (max_fails): %s", (long long)count,
                                   plural_s(count), (long long)d->options.most_failed, what);
        dispatch_event(d, "run.max_fails", "{s:I,s:I,s:s}", "failed", count, "most", d->options.most_failed, "reason",
                       reason);
        dispatch_halt(d, DISPATCH_TOO_MANY, reason);
        free(reason);
    }
    free(what);
    return status;
}
