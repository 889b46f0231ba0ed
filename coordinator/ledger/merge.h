/* merge.h - one ledger of those of a campaign's parts. */
#ifndef REELWRIGHT_LEDGER_MERGE_H
#define REELWRIGHT_LEDGER_MERGE_H

#include "common/status.h"

/* Makes folder/ledger.db, which must not exist yet, of the ledgers in part[0] .. part[count - 1], part I of count each, all of
 * one campaign: every row with its state, result and history, as if one run had rendered it. The parts are read only. What a
 * part's run is writing meanwhile is in it or not, whole. Leases, epochs and launches get new numbers: old * count + part.
 * The rows are counted afterwards: ERR_FATAL when the whole has not those of its parts. */
Status ledger_merge(const char *folder, char *const *part, int count);
/* Whether folder/ledger.db, made earlier, holds these parts' campaign with every one of their rows; only then may they be removed. */
Status ledger_check_merged(const char *folder, char *const *part, int count);

#endif
