/* review.h - within the ledger: what people decide about finished clips, and which clips they are asked about.
 *
 * A finished clip is held when a gate wants somebody to look (its document's "held_by"), in review when the policy does, else approved. Of a
 * campaign with a sample (lot.h) those of the sample are in review, and all once the lot is rejected.
 *
 * A decision stands in `decisions` with reviewer, reason, time and the hash of what was looked at; with four eyes an approval takes two
 * reviewers. Rendering again takes another seed (reseed.h). */
#ifndef REELWRIGHT_LEDGER_REVIEW_H
#define REELWRIGHT_LEDGER_REVIEW_H

#include "coordinator/ledger/sql.h"
#include "coordinator/ledger/steer.h"

/* Within ledger_begin_epoch: the policy; clips that were approved before it wanted them seen are in review now. */
Status ledger_review_read(Ledger *l);
/* What becomes of a clip that is finished. *reason: why it is held; NULL: it is not. free() it. */
LedgerEvent ledger_review_event(Ledger *l, const ClipResult *c, char **reason);

/* The verbs of a LedgerRequest: "review approve", "review reject", "review reopen" (the decision is taken back), "review rerender". */
bool ledger_review_is_verb(const char *verb);
/* Does it to every clip that the request means and that can take it, and notes what became of the request. *changed: clips that changed
 * their state. */
Status ledger_review_apply(Ledger *l, const LedgerRequest *r, int64_t *changed);

#endif
