/* plan.c - what a shot would take, stage by stage: the same code that renders it, on a back end that only counts. */
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/parts.h"
#include "engine/sample/step.h"
#include "engine/wan/tiles.h"

typedef struct {
    Backend *be;
    const SplitRanks *ranks;
    int halves;         /* how many halves of the group share the two guidance branches: 1 or 2 */
    Adapters *adapters; /* of the transformer, or NULL */
    StagePlan *out;
} Planning;

static Status plan_begin(const BackendOptions *o, StagePlan *out, Planning *p)
{
    BackendOptions planning = *o;
    planning.plan = true;
    p->out = out;
    return backend_open(&planning, &p->be);
}

static void plan_loaded(Planning *p) { p->out->weights = (int64_t)backend_kept_bytes(p->be); }

static Status plan_end(Planning *p, Status status)
{
    if (!failed(status)) status = backend_status(p->be);
    p->out->work = (int64_t)backend_peak_bytes(p->be) - p->out->weights;
    return status;
}

/* One prompt of the greatest length. The table of embeddings stays in its file. */
static Status plan_text(const ModelConfig *c, const BackendOptions *o, Planning p, StagePlan *out)
{
    int64_t ids[TEXT_MAX_TOKENS] = {0};
    Tensor rows;
    TRY(plan_begin(o, out, &p));
    TextEncoder *text = text_new(&c->text);
    text_divide(text, p.ranks->text);
    WeightSource *source = engine_narrow_source(c, o, PART_TEXT);
    Status status = text_load(text, source, p.be);
    weights_close(&source);
    plan_loaded(&p);
    if (!failed(status)) status = text_encode(text, ids, TEXT_MAX_TOKENS, &rows);
    status = plan_end(&p, status);
    text_free(&text);
    backend_close(&p.be);
    return status;
}

/* What the prompts and a picture leave in the shot: both branches of the guidance, at the greatest length. */
static Status plan_context(const ModelConfig *c, const Planning *p, DitShot *shot)
{
    const int image_tokens = c->has_image_encoder ? 2 * vision_tokens(&c->vision) : 0; /* first and last frame */
    float *rows = memory_get((size_t)TEXT_MAX_TOKENS * (size_t)c->text.d_model, sizeof *rows);
    Status status = status_ok();
    for (int i = 0; i < DIT_BRANCHES / p->halves && !failed(status); i++)
        status = dit_shot_prompt(shot, i, rows, TEXT_MAX_TOKENS, TEXT_MAX_TOKENS);
    free(rows);
    if (failed(status) || !c->dit.image_dim || !image_tokens) return status;
    const int tokens = c->dit.pos_embed_len ? image_tokens : image_tokens / 2;
    rows = memory_get((size_t)tokens * (size_t)c->dit.image_dim, sizeof *rows);
    status = dit_shot_image(shot, rows, tokens);
    free(rows);
    return status;
}

/* What both branches hear of each latent frame. */
static Status plan_sound(const Planning *p, DitShot *shot)
{
    Status status = status_ok();
    for (int i = 0; i < DIT_BRANCHES / p->halves && !failed(status); i++) status = dit_shot_sound(shot, i, NULL);
    return status;
}

/* With everything that the model can be given. */
static Status plan_step(const ModelConfig *c, const ShotSpec *s, Planning *p, Dit *dit, const int64_t dim[4])
{
    float nowhere[VACE_MAX_LAYERS] = {0}; /* numbers that nobody reads */
    Condition given = {.dim = {dim[0], dim[1], dim[2], dim[3]},
                       .extra = c->dit.in_channels - c->vae.z_dim,
                       .channels = nowhere,
                       .first = c->expand_timesteps ? nowhere : NULL,
                       .control = c->dit.vace_count ? nowhere : NULL,
                       .control_dim = {c->dit.vace_in, dim[1], dim[2], dim[3]}};
    DitShot *shot = NULL;
    Step step;
    const DitGiven before = {nowhere, nowhere};
    TRY(dit_shot_begin(dit, dim, c->dit.sound_count ? &before : NULL, &shot));
    Status status = plan_context(c, p, shot);
    if (!failed(status) && c->dit.sound_count) status = plan_sound(p, shot);
    step_begin(&step, p->be, &c->scheduler, s, &given, nowhere);
    if (!failed(status)) {
        const DitInput in = {.latent = step_input(&step),
                             .reuse = s->reused_steps ? DIT_KEEP : DIT_COMPUTE,
                             .frames_at_zero = c->expand_timesteps ? 1 : 0,
                             .control = step.control,
                             .control_scale = nowhere};
        dit_forward(shot, DIT_COND, &in, step.velocity[DIT_COND]);
        step_update(&step, step.branches, s->guidance);
    }
    step_end(&step);
    dit_shot_end(&shot);
    return status;
}

static Status plan_denoise(const ModelConfig *c, const BackendOptions *o, const ShotSpec *s, Planning p, StagePlan *out)
{
    int64_t dim[4];
    engine_latent_dims(c, s, dim);
    if (c->dit.vace_count) dim[1]++; /* one reference picture */
    TRY(plan_begin(o, out, &p));
    Dit *dit = dit_new(&c->dit);
    dit_divide(dit, p.ranks->tensor, p.ranks->sequence);
    WeightSource *source = engine_narrow_source(c, o, PART_DIT);
    if (source) weights_adapt(source, p.adapters);
    Status status = dit_load(dit, source, p.be);
    weights_close(&source);
    plan_loaded(&p);
    if (!failed(status)) status = plan_step(c, s, &p, dit, dim);
    status = plan_end(&p, status);
    dit_free(&dit);
    backend_close(&p.be);
    return status;
}

/* Plans the largest window that tiles_choose takes. The pixels of the windows that are done wait in a file. */
static void plan_vae(const ModelConfig *c, VaeHalf half, const BackendOptions *o, const ShotSpec *s, int64_t bound,
                     StagePlan *out)
{
    int64_t dim[4];
    engine_latent_dims(c, s, dim);
    const Tiles t = tiles_choose(&c->vae, half, o, dim[2], dim[3], bound);
    Box largest = {0};
    for (int i = 0; i < tiles_count(&t); i++) {
        const Box w = tiles_window(&t, i);
        if (w.h * w.w > largest.h * largest.w) largest = w;
    }
    vae_measure(&c->vae, half, o, t.pace, largest.h, largest.w, &out->weights, &out->work);
    out->tiles = tiles_count(&t);
}

Status engine_plan_with(const ModelConfig *c, const BackendOptions *o, const ShotSpec *s, const Split *split,
                        Adapters *adapters, int64_t bound_bytes, EnginePlan *out)
{
    const int size = split->guidance * split->sequence * split->tensor;
    SplitRanks ranks;
    Coll *group = size > 1 ? coll_planned(size - 1, size) : coll_self(); /* the last rank has the largest share */
    Planning p = {.ranks = &ranks, .halves = split->guidance, .adapters = adapters};
    memset(out, 0, sizeof *out);
    Status status = model_config_check_shot(c, s);
    if (!failed(status)) status = split_open(c, split, group, &ranks);
    if (!failed(status)) {
        status = plan_text(c, o, p, &out->text);
        if (!failed(status)) status = plan_denoise(c, o, s, p, &out->denoise);
        split_close(&ranks, group);
    }
    coll_close(&group);
    TRY(status);
    plan_vae(c, VAE_DECODER, o, s, bound_bytes, &out->decode);
    if (engine_encodes(c)) plan_vae(c, VAE_ENCODER, o, s, bound_bytes, &out->encode);
    return status_ok();
}

Status engine_plan_rank(const ModelConfig *c, const BackendOptions *o, const ShotSpec *s, const Split *split,
                        int64_t bound_bytes, EnginePlan *out)
{
    return engine_plan_with(c, o, s, split, NULL, bound_bytes, out);
}

Status engine_plan(const ModelConfig *c, const BackendOptions *o, const ShotSpec *s, int64_t bound_bytes,
                   EnginePlan *out)
{
    return engine_plan_rank(c, o, s, &(Split){1, 1, 1}, bound_bytes, out);
}
