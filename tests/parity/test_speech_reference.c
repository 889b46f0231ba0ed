/* What is heard of a voice against what transformers and diffsynth computed (fixtures/speech, made by make_speech.py): all hidden states of
 * wav2vec2, what clips take of them, the tokens of the audio encoder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/speech/audio_encoder.h"
#include "engine/speech/speech.h"
#include "engine/weights/safetensors.h"
#include "tests/parity/parity.h"

typedef struct {
    char *folder;
    json_t *note;
    Safetensors *want;
    Backend *be;
    Speech *speech;
    SpeechConfig config;
    AudioEncoder *audio;
    WeightPlan audio_plan;
    double most, worst; /* ratio */
} Voice;

static void must(Status s)
{
    if (failed(s)) fail_msg("%s", s.message);
}

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

static void open_voice(const char *kind, const BackendOptions *o, double most, Voice *v)
{
    WeightSource *source = NULL;
    char *path;
    *v = (Voice){.folder = text_format("%s/speech/%s", FIXTURES, kind), .most = most};
    must(backend_open(o, &v->be));
    must(model_config_read_speech(v->folder, &v->config));
    must(speech_open(v->folder, v->be, &v->speech));
    path = path_join(v->folder, "reference.json");
    v->note = json_load_file(path, 0, NULL);
    assert_non_null(v->note);
    free(path);
    path = path_join(v->folder, "reference.safetensors");
    must(safetensors_open_file(path, &v->want));
    free(path);
    const AudioConfig audio = {.layers = v->config.layers + 1,
                               .width = v->config.width,
                               .dim = (int)json_integer_value(json_object_get(v->note, "dim")),
                               .tokens = (int)json_integer_value(json_object_get(v->note, "tokens"))};
    v->audio = audio_encoder_new(&audio);
    audio_encoder_add(v->audio, &v->audio_plan, "casual_audio_encoder.");
    path = path_join(v->folder, "transformer.safetensors");
    must(weights_open_file(path, &source));
    free(path);
    must(weights_check(&v->audio_plan, source));
    must(weights_load(&v->audio_plan, source, v->be));
    weights_close(&source);
}

static void close_voice(Voice *v)
{
    must(backend_status(v->be));
    speech_free(&v->speech);
    weights_free(&v->audio_plan, v->be);
    weights_plan_clear(&v->audio_plan);
    audio_encoder_free(&v->audio);
    assert_int_equal(backend_kept_bytes(v->be), 0);
    backend_close(&v->be);
    safetensors_close(&v->want);
    json_decref(v->note);
    free(v->folder);
}

static void compare(Voice *v, const char *name, const float *number, int ndim, const int64_t *dim)
{
    const StoredTensor *t = safetensors_find(v->want, name);
    int64_t count = 1;
    if (!t) fail_msg("%s is not in the reference", name);
    assert_int_equal(t->ndim, ndim);
    for (int i = 0; i < ndim; i++) {
        if (t->dim[i] != dim[i]) fail_msg("%s: dimension %d is %d, expected %d", name, i, (int)dim[i], (int)t->dim[i]);
        count *= dim[i];
    }
    const double r = parity_ratio(number, t->data, count);
    v->worst = fmax(v->worst, r);
    if (!(r <= v->most)) fail_msg("%s differs by %g, expected at most %g", name, r, v->most);
}

static void compare_tensor(Voice *v, Tensor x, const char *name)
{
    float *host = memory_get((size_t)tensor_count(x), sizeof *host);
    backend_download(v->be, x, host);
    compare(v, name, host, x.ndim, x.dim);
    free(host);
}

static void check_tokens(Voice *v, const char *name, const float *clip)
{
    char text[64];
    ArenaMark mark = backend_mark(v->be);
    AudioTokens t = audio_encoder_run(v->audio, v->be, clip);
    snprintf(text, sizeof text, "%s.local", name);
    const int64_t tokens = t.local.dim[0] / CHAIN_CLIP_LATENTS;
    compare_tensor(v, tensor_reshape(t.local, 3, (int64_t[]){CHAIN_CLIP_LATENTS, tokens, t.local.dim[1]}), text);
    snprintf(text, sizeof text, "%s.global", name);
    compare_tensor(v, t.global, text);
    backend_release(v->be, mark);
}

typedef struct {
    float *number;
    int64_t layers, dim[2];
} Hidden;

static void put(void *self, const char *name, const char *dtype, const void *data, int ndim, const int64_t *dim)
{
    Hidden *h = self;
    const size_t count = (size_t)(dim[0] * dim[1]);
    char want[32];
    snprintf(want, sizeof want, "speech.hidden.%d", (int)h->layers);
    assert_string_equal(name, want);
    assert_string_equal(dtype, "f32");
    assert_int_equal(ndim, 2);
    memcpy(h->dim, dim, sizeof h->dim);
    h->number = memory_resize(h->number, (size_t)++h->layers * count, sizeof *h->number);
    memcpy(h->number + (size_t)(h->layers - 1) * count, data, count * sizeof *h->number);
}

static void check_sound(Voice *v, const char *name, int64_t samples)
{
    char text[64];
    Hidden hidden = {0};
    SpeechFeatures f;
    float *pcm = sound(samples, strcmp(name, "silence") == 0);
    must(speech_features(v->speech, pcm, samples, &(Trace){put, &hidden, true}, &f));
    assert_int_equal(f.clips, speech_clip_count(&v->config, samples));
    snprintf(text, sizeof text, "%s.hidden", name);
    if (safetensors_find(v->want, text))
        compare(v, text, hidden.number, 3, (int64_t[]){hidden.layers, hidden.dim[0], hidden.dim[1]});
    snprintf(text, sizeof text, "%s.features", name);
    compare(v, text, f.number, 4, (int64_t[]){f.clips, f.layers, f.width, CHAIN_CLIP_FRAMES});
    for (int i = 0; i < f.clips; i++) {
        snprintf(text, sizeof text, "%s.%d", name, i);
        check_tokens(v, text, speech_clip(&f, i));
    }
    speech_features_clear(&f);
    free(hidden.number);
    free(pcm);
}

static void check(const char *kind, const BackendOptions *o, double most)
{
    Voice v;
    const char *name;
    json_t *samples;
    open_voice(kind, o, most, &v);
    json_object_foreach(json_object_get(v.note, "sounds"), name, samples)
    {
        check_sound(&v, name, json_integer_value(samples));
    }
    check_tokens(&v, "nothing", NULL);
    print_message("%s: at most %.2e\n", kind, v.worst);
    close_voice(&v);
}

static void on_ref(void **state)
{
    (void)state;
    check("old", &(BackendOptions){.kind = BACKEND_REF}, 1e-5);
    check("new", &(BackendOptions){.kind = BACKEND_REF}, 1e-5);
}

static void on_cpu(void **state)
{
    (void)state;
    check("old", &(BackendOptions){.kind = BACKEND_CPU}, 1e-5);
    check("new", &(BackendOptions){.kind = BACKEND_CPU}, 1e-5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(on_ref), cmocka_unit_test(on_cpu)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
