/* lost.h - within the ledger: a finished clip whose files are missing or damaged is made again. */
#ifndef REELWRIGHT_LEDGER_LOST_H
#define REELWRIGHT_LEDGER_LOST_H

#include "coordinator/ledger/ledger.h"

/* Inside a round. The clip, which was approved or delivered, is planned again together with its shot, and the next job makes it. Until
 * then `why` is its reason. */
Status ledger_lose_clip(Ledger *l, int64_t clip, const char *why);

#endif
