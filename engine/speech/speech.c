#include "speech.h"

#include <math.h>
#include <stdlib.h>

#include "common/file.h"
#include "engine/speech/speech_parts.h"

enum { CHUNK_ROWS = 256 /* that the convolutions make at a time: they see 400 samples, whatever the sound's length */ };

/* ---- the sound ---------------------------------------------------------------------------------------------------------- */

typedef struct { /* borrowed numbers, which count as (number - mean) * factor; number NULL: only counted */
    const float *number;
    int64_t count;
    double mean, factor;
} Wave;

/* To mean 0 and variance 1; 1e-7 as transformers' Wav2Vec2FeatureExtractor has it. */
static Wave wave_of(const SpeechConfig *c, const float *pcm, int64_t samples)
{
    Wave w = {.number = pcm, .count = samples, .factor = 1};
    double square = 0;
    if (!pcm || !c->normalize) return w;
    for (int64_t i = 0; i < samples; i++) w.mean += pcm[i];
    w.mean /= (double)samples;
    for (int64_t i = 0; i < samples; i++) square += (pcm[i] - w.mean) * (pcm[i] - w.mean);
    w.factor = 1 / sqrt(square / (double)samples + 1e-7);
    return w;
}

/* `count` windows of `kernel` samples each, `stride` apart, from sample `first` on -> [count, kernel] */
static Tensor windows(Backend *be, const Wave *w, int64_t first, int64_t count, int kernel, int stride)
{
    float *host = memory_get((size_t)(count * kernel), sizeof *host);
    for (int64_t i = 0; i < count * kernel && w->number; i++) {
        const int64_t at = first + i / kernel * stride + i % kernel;
        host[i] = (float)((w->number[at] - w->mean) * w->factor);
    }
    Tensor t = backend_upload(be, host, 2, (int64_t[]){count, kernel});
    free(host);
    return t;
}

/* ---- convolutions --------------------------------------------------------------------------------------------------------- */

static Tensor finish_conv(const Speech *s, const SpeechConv *c, Tensor y)
{
    return op_activation(s->be, op_layernorm(s->be, y, c->gain, c->bias, 1e-5f), ACT_GELU_ERF);
}

/* Rows first .. first + count of what the convolutions make of the sound: [count, channels] */
static Tensor convolve(const Speech *s, const Wave *w, int64_t first, int64_t count)
{
    const SpeechConfig *c = &s->config;
    int64_t many = count, begin = first;
    for (int i = c->convs - 1; i > 0; i--) {
        many = (many - 1) * c->conv_stride[i] + c->conv_kernel[i];
        begin *= c->conv_stride[i];
    }
    Tensor x = windows(s->be, w, begin * c->conv_stride[0], many, c->conv_kernel[0], c->conv_stride[0]);
    x = finish_conv(s, &s->conv[0], op_linear(s->be, x, &s->conv[0].first, ACT_NONE));
    for (int i = 1; i < c->convs; i++) {
        x = tensor_reshape(x, 4, (int64_t[]){1, tensor_count(x) / c->conv_dim[i - 1], 1, c->conv_dim[i - 1]});
        x = finish_conv(s, &s->conv[i], op_conv(s->be, x, &s->conv[i].conv));
    }
    return tensor_reshape(x, 2, (int64_t[]){count, c->conv_dim[c->convs - 1]});
}

static void project(const Speech *s, const Wave *w, Tensor x)
{
    for (int64_t first = 0; first < x.dim[0]; first += CHUNK_ROWS) {
        const int64_t left = x.dim[0] - first, count = left < CHUNK_ROWS ? left : CHUNK_ROWS;
        ArenaMark mark = backend_mark(s->be);
        Tensor y = op_layernorm(s->be, convolve(s, w, first, count), s->project_gain, s->project_bias, s->config.eps);
        op_copy(s->be, tensor_rows(x, first, count), op_linear(s->be, y, &s->project, ACT_NONE));
        backend_release(s->be, mark);
    }
}

/* x += GELU(convolution of x): each group of channels sees itself alone. */
static void add_positions(const Speech *s, Tensor x)
{
    Backend *be = s->be;
    const int64_t group = s->config.width / s->config.position_groups;
    ArenaMark mark = backend_mark(be);
    Tensor all = backend_alloc(be, F32, 2, x.dim);
    for (int i = 0; i < s->config.position_groups; i++) {
        ArenaMark inner = backend_mark(be);
        Tensor own = tensor_reshape(op_columns(be, x, i * group, group), 4, (int64_t[]){1, x.dim[0], 1, group});
        Tensor y = op_conv(be, own, &s->position[i]);
        op_put_columns(be, all, tensor_reshape(y, 2, (int64_t[]){x.dim[0], group}), i * group);
        backend_release(be, inner);
    }
    op_add_to(be, x, op_activation(be, all, ACT_GELU_ERF), 1);
    backend_release(be, mark);
}

/* ---- the encoder ----------------------------------------------------------------------------------------------------------- */

typedef struct {
    const float *shares; /* after SiLU */
    float *host;         /* [rows, width] of one layer */
    double *mixed;       /* [clips][width][CHAIN_CLIP_FRAMES] */
    int clips;
} Mixture;

/* Layer `layer` of the hidden ones goes to the clips. */
static void take(const Speech *s, Tensor x, int layer, const Mixture *m, const Trace *trace)
{
    backend_download(s->be, x, m->host);
    if (backend_plans(s->be) || failed(backend_status(s->be))) return;
    trace_floats(trace, m->host, 2, x.dim, "speech.hidden.%d", layer);
    speech_pick(m->host, x.dim[0], m->shares[layer], m->clips, s->config.width, m->mixed);
}

static void encode(const Speech *s, const Wave *w, const Mixture *m, const Trace *trace)
{
    Backend *be = s->be;
    const SpeechConfig *c = &s->config;
    ArenaMark mark = backend_mark(be);
    Tensor x = backend_zeros(be, 2, (int64_t[]){speech_rows(c, w->count), c->width});
    project(s, w, x);
    add_positions(s, x);
    for (int i = 0; i < c->layers; i++) {
        take(s, x, i, m, trace);
        encoder_layer_add(be, s->tensor, &s->layer[i], s->heads, c->width / c->heads, c->eps, x);
    }
    take(s, op_layernorm(be, x, s->norm_gain, s->norm_bias, c->eps), c->layers, m, trace);
    backend_release(be, mark);
}

static Status check_length(const SpeechConfig *c, int64_t samples)
{
    if (speech_clip_count(c, samples) == 0)
        return status_fail(ERR_INPUT, "a voice of %lld samples, expected at least %lld (%.3f s)", (long long)samples,
                           (long long)speech_least_samples(c), (double)speech_least_samples(c) / SPEECH_RATE);
    if (samples > (int64_t)SPEECH_MAX_S * SPEECH_RATE)
        return status_fail(ERR_INPUT, "a voice of %lld samples, expected at most %d s of %d", (long long)samples,
                           SPEECH_MAX_S, SPEECH_RATE);
    return status_ok();
}

Status speech_features(Speech *s, const float *shares, const float *pcm, int64_t samples, const Trace *trace,
                       SpeechFeatures *out)
{
    const SpeechConfig *c = &s->config;
    *out = (SpeechFeatures){.clips = speech_clip_count(c, samples), .width = c->width};
    TRY(check_length(c, samples));
    const Wave wave = wave_of(c, backend_plans(s->be) ? NULL : pcm, samples);
    const int64_t count = (int64_t)out->clips * out->width * CHAIN_CLIP_FRAMES;
    float *acts = memory_get((size_t)c->layers + 1, sizeof *acts);
    double sum = 0;
    for (int i = 0; i <= c->layers && shares; i++) sum += (acts[i] = shares[i] / (1 + expf(-shares[i])));
    const Mixture m = {acts, memory_large((size_t)(speech_rows(c, samples) * c->width), sizeof(float)),
                       memory_large((size_t)count, sizeof(double)), out->clips};
    out->number = memory_large((size_t)count, sizeof *out->number);
    Status status = status_ok();
    if (!m.host || !m.mixed || !out->number)
        status = status_fail(ERR_NODE, "out of memory for %lld numbers", (long long)count);
    const DType before = backend_begin_exact(s->be);
    if (!failed(status)) encode(s, &wave, &m, trace);
    if (!failed(status)) status = backend_status(s->be);
    backend_end_exact(s->be, before);
    for (int64_t i = 0; i < count && shares && !failed(status); i++) out->number[i] = (float)(m.mixed[i] / sum);
    free(m.host);
    free(m.mixed);
    free(acts);
    if (failed(status)) speech_features_clear(out);
    return status;
}
