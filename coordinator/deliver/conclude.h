/* conclude.h - what is left behind when a run ends, well or not: delivered clips, lists, report, and the exit status. */
#ifndef REELWRIGHT_CONCLUDE_H
#define REELWRIGHT_CONCLUDE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

/* Of a complete campaign: delivers what is approved, puts back what was delivered and is not there any more. *lost: so many clips have
 * no good file left, and are planned again. launch: owner.h; 0: only epochs count. */
Status conclude_files(const char *folder, int64_t launch, int64_t *lost);

/* so_far: how dispatching ended. Does what conclude_files does; then lists and report are written in any case. Returns so_far, or
 * ERR_CLIP when all went its way but some clips failed or their files were lost. */
Status conclude(const char *folder, int64_t launch, Status so_far, bool quiet);

/* What `reelwright deliver` does: delivers what is approved, compares all that was delivered before, and writes the pages. ERR_FATAL
 * when a run works there. */
Status conclude_delivery(const char *folder);

/* Clips were withdrawn, now or before: tells those who had got them and have not taken that yet (handover.h). *told: of so many clips.
 * ERR_CLIP: they did not take it; the next delivery tells them again, and the message says how. */
Status conclude_withdrawal(const char *folder, int64_t *told);

/* Writes list and report anew, as the ledger says now: after a decision. */
Status conclude_pages(const char *folder);

#endif
