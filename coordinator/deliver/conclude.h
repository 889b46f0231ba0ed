/* conclude.h - what is left behind when a run ends, well or not: delivered clips, lists, report, and the exit status. */
#ifndef REELWRIGHT_CONCLUDE_H
#define REELWRIGHT_CONCLUDE_H

#include <stdbool.h>

#include "common/status.h"

/* so_far: how dispatching ended. When every clip has its final state the approved ones are delivered. Lists and report are
 * written in any case. Returns so_far, or ERR_CLIP when all went its way but some clips failed. */
Status conclude(const char *folder, Status so_far, bool quiet);

/* What `reelwright deliver` does: delivers what is approved and writes the pages. ERR_FATAL when a run works there. */
Status conclude_delivery(const char *folder);

#endif
