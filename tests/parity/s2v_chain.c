#include "s2v.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/decode_parts.h"
#include "engine/weights/safetensors.h"

typedef struct {
    Safetensors *want;
    S2vChainReport *report;
    Engine *engine;
    ShotSpec shot;
    Conditions given;
    PromptEmbeds prompt, negative;
    float *sound;
    int frames; /* decoded so far */
} Chained;

static void compare(Chained *c, const char *name, const float *have)
{
    const StoredTensor *t = safetensors_find(c->want, name);
    if (!t) return;
    double *worst = strstr(name, "cond")      ? &c->report->model
                    : strstr(name, "latents") ? &c->report->latents
                                              : &c->report->video;
    const double r = parity_ratio(have, t->data, stored_count(t));
    c->report->compared++;
    if (r > *worst) snprintf(c->report->where, sizeof c->report->where, "%s", name);
    if (r > *worst) *worst = r;
}

static void put(void *self, const char *name, const char *dtype, const void *data, int ndim, const int64_t *dim)
{
    Chained *c = self;
    (void)ndim, (void)dim;
    if (strncmp(name, "step.", 5) == 0 && strcmp(dtype, "f32") == 0) compare(c, name, data);
}

static Status put_frames(void *self, const float *frames, int n, int height, int width)
{
    Chained *c = self;
    for (int i = 0; i < n; i++, c->frames++) {
        char name[32];
        snprintf(name, sizeof name, "shown.%d", c->frames);
        compare(c, name, frames + (int64_t)i * height * width * 3);
    }
    return status_ok();
}

static void read_call(Chained *c, const json_t *note)
{
    const json_t *call = json_object_get(note, "call");
    shot_copy(&c->shot, &engine_config(c->engine)->defaults);
    c->shot.width = (int)json_integer_value(json_object_get(call, "width"));
    c->shot.height = (int)json_integer_value(json_object_get(call, "height"));
    c->shot.frames = (int)json_integer_value(json_object_get(call, "num_frames"));
    c->shot.steps = (int)json_integer_value(json_object_get(call, "num_inference_steps"));
    c->shot.guidance = json_number_value(json_object_get(call, "guidance_scale"));
    c->shot.seed = (uint64_t)json_integer_value(json_object_get(note, "noise_seed"));
}

static Status encode_texts(Chained *c, const json_t *note)
{
    const json_t *call = json_object_get(note, "call");
    TRY(engine_encode(c->engine, json_string_value(json_object_get(call, "prompt")), "prompt", NULL, &c->prompt));
    return engine_encode(c->engine, json_string_value(json_object_get(call, "negative_prompt")), "negative", NULL,
                         &c->negative);
}

static Status begin(Chained *c, const Trace *trace, Denoise **out)
{
    return denoise_begin_with(c->engine, &c->shot, &c->prompt, &c->negative, &c->given, NULL, trace, out);
}

/* A copy of the state of one is taken up by another. */
static Status start_again(Chained *c, const Trace *trace, Denoise **d)
{
    DenoiseState state;
    Denoise *next = NULL;
    TRY(begin(c, trace, &next));
    Status status = denoise_state(*d, &state);
    if (!failed(status)) status = denoise_restore(next, &state); /* copies */
    denoise_end(d);
    *d = next;
    return status;
}

static Status run_all(Chained *c, const ParityRun *run)
{
    const Trace trace = {put, c, false};
    const int steps = engine_steps(engine_config(c->engine), &c->shot);
    Denoise *d = NULL;
    float *latents = NULL;
    int64_t dim[4];
    Status status = begin(c, &trace, &d);
    while (!failed(status) && denoise_steps_done(d) < steps) {
        status = denoise_step(d);
        c->report->steps++;
        if (!failed(status) && (run->resume_at < 0 || denoise_steps_done(d) == run->resume_at))
            status = start_again(c, &trace, &d);
    }
    engine_result_dims(engine_config(c->engine), &c->shot, dim);
    const size_t count = (size_t)(dim[0] * dim[1] * dim[2] * dim[3]);
    latents = memory_get(count, sizeof *latents);
    if (!failed(status)) status = denoise_result(d, latents);
    denoise_end(&d);
    c->report->sum = 14695981039346656037u;
    for (size_t i = 0; i < count * sizeof *latents; i++)
        c->report->sum = (c->report->sum ^ ((const uint8_t *)latents)[i]) * 1099511628211u;
    const int parts = decode_parts(engine_config(c->engine), dim[1]);
    for (int i = 0; i < parts && !failed(status) && engine_group(c->engine)->rank == 0; i++)
        status = decode_part(c->engine, latents, dim, &(DecodePart){.i = i, .most = c->shot.frames - c->frames},
                             (FrameSink){put_frames, c});
    free(latents);
    return status;
}

Status s2v_chain(const char *model, const char *folder, const ParityRun *run, S2vChainReport *out)
{
    Chained c = {.report = out};
    char *note_path = path_join(folder, "reference.json"), *want = path_join(folder, "reference.safetensors");
    json_t *note = json_load_file(note_path, 0, NULL);
    Picture image;
    Status status = note ? status_ok() : status_fail(ERR_INPUT, "%s: not readable", note_path);
    *out = (S2vChainReport){0};
    if (failed(status)) goto out;
    TRY_OUT(safetensors_open_file(want, &c.want));
    TRY_OUT(
        engine_open_group(model, &run->backend, run->group ? run->group : coll_self(), run->split, NULL, &c.engine));
    const StoredTensor *pcm = safetensors_find(c.want, "in.pcm"), *picture = safetensors_find(c.want, "in.image");
    c.sound = memory_get((size_t)stored_count(pcm), sizeof *c.sound);
    stored_to_float(pcm, 1, c.sound);
    image = (Picture){(int)picture->dim[1], (int)picture->dim[0], picture->data};
    c.given = (Conditions){.image = &image, .sound = c.sound, .sound_samples = stored_count(pcm)};
    read_call(&c, note);
    TRY_OUT(encode_texts(&c, note));
    TRY_OUT(run_all(&c, run));
out:
    prompt_embeds_free(&c.prompt);
    prompt_embeds_free(&c.negative);
    shot_clear(&c.shot);
    engine_close(&c.engine);
    safetensors_close(&c.want);
    free(c.sound);
    json_decref(note);
    free(note_path);
    free(want);
    return status;
}
