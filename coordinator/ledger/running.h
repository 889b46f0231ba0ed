/* running.h - within the ledger: the leases that this epoch has given and that have not ended, as their rows say. Nobody
 * else writes these rows while the epoch lasts (ledger_begin), so a result is compared with what was ordered without reading it
 * back. A transaction that is rolled back empties the list, and with it ends what the epoch may do with leases. */
#ifndef REELWRIGHT_LEDGER_RUNNING_H
#define REELWRIGHT_LEDGER_RUNNING_H

#include "coordinator/ledger/sql.h"

struct RunningLease {
    int64_t lease, shot;
    int64_t step;       /* of the shot, the highest so far */
    int64_t shot_clips; /* of the shot, in this lease or not */
    ClipState state;    /* of every clip in it: waiting, finishing */
    int count;
    struct RunningClip {
        int64_t clip;
        char *clip_id;
    } clip[]; /* [count], in the order of the lease */
};
typedef struct RunningLease RunningLease;

/* Borrows nothing. The lease's number is above all others of the list. */
void ledger_running_add(Ledger *l, const RunningLease *head, const Lease *lease, const int64_t *clip);
/* ERR_FATAL: it is not running. Borrowed until it ends. */
Status ledger_running_find(const Ledger *l, int64_t lease, RunningLease **out);
void ledger_running_end(Ledger *l, int64_t lease); /* harmless when it is not there */
void ledger_running_clear(Ledger *l);

#endif
