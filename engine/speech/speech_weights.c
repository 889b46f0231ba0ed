/* speech_weights.c - wav2vec2's tensors: their table, loading, and the weight of the positional convolution, which files hold as length and
 * direction. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/speech/speech_parts.h"

enum { D, FFN, IN, OUT, KERNEL, GROUP /* channels of one */ };
#define CONV(f)  offsetof(SpeechConv, f)
#define LAYER(f) offsetof(EncoderLayer, f)
#define ROOT(f)  offsetof(Speech, f)
#define ROWS(r)  r, (int)(sizeof r / sizeof *r)
#define POSITION "encoder.pos_conv_embed.conv."

static const WeightRow first_rows[] = {
    {"conv", CONV(first), WEIGHT_LINEAR, SPLIT_NONE, 3, {OUT, IN, KERNEL}},
    {"layer_norm.weight", CONV(gain), WEIGHT_VECTOR, SPLIT_NONE, 1, {OUT}},
    {"layer_norm.bias", CONV(bias), WEIGHT_VECTOR, SPLIT_NONE, 1, {OUT}},
};
static const WeightRow conv_rows[] = {
    {"conv", CONV(conv), WEIGHT_CONV_LINE, SPLIT_NONE, 3, {OUT, IN, KERNEL}},
    {"layer_norm.weight", CONV(gain), WEIGHT_VECTOR, SPLIT_NONE, 1, {OUT}},
    {"layer_norm.bias", CONV(bias), WEIGHT_VECTOR, SPLIT_NONE, 1, {OUT}},
};
/* torch.nn.utils.weight_norm's names, or those of torch.nn.utils.parametrizations.weight_norm */
static const WeightRow root_rows[] = {
    {"feature_projection.layer_norm.weight", ROOT(project_gain), WEIGHT_VECTOR, SPLIT_NONE, 1, {IN}},
    {"feature_projection.layer_norm.bias", ROOT(project_bias), WEIGHT_VECTOR, SPLIT_NONE, 1, {IN}},
    {"feature_projection.projection", ROOT(project), WEIGHT_LINEAR, SPLIT_NONE, 2, {D, IN}},
    {POSITION "weight_g|" POSITION "parametrizations.weight.original0",
     ROOT(position_length),
     WEIGHT_VECTOR,
     SPLIT_NONE,
     3,
     {NUMBER(1), NUMBER(1), KERNEL}},
    {POSITION "weight_v|" POSITION "parametrizations.weight.original1",
     ROOT(position_direction),
     WEIGHT_VECTOR,
     SPLIT_NONE,
     3,
     {D, GROUP, KERNEL}},
    {POSITION "bias", ROOT(position_bias), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
    {"encoder.layer_norm.weight", ROOT(norm_gain), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
    {"encoder.layer_norm.bias", ROOT(norm_bias), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
};
static const WeightRow layer_rows[] = {
    {"layer_norm.weight", LAYER(norm1_gain), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
    {"layer_norm.bias", LAYER(norm1_bias), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
    {"attention.q_proj", LAYER(q), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D, D}},
    {"attention.k_proj", LAYER(k), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D, D}},
    {"attention.v_proj", LAYER(v), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D, D}},
    {"attention.out_proj", LAYER(out), WEIGHT_LINEAR, SPLIT_IN_HEADS, 2, {D, D}},
    {"final_layer_norm.weight", LAYER(norm2_gain), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
    {"final_layer_norm.bias", LAYER(norm2_bias), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
    {"feed_forward.intermediate_dense", LAYER(up), WEIGHT_LINEAR, SPLIT_OUT, 2, {FFN, D}},
    {"feed_forward.output_dense", LAYER(down), WEIGHT_LINEAR, SPLIT_IN, 2, {D, FFN}},
};

static void add_convs(Speech *s, const char *prefix)
{
    const SpeechConfig *c = &s->config;
    for (int i = 0; i < c->convs; i++) {
        const WeightRow *rows = i ? conv_rows : first_rows;
        WeightGroup *g = weights_add_group(&s->plan, &s->conv[i], rows, (int)(sizeof conv_rows / sizeof *conv_rows),
                                           "%sfeature_extractor.conv_layers.%d.", prefix, i);
        g->size[IN] = i ? c->conv_dim[i - 1] : 1;
        g->size[OUT] = c->conv_dim[i];
        g->size[KERNEL] = c->conv_kernel[i];
        g->stride = c->conv_stride[i];
    }
}

Speech *speech_new(const SpeechConfig *c, const char *prefix)
{
    static const char *const ignored[] = {"masked_spec_embed", "^lm_head.", "^project_", "^quantizer.", NULL};
    Speech *s = memory_get(1, sizeof *s);
    s->config = *c;
    s->tensor = coll_self();
    s->heads = c->heads;
    s->layer = memory_get((size_t)c->layers, sizeof *s->layer);
    s->position = memory_get((size_t)c->position_groups, sizeof *s->position);
    s->plan.ignored = ignored;
    add_convs(s, prefix);
    WeightGroup *root = weights_add_group(&s->plan, s, ROWS(root_rows), "%s", prefix);
    root->size[D] = c->width;
    root->size[IN] = c->conv_dim[c->convs - 1];
    root->size[KERNEL] = c->position_kernel;
    root->size[GROUP] = c->width / c->position_groups;
    for (int i = 0; i < c->layers; i++) {
        WeightGroup *g = weights_add_group(&s->plan, &s->layer[i], ROWS(layer_rows), "%sencoder.layers.%d.", prefix, i);
        g->size[D] = c->width;
        g->size[FFN] = c->ffn_dim;
        g->heads = c->heads;
    }
    return s;
}

void speech_divide(Speech *s, Coll *tensor)
{
    s->tensor = tensor;
    s->plan.rank = tensor->rank;
    s->plan.ranks = tensor->size;
    s->heads = (int)weights_share(s->config.heads, s->config.heads, tensor->rank, tensor->size).count;
}

const WeightPlan *speech_plan(const Speech *s) { return &s->plan; }

const char *speech_prefix(const WeightSource *s)
{
    return weights_has(s, "wav2vec2.feature_projection.projection.weight") ? "wav2vec2." : "";
}

/* weight[n,c,k] = length[k] * direction[n,c,k] / |direction[.,.,k]|, in place (Salimans and Kingma 2016, over the last dimension). */
static void give_length(float *direction, int64_t count, const float *length, int kernel)
{
    double *square = memory_get((size_t)kernel, sizeof *square);
    for (int64_t i = 0; i < count; i++) square[i % kernel] += (double)direction[i] * direction[i];
    for (int64_t i = 0; i < count; i++)
        direction[i] = (float)(direction[i] * (length[i % kernel] / sqrt(square[i % kernel])));
    free(square);
}

/* weight [D, D / groups, kernel] and bias [D] in host memory, or NULL where there are no numbers */
static Status pack_groups(Speech *s, Backend *be, float *weight, float *bias)
{
    const int kernel = s->config.position_kernel;
    const int64_t group = s->config.width / s->config.position_groups;
    for (int i = 0; i < s->config.position_groups; i++) {
        Conv *c = &s->position[i];
        *c = (Conv){.stride = {1, 1, 1}, .pad = {{kernel / 2, (kernel - 1) / 2}}};
        Tensor w = tensor_view(weight ? weight + i * group * group * kernel : NULL, F32, 4,
                               (int64_t[]){group, group, kernel, 1});
        TRY(conv_pack(be, w, tensor_view(bias ? bias + i * group : NULL, F32, 1, &group), c));
    }
    return status_ok();
}

static Status pack_positions(Speech *s, Backend *be)
{
    const int64_t count = tensor_count(s->position_direction);
    float *weight = NULL, *length = NULL, *bias = NULL;
    Status status = status_ok();
    TRY_MEMORY_OUT(weight, count);
    TRY_MEMORY_OUT(length, s->config.position_kernel);
    TRY_MEMORY_OUT(bias, s->config.width);
    backend_download(be, s->position_direction, weight);
    backend_download(be, s->position_length, length);
    backend_download(be, s->position_bias, bias);
    TRY_OUT(backend_status(be));
    give_length(weight, count, length, s->config.position_kernel);
    status = pack_groups(s, be, weight, bias);
out:
    free(weight);
    free(length);
    free(bias);
    return status;
}

static void free_weights(Speech *s, Backend *be)
{
    weights_free(&s->plan, be);
    for (int i = 0; i < s->config.position_groups; i++) conv_free(be, &s->position[i]);
}

Status speech_load(Speech *s, WeightSource *source, Backend *be)
{
    const DType before = backend_begin_exact(be);
    Status status = weights_load(&s->plan, source, be);
    if (!failed(status)) {
        status = backend_plans(be) ? pack_groups(s, be, NULL, NULL) : pack_positions(s, be);
        backend_drop(be, &s->position_direction);
        if (failed(status)) free_weights(s, be);
    }
    backend_end_exact(be, before);
    if (!failed(status)) s->be = be;
    return status;
}

bool speech_is_loaded(const Speech *s) { return s->be != NULL; }

void speech_unload(Speech *s)
{
    if (s->be) free_weights(s, s->be);
    s->be = NULL;
}

void speech_free(Speech **s)
{
    if (!*s) return;
    speech_unload(*s);
    weights_plan_clear(&(*s)->plan);
    free((*s)->position);
    free((*s)->layer);
    free(*s);
    *s = NULL;
}

Status speech_open(const char *model_folder, Backend *be, Coll *tensor, Speech **out)
{
    SpeechConfig config;
    WeightSource *source = NULL;
    Speech *s = NULL;
    *out = NULL;
    TRY(model_config_read_speech(model_folder, &config));
    char *folder = path_join(model_folder, "audio_encoder");
    Status status = weights_open(folder, "model", &source);
    free(folder);
    if (!failed(status)) s = speech_new(&config, speech_prefix(source));
    if (s) speech_divide(s, tensor);
    if (!failed(status)) status = weights_check(&s->plan, source);
    if (!failed(status)) status = speech_load(s, source, be);
    weights_close(&source);
    if (failed(status)) speech_free(&s);
    *out = s;
    return status;
}
