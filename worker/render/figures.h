/* figures.h - what a worker finds out about a lease beside its stages' seconds: memory, and when the first frame was there. One JSON object goes
 * with the lease's result (LeaseResult.figures) into the ledger, from which a record of nights is made (coordinator/plan/record.h).
 *
 *   {"peak": {"start" | "load" | "text" | "denoise" | "decode" | "finish": bytes}, "ranks": 2, "first_frame_s": 0.2,
 *    "frames": 77, "gates_s": 0.1, "watermark_s": 0.1, "credentials_s": 0.1}
 *
 * peak: the most memory that the process has had by the end of that stage; only of stages in which it grew, so that most leases have none.
 * "start": before a worker's first lease. ranks: of the group, where there are several. first_frame_s: from the lease's beginning.
 * frames: of a shot that follows its voice, for the campaign did not know them. The last three: parts of a finish; each is left out where
 * the campaign asks for none. */
#ifndef REELWRIGHT_FIGURES_H
#define REELWRIGHT_FIGURES_H

#include <jansson.h>

#include "worker/render/render.h"

typedef struct { /* of one worker, over all of its leases */
    int64_t told_bytes;
    Progress to;
    char stage[16];
    double begin_s, first_frame_s; /* 0: none yet */
    json_t *peak;
} Figures;

/* -> the progress that the lease is to have: `to` hears all of it. Borrows f until figures_end. */
Progress figures_begin(Figures *f, Progress to);
/* The lease goes on: another `to`. f may have been copied. */
Progress figures_go_on(Figures *f, Progress to);
/* -> what was found, to be released. */
json_t *figures_end(Figures *f);

#endif
