/* rules.h - the decisions of a round, without ledger, messages and disk: who gets what next, when a shot or clip is given up, when nobody
 * is left. The coordinator (dispatch.c, with the ledger behind it) and the simulated night (coordinator/plan/night.c, with arrays)
 * run the same code over the same roster and queues, so that a plan follows what the farm does.
 *
 * An item that has failed once is not given to a worker that still decodes its last shot (roster_tail).
 *
 * A worker that takes both kinds of work gets finishes first: a master takes room on the disk until its clips are finished. Ranks are asked in
 * their order. */
#ifndef REELWRIGHT_RULES_H
#define REELWRIGHT_RULES_H

#include "coordinator/dispatch/queue.h"
#include "coordinator/dispatch/roster.h"

enum {
    RULES_FAILURES = 3 /* different workers that failed at one thing: it is given up */,
    RULES_MASTERS = 4 /* that wait, for each worker */
};

typedef struct { /* all borrowed */
    Roster *roster;
    WorkQueue *queue; /* [LEASE_KINDS]: shots to render, clips to finish */
    int64_t now_ms;
    void *self;                                /* of the following */
    Status (*begin)(void *self);               /* called before an item is taken out of a queue; NULL: not called */
    bool (*is_full)(void *self);               /* the round is long enough */
    int (*ready_masters)(void *self);          /* shots of which a clip waits or is being finished */
    bool (*has_room)(void *self, int renders); /* on the disk, for one master more than these renders will make */
    /* item: the shot of a render, the clip of a finish. Since it was last retried. */
    Status (*has_failed)(void *self, LeaseKind kind, int64_t item, const Member *m, bool *yes);
    Status (*failures)(void *self, LeaseKind kind, int64_t item, int *workers, int *times);
    Status (*give)(void *self, Member *m, LeaseKind kind,
                   int64_t item); /* m starts it, or the item is not wanted any more */
} Rules;

/* Gives an item to each worker that can work, as long as there are items. */
Status rules_hand_out(const Rules *r);

/* The lease of m has failed, and m still has it; err is its ErrClass. *aside: it was one failure too many for this worker, which gets
 * nothing more. *give_up: the shot or clip is failed; else it goes back into its queue.
 * - Any failure counts alike but ERR_CLIP, which says that no other worker would fare better. ERR_INPUT counts as the others do:
 *   `check` has accepted the campaign, so a worker that finds its input wrong may be what is wrong (a disk that is not mounted, a font
 *   that is not installed there).
 * - Given up after failures of RULES_FAILURES different workers. Where fewer can try it, after as many failures, once each of them has
 *   tried. */
Status rules_count_failure(const Rules *r, Member *m, int err, bool *aside, bool *give_up);

typedef enum {
    RULES_GO_ON,
    RULES_REST,       /* nothing is in work, and nothing may be handed out */
    RULES_NO_WORKERS, /* work is left, and nobody is or may soon be there for it */
    RULES_ALL_ASIDE   /* the same, and those that are there were set aside */
} RulesNext;
RulesNext rules_next(const Rules *r, bool paused);

#endif
