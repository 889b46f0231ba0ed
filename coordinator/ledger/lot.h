/* lot.h - within the ledger: the sample of a campaign that is reviewed as one lot (review: {policy: sample}).
 *
 * The lot: all clips that can be delivered; the sample: so many as campaign/sampling.h says, those with the least hashes of their ids, so that the
 * same clips are in it whoever looks. A clip of the sample is bad when the last word about one of its files was to reject it or to render it
 * again. Nothing of the lot is delivered before all of the sample is decided; with more bad ones than the plan accepts, all of the lot is looked
 * at. */
#ifndef REELWRIGHT_LEDGER_LOT_H
#define REELWRIGHT_LEDGER_LOT_H

#include "coordinator/ledger/sql.h"
#include "coordinator/ledger/view.h"

/* The place of a clip in the order that samples are taken in. */
uint64_t ledger_lot_number(const char *clip_id);
/* The lot as it stands; *sample: a clip whose number is below is in the sample. */
Status ledger_lot_read(Ledger *l, const ReviewSettings *asked, ReviewLot *out, uint64_t *sample);
/* Bad clips of the sample. */
Status ledger_lot_count_bad(Ledger *l, uint64_t sample, int64_t *bad);

#endif
