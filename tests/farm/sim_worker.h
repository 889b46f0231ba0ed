/* sim_worker.h - a worker that keeps the whole protocol and renders nothing: each step of a lease takes step_ms on a clock
 * that the caller owns. The message code and the link are the real ones. */
#ifndef REELWRIGHT_TESTS_FARM_SIM_WORKER_H
#define REELWRIGHT_TESTS_FARM_SIM_WORKER_H

#include "worker/render/talk.h"

typedef struct {
    Talk talk;
    int64_t step_ms, due_ms; /* due_ms: when the step in work is done */
    int step;             /* of the lease in work: 0 load, then the denoising steps, decode; of a finish: its units */
    bool gone;            /* has said goodbye */
    const char *write_to; /* not NULL: the campaign folder in which the clips' files are made, a few bytes each */
    int finish_units;     /* of step_ms, that a finish takes (1) */
    int64_t made[LEASE_KINDS];
} SimWorker;

void sim_worker_open(SimWorker *w, Link *link, int pid, int64_t step_ms, int takes);
void sim_worker_close(SimWorker *w);
/* Hears what has arrived, waiting up to wait_ms for it, and does what is due at now_ms. */
Status sim_worker_tick(SimWorker *w, int64_t now_ms, int wait_ms);

#endif
