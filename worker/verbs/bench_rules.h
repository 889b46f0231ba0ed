/* bench_rules.h - MLPerf's way to measure (text to video, inference): which of its rules a measurement broke. */
#ifndef REELWRIGHT_BENCH_RULES_H
#define REELWRIGHT_BENCH_RULES_H

#include <jansson.h>

#include "worker/verbs/bench.h"

/* SINGLE_STREAM: one sample after the other; what counts is the latency that nine of ten keep. OFFLINE: all samples are there at once; what
 * counts is how many are made in a second. */
typedef enum { BENCH_SINGLE_STREAM, BENCH_OFFLINE } BenchScenario;

/* Fills what was not asked for (0): on GPUs the whole task, on processors a part of it that takes seconds. */
void bench_rules_complete(BenchRequest *r);
/* The rules that were broken, as texts; empty: none (to be released). */
json_t *bench_rules_broken(const BenchRequest *r, const BenchResult *b);

#endif
