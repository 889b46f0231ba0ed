#include "evaluations.h"

#include <stdlib.h>
#include <string.h>

#include "common/chain.h"
#include "common/file.h"

Status evaluations_plan(const ModelConfig *c, const ShotSpec *s, const Schedule *schedule, StepWork *step)
{
    const double boundary = c->boundary_ratio * c->scheduler.train_steps; /* in timesteps; 0: one transformer */
    bool *reused = memory_get((size_t)s->steps + 1, sizeof *reused);
    Status status = shot_read_reused(s, reused);
    for (int i = 0; i < s->steps; i++) {
        step[i] = (StepWork){.expert = boundary > 0 && schedule->timestep[i]<boundary, .guided = s->guidance> 1 &&
                                       shot_is_guided_at(s, (double)schedule->sigma[i]),
                             .reused = reused[i] && i > 0 && i != s->trunk_steps};
        if (i > 0 && (step[i].expert != step[i - 1].expert || step[i].guided > step[i - 1].guided))
            step[i].reused = false;
    }
    free(reused);
    return status;
}

int evaluations_count(const StepWork *step, int from, int steps)
{
    int count = 0;
    for (int i = from; i < steps; i++) count += step[i].reused ? 0 : step[i].guided ? 2 : 1;
    return count;
}

Status evaluations_of_shot(const ModelConfig *c, const ShotSpec *s, int *whole, int *own)
{
    Schedule schedule;
    StepWork *step = memory_get((size_t)s->steps + 1, sizeof *step);
    schedule_make(&c->scheduler, s, &schedule);
    Status status = evaluations_plan(c, s, &schedule, step);
    const int clip = evaluations_count(step, 0, s->steps), later = c->dit.sound_count ? chain_clips(s->frames) - 1 : 0;
    *whole = clip + later * clip;
    *own = evaluations_count(step, s->trunk_steps, s->steps) + later * clip;
    schedule_free(&schedule);
    free(step);
    return status;
}
