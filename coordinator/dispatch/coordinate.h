/* coordinate.h - rank 0 of a job: opens the ledger with a new epoch and dispatches until nothing is left to do. */
#ifndef REELWRIGHT_COORDINATE_H
#define REELWRIGHT_COORDINATE_H

#include "common/link.h"

typedef struct {
    int step_limit_s; /* 0 = measured */
    int grace_s;      /* how long a stop waits for checkpoints */
    int wait_s;       /* how long a campaign that may not go on waits for somebody's word; negative: for ever */
    int64_t launch;   /* that this job belongs to (ledger/owner.h); 0: only epochs count */
    int group_size;   /* ranks that render a shot together */
    bool replace; /* a launcher starts the job again when it ends with work left: lost workers can be brought back */
    bool show;    /* progress on stderr; false when the launcher shows it */
    bool quiet;
} CoordinateOptions;

/* OK: every clip has its final state. ERR_STOP: stopped, or cancelled. ERR_RETRY: no worker is left, another launch may help.
 * ERR_FATAL: the farm cannot go on. *clean: the job can be left in order. The epoch's outcome is in the ledger. */
Status coordinate(const char *folder, Link *link, const CoordinateOptions *o, bool *clean);

#endif
