/* alike.h - within the ledger: does a finished clip look like another shot of the same campaign? Only where the campaign's gates bound
 * `alike`. Finishing measured what the clip looks like (common/looks.h); no finisher knows what the others made, so it is judged here, when
 * the result comes.
 *
 * A clip is compared with the finished ones of the last LEDGER_ALIKE_MOST shots. Clips of one shot look alike on purpose; a clip that is
 * rendered again is not compared with what it was. */
#ifndef REELWRIGHT_LEDGER_ALIKE_H
#define REELWRIGHT_LEDGER_ALIKE_H

#include "coordinator/ledger/sql.h"

enum { LEDGER_ALIKE_MOST = 20000 };

typedef struct LedgerAlike LedgerAlike;

/* *document: the clip's with the gate's finding in it, and its name in "held_by" where it is beyond its bound; NULL: as it came. free() it. */
Status ledger_alike_judge(Ledger *l, int64_t clip, int64_t shot, const ClipResult *c, char **document);
void ledger_alike_free(LedgerAlike **a);

#endif
