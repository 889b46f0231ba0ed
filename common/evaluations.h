/* evaluations.h - what each denoising step of a shot asks of the transformer, known before any of it runs: the engine does it, a plan counts
 * it, a record divides by it. */
#ifndef REELWRIGHT_EVALUATIONS_H
#define REELWRIGHT_EVALUATIONS_H

#include "common/model_config.h"
#include "common/schedule.h"
#include "common/shot.h"

typedef struct {
    int expert;  /* which transformer: 1 from the model's boundary on, else 0 */
    bool guided; /* both branches of the guidance are evaluated */
    bool reused; /* no layer is run: what they added last is added again */
} StepWork;

/* -> step[s->steps]. A step can reuse what the step before it has kept, if that was of the same transformer and of each branch that this
 * step takes. The first step after a trunk cannot. A step that the shot wants reused and that cannot be is computed. ERR_INPUT: reused_steps
 * is no list. */
Status evaluations_plan(const ModelConfig *c, const ShotSpec *s, const Schedule *schedule, StepWork *step);

/* Evaluations of the transformer's layers from step `from` to the last. */
int evaluations_count(const StepWork *step, int from, int steps);

/* The same of a shot: *whole from its first step on, *own from the first behind its trunk. */
Status evaluations_of_shot(const ModelConfig *c, const ShotSpec *s, int *whole, int *own);

#endif
