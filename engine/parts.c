/* parts.c - an engine's parts: opened, loaded at their first use, dropped to make room. */
#include "engine/parts.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/log.h"

static const char *const name_of[PARTS] = {
    [PART_TEXT] = "text encoder",   [PART_VISION] = "image encoder", [PART_SPEECH] = "audio encoder",
    [PART_ENCODER] = "VAE encoder", [PART_DIT] = "transformer",      [PART_DIT_2] = "second transformer",
    [PART_DECODER] = "VAE decoder"};

/* ---- files ------------------------------------------------------------------------------------------------------------------ */

Status engine_open_source(const ModelConfig *c, Part part, WeightSource **out)
{
    static const struct {
        const char *component, *stem;
    } file[PARTS] = {[PART_TEXT] = {"text_encoder", "model"},
                     [PART_VISION] = {"image_encoder", "model"},
                     [PART_SPEECH] = {"audio_encoder", "model"},
                     [PART_ENCODER] = {"vae", "diffusion_pytorch_model"},
                     [PART_DIT] = {"transformer", "diffusion_pytorch_model"},
                     [PART_DIT_2] = {"transformer_2", "diffusion_pytorch_model"},
                     [PART_DECODER] = {"vae", "diffusion_pytorch_model"}};
    char *folder = path_join(c->folder, file[part].component);
    Status status = weights_open(folder, file[part].stem, out);
    free(folder);
    return status;
}

/* A model of which there is only the config takes what its config says. */
WeightSource *engine_narrow_source(const ModelConfig *c, const BackendOptions *o, Part part)
{
    WeightSource *source = NULL;
    if (!backend_keeps_e4m3(o)) return NULL;
    return failed(engine_open_source(c, part, &source)) ? NULL : source;
}

void engine_close_source(Engine *e, WeightSource **source)
{
    if (*source) e->bytes_read += weights_bytes_read(*source);
    weights_close(source);
}

/* ---- what is there ---------------------------------------------------------------------------------------------------------- */

/* NULL: the model has no such part. */
static const WeightPlan *plan_of(const Engine *e, Part part)
{
    switch (part) {
    case PART_TEXT:
        return e->text ? text_plan(e->text) : NULL;
    case PART_VISION:
        return e->vision ? vision_plan(e->vision) : NULL;
    case PART_SPEECH:
        return e->speech ? speech_plan(e->speech) : NULL;
    case PART_ENCODER:
        return e->encoder ? vae_plan(e->encoder) : NULL;
    case PART_DIT:
    case PART_DIT_2:
        return e->dit[part - PART_DIT] ? dit_plan(e->dit[part - PART_DIT]) : NULL;
    default:
        return vae_plan(e->decoder);
    }
}

bool engine_has_loaded(const Engine *e, Part part)
{
    if (!plan_of(e, part)) return false;
    switch (part) {
    case PART_TEXT:
        return e->text_loaded;
    case PART_VISION:
        return vision_is_loaded(e->vision);
    case PART_SPEECH:
        return speech_is_loaded(e->speech);
    case PART_ENCODER:
        return vae_is_loaded(e->encoder);
    case PART_DIT:
    case PART_DIT_2:
        return dit_is_loaded(e->dit[part - PART_DIT]);
    default:
        return vae_is_loaded(e->decoder);
    }
}

void engine_drop(Engine *e, Part part)
{
    if (!engine_has_loaded(e, part)) return;
    switch (part) {
    case PART_TEXT:
        text_unload(e->text);
        engine_close_source(e, &e->text_source);
        e->text_loaded = false;
        return;
    case PART_VISION:
        vision_unload(e->vision);
        return;
    case PART_SPEECH:
        speech_unload(e->speech);
        return;
    case PART_ENCODER:
        vae_unload(e->encoder);
        return;
    case PART_DIT:
    case PART_DIT_2:
        dit_unload(e->dit[part - PART_DIT]);
        return;
    default:
        vae_unload(e->decoder);
    }
}

/* ---- room ------------------------------------------------------------------------------------------------------------------- */

enum { SLACK_BYTES = 64 << 20 /* what a back end's arena takes at once, and small things */ };

static bool is_planned(const Engine *e, const ShotSpec *s)
{
    const ShotSpec *p = &e->planned;
    return e->has_plan && p->width == s->width && p->height == s->height && p->frames == s->frames &&
           (p->guidance > 1) == (s->guidance > 1);
}

/* A shot that cannot be planned cannot be rendered either: whoever renders it says why. */
void engine_expect(Engine *e, const ShotSpec *s)
{
    const BackendOptions o = backend_options(e->be);
    if (is_planned(e, s) || !e->text) return; /* who only decodes has nothing to drop for it */
    e->planned = (ShotSpec){.width = s->width, .height = s->height, .frames = s->frames, .guidance = s->guidance};
    e->has_plan = !failed(engine_plan_with(e->config, &o, s, &e->split, e->adapters[0], o.memory_bytes, &e->plan));
}

static const StagePlan *stage_of(const Engine *e, Part part)
{
    switch (part) {
    case PART_TEXT:
        return &e->plan.text;
    case PART_ENCODER:
        return &e->plan.encode;
    case PART_DIT:
    case PART_DIT_2:
        return &e->plan.denoise;
    case PART_DECODER:
        return &e->plan.decode;
    default:
        return NULL; /* the image encoder, the audio encoder: small */
    }
}

/* What its stage is still to take: its weights if they are not there, and its work beyond what earlier stages' work has left. */
static int64_t still_wanted(const Engine *e, Part part)
{
    int64_t parameters, weights;
    const StagePlan *stage = e->has_plan ? stage_of(e, part) : NULL;
    const BackendOptions o = backend_options(e->be);
    const WeightPlan *plan = plan_of(e, part);
    const int ranks = plan->ranks > 0 ? plan->ranks : 1;
    const bool exact = part == PART_VISION || part == PART_SPEECH || part == PART_ENCODER || part == PART_DECODER;
    weights_measure(plan, NULL, ranks, exact ? (int)dtype_bytes(backend_exact_type(&o)) : backend_elem_bytes(&o),
                    &parameters, &weights);
    if (stage) weights = stage->weights;
    const int64_t work = stage ? stage->work : weights / 4, spare = backend_spare_bytes(e->be);
    return (engine_has_loaded(e, part) ? 0 : weights) + (work > spare ? work - spare + SLACK_BYTES : 0);
}

/* Drops parts that can be loaded again, until the stage of `part` fits into the memory that this process can still have. The part that a shot
 * needs last is dropped first: a shot uses the parts in their order, and the next shot begins again, so that is the one used just before. */
static void make_room(Engine *e, Part part)
{
    if (still_wanted(e, part) == 0) return;
    int64_t available = backend_available_bytes(e->be);
    if (available == 0 || available >= still_wanted(e, part)) return;
    backend_trim(e->be);
    for (int i = 1; i < PARTS; i++) {
        const Part other = (Part)(((int)part + PARTS - i) % PARTS);
        available = backend_available_bytes(e->be);
        if (available >= still_wanted(e, part)) return;
        if (!engine_has_loaded(e, other)) continue;
        log_line(LOG_DEBUG, "%s makes room for %s", name_of[other], name_of[part]);
        engine_drop(e, other);
    }
}

int64_t engine_held_bytes(const Engine *e) { return (int64_t)backend_kept_bytes(e->be) + backend_spare_bytes(e->be); }

/* Of those that the worker's own engine goes through beside a tail. A model that speaks decodes between its clips, too (clips.h). */
static int64_t largest_stage(const EnginePlan *p, bool speaks)
{
    const StagePlan *const stage[] = {&p->text, &p->encode, &p->denoise, &p->decode};
    int64_t most = 0;
    for (int i = 0; i < (speaks ? 4 : 3); i++) {
        const int64_t bytes = stage[i]->weights + stage[i]->work;
        if (bytes > most) most = bytes;
    }
    return most;
}

bool engine_decodes_beside(Engine *e, const ShotSpec *s, int64_t beside_bytes)
{
    const BackendOptions o = backend_options(e->be);
    const int64_t available = backend_available_bytes(e->be);
    engine_expect(e, s);
    if (o.kind == BACKEND_CUDA || !e->has_plan || available == 0) return false;
    const int64_t wanted = largest_stage(&e->plan, e->config->dit.sound_count > 0) + e->plan.decode.weights +
                           e->plan.decode.work + 2 * SLACK_BYTES;
    const int64_t share = 2 * o.memory_bytes; /* memory_bytes is half of it: kernels/backend.c */
    return wanted <= share && wanted <= available + engine_held_bytes(e) + beside_bytes;
}

/* ---- loading ---------------------------------------------------------------------------------------------------------------- */

static Status load(Engine *e, Part part)
{
    Status status = status_ok();
    WeightSource *source = NULL;
    make_room(e, part);
    if (engine_has_loaded(e, part)) return status_ok();
    TRY(engine_open_source(e->config, part, &source));
    if (part == PART_TEXT) {
        status = text_load(e->text, source, e->be);
        e->text_loaded = !failed(status);
        if (e->text_loaded) e->text_source = source;
        return failed(status) ? (engine_close_source(e, &source), status) : status;
    }
    if (part == PART_DIT || part == PART_DIT_2) {
        weights_adapt(source, e->adapters[part - PART_DIT]);
        status = dit_load(e->dit[part - PART_DIT], source, e->be);
    }
    if (part == PART_VISION) status = vision_load(e->vision, source, e->be);
    if (part == PART_SPEECH) status = speech_load(e->speech, source, e->be);
    if (part == PART_ENCODER) status = vae_load(e->encoder, source, e->be);
    if (part == PART_DECODER) status = vae_load(e->decoder, source, e->be);
    engine_close_source(e, &source);
    return status;
}

Status engine_need(Engine *e, Part part)
{
    Status status = load(e, part);
    if (part == PART_ENCODER || part == PART_DECODER) return status;
    return coll_agree(e->group, status);
}

Status engine_take_failure(Engine *e)
{
    Status status = backend_status(e->be);
    if (failed(status)) {
        coll_abort(e->group);
        backend_clear(e->be);
    }
    return status;
}
