/* inside.h - what the parts of dispatching share: dispatch.c (who gets what, and the round), round.c (transaction, outbox, events),
 * news.c (what is heard), fate.c (what becomes of work that failed), files.c (masters and clips on the disk), steer.c, replace.c. */
#ifndef REELWRIGHT_DISPATCH_INSIDE_H
#define REELWRIGHT_DISPATCH_INSIDE_H

#include "common/wire.h"
#include "coordinator/dispatch/dispatch.h"
#include "coordinator/dispatch/queue.h"
#include "coordinator/dispatch/roster.h"
#include "coordinator/dispatch/rules.h"
#include "coordinator/ledger/guard.h"
#include "coordinator/ledger/steer.h"
#include "coordinator/watch/audit.h"

/* A round ends early once so many clips have changed their state: those of some hundred large shots are a million, and would
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
    WorkQueue queue[LEASE_KINDS]; /* shots to render, clips to finish */
    Letter *outbox, **outbox_last;
    News kept; /* heard when the ledger was locked, and to be heard again */
    int64_t now_ms, asked_ms, alive_ms, lines_ms, ending_ms;
    int64_t changes; /* of clips and leases, in this round */
    bool in_round, stopping, paused;
    bool count_failed; /* clips have failed since they were last counted */
    Hold hold;         /* why nothing is done, since hold_ms */
    int64_t hold_ms;
    int64_t begun_ms, weighed_ms; /* the first shot was begun; a replacement was thought about */
    struct {
        bool clips, masters;   /* files were moved in this round, and their folder is not synced yet */
        bool sweep;            /* masters may be there that nobody wants any more */
        int64_t looked_ms;     /* at the disk's room */
        int64_t free_bytes;    /* of the campaign's disk, then */
        int64_t largest_bytes; /* of a master so far */
    } files;
    Guard *guard;     /* NULL: nobody's likeness is in the clips */
    Audit *audit;     /* NULL: nothing has been noted in it yet */
    bool decided;     /* decisions of reviewers were taken in this round */
    char **withdrawn; /* stems of the clips withdrawn in this round: their files are deleted after the commit */
    int64_t withdrawn_count;
    DispatchEnd end;
    char *reason;
};

/* ---- round.c ---- */
Status dispatch_begin_changes(Dispatch *d); /* opens the round's transaction, once */
Status dispatch_end_changes(Dispatch *d);   /* commits, then tells the world */
void dispatch_drop_changes(Dispatch *d);    /* the round has not happened */
double dispatch_now_s(const Dispatch *d);
void dispatch_post(Dispatch *d, int peer, const WireMessage *m);
void dispatch_post_stop(Dispatch *d, Member *m);
void dispatch_post_drop(Dispatch *d, const Member *m, int64_t lease); /* give up this lease */
void dispatch_post_lease(Dispatch *d, Member *m, const unsigned char *data,
                         size_t bytes);                                     /* and keeps it, to send it again */
void dispatch_event(Dispatch *d, const char *event, const char *pack, ...); /* as events_add */
void dispatch_halt(Dispatch *d, DispatchEnd end, const char *reason);

/* ---- fate.c ---- */
/* The group of `lead` is no more. lost: its lease was not given back, so its members are told to give it up. */
void dispatch_end_group(Dispatch *d, Member *lead, bool lost);
/* The lease of m ended without a result: its shot or clip goes back into a queue or is given up, and m becomes `next`. */
Status dispatch_lose(Dispatch *d, Member *m, MemberState next, LeaseOutcome outcome, const LeaseResult *r,
                     const char *reason);

/* ---- files.c ---- */
/* Deletes the unfinished files that an earlier job left. A shot whose master is missing is rendered again. */
Status dispatch_open_files(Dispatch *d);
/* Moves the files of a result from its lease's folder to masters/ or clips/. ERR_RETRY: they are not there. */
Status dispatch_adopt(Dispatch *d, const Member *m, const LeaseResult *r);
Status dispatch_sync_files(Dispatch *d);  /* before the commit */
void dispatch_sweep_masters(Dispatch *d); /* after it */
/* The disk has room for one master more than these renders will make. */
bool dispatch_has_room(Dispatch *d, int renders);

/* ---- consent.c ---- */
/* Once a second, if the trust store has changed: withdraws the clips whose consent no longer holds, and ends the leases that work for them. */
Status dispatch_look_at_consents(Dispatch *d);
/* Asks for the consents of one clip, or of all clips of one shot (the other number is -1): before a lease is given, and when its result
 * comes. Clips without consent are withdrawn, and the queues are filled anew. *holds: somebody still wants the shot or clip. */
Status dispatch_ask_consent(Dispatch *d, int64_t shot, int64_t clip, bool *holds);
void dispatch_note_consent(Dispatch *d, const Lease *l);
void dispatch_remove_withdrawn(Dispatch *d); /* after the commit */
void dispatch_forget_withdrawn(Dispatch *d); /* the round has not happened */

/* ---- dispatch.c ---- */
/* The rules of rules.h with this ledger and this moment behind them. */
Rules dispatch_rules(Dispatch *d);
/* A clip that a gate held or failed is rendered again with another seed, where the campaign allows that (ledger/again.h). */
Status dispatch_render_again(Dispatch *d, const char *clip_id);
/* Empties both queues and reads from the ledger which shots and clips wait. */
Status dispatch_fill_queues(Dispatch *d);
/* The shot has a master now: puts its waiting clips into the queue of finishes. */
Status dispatch_queue_clips(Dispatch *d, int64_t shot);

/* ---- steer.c: what people have asked for ---- */
/* Tells the workers of these leases to give them up at their next step; results that still come are ignored. Frees the list. */
Status dispatch_end_leases(Dispatch *d, Status status, int64_t *lease, int64_t count, const char *reason);
Status dispatch_take_requests(Dispatch *d);
/* Nothing is in work and nothing may be handed out: ends the job, or waits for a person to resume or approve. */
Status dispatch_rest(Dispatch *d);
/* Ends the night when more clips have failed than may. */
Status dispatch_count_failed(Dispatch *d);

/* replace.c: ends the job when a new launch with all workers would be done sooner. */
void dispatch_replace(Dispatch *d);

/* news.c: hears everything that has arrived, up to a bound that keeps rounds short. */
Status dispatch_hear(Dispatch *d, int wait_ms);

#endif
