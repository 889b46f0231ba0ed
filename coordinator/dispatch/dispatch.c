#include "dispatch.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/log.h"
#include "coordinator/dispatch/inside.h"

enum {
    WORKER_LINE_MS = 1000, /* status sees a worker's progress at most this old */
    ALIVE_MS = 5000,
    GOODBYE_MS = 5000 /* after the last result is in, for saying goodbye */
};

Status dispatch_open(Ledger *ledger, Link *link, Events *events, const DispatchOptions *o, Dispatch **out)
{
    Dispatch *d = memory_get(1, sizeof *d);
    *d = (Dispatch){.ledger = ledger, .link = link, .events = events, .options = *o, .now_ms = o->start_ms};
    d->outbox_last = &d->outbox;
    d->asked_ms = d->alive_ms = o->start_ms - ALIVE_MS;
    d->reason = text_copy("");
    roster_open(&d->roster, link->count, o->start_ms, o->step_limit_ms);
    if (o->group_size > 1) d->roster.group_size = o->group_size;
    memcpy(d->roster.stage_limit_ms, o->limit_ms, sizeof o->limit_ms);
    d->count_failed = true;
    Status status = ledger_planned_shots(ledger, &d->planned, &d->planned_count);
    if (failed(status)) dispatch_close(&d);
    *out = d;
    return status;
}

static void drop_outbox(Dispatch *d)
{
    for (Letter *next, *letter = d->outbox; letter; letter = next) {
        next = letter->next;
        free(letter->data);
        free(letter);
    }
    d->outbox = NULL;
    d->outbox_last = &d->outbox;
}

void dispatch_close(Dispatch **d)
{
    if (!*d) return;
    drop_outbox(*d);
    roster_close(&(*d)->roster);
    free((*d)->planned);
    free((*d)->again);
    free((*d)->reason);
    free(*d);
    *d = NULL;
}

/* ---- what both halves use ---- */

static double now_s(const Dispatch *d) { return d->options.start_s + (double)(d->now_ms - d->options.start_ms) / 1000; }

Status dispatch_begin_changes(Dispatch *d)
{
    if (d->in_round) return status_ok();
    TRY(ledger_begin(d->ledger, now_s(d)));
    d->in_round = true;
    return status_ok();
}

static Letter *add_letter(Dispatch *d, int peer)
{
    Letter *letter = memory_get(1, sizeof *letter);
    letter->peer = peer;
    *d->outbox_last = letter;
    d->outbox_last = &letter->next;
    return letter;
}

void dispatch_post(Dispatch *d, int peer, const WireMessage *m)
{
    Letter *letter = add_letter(d, peer);
    wire_encode(m, &letter->data, &letter->bytes);
}

void dispatch_post_stop(Dispatch *d, Member *m)
{
    int why = d->stopping ? WIRE_STOP_PREEMPT : WIRE_STOP_DONE;
    WireMessage stop = {.kind = WIRE_STOP, .epoch = ledger_epoch(d->ledger), .as.stop = why};
    m->stop_told = true;
    dispatch_post(d, m->rank, &stop);
}

void dispatch_post_drop(Dispatch *d, const Member *m, int64_t lease)
{
    WireMessage stop = {
        .kind = WIRE_STOP, .epoch = ledger_epoch(d->ledger), .lease = lease, .as.stop = WIRE_STOP_LEASE};
    dispatch_post(d, m->rank, &stop);
}

void dispatch_queue_again(Dispatch *d, int64_t shot)
{
    if (d->again_count == d->again_room) {
        d->again_room = 2 * d->again_room + 16;
        d->again = memory_resize(d->again, (size_t)d->again_room, sizeof *d->again);
    }
    d->again[d->again_count++] = shot;
}

void dispatch_event(Dispatch *d, const char *event, const char *pack, ...)
{
    va_list args;
    va_start(args, pack);
    events_vadd(d->events, now_s(d), event, pack, args);
    va_end(args);
}

void dispatch_halt(Dispatch *d, DispatchEnd end, const char *reason)
{
    if (d->end != DISPATCH_WORKING) return;
    d->end = end;
    d->ending_ms = d->now_ms;
    free(d->reason);
    d->reason = text_copy(reason);
    if (end == DISPATCH_DONE) return;
    d->stopping = true; /* what is in work comes back with a checkpoint */
}

/* A failure is the first rank's of a group. */
static bool tried_by_all(Dispatch *d, int64_t shot, Status *status)
{
    for (int rank = 1; rank < d->roster.count && !failed(*status); rank++) {
        const Member *m = &d->roster.member[rank];
        bool yes = true, helper = m->group ? m->lead != rank : d->roster.group_size > 1;
        if (!m->aside && !helper && (m->state == MEMBER_READY || m->state == MEMBER_WORKING))
            *status = ledger_has_failed(d->ledger, shot, m->name, &yes);
        if (!yes) return false;
    }
    return true;
}

static Status give_up(Dispatch *d, int64_t shot, const char *reason)
{
    TRY(ledger_give_up(d->ledger, shot, reason));
    log_line(LOG_WARNING, "shot %lld failed: %s", (long long)shot, reason);
    d->count_failed = true;
    int64_t clips;
    char *ids;
    TRY(ledger_name_clips(d->ledger, shot, &clips, &ids));
    dispatch_event(d, "clip.failed", "{s:s,s:I,s:I,s:s}", "clips", ids, "count", clips, "shot", shot, "reason", reason);
    free(ids);
    return status_ok();
}

/* What becomes of a shot and a worker after a failure that counts. */
static Status judge(Dispatch *d, Member *m, int64_t shot, int err, const char *reason)
{
    int workers, times;
    Status status = status_ok();
    if (err != ERR_CLIP && roster_count_failure(m, shot)) {
        log_line(LOG_WARNING, "worker %d (%s) is set aside: it failed %d different shots, at last with: %s", m->rank,
                 m->name, ROSTER_BAD_SHOTS, reason);
        dispatch_event(d, "worker.aside", "{s:i,s:s}", "worker", m->rank, "reason", reason);
    }
    TRY(ledger_failures(d->ledger, shot, &workers, &times));
    bool enough = err == ERR_CLIP || workers >= DISPATCH_SHOT_FAILURES ||
                  (times >= DISPATCH_SHOT_FAILURES && tried_by_all(d, shot, &status));
    TRY(status);
    if (enough) return give_up(d, shot, reason);
    dispatch_queue_again(d, shot);
    return status_ok();
}

/* Its members may be waiting for each other, so all are told; of one that does not come back nobody knows whether it can. */
void dispatch_end_group(Dispatch *d, Member *lead, bool lost)
{
    for (Member *m = NULL; (m = roster_next_member(&d->roster, lead, m));) {
        if (lost && lead->lease) dispatch_post_drop(d, m, lead->lease);
        m->progress_ms = d->now_ms;
        if (lost && d->roster.group_size > 1) m->awaited_ms = d->now_ms + ROSTER_BACK_MS;
        if (lost && m->state == MEMBER_HELPING) roster_end_lease(m, MEMBER_LOST);
    }
    roster_end_group(&d->roster, lead->group);
}

Status dispatch_lose(Dispatch *d, Member *m, MemberState next, const char *outcome, const LeaseResult *r,
                     const char *reason)
{
    int64_t shot = m->shot, lease = m->lease;
    if (!r || r->group_over) dispatch_end_group(d, m, !r);
    TRY(ledger_end_lease(d->ledger, lease, outcome, r, reason));
    d->moved += m->clip_count;
    dispatch_event(d, "lease.ended", "{s:I,s:I,s:i,s:s,s:s}", "lease", lease, "shot", shot, "worker", m->rank,
                   "outcome", outcome, "reason", reason);
    roster_end_lease(m, next);
    if (strcmp(outcome, "stopped") != 0) return judge(d, m, shot, r ? r->err : ERR_RETRY, reason);
    dispatch_queue_again(d, shot);
    return status_ok();
}

/* ---- the round ---- */

static Status give_up_on_silent(Dispatch *d)
{
    for (int rank = 1; rank < d->roster.count; rank++) {
        Member *m = &d->roster.member[rank];
        if (!roster_overdue(&d->roster, m, d->now_ms)) continue;
        char reason[256];
        snprintf(reason, sizeof reason, "worker %d (%s) made no progress for %lld s (%s %d of %d)", rank, m->name,
                 (long long)(d->now_ms - m->progress_ms) / 1000, m->stage[0] ? m->stage : "start", m->done, m->total);
        log_line(LOG_WARNING, "%s", reason);
        if (m->state == MEMBER_HELPING) {
            roster_end_lease(m, MEMBER_LOST);
            continue;
        }
        TRY(dispatch_begin_changes(d));
        TRY(dispatch_lose(d, m, MEMBER_LOST, "lost", NULL, reason));
    }
    return status_ok();
}

/* The oldest shot that came back and that this worker has not failed at (or everybody has), else the next of the plan. */
static Status choose_shot(Dispatch *d, const Member *m, int64_t *shot)
{
    Status status = status_ok();
    for (int64_t i = 0; i < d->again_count; i++) {
        bool tried = false;
        TRY(ledger_has_failed(d->ledger, d->again[i], m->name, &tried));
        if (tried && !tried_by_all(d, d->again[i], &status)) continue;
        TRY(status);
        *shot = d->again[i];
        memmove(d->again + i, d->again + i + 1, (size_t)(--d->again_count - i) * sizeof *d->again);
        return status_ok();
    }
    *shot = d->planned_next < d->planned_count ? d->planned[d->planned_next++] : -1;
    return status_ok();
}

static void send_lease(Dispatch *d, Member *m, const unsigned char *data, size_t bytes)
{
    Letter *letter = add_letter(d, m->rank);
    free(m->lease_data);
    m->lease_data = memory_get(bytes, 1);
    letter->data = memory_get(bytes, 1);
    m->lease_bytes = letter->bytes = bytes;
    memcpy(m->lease_data, data, bytes);
    memcpy(letter->data, data, bytes);
}

/* To the group that m is the first of. */
static Status give_lease(Dispatch *d, Member *m, int64_t shot)
{
    WireMessage w = {.kind = WIRE_LEASE};
    unsigned char *data;
    size_t bytes;
    TRY(ledger_give_lease(d->ledger, shot, m->name, &w.as.lease));
    w.lease = w.as.lease.lease;
    w.epoch = w.as.lease.epoch;
    d->moved += w.as.lease.clip_count;
    roster_fill_group(&d->roster, m, &w.as.lease);
    dispatch_event(d, "lease.given", "{s:I,s:s,s:i,s:i}", "lease", w.lease, "shot", w.as.lease.key, "worker", m->rank,
                   "clips", w.as.lease.clip_count);
    wire_encode(&w, &data, &bytes);
    for (Member *each = NULL; (each = roster_next_member(&d->roster, m, each));) {
        roster_start_lease(each, &w.as.lease, each == m ? shot : -1, d->now_ms);
        if (each != m) each->state = MEMBER_HELPING;
        send_lease(d, each, data, bytes);
    }
    free(data);
    wire_clear(&w);
    return status_ok();
}

static Status hand_out_work(Dispatch *d)
{
    if (d->end != DISPATCH_WORKING || d->paused) return status_ok();
    roster_form_groups(&d->roster, d->now_ms);
    for (int rank = 1; rank < d->roster.count; rank++) {
        Member *m = &d->roster.member[rank];
        int64_t shot;
        if (d->again_count == 0 && d->planned_next == d->planned_count) break;
        if (d->moved >= DISPATCH_ROUND_CLIPS) break;
        if (!roster_group_can_work(&d->roster, m, d->now_ms)) continue;
        TRY(dispatch_begin_changes(d));
        TRY(choose_shot(d, m, &shot));
        if (shot >= 0) TRY(give_lease(d, m, shot));
    }
    return status_ok();
}

static Status look_for_the_end(Dispatch *d)
{
    RosterCount c = roster_count(&d->roster, d->now_ms);
    bool work = d->again_count > 0 || d->planned_next < d->planned_count;
    if (c.hoped < d->roster.group_size) c.hoped = 0; /* too few for a group */
    if (d->end == DISPATCH_WORKING) {
        if (c.working == 0 && (!work || d->paused))
            TRY(dispatch_rest(d));
        else
            d->hold = HOLD_NONE;
        if (work && c.hoped == 0 && c.aside > 0)
            dispatch_halt(d, DISPATCH_STUCK, "every worker failed too many shots and was set aside");
        if (work && c.hoped == 0) dispatch_halt(d, DISPATCH_NO_WORKERS, "no worker is left");
    }
    dispatch_replace(d);
    if (d->end == DISPATCH_WORKING) return status_ok();
    for (int rank = 1; rank < d->roster.count; rank++) {
        Member *m = &d->roster.member[rank];
        if (!m->stop_told && m->state != MEMBER_DEAD && m->state != MEMBER_GONE) dispatch_post_stop(d, m);
    }
    return status_ok();
}

static Status note_worker(Dispatch *d, Member *m)
{
    WorkerLine line = roster_line(m, now_s(d), d->now_ms);
    TRY(dispatch_begin_changes(d));
    TRY(ledger_note_worker(d->ledger, &line));
    m->dirty = m->urgent = false;
    if (m->state != MEMBER_WORKING || strcmp(m->stage, "denoise") != 0) return status_ok();
    return ledger_note_step(d->ledger, m->lease, m->done);
}

/* Progress is written once a second, that of all workers together: with a line for itself each of a thousand workers would
 * have the disk synced all the time. At the end every line is written: it is the last. */
static Status note_workers(Dispatch *d)
{
    bool all = d->now_ms - d->lines_ms >= WORKER_LINE_MS || d->end != DISPATCH_WORKING;
    bool alive = d->now_ms - d->alive_ms >= ALIVE_MS;
    for (int rank = 1; rank < d->roster.count; rank++) {
        Member *m = &d->roster.member[rank];
        if (!m->dirty || !(all || m->urgent)) continue;
        TRY(note_worker(d, m));
        alive = true;
    }
    if (all) d->lines_ms = d->now_ms;
    if (!alive) return status_ok();
    d->alive_ms = d->now_ms;
    TRY(dispatch_begin_changes(d));
    return ledger_note_alive(d->ledger);
}

static Status tell_world(Dispatch *d)
{
    for (Letter *letter = d->outbox; letter; letter = letter->next)
        TRY(link_send(d->link, letter->peer, letter->data, letter->bytes));
    drop_outbox(d);
    return events_flush(d->events);
}

Status dispatch_round(Dispatch *d, int64_t now_ms, int wait_ms)
{
    Status status = status_ok();
    d->now_ms = now_ms;
    if (d->moved >= DISPATCH_ROUND_CLIPS) wait_ms = 0; /* the last round left work */
    d->moved = 0;
    TRY_OUT(dispatch_hear(d, wait_ms));
    TRY_OUT(give_up_on_silent(d));
    TRY_OUT(dispatch_take_requests(d));
    TRY_OUT(dispatch_count_failed(d));
    TRY_OUT(hand_out_work(d));
    TRY_OUT(look_for_the_end(d));
    TRY_OUT(note_workers(d));
    if (d->in_round) TRY_OUT(ledger_commit(d->ledger));
    d->in_round = false;
    return tell_world(d);
out:
    ledger_rollback(d->ledger);
    d->in_round = false;
    drop_outbox(d);
    events_drop(d->events);
    return status;
}

bool dispatch_going(const Dispatch *d)
{
    if (d->end == DISPATCH_WORKING) return true;
    RosterCount c = roster_count(&d->roster, d->now_ms);
    bool all_gone = c.hoped == 0 && c.aside == 0;
    int64_t patience = d->stopping && c.working > 0 ? d->options.grace_ms : GOODBYE_MS;
    return !all_gone && d->now_ms - d->ending_ms < patience;
}

DispatchEnd dispatch_end(const Dispatch *d) { return d->end; }
const char *dispatch_reason(const Dispatch *d) { return d->reason; }
void dispatch_stop(Dispatch *d) { dispatch_halt(d, DISPATCH_STOPPED, "stopped in order to be resumed"); }

bool dispatch_clean(const Dispatch *d)
{
    for (int rank = 1; rank < d->roster.count; rank++)
        if (d->roster.member[rank].state != MEMBER_GONE) return false;
    return true;
}
