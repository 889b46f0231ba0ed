/* sampler.h - from one latent to the next: UniPC (any order to 3, predictor and corrector), Euler, and LCM, which goes to the clean latent
 * at once and adds new noise up to the next level: z' = (1 - sigma') (z - sigma v) + sigma' n. n of step i is torch.randn of the seed
 * sampler_step_seed(seed, i): diffusers' pipelines take it from a generator that no caller can seed.
 *
 * Notation of UniPC (Zhao et al. 2023, arXiv:2302.04867) for flow models: alpha = 1 - sigma, lambda = log(alpha / sigma),
 * h = difference of lambda over a step, B(h) = e^-h - 1 (bh2) or -h (bh1); m = the clean latent that the model predicts.
 *
 * The whole state is (step, latents, history): the last `order` predictions, and the latent the last step began with,
 * corrected. Tensors are fp32 [C,F,H,W] on the back end, kept from beginning to end; a step is a few op_combine with scalars in
 * double, and nobody waits for it. Failures stay in the back end. */
#ifndef REELWRIGHT_SAMPLER_H
#define REELWRIGHT_SAMPLER_H

#include "common/schedule.h"
#include "common/shot.h"
#include "kernels/ops.h"

enum { SAMPLER_MAX_ORDER = 3, SAMPLER_MAX_HISTORY = SAMPLER_MAX_ORDER + 1 };

typedef struct {
    const SchedulerConfig *config;
    bool single;  /* Euler or LCM: no history */
    bool renoise; /* LCM */
    uint64_t seed;
    Tensor noise; /* LCM's */
    Schedule schedule;
    Backend *be;
    int step; /* steps done */
    Tensor latents;
    int predictions;                          /* how many of `prediction` are filled */
    Tensor prediction[SAMPLER_MAX_ORDER + 1]; /* oldest first; one more than history has, for the next */
    Tensor last;                              /* what the last step began with; meaningful when step > 0 */
} Sampler;

/* The shot's scheduler, steps and flow shift, starting at the noise (on the host, copied). */
void sampler_begin(Sampler *s, Backend *be, const SchedulerConfig *c, const ShotSpec *shot, const int64_t dim[4],
                   const float *noise);
void sampler_end(Sampler *s);
uint64_t sampler_step_seed(uint64_t seed, int step);
/* One step with the model's velocity at the present latents and timestep. */
void sampler_step(Sampler *s, Tensor velocity);

/* History tensors, oldest first: predictions, then `last`. */
int sampler_history(const Sampler *s, Tensor history[SAMPLER_MAX_HISTORY]);
/* How many a run has after `step` steps. */
int sampler_history_count(const Sampler *s, int step);
/* Goes on after `step` steps; history holds sampler_history_count() tensors. All on the host, copied. */
void sampler_restore(Sampler *s, int step, const float *latents, float *const *history);

#endif
