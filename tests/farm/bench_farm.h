/* bench_farm.h - what the two halves of bench_farm share: in process (bench_farm.c) and over MPI (bench_mpi.c). */
#ifndef REELWRIGHT_TESTS_FARM_BENCH_FARM_H
#define REELWRIGHT_TESTS_FARM_BENCH_FARM_H

#include <stdbool.h>

#include "bench_campaign.h"
#include "bench_worker.h"

typedef struct {
    char *folder, *campaign; /* where everything is written; the campaign's file */
    CampaignSize size;
    int rows, workers, group, step_ms; /* group: ranks that render a shot together */
    int finishers, finish_ms; /* over MPI: the last ranks only finish, the others only render; 0: all do both */
    bool files, mpi;
    int least_rate, most_plan_s, most_plan_mb, most_status_ms, most_steer_ms, most_idle_percent,
        least_busy_percent; /* limits */
} BenchFarm;

Status bench_prepare(BenchFarm *b, const char *model, const char *folder); /* writes the campaign */
Status bench_plan(const BenchFarm *b);                                     /* reads and plans it into a new ledger */
Status bench_steer(const BenchFarm *b); /* by conditions; leaves everything as it was */
double bench_file_mb(const char *folder, const char *name);
/* One rank of an MPI job; leaves it. */
Status bench_mpi(BenchFarm *b, const char *model, const char *folder);

#endif
