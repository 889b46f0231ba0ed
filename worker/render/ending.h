/* ending.h - the end of a render, from its latents to its master: within its lease, or beside the next one (tail.h). */
#ifndef REELWRIGHT_ENDING_H
#define REELWRIGHT_ENDING_H

#include "worker/render/figures.h"
#include "worker/render/render.h"

typedef struct {             /* of a render whose last step is done */
    const Lease *lease;      /* borrowed */
    RenderedLatents latents; /* owned */
    int measured_frames;     /* of a shot that follows a voice; 0: of another */
    LeaseResult result;      /* so far; owned */
    Figures figures;
} Ending;

/* Decodes, writes the master into the lease's folder, and says in x->result how the lease ended. `threads` threads code the master.
 * result.decode_s counts the seconds of clock_s: the wall's, or this thread's processor time where another lease takes the same wall
 * seconds. */
void ending_make(Ending *x, Engine *e, int threads, double (*clock_s)(void), Progress progress);
void ending_clear(Ending *x);

/* How a lease ended: class, reason, whether the disk is full; and its figures, a JSON object that is released. */
void ending_report(LeaseResult *r, const Lease *l, Status status, json_t *figures);

#endif
