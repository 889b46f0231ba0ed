/* reseed.h - within the ledger: one clip is rendered again with another seed, because somebody, or a gate, saw it and wants another one. */
#ifndef REELWRIGHT_LEDGER_RESEED_H
#define REELWRIGHT_LEDGER_RESEED_H

#include "coordinator/ledger/ledger.h"

/* Inside a round. The clip moves to the shot that is equal to its own but for the seed; that shot is planned if the ledger lacks it. The
 * clip keeps the new seed until an update of the campaign changes the row's render. *changed: 1, or 0 when the clip is in work, has that
 * seed already, or does not exist. */
Status ledger_reseed(Ledger *l, const char *clip_id, int64_t seed, int64_t *changed);
/* The same because gates are against the clip, with a seed that no other shot has: clips that shared one go on to share a render. */
Status ledger_reseed_again(Ledger *l, const char *clip_id, int64_t *seed, int64_t *changed);
/* The same when a reviewer asks for it (EV_RERENDER), with a seed that no other clip has. The caller then calls ledger_masters_read. */
Status ledger_rerender(Ledger *l, int64_t clip, int64_t *changed);

/* Whether that can be taken back: nobody has begun the new render, nor changed the clip since; so its files are still there. A clip that was paused
 * meanwhile can be taken back, too; the pause ends with it. */
Status ledger_may_undo_rerender(Ledger *l, int64_t clip, bool *yes);
/* Inside a round: takes it back. The clip is rejected, and the caller brings it into review or holds it. */
Status ledger_undo_rerender(Ledger *l, int64_t clip);

#endif
