/* lots.h - the lots of campaigns that follow one another (review: {policy: sample, series: FILE}): a file beside the campaigns, a
 * chain (trust/chain.h) with a line for each lot that was accepted or rejected:
 *
 *     {"what":"lot","lot":"...","campaign":"summer","clips":400,"sample":50,"accept":1,"bad":0,"accepted":true,"tighter":true,"severity":"normal",...}
 *
 * How strictly a campaign's lot is looked at follows from the lots that stand there when it is planned, by the switching rules of
 * ISO 2859-1, and stays so. A lot whose verdict changes (a rejection was taken back) gets another line; the last counts. */
#ifndef REELWRIGHT_LOTS_H
#define REELWRIGHT_LOTS_H

#include "coordinator/ledger/ledger.h"

/* Settles the severity of this campaign's lot, once. Its ledger has its plan, and nobody works on it. A campaign that is no lot of a series:
 * nothing. ERR_INPUT: the file is damaged. */
Status lots_begin(const char *folder, int64_t launch);
/* Notes the lot, when it is decided and not noted so yet. */
Status lots_note(Ledger *l);

#endif
