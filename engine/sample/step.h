/* step.h - what the denoising steps of a shot compute with besides the transformer: tensors on the back end from the shot's beginning
 * to its end, so that a step moves nothing between host and device and a repeated evaluation (backend_repeat) finds the same
 * addresses. Failures stay in the back end. */
#ifndef REELWRIGHT_STEP_H
#define REELWRIGHT_STEP_H

#include "engine/sample/sampler.h"
#include "engine/wan/condition.h"
#include "engine/wan/dit.h"

typedef struct {
    Backend *be;
    Sampler sampler;
    int branches;                  /* of the guidance: DIT_BRANCHES, or 1 without it */
    Tensor velocity[DIT_BRANCHES]; /* [C,F,H,W] */
    Tensor input;                  /* [in_channels,F,H,W]: the latents themselves where nothing is given beside them */
    Tensor first;                  /* [C,H*W]: the first latent frame, given, or none */
    Tensor control;                /* or none */
} Step;

/* noise: [C,F,H,W]; what is given is copied. */
void step_begin(Step *t, Backend *be, const SchedulerConfig *c, const ShotSpec *s, const Condition *given,
                const float *noise);
void step_end(Step *t);
/* The model's input at the present latents: a given first frame in its place, further channels behind. */
Tensor step_input(const Step *t);
/* v = u + g (c - u), or c where one branch was evaluated; then the sampler's step. */
void step_update(Step *t, int branches, double guidance);

#endif
