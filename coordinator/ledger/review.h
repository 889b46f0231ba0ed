/* review.h - within the ledger: which finished clips a person must look at, and what that person decided.
 *
 * A finished clip gets one of three states. It is held when a gate asks for a person (the clip's document names that gate in "held_by").
 * It is in review when the campaign's review policy asks for a person. Else it is approved. With the policy `sample` (lot.h) the clips
 * of the sample are in review; when the sample has too many bad clips, the lot is rejected, and then all clips are in review.
 *
 * The table `decisions` holds each decision: who decided, why, when, and the hash of the file that this person saw. With `four_eyes` a
 * clip is approved after two people have approved it. A clip that is rendered again gets another seed (reseed.h). */
#ifndef REELWRIGHT_LEDGER_REVIEW_H
#define REELWRIGHT_LEDGER_REVIEW_H

#include "coordinator/ledger/sql.h"
#include "coordinator/ledger/steer.h"

/* Reads the policy when an epoch begins. Clips that were approved unseen under an earlier policy come into review where this one wants
 * them seen. */
Status ledger_review_read(Ledger *l);
/* The event of a clip that was just finished: held, in review or approved. *reason: why it is held; NULL: it is not held. free() it. */
LedgerEvent ledger_review_event(Ledger *l, const ClipResult *c, char **reason);

/* The verbs of a LedgerRequest: "review approve", "review reject", "review reopen" (the decision is taken back, a noted approval, too),
 * "review rerender". */
bool ledger_review_is_verb(const char *verb);
/* Applies the verb to every clip that the request selects and whose state allows it, and writes the outcome into the request. *changed:
 * how many clips changed their state. */
Status ledger_review_apply(Ledger *l, const LedgerRequest *r, int64_t *changed);

#endif
