/* reseed.h - one clip again with another seed: somebody looked at it and wants another. */
#ifndef REELWRIGHT_LEDGER_RESEED_H
#define REELWRIGHT_LEDGER_RESEED_H

#include "coordinator/ledger/ledger.h"

/* Inside a round. The clip is planned again, of the shot that differs from its own in the seed only; the seed stays its own until the
 * campaign wants another render of its row. *changed: 0 when it is in work, or has that seed already. A clip that is not there changes
 * nothing. */
Status ledger_reseed(Ledger *l, const char *clip_id, int64_t seed, int64_t *changed);
/* The same as a reviewer's word (EV_RERENDER), with a seed that no other clip has. The caller reads the masters anew. */
Status ledger_rerender(Ledger *l, int64_t clip, int64_t *changed);

#endif
