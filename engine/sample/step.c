#include "step.h"

static Tensor kept(Backend *be, const float *host, int ndim, const int64_t *dim)
{
    Tensor t = backend_keep(be, F32, ndim, dim);
    backend_put(be, host, t);
    return t;
}

void step_begin(Step *t, Backend *be, const SchedulerConfig *c, const ShotSpec *s, const Condition *given,
                const float *noise)
{
    const int64_t *dim = given->dim, all[4] = {dim[0] + given->extra, dim[1], dim[2], dim[3]};
    *t = (Step){.be = be, .branches = s->guidance > 1 ? DIT_BRANCHES : 1};
    sampler_begin(&t->sampler, be, c, s, dim, noise);
    for (int i = 0; i < t->branches; i++) t->velocity[i] = backend_keep(be, F32, 4, dim);
    if (given->first) t->first = kept(be, given->first, 2, (int64_t[]){dim[0], dim[2] * dim[3]});
    if (given->control) t->control = kept(be, given->control, 4, given->control_dim);
    if (given->extra || given->first) t->input = backend_keep(be, F32, 4, all);
    if (given->extra) backend_put(be, given->channels, tensor_rows(t->input, dim[0], given->extra));
}

void step_end(Step *t)
{
    if (!t->be) return;
    backend_drop(t->be, &t->input);
    backend_drop(t->be, &t->control);
    backend_drop(t->be, &t->first);
    for (int i = 0; i < DIT_BRANCHES; i++) backend_drop(t->be, &t->velocity[i]);
    sampler_end(&t->sampler);
    *t = (Step){0};
}

Tensor step_input(const Step *t)
{
    const Tensor latents = t->sampler.latents;
    if (!t->input.data) return latents;
    const Tensor own = tensor_rows(t->input, 0, latents.dim[0]);
    op_copy(t->be, own, latents);
    if (t->first.data) {
        const int64_t channel[2] = {own.dim[0], own.dim[1] * own.dim[2] * own.dim[3]};
        op_put_columns(t->be, tensor_reshape(own, 2, channel), t->first, 0);
    }
    return t->input;
}

void step_update(Step *t, int branches, double guidance)
{
    const Tensor *v = t->velocity;
    if (branches > 1)
        op_combine(t->be, v[DIT_COND], 2, (Tensor[]){v[DIT_UNCOND], v[DIT_COND]}, (double[]){1 - guidance, guidance});
    sampler_step(&t->sampler, v[DIT_COND]);
}
