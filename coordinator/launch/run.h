/* run.h - `reelwright run CAMPAIGN.yaml --out DIR`: alone it is the launcher, under mpirun it is one rank of the job. */
#ifndef REELWRIGHT_RUN_H
#define REELWRIGHT_RUN_H

#include "common/work.h"

/* worker: what ranks above 0 do; main.c knows both halves. */
Status run_verb(int argc, char **argv, WorkerMain *worker);

#endif
