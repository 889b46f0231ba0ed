/* work.h - how the farm starts a worker's half of a job: coordinator/run.c knows only this, main.c puts the halves together. */
#ifndef REELWRIGHT_WORK_H
#define REELWRIGHT_WORK_H

#include "common/link.h"

typedef struct {
    int threads;       /* 0 = as many as the process may run on */
    int backend;       /* index into "cpu|cuda|ref" */
    int dtype;         /* index into "fp32|bf16" */
    const char *split; /* how the ranks of a group share a shot, "GxSxT", or NULL: chosen */
} WorkSettings;

enum { WORK_CPU, WORK_CUDA, WORK_REF }; /* WorkSettings.backend */
enum { WORK_FP32, WORK_BF16 };          /* WorkSettings.dtype */
/* What computes when no --dtype says: bf16 on GPUs, whose matrix units and memory are made for it; fp32 elsewhere. */
static inline int work_default_dtype(int backend) { return backend == WORK_CUDA ? WORK_BF16 : WORK_FP32; }

/* Works until told to stop. OK: no more work. ERR_STOP: stopped, everything checkpointed and reported. ERR_FATAL: the
 * coordinator is gone. */
typedef Status WorkerMain(Link *link, const WorkSettings *settings);

/* Starts this program on `ranks` ranks of this machine with these arguments (NULL at the end) and waits for them. The ranks'
 * stdout is this process's; what the first one fails with is returned. */
typedef Status LaunchRanks(int ranks, char *const *arguments);

#endif
