/* bench_ranks.h - several ranks that measure the same at the same time, over all nodes: which of them is slow, and what they take to add up. */
#ifndef REELWRIGHT_BENCH_RANKS_H
#define REELWRIGHT_BENCH_RANKS_H

#include <jansson.h>

#include "common/host.h"
#include "worker/verbs/bench.h"

typedef struct {
    char host[HOST_BYTES];
    double median, all_s;
    int rank, count;
} BenchRank;

typedef struct {
    int count;
    BenchRank *rank; /* the slowest first; owned */
} BenchRanks;

/* Collective: every rank's result, on all. */
Status bench_ranks_gather(Coll *ranks, const BenchResult *mine, BenchRanks *out);
/* One line a rank, the slowest first; a node that takes more than 1.2 times as long as the fastest is named. */
void bench_ranks_print(const BenchRanks *r);
/* "ranks": [{"rank", "host", "median_s", "times_fastest"}], "slow": [hosts] */
void bench_ranks_json(const BenchRanks *r, json_t *to);
/* Evaluations in a second, of all ranks together. */
double bench_ranks_rate(const BenchRanks *r);
void bench_ranks_clear(BenchRanks *r);

#endif
