/* bench_worker.h - the bench's simulated worker: it says what a real one says at least, and leaves files of a few bytes, or none. */
#ifndef REELWRIGHT_TESTS_FARM_BENCH_WORKER_H
#define REELWRIGHT_TESTS_FARM_BENCH_WORKER_H

#include "sim_worker.h"

typedef struct {
    SimWorker sim;
    const char *write_to; /* not NULL: the campaign folder in which the clips' files are made */
} BenchWorker;

/* Each step of a lease takes step_ms; a finish is one. The worker stays where it is. */
void bench_worker_open(BenchWorker *w, Link *link, int pid, int64_t step_ms, const char *write_to);

#endif
