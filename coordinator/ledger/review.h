/* review.h - within the ledger: what people decide about finished clips, and which clips they are asked about.
 *
 * A finished clip is held when a gate wants somebody to look (its document's "held_by"), in review when the policy does, else approved. Of a
 * campaign with a sample, one lot (ISO 2859-2, limiting quality): so many clips, chosen by a hash of their ids, that a lot with more
 * than lq per cent of bad ones passes with a chance of one in ten at most; nothing of it is delivered before all of the sample are approved, and
 * one that is rejected sends everything that was approved unseen to review.
 *
 * A decision stands in `decisions` with reviewer, reason, time and the hash of what was looked at; with four eyes an approval takes two
 * reviewers. Rendering again takes another seed: the clip gets a shot of its own. */
#ifndef REELWRIGHT_LEDGER_REVIEW_H
#define REELWRIGHT_LEDGER_REVIEW_H

#include "coordinator/ledger/sql.h"
#include "coordinator/ledger/steer.h"

/* Within ledger_begin_epoch. */
Status ledger_review_read(Ledger *l);
/* What becomes of a clip that is finished. *reason: why it is held; NULL: it is not. free() it. */
LedgerEvent ledger_review_event(Ledger *l, const ClipResult *c, char **reason);

/* The verbs of a LedgerRequest: "review approve", "review reject", "review reopen" (the decision is taken back), "review rerender". */
bool ledger_review_is_verb(const char *verb);
LedgerEvent ledger_review_event_of(const char *verb);
/* Does it to every clip that the request means and that can take it. *changed: clips that changed their state. */
Status ledger_review_apply(Ledger *l, const LedgerRequest *r, int64_t *changed);

/* The least sample of a lot of `clips` in which one bad clip at least is found with 90 %, when lq per cent of the lot are bad. */
int64_t ledger_review_sample_size(int64_t clips, double lq);

#endif
