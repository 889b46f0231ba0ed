/* requests.h - decisions of reviewers, made in a terminal or on a page. They are written into the ledger as requests (ledger/steer.h). A run
 * that goes on takes them up; without one, the process that wrote them does it at once. Each request names the file that its reviewer saw,
 * so that of two people who decide about one clip at the same time the second is told. */
#ifndef REELWRIGHT_REQUESTS_H
#define REELWRIGHT_REQUESTS_H

#include "coordinator/ledger/steer.h"

/* All requests that nobody has taken up yet; then the audit chain holds what was decided, and the series its lot. The folder's lock is held, or its
 * campaign claimed (launch: as in ledger_join_launch). */
Status requests_take(const char *folder, int64_t launch);

/* Leaves them, and waits until they are taken up, but no longer than wait_ms. Files of clips that are to be rendered again are kept first
 * (earlier.h). *now: there was no run to do it; lists and pages are older then. */
Status requests_decide(const char *folder, const LedgerRequest *r, int64_t count, int wait_ms, RequestAnswer *answer,
                       bool *now);

#endif
