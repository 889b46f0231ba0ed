/* round.c - one round's changes: a transaction of the ledger, then the letters and events that follow its commit. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/dispatch/inside.h"

double dispatch_now_s(const Dispatch *d)
{
    return d->options.start_s + (double)(d->now_ms - d->options.start_ms) / 1000;
}

Status dispatch_begin_changes(Dispatch *d)
{
    if (d->in_round) return status_ok();
    TRY(ledger_begin(d->ledger, dispatch_now_s(d)));
    d->in_round = true;
    return status_ok();
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

static Status tell_world(Dispatch *d)
{
    for (Letter *letter = d->outbox; letter; letter = letter->next)
        TRY(link_send(d->link, letter->peer, letter->data, letter->bytes));
    drop_outbox(d);
    return events_flush(d->events);
}

static Status note_in_audit(Dispatch *d)
{
    const bool decided = d->decided;
    d->decided = false;
    if (decided && !d->audit) TRY(audit_open(ledger_folder(d->ledger), &d->audit));
    TRY(audit_flush(d->audit, dispatch_now_s(d)));
    return decided ? audit_take_decisions(d->audit, d->ledger, dispatch_now_s(d)) : status_ok();
}

Status dispatch_end_changes(Dispatch *d)
{
    if (d->in_round) TRY(dispatch_sync_files(d));
    if (d->in_round) TRY(ledger_commit(d->ledger));
    d->in_round = false;
    dispatch_remove_withdrawn(d);
    TRY(note_in_audit(d));
    dispatch_sweep_masters(d);
    return tell_world(d);
}

void dispatch_drop_changes(Dispatch *d)
{
    audit_drop(d->audit);
    d->decided = false;
    dispatch_forget_withdrawn(d);
    ledger_rollback(d->ledger);
    d->in_round = false;
    drop_outbox(d);
    events_drop(d->events);
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

void dispatch_post_lease(Dispatch *d, Member *m, const unsigned char *data, size_t bytes)
{
    Letter *letter = add_letter(d, m->rank);
    free(m->lease_data);
    m->lease_data = memory_get(bytes, 1);
    letter->data = memory_get(bytes, 1);
    m->lease_bytes = letter->bytes = bytes;
    memcpy(m->lease_data, data, bytes);
    memcpy(letter->data, data, bytes);
}

void dispatch_event(Dispatch *d, const char *event, const char *pack, ...)
{
    va_list args;
    va_start(args, pack);
    events_vadd(d->events, dispatch_now_s(d), event, pack, args);
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
