#include <stdlib.h>
#include <string.h>

#include "common/chain.h"
#include "common/evaluations.h"
#include "common/file.h"
#include "engine/clips.h"
#include "engine/condition_make.h"
#include "engine/engine.h"
#include "engine/parts.h"
#include "engine/sample/step.h"
#include "engine/weights/trace.h"

struct Denoise {
    Engine *e;
    Trace trace;
    bool traced[MAX_EXPERTS]; /* the inside of this expert has been shown */
    double guidance[MAX_EXPERTS];
    StepWork *work; /* by step */
    bool watched;   /* what the layers add is kept at every step */
    int64_t dim[4]; /* of the latents, reference frames included */
    Condition condition;
    Clips clips;   /* of a model that speaks; else count 0 */
    uint64_t seed; /* of the first clip */
    Step step;
    PromptEmbeds embeds[DIT_BRANCHES]; /* kept for the expert that comes later */
    DitShot *shot[MAX_EXPERTS];
    float *shown; /* denoise_state's copies: latents, then history; NULL until the first */
};

static PromptEmbeds copy_embeds(const PromptEmbeds *p)
{
    size_t count = (size_t)p->count * (size_t)p->dim;
    PromptEmbeds c = {memory_get(count, sizeof(float)), p->count, p->dim};
    memcpy(c.rows, p->rows, count * sizeof(float));
    return c;
}

static int64_t latent_count(const Denoise *d) { return d->dim[0] * d->dim[1] * d->dim[2] * d->dim[3]; }

static const Trace *tracing(const Denoise *d) { return d->trace.put ? &d->trace : NULL; }

static void trace_schedule(const Denoise *d)
{
    const Sampler *sampler = &d->step.sampler;
    const Schedule *s = &sampler->schedule;
    const int64_t batch[5] = {1, d->dim[0], d->dim[1], d->dim[2], d->dim[3]}, sigmas = s->steps + 1, steps = s->steps;
    if (!tracing(d)) return;
    trace_tensor(tracing(d), d->e->be, tensor_reshape(sampler->latents, 5, batch), "noise");
    trace_floats(tracing(d), s->sigma, 1, &sigmas, "sigmas");
    if (!s->whole) {
        trace_floats(tracing(d), s->timestep, 1, &steps, "timesteps");
        return;
    }
    int64_t *whole = memory_get((size_t)s->steps, sizeof *whole);
    for (int i = 0; i < s->steps; i++) whole[i] = (int64_t)s->timestep[i];
    trace_ints(tracing(d), whole, 1, &steps, "timesteps");
    free(whole);
}

static Status check_embeds(const Engine *e, const PromptEmbeds *p, const char *name)
{
    if (!p || p->count < 1 || p->count > TEXT_MAX_TOKENS)
        return status_fail(ERR_INPUT, "the %s has no embedding of 1 to %d tokens", name, TEXT_MAX_TOKENS);
    if (p->dim != e->config->text.d_model)
        return status_fail(ERR_INPUT, "the %s's embedding has %d numbers per token, expected %d", name, p->dim,
                           e->config->text.d_model);
    return status_ok();
}

static Status begin_step(Denoise *d, const ShotSpec *s, const float *noise)
{
    float *drawn = NULL;
    if (!noise) {
        TRY_MEMORY(drawn, latent_count(d));
        noise_fill(s->seed, drawn, latent_count(d));
    }
    step_begin(&d->step, d->e->be, &d->e->config->scheduler, s, &d->condition, noise ? noise : drawn);
    free(drawn);
    return status_ok();
}

static bool is_guided(const Denoise *d) { return d->step.branches > 1; }

/* What follows from the shot and its noise levels. */
static Status plan_steps(Denoise *d, const ShotSpec *s)
{
    d->guidance[0] = s->guidance;
    d->guidance[1] = s->guidance_2 > 0 ? s->guidance_2 : s->guidance;
    d->work = memory_get((size_t)s->steps, sizeof *d->work);
    return evaluations_plan(d->e->config, s, &d->step.sampler.schedule, d->work);
}

/* ---- a model that speaks ---------------------------------------------------------------------------------------------------- */

/* How much of each layer of what is heard counts: the transformer's weights say it, which is not loaded yet. */
static Status read_shares(Engine *e, float **shares)
{
    WeightSource *source = NULL;
    *shares = memory_get((size_t)e->config->dit.sound_states, sizeof **shares);
    Status status = engine_open_source(e->config, PART_DIT, &source);
    if (!failed(status)) weights_adapt(source, e->adapters[0]);
    if (!failed(status)) status = dit_sound_shares(&e->config->dit, source, e->be, *shares);
    engine_close_source(e, &source);
    return coll_agree(e->group, status);
}

/* What is shown begins with the frame CHAIN_DROPPED, so there the sound begins: before it there is silence. */
static Status hear(Denoise *d, const Conditions *given)
{
    const int64_t silent = CHAIN_DROPPED * SPEECH_RATE / CHAIN_FPS, count = given->sound_samples + silent;
    float *sound = NULL, *shares = NULL;
    Status status = engine_need(d->e, PART_SPEECH);
    TRY_OUT(status);
    TRY_OUT(read_shares(d->e, &shares));
    TRY_MEMORY_OUT(sound, count);
    for (int64_t i = 0; i < count; i++) sound[i] = i < silent ? 0 : given->sound[i - silent];
    status = speech_features(d->e->speech, shares, sound, count, tracing(d), &d->clips.features);
out:
    free(sound);
    free(shares);
    const Status computed = engine_take_failure(d->e);
    return failed(status) ? status : computed;
}

static Status begin_clips(Denoise *d, const ShotSpec *s, const Conditions *given, const float *noise)
{
    d->clips.count = chain_clips(s->frames);
    memcpy(d->clips.dim, d->dim, sizeof d->dim);
    d->clips.reference = d->condition.speaker;
    d->condition.speaker = NULL;
    if (noise && d->clips.count > 1)
        return status_fail(ERR_INPUT, "noise of one clip is given, but %d frames take %d clips", s->frames,
                           d->clips.count);
    return hear(d, given);
}

/* The next clip's noise in the sampler. */
static Status begin_next_clip(Denoise *d)
{
    Sampler *s = &d->step.sampler;
    float *noise;
    TRY_MEMORY(noise, latent_count(d));
    s->seed = d->seed + (uint64_t)d->clips.clip;
    noise_fill(s->seed, noise, latent_count(d));
    sampler_restore(s, 0, noise, NULL);
    free(noise);
    return status_ok();
}

/* After its last step. The latents are the same on all ranks. */
static Status finish_clip(Denoise *d)
{
    float *latents;
    TRY_MEMORY(latents, latent_count(d));
    backend_download(d->e->be, d->step.sampler.latents, latents);
    Status status = engine_take_failure(d->e);
    dit_shot_end(&d->shot[0]);
    if (!failed(status)) status = clips_finish(&d->clips, d->e, latents);
    free(latents);
    TRY(status);
    return d->clips.clip < d->clips.count ? begin_next_clip(d) : status_ok();
}

/* ---- beginning and end -------------------------------------------------------------------------------------------------------- */

Status denoise_begin_with(Engine *e, const ShotSpec *s, const PromptEmbeds *prompt, const PromptEmbeds *negative,
                          const Conditions *conditions, const float *noise, const Trace *trace, Denoise **out)
{
    Condition condition;
    *out = NULL;
    TRY(model_config_check_shot(e->config, s));
    TRY(check_embeds(e, prompt, "prompt"));
    if (s->guidance > 1) TRY(check_embeds(e, negative, "negative prompt"));
    engine_expect(e, s);
    TRY(condition_make(e, s, conditions, trace, &condition));
    Denoise *d = memory_get(1, sizeof *d);
    d->e = e;
    d->condition = condition;
    if (trace) d->trace = *trace;
    memcpy(d->dim, condition.dim, sizeof d->dim);
    d->seed = s->seed;
    Status status = begin_step(d, s, noise);
    if (!failed(status) && e->config->dit.sound_count) status = begin_clips(d, s, conditions, noise);
    if (!failed(status)) status = plan_steps(d, s);
    d->embeds[DIT_COND] = copy_embeds(prompt);
    if (d->step.branches > 1) d->embeds[DIT_UNCOND] = copy_embeds(negative);
    if (!failed(status)) trace_schedule(d);
    Status computed = engine_take_failure(e);
    if (!failed(status)) status = computed;
    if (failed(status)) denoise_end(&d);
    *out = d;
    return status;
}

Status denoise_begin(Engine *e, const ShotSpec *s, const PromptEmbeds *prompt, const PromptEmbeds *negative,
                     const float *noise, const Trace *trace, Denoise **out)
{
    return denoise_begin_with(e, s, prompt, negative, NULL, noise, trace, out);
}

void denoise_end(Denoise **d)
{
    if (!*d) return;
    for (int i = 0; i < MAX_EXPERTS; i++) dit_shot_end(&(*d)->shot[i]);
    for (int i = 0; i < DIT_BRANCHES; i++) prompt_embeds_free(&(*d)->embeds[i]);
    step_end(&(*d)->step);
    condition_clear(&(*d)->condition);
    clips_clear(&(*d)->clips);
    free((*d)->shown);
    free((*d)->work);
    free(*d);
    *d = NULL;
}

/* The first rank of those that evaluate a branch: all do, or one half of the group each. */
static int branch_root(const Denoise *d, int branch)
{
    return is_guided(d) && d->e->split.guidance == 2 ? branch * d->e->group->size / 2 : 0;
}

static bool is_own_branch(const Denoise *d, int branch)
{
    return !is_guided(d) || d->e->split.guidance == 1 || d->e->ranks.half == branch;
}

/* What the transformer looks at and hears in the clip that is made. */
static Status begin_clip_shot(Denoise *d)
{
    const DitGiven given = {d->clips.reference, d->clips.motion};
    TRY(dit_shot_begin(d->e->dit[0], d->dim, &given, &d->shot[0]));
    const float *heard[DIT_BRANCHES] = {[DIT_COND] = clips_heard(&d->clips)};
    for (int i = 0; i < d->step.branches; i++)
        if (is_own_branch(d, i)) TRY(dit_shot_sound(d->shot[0], i, heard[i]));
    return status_ok();
}

/* Loads the expert and gives it the prompts, at its first step. */
static Status need_expert(Denoise *d, int expert)
{
    const Part part = PART_DIT + expert;
    if (d->shot[expert] && engine_has_loaded(d->e, part)) return status_ok();
    if (expert == 1) dit_shot_end(&d->shot[0]); /* steps go from the first to the second: it is done */
    TRY(engine_need(d->e, part));
    if (d->shot[expert]) return status_ok();
    if (d->clips.count)
        TRY(begin_clip_shot(d));
    else
        TRY(dit_shot_begin(d->e->dit[expert], d->dim, NULL, &d->shot[expert]));
    for (int i = 0; i < d->step.branches; i++)
        if (is_own_branch(d, i))
            dit_shot_prompt(d->shot[expert], i, d->embeds[i].rows, d->embeds[i].count, TEXT_MAX_TOKENS);
    if (d->condition.image_rows) dit_shot_image(d->shot[expert], d->condition.image_rows, d->condition.image_tokens);
    return engine_take_failure(d->e);
}

/* What the transformer is told: a whole number, or one number per token. */
static void trace_timestep(const Denoise *d, const DitInput *in)
{
    const int step = denoise_steps_done(d);
    const bool is_whole = d->step.sampler.schedule.whole;
    const int64_t whole = (int64_t)in->timestep;
    if (!tracing(d)) return;
    if (!in->per_token && is_whole) trace_ints(tracing(d), &whole, 0, NULL, "step.%d.timestep", step);
    if (!in->per_token && !is_whole) trace_floats(tracing(d), &in->timestep, 0, NULL, "step.%d.timestep", step);
    if (!in->per_token) return;
    const int *patch = d->e->config->dit.patch;
    const int64_t per_frame = d->dim[2] / patch[1] * (d->dim[3] / patch[2]), tokens = d->dim[1] / patch[0] * per_frame;
    float *t = memory_get((size_t)tokens, sizeof *t);
    for (int64_t i = 0; i < tokens; i++) t[i] = i < in->frames_at_zero * per_frame ? 0.0f : in->timestep;
    trace_floats(tracing(d), t, 1, &tokens, "step.%d.timestep", step);
    free(t);
}

static DitReuse step_reuse(const Denoise *d)
{
    const int step = d->step.sampler.step, next = step + 1;
    if (d->work[step].reused) return DIT_REUSE;
    return d->watched || (next < d->step.sampler.schedule.steps && d->work[next].reused) ? DIT_KEEP : DIT_COMPUTE;
}

/* The model's velocity for one branch of the guidance -> step.velocity[branch] */
static void evaluate(Denoise *d, int expert, int branch, Tensor latent)
{
    static const char *const expert_name[MAX_EXPERTS] = {"transformer", "transformer_2"};
    Backend *be = d->e->be;
    const Sampler *s = &d->step.sampler;
    DitInput in = {.latent = latent,
                   .frames_at_zero = d->condition.first ? 1 : 0,
                   .control = d->step.control,
                   .control_scale = d->condition.control_scale,
                   .timestep = s->schedule.timestep[s->step],
                   .reuse = step_reuse(d),
                   .name = expert_name[expert],
                   .per_token = d->e->config->expand_timesteps};
    if (branch == DIT_COND) trace_timestep(d, &in);
    if (!d->traced[expert]) {
        trace_tensor(tracing(d), be, in.latent, "step.%d.input", denoise_steps_done(d));
        if (d->trace.blocks) in.trace = tracing(d);
        d->traced[expert] = true;
    }
    dit_forward(d->shot[expert], branch, &in, d->step.velocity[branch]);
}

/* How many branches the present step takes: one, outside of the noise levels that are guided. */
static int step_branches(const Denoise *d) { return d->work[d->step.sampler.step].guided ? DIT_BRANCHES : 1; }

/* Every branch's velocity on every rank, the same bits. */
static void evaluate_branches(Denoise *d, int expert)
{
    static const char *const name[DIT_BRANCHES] = {"cond", "uncond"};
    Backend *be = d->e->be;
    const Tensor latent = step_input(&d->step);
    const int branches = step_branches(d);
    for (int i = 0; i < branches; i++)
        if (is_own_branch(d, i)) evaluate(d, expert, i, latent);
    for (int i = 0; i < branches; i++) {
        coll_broadcast(d->e->group, be, d->step.velocity[i], branch_root(d, i));
        trace_tensor(tracing(d), be, d->step.velocity[i], "step.%d.%s", denoise_steps_done(d), name[i]);
    }
}

/* v = u + g (c - u); z -> next z. (step, latents, solver history) is a whole checkpoint. */
Status denoise_step(Denoise *d)
{
    const int step = denoise_steps_done(d), expert = d->work[d->step.sampler.step].expert;
    TRY(need_expert(d, expert));
    evaluate_branches(d, expert);
    step_update(&d->step, step_branches(d), d->guidance[expert]);
    trace_tensor(tracing(d), d->e->be, d->step.sampler.latents, "step.%d.latents", step);
    TRY(engine_take_failure(d->e));
    const bool made = d->clips.count && d->step.sampler.step == d->step.sampler.schedule.steps;
    return made ? finish_clip(d) : status_ok();
}

Status denoise_finish(Denoise *d)
{
    backend_finish(d->e->be);
    return engine_take_failure(d->e);
}

bool denoise_can_rest(const Denoise *d)
{
    const Sampler *s = &d->step.sampler;
    return s->step == s->schedule.steps || !d->work[s->step].reused;
}

void denoise_watch(Denoise *d) { d->watched = true; }

Status denoise_kept(Denoise *d, float **rows, int64_t *count)
{
    const DitShot *shot = d->shot[d->work[d->step.sampler.step - 1].expert];
    const Tensor kept = dit_shot_kept(shot, is_own_branch(d, DIT_COND) ? DIT_COND : DIT_UNCOND);
    *count = tensor_count(kept);
    TRY_MEMORY(*rows, *count);
    backend_download(d->e->be, kept, *rows);
    return engine_take_failure(d->e);
}

int denoise_steps_done(const Denoise *d)
{
    const int made = d->clips.clip * d->step.sampler.schedule.steps;
    return d->clips.count && d->clips.clip == d->clips.count ? made : made + d->step.sampler.step;
}

void denoise_dims(const Denoise *d, int64_t dim[4]) { memcpy(dim, d->dim, sizeof d->dim); }

/* ---- what others see ----------------------------------------------------------------------------------------------- */

Status denoise_result(Denoise *d, float *latents)
{
    if (d->clips.count) return clips_result(&d->clips, latents);
    const Condition *c = &d->condition;
    const int64_t pixels = d->dim[2] * d->dim[3], frames = d->dim[1] - c->references;
    float *all;
    TRY_MEMORY(all, latent_count(d));
    backend_download(d->e->be, d->step.sampler.latents, all);
    for (int64_t z = 0; z < d->dim[0]; z++) {
        const float *from = all + (z * d->dim[1] + c->references) * pixels;
        memcpy(latents + z * frames * pixels, from, (size_t)(frames * pixels) * sizeof *latents);
        if (c->first) memcpy(latents + z * frames * pixels, c->first + z * pixels, (size_t)pixels * sizeof *latents);
    }
    free(all);
    return engine_take_failure(d->e);
}

Status denoise_state(Denoise *d, DenoiseState *out)
{
    const Sampler *s = &d->step.sampler;
    const int64_t count = latent_count(d);
    Tensor history[SAMPLER_MAX_HISTORY];
    const int n = sampler_history(s, history);
    if (!d->shown) TRY_MEMORY(d->shown, (1 + SAMPLER_MAX_HISTORY) * count);
    *out = (DenoiseState){
        .step = denoise_steps_done(d), .latents = d->shown, .solver_count = n, .lower_order_nums = n ? n - 1 : 0};
    backend_download(d->e->be, s->latents, out->latents);
    for (int i = 0; i < n; i++) {
        out->solver[i] = d->shown + (1 + i) * count;
        backend_download(d->e->be, history[i], out->solver[i]);
    }
    if (d->clips.count) out->more_count = clips_state(&d->clips, out->more);
    return engine_take_failure(d->e);
}

Status denoise_restore(Denoise *d, const DenoiseState *s)
{
    Sampler *sampler = &d->step.sampler;
    const int steps = sampler->schedule.steps, all = steps * (d->clips.count ? d->clips.count : 1);
    if (s->step < 0 || s->step > all) return status_fail(ERR_INPUT, "step = %d, expected 0 to %d", s->step, all);
    const int made = s->step / steps, step = s->step == all ? steps : s->step % steps; /* clips; of the present one */
    const int want = sampler_history_count(sampler, step);
    if (s->solver_count != want)
        return status_fail(ERR_INPUT, "%d solver tensors after step %d, expected %d", s->solver_count, s->step, want);
    if (step < steps && d->work[step].reused)
        return status_fail(ERR_INPUT, "step %d reuses what the step before it computed: nothing can go on from there",
                           s->step);
    if (d->clips.count) {
        TRY(clips_restore(&d->clips, made, s->more, s->more_count));
        sampler->seed = d->seed + (uint64_t)made;
        dit_shot_end(&d->shot[0]);
    }
    for (int i = 0; i < step || (made && i < 1); i++)
        d->traced[d->work[i].expert] = true; /* by the run that is resumed */
    sampler_restore(sampler, step, s->latents, s->solver);
    return engine_take_failure(d->e);
}
