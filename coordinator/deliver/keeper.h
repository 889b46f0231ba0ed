/* keeper.h - keeps the delivery list and the report right while a run goes on.
 *
 * A thread with its own, reading connection to the ledger. It writes both when it starts, so that they are there from the plan on, and
 * again when the ledger has changed: the list at most every LIST_MS, the report every REPORT_MS, and never for more than a twentieth
 * of the time (a million rows take seconds). A run that is killed leaves what it had written last, whole. */
#ifndef REELWRIGHT_KEEPER_H
#define REELWRIGHT_KEEPER_H

#include "common/status.h"

typedef struct Keeper Keeper;

/* The folder has its ledger, with the plan. */
Status keeper_start(const char *folder, Keeper **out);
/* Waits for what is being written. The last list is conclude's. */
void keeper_stop(Keeper **k);

#endif
