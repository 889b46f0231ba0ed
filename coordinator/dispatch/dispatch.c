#include "dispatch.h"

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

static Status open_all(Dispatch *d)
{
    TRY(guard_open(d->ledger, &d->guard));
    if (d->guard) TRY(audit_open(ledger_folder(d->ledger), &d->audit));
    if (!d->options.simulated) TRY(dispatch_open_files(d));
    return dispatch_fill_queues(d);
}

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
    Status status = open_all(d);
    if (failed(status)) dispatch_close(&d);
    *out = d;
    return status;
}

void dispatch_close(Dispatch **d)
{
    if (!*d) return;
    dispatch_drop_changes(*d);
    news_clear(&(*d)->kept);
    roster_close(&(*d)->roster);
    for (int k = 0; k < LEASE_KINDS; k++) queue_clear(&(*d)->queue[k]);
    guard_close(&(*d)->guard);
    audit_close(&(*d)->audit);
    dispatch_forget_withdrawn(*d);
    free((*d)->withdrawn);
    free((*d)->reason);
    free(*d);
    *d = NULL;
}

/* ---- what waits ---- */

static Status fill(WorkQueue *q, Status status, int64_t *item, int64_t count)
{
    if (!failed(status)) queue_add(q, item, count);
    free(item);
    return status;
}

Status dispatch_fill_queues(Dispatch *d)
{
    int64_t *item = NULL, count = 0;
    for (int k = 0; k < LEASE_KINDS; k++) queue_clear(&d->queue[k]);
    Status status = ledger_planned_shots(d->ledger, &item, &count);
    TRY(fill(&d->queue[LEASE_RENDER], status, item, count));
    status = ledger_waiting_clips(d->ledger, -1, &item, &count);
    return fill(&d->queue[LEASE_FINISH], status, item, count);
}

Status dispatch_queue_clips(Dispatch *d, int64_t shot)
{
    int64_t *clip = NULL, count = 0;
    Status status = ledger_waiting_clips(d->ledger, shot, &clip, &count);
    d->changes += count;
    return fill(&d->queue[LEASE_FINISH], status, clip, count);
}

/* ---- handing out ---- */

static void tell_of_lease(Dispatch *d, const Lease *l, int rank)
{
    if (l->kind == LEASE_FINISH)
        dispatch_event(d, "lease.given", "{s:I,s:s,s:s,s:s,s:i}", "lease", l->lease, "kind", lease_kind_name(l->kind),
                       "shot", l->key, "clip", l->clip_id, "worker", rank);
    else
        dispatch_event(d, "lease.given", "{s:I,s:s,s:s,s:i,s:i}", "lease", l->lease, "kind", lease_kind_name(l->kind),
                       "shot", l->key, "worker", rank, "clips", l->clip_count);
}

static void send_render(Dispatch *d, Member *m, WireMessage *w, int64_t shot)
{
    unsigned char *data;
    size_t bytes;
    roster_fill_group(&d->roster, m, &w->as.lease);
    wire_encode(w, &data, &bytes);
    for (Member *each = NULL; (each = roster_next_member(&d->roster, m, each));) {
        roster_start_lease(&d->roster, each, &w->as.lease, each == m ? shot : -1, each == m ? shot : -1, d->now_ms);
        dispatch_post_lease(d, each, data, bytes);
    }
    free(data);
}

static Status give_render(Dispatch *d, Member *m, int64_t shot)
{
    WireMessage w = {.kind = WIRE_LEASE};
    bool holds;
    TRY(dispatch_ask_consent(d, shot, -1, &holds));
    if (!holds) return status_ok(); /* whoever else wants the shot is asked next time */
    TRY(ledger_give_render(d->ledger, shot, m->name, &w.as.lease));
    if (w.as.lease.lease == 0) return status_ok(); /* nobody wants it any more */
    w.lease = w.as.lease.lease;
    w.epoch = w.as.lease.epoch;
    d->changes++;
    tell_of_lease(d, &w.as.lease, m->rank);
    send_render(d, m, &w, shot);
    wire_clear(&w);
    return status_ok();
}

static Status give_finish(Dispatch *d, Member *m, int64_t clip)
{
    WireMessage w = {.kind = WIRE_LEASE};
    unsigned char *data;
    size_t bytes;
    int64_t shot;
    bool holds;
    TRY(dispatch_ask_consent(d, -1, clip, &holds));
    if (!holds) return status_ok();
    TRY(ledger_give_finish(d->ledger, clip, m->name, &w.as.lease, &shot));
    w.lease = w.as.lease.lease;
    w.epoch = w.as.lease.epoch;
    d->changes++;
    dispatch_note_consent(d, &w.as.lease);
    tell_of_lease(d, &w.as.lease, m->rank);
    wire_encode(&w, &data, &bytes);
    roster_start_lease(&d->roster, m, &w.as.lease, shot, clip, d->now_ms);
    dispatch_post_lease(d, m, data, bytes);
    free(data);
    wire_clear(&w);
    return status_ok();
}

static Status give(void *self, Member *m, LeaseKind kind, int64_t item)
{
    return kind == LEASE_FINISH ? give_finish(self, m, item) : give_render(self, m, item);
}

static Status begin(void *self) { return dispatch_begin_changes(self); }

static bool is_full(void *self) { return ((const Dispatch *)self)->changes >= DISPATCH_ROUND_CLIPS; }

static int ready_masters(void *self) { return ledger_ready_masters(((const Dispatch *)self)->ledger); }

static bool has_room(void *self, int renders) { return dispatch_has_room(self, renders); }

static Status has_failed(void *self, LeaseKind kind, int64_t item, const Member *m, bool *yes)
{
    return ledger_has_failed(((Dispatch *)self)->ledger, kind, item, m->name, yes);
}

static Status failures(void *self, LeaseKind kind, int64_t item, int *workers, int *times)
{
    return ledger_failures(((Dispatch *)self)->ledger, kind, item, workers, times);
}

Rules dispatch_rules(Dispatch *d)
{
    return (Rules){&d->roster,    d->queue, d->now_ms,  d,        begin, is_full,
                   ready_masters, has_room, has_failed, failures, give};
}

static Status hand_out_work(Dispatch *d)
{
    const Rules rules = dispatch_rules(d);
    return d->end != DISPATCH_WORKING || d->paused ? status_ok() : rules_hand_out(&rules);
}

/* ---- the round ---- */

static Status give_up_if_silent(Dispatch *d, Member *m)
{
    char reason[256];
    if (!roster_overdue(&d->roster, m, d->now_ms)) return status_ok();
    snprintf(reason, sizeof reason, "worker %d (%s) made no progress for %lld s (%s %d of %d)", m->rank, m->name,
             (long long)(d->now_ms - m->progress_ms) / 1000, m->stage[0] ? m->stage : "start", m->done, m->total);
    log_line(LOG_WARNING, "%s", reason);
    if (m->state == MEMBER_HELPING) {
        roster_end_lease(&d->roster, m, MEMBER_LOST);
        return status_ok();
    }
    TRY(dispatch_begin_changes(d));
    if (m->is_tail) dispatch_post_drop(d, m, m->lease);
    return dispatch_lose(d, m, MEMBER_LOST, LEASE_LOST, NULL, reason);
}

static Status give_up_on_silent(Dispatch *d)
{
    for (int rank = 1; rank < d->roster.count; rank++) {
        TRY(give_up_if_silent(d, &d->roster.member[rank]));
        TRY(give_up_if_silent(d, &d->roster.tail[rank]));
    }
    return status_ok();
}

static Status look_for_the_end(Dispatch *d)
{
    const Rules rules = dispatch_rules(d);
    if (d->end == DISPATCH_WORKING) {
        const RulesNext next = rules_next(&rules, d->paused);
        if (next == RULES_REST)
            TRY(dispatch_rest(d));
        else
            d->hold = HOLD_NONE;
        if (next == RULES_ALL_ASIDE)
            dispatch_halt(d, DISPATCH_STUCK, "every worker failed at too many things and was set aside");
        if (next == RULES_NO_WORKERS) dispatch_halt(d, DISPATCH_NO_WORKERS, "no worker is left");
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
    WorkerLine line = roster_line(m, dispatch_now_s(d), d->now_ms);
    TRY(dispatch_begin_changes(d));
    TRY(ledger_note_worker(d->ledger, &line));
    m->dirty = m->urgent = false;
    if (m->state != MEMBER_WORKING || m->kind != LEASE_RENDER || strcmp(m->stage, stage_name(STAGE_DENOISE)) != 0)
        return status_ok();
    return ledger_note_step(d->ledger, m->lease, m->done);
}

/* The progress of all workers is written together, once a second: if each of a thousand workers had its own transaction, the disk would
 * sync all the time. When the job ends, every line is written. */
static Status note_workers(Dispatch *d)
{
    bool all = d->now_ms - d->lines_ms >= WORKER_LINE_MS || d->end != DISPATCH_WORKING;
    bool alive = d->now_ms - d->alive_ms >= ALIVE_MS;
    for (int rank = 1; rank < d->roster.count; rank++) {
        Member *const two[] = {&d->roster.member[rank], &d->roster.tail[rank]};
        for (int i = 0; i < 2; i++) {
            if (!two[i]->dirty || !(all || two[i]->urgent)) continue;
            TRY(note_worker(d, two[i]));
            alive = true;
        }
    }
    if (all) d->lines_ms = d->now_ms;
    if (!alive) return status_ok();
    d->alive_ms = d->now_ms;
    TRY(dispatch_begin_changes(d));
    return ledger_note_alive(d->ledger);
}

static Status play_round(Dispatch *d, int wait_ms)
{
    if (d->changes >= DISPATCH_ROUND_CLIPS) wait_ms = 0; /* the last round left work */
    d->changes = 0;
    TRY(dispatch_hear(d, wait_ms));
    TRY(give_up_on_silent(d));
    TRY(dispatch_take_requests(d));
    TRY(dispatch_look_at_consents(d));
    TRY(dispatch_count_failed(d));
    TRY(hand_out_work(d));
    TRY(look_for_the_end(d));
    return note_workers(d);
}

/* Every step of a round begins the transaction before it changes anything in memory that the ledger must know. So when another process
 * holds the lock, the steps before that one needed no ledger, their messages are sent, and the next round does the rest. A commit that
 * waits for readers is tried again before any news is heard. */
Status dispatch_round(Dispatch *d, int64_t now_ms, int wait_ms)
{
    d->now_ms = now_ms;
    ledger_set_patience(d->ledger, wait_ms);
    Status status = d->in_round ? dispatch_end_changes(d) : status_ok();
    if (!failed(status)) status = play_round(d, wait_ms);
    if (ledger_is_locked(status) && !d->in_round) status = status_ok();
    if (!failed(status)) status = dispatch_end_changes(d);
    if (ledger_is_locked(status)) return status_ok();
    if (failed(status)) dispatch_drop_changes(d);
    return status;
}

bool dispatch_going(const Dispatch *d)
{
    if (d->end == DISPATCH_WORKING) return true;
    RosterCount c = roster_count(&d->roster, d->now_ms);
    bool all_gone = c.any == 0 && c.aside == 0;
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
