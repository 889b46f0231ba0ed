/* lost.h - a clip that was finished, and whose files are not there any more, or not what they were. */
#ifndef REELWRIGHT_LEDGER_LOST_H
#define REELWRIGHT_LEDGER_LOST_H

#include "coordinator/ledger/ledger.h"

/* Inside a round. The clip, approved or delivered, is planned again, and its shot is; the next job makes it. why stands as its
 * reason until then. */
Status ledger_lose_clip(Ledger *l, int64_t clip, const char *why);

#endif
