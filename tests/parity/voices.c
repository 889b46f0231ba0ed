#include "voices.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/speech/audio_encoder.h"
#include "engine/speech/speech_parts.h"
#include "engine/weights/safetensors.h"
#include "tests/parity/parity.h"

typedef struct {
    const char *folder;
    json_t *note;
    Safetensors *want;
    Backend *be;
    Speech *speech;
    SpeechConfig config;
    AudioEncoder *audio;
    WeightPlan audio_plan;
    float *shares;
    double worst;
} Voice;

/* make_speech.py's `sound` */
static float *sound(int64_t samples, bool silence)
{
    float *pcm = memory_get((size_t)samples, sizeof *pcm);
    uint64_t state = 1;
    for (int64_t i = 0; i < samples && !silence; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const int64_t whole = (int64_t)(state >> 40) - (1 << 23);
        pcm[i] = (float)whole / (float)(1 << 23) * (float)(i / 1600 % 7 + 1) / 8.0f + 0.1f;
    }
    return pcm;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------ */

static Status read_files(Voice *v)
{
    char *path = path_join(v->folder, "reference.json");
    v->note = json_load_file(path, 0, NULL);
    free(path);
    if (!v->note) return status_fail(ERR_INPUT, "%s: no reference.json", v->folder);
    path = path_join(v->folder, "reference.safetensors");
    Status status = safetensors_open_file(path, &v->want);
    free(path);
    return status;
}

static Status open_audio(Voice *v)
{
    const AudioConfig audio = {.layers = v->config.layers + 1,
                               .width = v->config.width,
                               .dim = (int)json_integer_value(json_object_get(v->note, "dim")),
                               .tokens = (int)json_integer_value(json_object_get(v->note, "tokens"))};
    WeightSource *source = NULL;
    v->audio = audio_encoder_new(&audio);
    audio_encoder_add(v->audio, &v->audio_plan, "casual_audio_encoder.");
    char *path = path_join(v->folder, "transformer.safetensors");
    Status status = weights_open_file(path, &source);
    free(path);
    if (!failed(status)) status = weights_check(&v->audio_plan, source);
    if (!failed(status)) status = weights_load(&v->audio_plan, source, v->be);
    v->shares = memory_get((size_t)audio.layers, sizeof *v->shares);
    if (!failed(status)) status = audio_encoder_shares(&audio, source, "casual_audio_encoder.", v->be, v->shares);
    weights_close(&source);
    return status;
}

static void close_voice(Voice *v)
{
    speech_free(&v->speech);
    if (v->be) weights_free(&v->audio_plan, v->be);
    weights_plan_clear(&v->audio_plan);
    audio_encoder_free(&v->audio);
    free(v->shares);
    backend_close(&v->be);
    safetensors_close(&v->want);
    json_decref(v->note);
}

/* ---- comparing ---------------------------------------------------------------------------------------------------------- */

static Status compare(Voice *v, const char *name, const float *number, int ndim, const int64_t *dim)
{
    const StoredTensor *t = safetensors_find(v->want, name);
    int64_t count = 1;
    bool same = t && t->ndim == ndim;
    for (int i = 0; same && i < ndim; i++) {
        same = t->dim[i] == dim[i];
        count *= dim[i];
    }
    if (!same) return status_fail(ERR_INPUT, "%s: %s is not there, or of another shape", v->folder, name);
    v->worst = fmax(v->worst, parity_ratio(number, t->data, count));
    return status_ok();
}

static Status compare_tensor(Voice *v, Tensor x, const char *name)
{
    float *host = memory_get((size_t)tensor_count(x), sizeof *host);
    backend_download(v->be, x, host);
    Status status = backend_status(v->be);
    if (!failed(status)) status = compare(v, name, host, x.ndim, x.dim);
    free(host);
    return status;
}

static Status compare_tokens(Voice *v, const char *name, const float *clip)
{
    char text[64];
    ArenaMark mark = backend_mark(v->be);
    AudioTokens t = audio_encoder_run(v->audio, v->be, clip);
    snprintf(text, sizeof text, "%s.local", name);
    const int64_t tokens = t.local.dim[0] / CHAIN_CLIP_LATENTS;
    Tensor local = tensor_reshape(t.local, 3, (int64_t[]){CHAIN_CLIP_LATENTS, tokens, t.local.dim[1]});
    Status status = compare_tensor(v, local, text);
    snprintf(text, sizeof text, "%s.global", name);
    if (!failed(status)) status = compare_tensor(v, t.global, text);
    backend_release(v->be, mark);
    return status;
}

typedef struct {
    float *number;
    int64_t layers, dim[2];
} Hidden;

static void put(void *self, const char *name, const char *dtype, const void *data, int ndim, const int64_t *dim)
{
    Hidden *h = self;
    const size_t count = (size_t)(dim[0] * dim[1]);
    (void)name, (void)dtype, (void)ndim;
    memcpy(h->dim, dim, sizeof h->dim);
    h->number = memory_resize(h->number, (size_t)++h->layers * count, sizeof *h->number);
    memcpy(h->number + (size_t)(h->layers - 1) * count, data, count * sizeof *h->number);
}

/* What each layer alone gives the clips: of a mixture of it alone. */
static Status compare_layers(Voice *v, const char *name, const Hidden *h, int clips)
{
    const int64_t rows = h->dim[0], width = h->dim[1], of_clip = width * CHAIN_CLIP_FRAMES;
    float *all = memory_get((size_t)(clips * h->layers * of_clip), sizeof *all);
    for (int64_t layer = 0; layer < h->layers; layer++) {
        double *mixed = memory_get((size_t)(clips * of_clip), sizeof *mixed);
        speech_pick(h->number + layer * rows * width, rows, 1, clips, width, mixed);
        for (int64_t i = 0; i < clips * of_clip; i++)
            all[(i / of_clip * h->layers + layer) * of_clip + i % of_clip] = (float)mixed[i];
        free(mixed);
    }
    Status status = compare(v, name, all, 4, (int64_t[]){clips, h->layers, width, CHAIN_CLIP_FRAMES});
    free(all);
    return status;
}

static Status compare_sound(Voice *v, const char *name, int64_t samples)
{
    char text[64];
    Hidden hidden = {0};
    SpeechFeatures f = {0};
    float *pcm = sound(samples, strcmp(name, "silence") == 0);
    Status status = speech_features(v->speech, v->shares, pcm, samples, &(Trace){put, &hidden, true}, &f);
    if (!failed(status) && f.clips != speech_clip_count(&v->config, samples))
        status = status_fail(ERR_INPUT, "%s: %d clips", name, f.clips);
    snprintf(text, sizeof text, "%s.hidden", name);
    if (!failed(status) && safetensors_find(v->want, text))
        status = compare(v, text, hidden.number, 3, (int64_t[]){hidden.layers, hidden.dim[0], hidden.dim[1]});
    snprintf(text, sizeof text, "%s.features", name);
    if (!failed(status)) status = compare_layers(v, text, &hidden, f.clips);
    for (int i = 0; i < f.clips && !failed(status); i++) {
        snprintf(text, sizeof text, "%s.%d", name, i);
        status = compare_tokens(v, text, speech_clip(&f, i));
    }
    speech_features_clear(&f);
    free(hidden.number);
    free(pcm);
    return status;
}

Status voices_compare(const char *folder, const BackendOptions *o, Coll *group, double *worst)
{
    Voice v = {.folder = folder};
    const char *name;
    json_t *samples;
    Status status = status_ok();
    TRY_OUT(read_files(&v));
    TRY_OUT(backend_open(o, &v.be));
    TRY_OUT(model_config_read_speech(folder, &v.config));
    TRY_OUT(speech_open(folder, v.be, group, &v.speech));
    TRY_OUT(open_audio(&v));
    json_object_foreach(json_object_get(v.note, "sounds"), name, samples)
    {
        TRY_OUT(compare_sound(&v, name, json_integer_value(samples)));
    }
    TRY_OUT(compare_tokens(&v, "nothing", NULL));
    *worst = v.worst;
out:
    close_voice(&v);
    return status;
}
