/* again.h - a gate may have a clip rendered again with another seed, before a person is bothered or the clip is given up: gates.NAME.again of the
 * campaign says how often. Each time stands in `decisions` (verb "again", the gate's finding as reason) and counts for all gates together. */
#ifndef REELWRIGHT_LEDGER_AGAIN_H
#define REELWRIGHT_LEDGER_AGAIN_H

#include "coordinator/ledger/ledger.h"

typedef struct {
    bool again; /* the clip is planned anew */
    int64_t seed;
    int time;      /* the first, the second ... */
    char why[160]; /* what the gates said */
} LedgerAgain;

/* Inside a round, for a clip that gates have just held or failed; any other clip stays as it is. The clip is rendered again only when each gate
 * that holds or fails it allows one more time. */
Status ledger_again(Ledger *l, const char *clip_id, LedgerAgain *out);
Status ledger_count_again(Ledger *l, int64_t *times); /* of all clips */

#endif
