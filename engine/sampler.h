/* sampler.h - from one latent to the next: UniPC (any order to 3, predictor and corrector) and Euler.
 *
 * Notation of UniPC (Zhao et al. 2023, arXiv:2302.04867) for flow models: alpha = 1 - sigma, lambda = log(alpha / sigma),
 * h = difference of lambda over a step, B(h) = e^-h - 1 (bh2) or -h (bh1); m = the clean latent that the model predicts.
 *
 * The whole state is (step, latents, history): the last `order` predictions, and the latent the last step began with,
 * corrected. Tensors are fp32 on the host; the step's scalars are double. */
#ifndef REELWRIGHT_SAMPLER_H
#define REELWRIGHT_SAMPLER_H

#include "engine/schedule.h"

enum { SAMPLER_MAX_ORDER = 3, SAMPLER_MAX_HISTORY = SAMPLER_MAX_ORDER + 1 };

typedef struct {
    const SchedulerConfig *config;
    bool euler;
    Schedule schedule;
    int64_t count; /* numbers in a latent */
    int step;      /* steps done */
    float *latents;
    int predictions;                      /* how many of `prediction` are filled */
    float *prediction[SAMPLER_MAX_ORDER]; /* oldest first */
    float *last;                          /* what the last step began with; meaningful when step > 0 */
} Sampler;

/* Starts at the noise (copied). */
void sampler_begin(Sampler *s, const SchedulerConfig *c, const char *kind, int steps, double flow_shift,
                   const float *noise, int64_t count);
void sampler_end(Sampler *s);
/* One step with the model's velocity at the present latents and timestep. */
void sampler_step(Sampler *s, const float *velocity);

/* History tensors, oldest first: predictions, then `last`. */
int sampler_history(const Sampler *s, float *history[SAMPLER_MAX_HISTORY]);
/* How many a run has after `step` steps. */
int sampler_history_count(const Sampler *s, int step);
/* Goes on after `step` steps; history holds sampler_history_count() tensors. All copied. */
void sampler_restore(Sampler *s, int step, const float *latents, float *const *history);

#endif
