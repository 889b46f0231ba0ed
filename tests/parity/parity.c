#include "parity.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/file.h"
#include "engine/weights/safetensors.h"

const char *const parity_stage_name[STAGES] = {"exact", "embeds", "model", "latents", "encode", "video", "inside"};

typedef struct {
    Safetensors *want;
    bool *seen;
    bool verbose;
    ParityReport *report;
} Comparison;

/* ---- comparing -------------------------------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), e = strlen(end);
    return n >= e && strcmp(text + n - e, end) == 0;
}

static ParityStage stage_of(const char *name)
{
    if (strncmp(name, "trace.", 6) == 0) return STAGE_INSIDE;
    if (ends_with(name, ".embeds")) return STAGE_EMBEDS;
    if (ends_with(name, "cond")) return STAGE_MODEL;
    if (ends_with(name, ".latents") || ends_with(name, ".input")) return STAGE_LATENTS;
    if (strncmp(name, "vae.encode.", 11) == 0 || strcmp(name, "control") == 0) return STAGE_ENCODE;
    if (strcmp(name, "video") == 0) return STAGE_VIDEO;
    return STAGE_EXACT;
}

double parity_ratio(const float *a, const float *b, int64_t count)
{
    double difference = 0, size = 0;
    for (int64_t i = 0; i < count; i++) {
        double d = (double)a[i] - (double)b[i];
        difference += d * d;
        size += (double)b[i] * (double)b[i];
    }
    return isfinite(difference) ? sqrt(difference / (size > 0 ? size : 1)) : INFINITY;
}

static bool same_shape(const StoredTensor *t, int ndim, const int64_t *dim)
{
    bool same = t->ndim == ndim;
    for (int i = 0; same && i < ndim; i++) same = t->dim[i] == dim[i];
    return same;
}

static void put(void *self, const char *name, const char *dtype, const void *data, int ndim, const int64_t *dim)
{
    Comparison *c = self;
    const StoredTensor *t = safetensors_find(c->want, name);
    if (!t) return;
    c->seen[t - safetensors_at(c->want, 0)] = true;
    ParityStage stage = stage_of(name);
    int64_t count = 1;
    for (int i = 0; i < ndim; i++) count *= dim[i];
    bool fits = same_shape(t, ndim, dim) && (t->type == STORED_F32) == (strcmp(dtype, "f32") == 0);
    double r = INFINITY;
    if (fits && stage == STAGE_EXACT) r = memcmp(t->data, data, t->bytes) == 0 ? 0 : 1;
    if (fits && stage != STAGE_EXACT) r = parity_ratio(data, t->data, count);
    if (c->verbose) printf("  %-44s %-8s %.3e\n", name, parity_stage_name[stage], r);
    c->report->compared[stage]++;
    if (r < c->report->worst[stage]) return;
    c->report->worst[stage] = r;
    snprintf(c->report->worst_name[stage], sizeof c->report->worst_name[stage], "%s", name);
}

/* ---- running ------------------------------------------------------------------------------------------------------------- */

static void shot_from_call(json_t *note, const ModelConfig *c, ShotSpec *s)
{
    json_t *call = json_object_get(note, "call");
    shot_copy(s, &c->defaults);
    free(s->prompt);
    free(s->negative);
    json_t *negative = json_object_get(call, "negative_prompt");
    s->prompt = text_copy(json_string_value(json_object_get(call, "prompt")));
    s->negative = text_copy(json_is_string(negative) ? json_string_value(negative) : "");
    s->width = (int)json_integer_value(json_object_get(call, "width"));
    s->height = (int)json_integer_value(json_object_get(call, "height"));
    s->frames = (int)json_integer_value(json_object_get(call, "num_frames"));
    s->steps = (int)json_integer_value(json_object_get(call, "num_inference_steps"));
    s->guidance = json_number_value(json_object_get(call, "guidance_scale"));
    s->guidance_2 = json_number_value(json_object_get(call, "guidance_scale_2"));
    s->seed = (uint64_t)json_integer_value(json_object_get(note, "noise_seed"));
    const json_t *own = json_object_get(note, "schedule"); /* other than the folder's */
    const char *scheduler = json_string_value(json_object_get(own, "scheduler")),
               *sigmas = json_string_value(json_object_get(own, "sigmas"));
    if (scheduler) snprintf(s->scheduler, sizeof s->scheduler, "%s", scheduler);
    if (sigmas) snprintf(s->sigmas, sizeof s->sigmas, "%s", sigmas);
    if (own) s->flow_shift = json_number_value(json_object_get(own, "flow_shift"));
}

/* The pictures that the run was given; they are recorded as they were read from the files. */
typedef struct {
    Conditions conditions;
    Picture image, last, reference[16], *video, *mask;
    float scale[VACE_MAX_LAYERS];
} Given;

static bool picture_from(const Safetensors *want, const char *name, Picture *p)
{
    const StoredTensor *t = safetensors_find(want, name);
    if (t) *p = (Picture){(int)t->dim[t->ndim - 2], (int)t->dim[t->ndim - 3], t->data};
    return t != NULL;
}

static Picture *pictures_from(const Safetensors *want, const char *name, int frames)
{
    Picture first;
    if (!picture_from(want, name, &first)) return NULL;
    Picture *all = memory_get((size_t)frames, sizeof *all);
    for (int i = 0; i < frames; i++)
        all[i] = (Picture){first.width, first.height,
                           first.rgb + (size_t)i * (size_t)first.width * (size_t)first.height * 3};
    return all;
}

/* One is called in.reference, several in.reference.0 and so on. */
static void references_from(const Safetensors *want, Given *g)
{
    Conditions *c = &g->conditions;
    char name[32];
    c->reference = g->reference;
    if (picture_from(want, "in.reference", &g->reference[0])) c->references = 1;
    for (int i = 0; i < (int)(sizeof g->reference / sizeof *g->reference); i++) {
        snprintf(name, sizeof name, "in.reference.%d", i);
        if (picture_from(want, name, &g->reference[i])) c->references = i + 1;
    }
}

static void given_from(const Safetensors *want, json_t *note, Given *g)
{
    Conditions *c = &g->conditions;
    json_t *scale = json_object_get(json_object_get(note, "call"), "conditioning_scale");
    if (picture_from(want, "in.image", &g->image)) c->image = &g->image;
    if (picture_from(want, "in.last_image", &g->last)) c->last_image = &g->last;
    references_from(want, g);
    const StoredTensor *video = safetensors_find(want, "in.video");
    c->video_frames = video ? (int)video->dim[0] : 0;
    c->video = g->video = pictures_from(want, "in.video", c->video_frames);
    c->mask = g->mask = pictures_from(want, "in.mask", c->video_frames);
    c->control_scale = g->scale;
    g->scale[0] = (float)json_number_value(scale);
    c->control_scales = json_is_number(scale) ? 1 : (int)json_array_size(scale);
    for (int i = 0; i < (int)json_array_size(scale); i++)
        g->scale[i] = (float)json_number_value(json_array_get(scale, (size_t)i));
}

/* Stops d, copies its state, and starts again from the copy. */
static Status start_again(Engine *e, const ShotSpec *s, const PromptEmbeds p[2], const Given *g, const Trace *trace,
                          Denoise **d)
{
    int64_t dim[4];
    denoise_dims(*d, dim);
    const size_t bytes = (size_t)(dim[0] * dim[1] * dim[2] * dim[3]) * sizeof(float);
    DenoiseState state;
    TRY(denoise_state(*d, &state));
    float *copy[5] = {0};
    for (int i = 0; i < state.solver_count; i++)
        copy[i] = state.solver[i] = memcpy(malloc(bytes), state.solver[i], bytes);
    copy[4] = state.latents = memcpy(malloc(bytes), state.latents, bytes);
    denoise_end(d);
    Status status = denoise_begin_with(e, s, &p[0], &p[1], &g->conditions, NULL, trace, d);
    if (!failed(status)) status = denoise_restore(*d, &state);
    for (int i = 0; i < 5; i++) free(copy[i]);
    return status;
}

static uint64_t digest(const void *data, size_t bytes)
{
    const unsigned char *p = data;
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < bytes; i++) h = (h ^ p[i]) * 1099511628211u;
    return h;
}

static Status run_shot(Engine *e, const ShotSpec *s, const Given *g, int resume_at, const Trace *trace,
                       ParityReport *report)
{
    Status status = status_ok();
    PromptEmbeds p[2] = {{0}};
    Denoise *d = NULL;
    Decode *decode = NULL;
    float *latents = NULL;
    int64_t dim[4];
    engine_latent_dims(engine_config(e), s, dim);
    TRY_OUT(engine_encode(e, s->prompt, "prompt", trace, &p[0]));
    if (s->guidance > 1) TRY_OUT(engine_encode(e, s->negative, "negative", trace, &p[1]));
    TRY_OUT(denoise_begin_with(e, s, &p[0], &p[1], &g->conditions, NULL, trace, &d));
    while (denoise_steps_done(d) < s->steps) {
        TRY_OUT(denoise_step(d));
        if (denoise_steps_done(d) == resume_at) TRY_OUT(start_again(e, s, p, g, trace, &d));
    }
    latents = memory_get((size_t)(dim[0] * dim[1] * dim[2] * dim[3]), sizeof *latents);
    TRY_OUT(denoise_result(d, latents));
    report->latents = digest(latents, (size_t)(dim[0] * dim[1] * dim[2] * dim[3]) * sizeof *latents);
    if (engine_group(e)->rank > 0) goto out; /* the first rank decodes */
    TRY_OUT(decode_begin(e, latents, dim, trace, &decode));
    for (int n = 1; n > 0;) {
        const float *frames;
        TRY_OUT(decode_next(decode, &frames, &n));
    }
out:
    free(latents);
    decode_end(&decode);
    denoise_end(&d);
    prompt_embeds_free(&p[0]);
    prompt_embeds_free(&p[1]);
    return status;
}

/* The uploaded pictures themselves are in the reference too; they are no result. */
static void count_missing(const Comparison *c)
{
    for (int i = 0; i < safetensors_count(c->want); i++) {
        const char *name = safetensors_at(c->want, i)->name;
        if (c->seen[i] || strncmp(name, "in.", 3) == 0) continue;
        if (c->verbose) printf("  %-44s missing\n", name);
        snprintf(c->report->missing_name, sizeof c->report->missing_name, "%s", name);
        c->report->missing++;
    }
}

/* The files that the call names, beside the note. */
static Status take_loras(Engine *e, json_t *note, const char *folder)
{
    const json_t *list = json_object_get(note, "loras");
    EngineAdapter adapter[ENGINE_MAX_ADAPTERS] = {0};
    char *path[ENGINE_MAX_ADAPTERS] = {0};
    const int count = (int)json_array_size(list);
    for (int i = 0; i < count && i < ENGINE_MAX_ADAPTERS; i++) {
        const json_t *one = json_array_get(list, (size_t)i);
        const char *expert = json_string_value(json_object_get(one, "expert"));
        path[i] = path_join(folder, json_string_value(json_object_get(one, "file")));
        adapter[i] = (EngineAdapter){path[i], json_number_value(json_object_get(one, "scale")),
                                     strcmp(expert, "high") == 0  ? ADAPTER_HIGH
                                     : strcmp(expert, "low") == 0 ? ADAPTER_LOW
                                                                  : ADAPTER_BOTH};
    }
    Status status = engine_set_adapters(e, adapter, count);
    for (int i = 0; i < count && i < ENGINE_MAX_ADAPTERS; i++) free(path[i]);
    return status;
}

static void put_nowhere(void *self, const char *name, const char *dtype, const void *data, int ndim, const int64_t *dim)
{
    (void)self, (void)name, (void)dtype, (void)data, (void)ndim, (void)dim;
}

Status parity_run(const char *folder, const ParityRun *run, ParityReport *report)
{
    Status status = status_ok();
    char *model = path_join(folder, "model"), *note_path = path_join(folder, "reference.json");
    char *want = path_join(folder, "reference.safetensors");
    Comparison c = {.verbose = run->verbose, .report = report};
    Coll *group = run->group ? run->group : coll_self();
    Engine *e = NULL;
    ShotSpec shot = {0};
    Given given = {0};
    struct timespec begin, end;
    *report = (ParityReport){0};
    clock_gettime(CLOCK_MONOTONIC, &begin);
    json_t *note = json_load_file(note_path, 0, NULL);
    if (!note) TRY_OUT(status_fail(ERR_INPUT, "%s: not readable", note_path));
    TRY_OUT(safetensors_open_file(want, &c.want));
    c.seen = memory_get((size_t)safetensors_count(c.want), sizeof *c.seen);
    TRY_OUT(engine_open_group(model, &run->backend, group, run->split, NULL, &e));
    TRY_OUT(take_loras(e, note, folder));
    shot_from_call(note, engine_config(e), &shot);
    Trace trace = {group->rank == 0 ? put : put_nowhere, &c, true};
    given_from(c.want, note, &given);
    TRY_OUT(run_shot(e, &shot, &given, run->resume_at, &trace, report));
    report->bytes_read = engine_bytes_read(e);
    report->peak_bytes = (int64_t)backend_peak_bytes(engine_backend(e));
    if (group->rank == 0) count_missing(&c);
    clock_gettime(CLOCK_MONOTONIC, &end);
    report->seconds = (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
out:
    free(given.video);
    free(given.mask);
    shot_clear(&shot);
    engine_close(&e);
    safetensors_close(&c.want);
    free(c.seen);
    json_decref(note);
    free(model);
    free(note_path);
    free(want);
    return status;
}
