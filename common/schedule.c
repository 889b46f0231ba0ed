#include "schedule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

static double shifted(double shift, double sigma) { return shift * sigma / (1 + (shift - 1) * sigma); }

static void put_whole(const SchedulerConfig *c, double sigma, int i, Schedule *s)
{
    s->sigma[i] = (float)sigma;
    s->timestep[i] = (float)(int64_t)(sigma * c->train_steps);
}

static void end_unipc(const SchedulerConfig *c, Schedule *s)
{
    s->sigma[s->steps] = c->final_sigma_zero ? 0.0f : s->sigma[s->steps - 1];
    s->whole = true;
}

/* steps + 1 levels from 1 to 1/train_steps evenly, without the last, then shifted. The first must stay below 1, or the
 * solver's log(1 - sigma) is infinite. Timesteps are truncated, not rounded. */
static void make_unipc(const SchedulerConfig *c, double shift, Schedule *s)
{
    const double end = 1.0 / c->train_steps, step = (end - 1.0) / s->steps;
    for (int i = 0; i < s->steps; i++) {
        double sigma = shifted(shift, i * step + 1.0);
        if (i == 0 && fabs(sigma - 1) < 1e-6) sigma -= 1e-6;
        put_whole(c, sigma, i, s);
    }
    end_unipc(c, s);
}

/* steps + 1 levels from 0 to 1 - 1/train_steps evenly, shifted and turned round, without the 0. */
static void make_classic(const SchedulerConfig *c, double shift, Schedule *s)
{
    const double end = 1.0 / c->train_steps, step = (end - 1.0) / s->steps;
    for (int i = 0; i < s->steps; i++) {
        const double alpha = i == 0 ? end : (s->steps - i) * step + 1.0;
        put_whole(c, shifted(shift, 1.0 - alpha), i, s);
    }
    end_unipc(c, s);
}

/* In single precision, as diffusers shifts levels that it is given. */
static void make_distilled(const SchedulerConfig *c, double shift, Schedule *s)
{
    const float by = (float)shift, over = (float)(shift - 1);
    for (int i = 0; i < s->steps; i++) {
        const float level = (float)(i * (-1.0 / s->steps) + 1.0);
        s->sigma[i] = by * level / (1.0f + over * level);
        s->timestep[i] = s->sigma[i] * (float)c->train_steps;
    }
    s->sigma[s->steps] = 0.0f;
    s->whole = false;
}

/* Steps levels evenly between the largest and smallest shifted level of training, and shifted once more: the scheduler
 * shifts both the table that it takes the ends from and the levels between them. Its table is single precision. */
static void make_single(const SchedulerConfig *c, double shift, Schedule *s)
{
    const float train = (float)c->train_steps, one = 1.0f / train, by = (float)shift, over = (float)(shift - 1);
    const double largest = (double)(by * 1.0f / (1.0f + over * 1.0f)) * c->train_steps;
    const double smallest = (double)(by * one / (1.0f + over * one)) * c->train_steps;
    const double step = s->steps > 1 ? (smallest - largest) / (s->steps - 1) : 0;
    for (int i = 0; i < s->steps; i++) {
        double t = i * step + largest;
        if (i > 0 && i == s->steps - 1) t = smallest;
        s->sigma[i] = (float)shifted(shift, t / c->train_steps);
        s->timestep[i] = s->sigma[i] * train;
    }
    s->sigma[s->steps] = 0.0f;
    s->whole = false;
}

void schedule_make(const SchedulerConfig *c, const ShotSpec *shot, Schedule *out)
{
    *out = (Schedule){.steps = shot->steps};
    out->sigma = memory_get((size_t)shot->steps + 1, sizeof *out->sigma);
    out->timestep = memory_get((size_t)shot->steps, sizeof *out->timestep);
    if (strcmp(shot->sigmas, "distilled") == 0)
        make_distilled(c, shot->flow_shift, out);
    else if (strcmp(shot->scheduler, "unipc") != 0)
        make_single(c, shot->flow_shift, out);
    else if (strcmp(shot->sigmas, "classic") == 0)
        make_classic(c, shot->flow_shift, out);
    else
        make_unipc(c, shot->flow_shift, out);
}

void schedule_free(Schedule *s)
{
    free(s->sigma);
    free(s->timestep);
    *s = (Schedule){0};
}
