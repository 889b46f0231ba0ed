/* dispatch.h - the coordinator's one loop: hear news; give up on the silent; hand out work.
 *
 *     while (dispatch_going(d)) TRY(dispatch_round(d, now_ms, wait_ms));
 *
 * Invariant: the ledger is written before the world is told. A round changes the ledger in one transaction, and only after
 * its commit go leases, acknowledgements, stops and events out. A round that cannot be committed has not happened.
 *
 * Policy
 * - A result counts when its lease still runs, in this epoch, with this worker; any other is acknowledged and ignored.
 * - Two kinds of work: a render ends with a shot's master (moved to masters/), a finish with one clip of it (moved to clips/).
 *   Each worker says which it is here for. Who gets what next, how many masters may wait, and when a shot or clip is given up: rules.h.
 *   A master goes when the last clip of it is finished. When nobody is left who finishes, those who render do.
 * - A shot that is given up is failed with the last reason, and its clips with it; a clip whose finish is, alone. A dead or silent worker
 *   counts like a failure: a clip that always kills its worker ends. What was in flight when the whole job died does not count.
 * - A worker that fails at three different things in a row is set aside. When all are, the farm cannot go on.
 * - A full disk of the campaign stops the farm instead of failing the whole campaign clip by clip; one of a node is that node's.
 * - A master that is missing or damaged is made again, of the shot's last checkpoint where that is there.
 * - A step without progress for its limit (roster.h) is a loss.
 * - Lost workers are replaced by another launch, when the rest of the night gains more by it than it costs
 *   (replace.c); what is in work then comes back with its checkpoint, as in a stop.
 * - A render is given to all ranks of a group (roster.h); the first rank answers for it. When any rank of the group is lost, the render is
 *   lost. The other ranks give it up, and join a new group as soon as they are ready. If too few ranks are left for a group, they wait.
 * - A worker may decode a render beside its next lease: its tail (roster.h). It then has two leases, which are reported, stopped and lost
 *   one by one. A worker that dies loses both, and both count as failed. So that a shot that kills its workers spoils no other shot, a shot
 *   that has failed once is rendered alone: its worker gets no lease beside it, and no worker that has a tail gets it. It may therefore be
 *   rendered after all others.
 * - Where all that is left is held (paused, or waiting for the pilot's approval) the farm waits, workers asleep, for wait_ms. */
#ifndef REELWRIGHT_DISPATCH_H
#define REELWRIGHT_DISPATCH_H

#include "common/link.h"
#include "coordinator/ledger/ledger.h"
#include "coordinator/watch/events.h"

enum { DISPATCH_RESEND_MS = 1000 };

typedef struct Dispatch Dispatch;

typedef enum {
    DISPATCH_WORKING,
    DISPATCH_DONE,       /* every clip is in a final state */
    DISPATCH_STOPPED,    /* dispatch_stop was called, and the workers have given back what they had */
    DISPATCH_NO_WORKERS, /* work is left and nobody to do it: another launch may help */
    DISPATCH_STUCK,      /* every worker was set aside: another launch will not help */
    DISPATCH_CANCELLED,
    DISPATCH_WAITING,  /* nothing may be done until somebody resumes or approves, and the wait for that is over */
    DISPATCH_TOO_MANY, /* more clips failed than the campaign allows */
    DISPATCH_REPLACE   /* another launch is worth its while: it brings back the workers that were lost */
} DispatchEnd;

typedef struct {
    double start_s; /* wall clock at start_ms; later stamps follow the caller's ms, which never jump back */
    int64_t start_ms;
    int64_t step_limit_ms;         /* 0 = measured */
    int64_t limit_ms[STAGE_COUNT]; /* the same of one stage, where it is not 0 */
    int64_t wait_ms;               /* how long to wait for somebody's word; negative: for ever */
    int64_t most_failed;           /* clips; negative: any number */
    bool replace;                  /* a launcher waits for the job's end, and starts it again while work is left */
    int64_t grace_ms;              /* how long a stop waits for checkpoints */
    int group_size;                /* ranks that render a shot together; 0 = 1 */
    bool keep_masters;             /* they stay when their last clip is finished */
    bool simulated;                /* workers leave no files: none is looked for */
} DispatchOptions;

/* Borrows ledger, link and events. The caller has begun an epoch of the ledger. */
Status dispatch_open(Ledger *ledger, Link *link, Events *events, const DispatchOptions *o, Dispatch **out);
void dispatch_close(Dispatch **d);
/* One round, which begins at now_ms; waits up to wait_ms for news, and as long for the ledger's lock. While another process holds
 * that, rounds do nothing that the ledger must know, and the farm goes on when it is free. ERR_FATAL: the ledger refused (fenced,
 * disk full); nothing was told. */
Status dispatch_round(Dispatch *d, int64_t now_ms, int wait_ms);
/* False when all is over, and each worker has been told so and has said goodbye, or has had the time to. */
bool dispatch_going(const Dispatch *d);
DispatchEnd dispatch_end(const Dispatch *d);
/* Why the farm cannot go on; "" when it could. */
const char *dispatch_reason(const Dispatch *d);
/* Every lease in work checkpoints at its next step and comes back. */
void dispatch_stop(Dispatch *d);
/* True when every worker said goodbye: the job can be left in order (link_close), else link_abort. */
bool dispatch_clean(const Dispatch *d);

#endif
