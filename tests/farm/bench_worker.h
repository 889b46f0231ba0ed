/* bench_worker.h - the bench's simulated worker: it says what a real one says at least, and leaves files of a few bytes, or none. */
#ifndef REELWRIGHT_TESTS_FARM_BENCH_WORKER_H
#define REELWRIGHT_TESTS_FARM_BENCH_WORKER_H

#include "sim_worker.h"

typedef struct {
    SimWorker sim;
    int64_t step_ms, finish_ms;
    const char *write_to; /* not NULL: the campaign folder in which the clips' files are made */
} BenchWorker;

enum { BENCH_BOTH = 1 << LEASE_RENDER | 1 << LEASE_FINISH };

/* takes: kinds of lease, as bits. Loading, each step and decoding take step_ms each, a finish finish_ms (0: a step). The worker stays
 * where it is. */
void bench_worker_open(BenchWorker *w, Link *link, int pid, int takes, int64_t step_ms, int64_t finish_ms,
                       const char *write_to);

#endif
