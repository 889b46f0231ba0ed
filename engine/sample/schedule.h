/* schedule.h - noise levels and timesteps of a run, number for number those of diffusers 0.42.1's
 * UniPCMultistepScheduler (use_flow_sigmas) and FlowMatchEulerDiscreteScheduler.
 *
 * A latent at noise level sigma is (1 - sigma) clean + sigma noise. */
#ifndef REELWRIGHT_SCHEDULE_H
#define REELWRIGHT_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/model_config.h"

typedef struct {
    int steps;
    float *sigma;    /* [steps + 1], falling, the last as the config has it (0) */
    float *timestep; /* [steps]: what the transformer is told */
    bool whole;      /* timesteps are whole numbers (UniPC truncates, Euler does not) */
} Schedule;

/* kind: "unipc" or "euler"; the folder's config gives the rest. */
void schedule_make(const SchedulerConfig *c, const char *kind, int steps, double flow_shift, Schedule *out);
void schedule_free(Schedule *s);

#endif
