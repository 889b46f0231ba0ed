/* schedule.h - noise levels and timesteps of a run, number for number those of diffusers 0.42.1's
 * UniPCMultistepScheduler (use_flow_sigmas), FlowMatchEulerDiscreteScheduler and FlowMatchLCMScheduler.
 *
 * A latent at noise level sigma is (1 - sigma) clean + sigma noise. ShotSpec.sigmas chooses another grid:
 *     classic     what diffusers' UniPC took before 0.37, so that older clips can be made again; Euler's has not changed
 *     distilled   even steps before the shift, 1, 3/4, 1/2, 1/4 of four: where step-distilled weights were trained (LightX2V, Lightning,
 *                 CausVid, self-forcing). What diffusers gives when it is handed these as `sigmas`. */
#ifndef REELWRIGHT_SCHEDULE_H
#define REELWRIGHT_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/model_config.h"
#include "common/shot.h"

typedef struct {
    int steps;
    float *sigma;    /* [steps + 1], falling, the last as the config has it (0) */
    float *timestep; /* [steps]: what the transformer is told */
    bool whole;      /* timesteps are whole numbers (UniPC truncates, the others do not) */
} Schedule;

/* The shot's scheduler, sigmas, steps and flow_shift; the folder's config gives the rest. */
void schedule_make(const SchedulerConfig *c, const ShotSpec *shot, Schedule *out);
void schedule_free(Schedule *s);

#endif
