#include "s2v.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/chain.h"
#include "common/file.h"
#include "engine/wan/dit.h"
#include "engine/weights/safetensors.h"
#include "tests/parity/parity.h"

typedef struct {
    ModelConfig *config;
    Safetensors *want;
    Backend *be;
    Dit *dit;
    float *heard; /* the features, mixed */
    S2vReport *report;
} Comparison;

static void take_worst(Comparison *c, const char *name, double *worst, double r)
{
    c->report->compared++;
    if (r <= *worst) return;
    *worst = r;
    if (r >= c->report->velocity && r >= c->report->inside)
        snprintf(c->report->where, sizeof c->report->where, "%s", name);
}

/* "trace.later.block.0" is later.block.0 there. */
static void put(void *self, const char *name, const char *dtype, const void *data, int ndim, const int64_t *dim)
{
    Comparison *c = self;
    const char *plain = name + strlen("trace.");
    const StoredTensor *t = safetensors_find(c->want, plain);
    (void)dtype, (void)ndim, (void)dim;
    if (t) take_worst(c, plain, &c->report->inside, parity_ratio(data, t->data, stored_count(t)));
}

static const float *input(const Comparison *c, const char *name)
{
    const StoredTensor *t = safetensors_find(c->want, name);
    return t ? t->data : NULL;
}

typedef struct {
    const char *name;
    bool hears, before, traced;
    float timestep;
} Case;

/* -> the velocity, on the host; free() it */
static Status evaluate(Comparison *c, const Case *k, float **velocity)
{
    const StoredTensor *latents = safetensors_find(c->want, "latents"), *prompt = safetensors_find(c->want, "prompt");
    const int64_t dim[4] = {latents->dim[0], latents->dim[1], latents->dim[2], latents->dim[3]};
    const DitGiven given = {input(c, "reference"), k->before ? input(c, "motion") : NULL};
    DitShot *shot = NULL;
    Status status = status_ok();
    ArenaMark mark = backend_mark(c->be);
    TRY_OUT(dit_shot_begin(c->dit, dim, &given, &shot));
    TRY_OUT(dit_shot_prompt(shot, DIT_COND, prompt->data, (int)prompt->dim[0], 512));
    TRY_OUT(dit_shot_sound(shot, DIT_COND, k->hears ? c->heard : NULL));
    const Trace trace = {put, c, true};
    const DitInput in = {.latent = backend_upload(c->be, latents->data, 4, dim),
                         .timestep = k->timestep,
                         .trace = k->traced ? &trace : NULL,
                         .name = k->name};
    Tensor v = backend_alloc(c->be, F32, 4, dim);
    dit_forward(shot, DIT_COND, &in, v);
    *velocity = memory_get((size_t)tensor_count(v), sizeof **velocity);
    backend_download(c->be, v, *velocity);
    status = backend_status(c->be);
out:
    dit_shot_end(&shot);
    backend_release(c->be, mark);
    return status;
}

/* The reference's layers, apart, as the transformer is to be given them: mixed. */
static Status mix_features(Comparison *c, WeightSource *source)
{
    const int layers = c->config->dit.sound_states;
    const int64_t count = stored_count(safetensors_find(c->want, "features")) / layers;
    const float *features = input(c, "features");
    float *share = memory_get((size_t)layers, sizeof *share);
    double sum = 0;
    Status status = dit_sound_shares(&c->config->dit, source, c->be, share);
    for (int k = 0; k < layers; k++) sum += (share[k] /= 1 + expf(-share[k]));
    c->heard = memory_get((size_t)count, sizeof *c->heard);
    for (int64_t i = 0; i < count; i++) {
        double x = 0;
        for (int k = 0; k < layers; k++) x += (double)features[k * count + i] * share[k];
        c->heard[i] = (float)(x / sum);
    }
    free(share);
    return status;
}

static Status compare_all(Comparison *c)
{
    static const Case all[] = {{"first", true, false, false, 999},
                               {"later", true, true, true, 437},
                               {"zero", true, true, false, 0},
                               {"silent", false, true, false, 437}};
    enum { CASES = sizeof all / sizeof *all, LATER = 1, SILENT = 3 };
    const int64_t count = stored_count(safetensors_find(c->want, "latents"));
    float *velocity[CASES] = {0};
    Status status = status_ok();
    for (int i = 0; i < CASES; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s.velocity", all[i].name);
        TRY_OUT(evaluate(c, &all[i], &velocity[i]));
        take_worst(c, name, &c->report->velocity, parity_ratio(velocity[i], input(c, name), count));
    }
    c->report->sound = parity_ratio(velocity[SILENT], velocity[LATER], count);
out:
    for (int i = 0; i < CASES; i++) free(velocity[i]);
    return status;
}

Status s2v_compare(const char *folder, const BackendOptions *o, Coll *group, const Split *split, S2vReport *out)
{
    Comparison c = {.report = out};
    char *model = path_join(folder, "model"), *transformer = path_join(model, "transformer");
    char *want = path_join(folder, "reference.safetensors");
    WeightSource *source = NULL;
    SplitRanks ranks = {0};
    Status status = status_ok();
    *out = (S2vReport){0};
    if (!group) group = coll_self();
    TRY_OUT(model_config_read(model, &c.config));
    TRY_OUT(safetensors_open_file(want, &c.want));
    TRY_OUT(backend_open(o, &c.be));
    c.dit = dit_new(&c.config->dit);
    if (split) {
        TRY_OUT(split_open(c.config, split, group, &ranks));
        dit_divide(c.dit, ranks.tensor, ranks.sequence);
    }
    TRY_OUT(weights_open(transformer, "diffusion_pytorch_model", &source));
    TRY_OUT(weights_check(dit_plan(c.dit), source));
    TRY_OUT(dit_load(c.dit, source, c.be));
    TRY_OUT(mix_features(&c, source));
    TRY_OUT(compare_all(&c));
out:
    free(c.heard);
    weights_close(&source);
    dit_free(&c.dit);
    if (split) split_close(&ranks, group);
    backend_close(&c.be);
    safetensors_close(&c.want);
    model_config_free(&c.config);
    free(model);
    free(transformer);
    free(want);
    return status;
}
