/* inside.h - what the two halves of dispatching share: dispatch.c (the round) and news.c (what is heard). */
#ifndef REELWRIGHT_DISPATCH_INSIDE_H
#define REELWRIGHT_DISPATCH_INSIDE_H

#include "common/wire.h"
#include "coordinator/dispatch/dispatch.h"
#include "coordinator/dispatch/roster.h"
#include "coordinator/ledger/steer.h"

/* A round ends early once so many clips have changed their state: those of some hundred large leases are a million, and would
 * hold up everybody for ten seconds. What is left is the next round's, which does not wait. */
enum { DISPATCH_ROUND_CLIPS = 16384 };

typedef struct Letter { /* to be sent after the commit */
    struct Letter *next;
    int peer;
    unsigned char *data;
    size_t bytes;
} Letter;

struct Dispatch {
    Ledger *ledger;
    Link *link;
    Events *events;
    DispatchOptions options;
    Roster roster;
    int64_t *planned; /* shots in plan order; planned_next is the first not handed out yet */
    int64_t planned_next, planned_count;
    int64_t *again; /* shots that came back, oldest first; they go first, to a worker that has not failed at them */
    int64_t again_count, again_room;
    Letter *outbox, **outbox_last;
    int64_t now_ms, asked_ms, alive_ms, lines_ms, ending_ms;
    int64_t moved; /* clips, in this round */
    bool in_round, stopping, paused;
    bool count_failed; /* clips have failed since they were last counted */
    Hold hold;         /* why nothing is done, since hold_ms */
    int64_t hold_ms;
    int64_t begun_ms, weighed_ms; /* the first shot was begun; a replacement was thought about */
    DispatchEnd end;
    char *reason;
};

Status dispatch_begin_changes(Dispatch *d); /* opens the round's transaction, once */
void dispatch_post(Dispatch *d, int peer, const WireMessage *m);
void dispatch_post_stop(Dispatch *d, Member *m);
void dispatch_post_drop(Dispatch *d, const Member *m, int64_t lease); /* give up this lease */
/* The group of `lead` is no more. lost: its lease was not given back, so its members are told to give it up. */
void dispatch_end_group(Dispatch *d, Member *lead, bool lost);
void dispatch_queue_again(Dispatch *d, int64_t shot);
void dispatch_event(Dispatch *d, const char *event, const char *pack, ...); /* as events_add */
void dispatch_halt(Dispatch *d, DispatchEnd end, const char *reason);

/* steer.c: what people have asked for. */
Status dispatch_take_requests(Dispatch *d);
/* Nothing is in work and nothing may be handed out: that is the end, or a wait for somebody's word. */
Status dispatch_rest(Dispatch *d);
/* replace.c: ends the job when another launch, with all its workers, is worth its while. */
void dispatch_replace(Dispatch *d);
/* Ends the night when more clips have failed than may. */
Status dispatch_count_failed(Dispatch *d);

/* Hears everything that has arrived, up to a bound that keeps rounds short. */
Status dispatch_hear(Dispatch *d, int wait_ms);
/* The lease of m ended without result. outcome as in ledger_end_lease; poison: no other worker need try. */
Status dispatch_lose(Dispatch *d, Member *m, MemberState next, const char *outcome, const LeaseResult *r,
                     const char *reason);

#endif
