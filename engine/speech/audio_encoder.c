#include "audio_encoder.h"

#include <stdlib.h>

#include "common/file.h"

enum { KERNEL = 3 };

struct AudioEncoder {
    AudioConfig config;
    Tensor shares; /* [layers] before SiLU */
    Conv local, global, conv2, conv3;
    Linear final;
    Tensor padding; /* [dim] */
};

/* ---- weights ------------------------------------------------------------------------------------------------------------ */

enum { LAYERS, IN, QUARTER, HALF, ALL, TOKENS };
#define ROOT(f) offsetof(AudioEncoder, f)
#define ROWS(r) r, (int)(sizeof r / sizeof *r)
#define ONE     NUMBER(1)
#define TAPS    NUMBER(KERNEL)

static const WeightRow root_rows[] = {
    {"weights", ROOT(shares), WEIGHT_VECTOR, SPLIT_NONE, 4, {ONE, LAYERS, ONE, ONE}},
    {"encoder.conv1_local.conv", ROOT(local), WEIGHT_CONV_LINE, SPLIT_NONE, 3, {TOKENS, IN, TAPS}},
    {"encoder.conv1_global.conv", ROOT(global), WEIGHT_CONV_LINE, SPLIT_NONE, 3, {QUARTER, IN, TAPS}},
    {"encoder.final_linear", ROOT(final), WEIGHT_LINEAR, SPLIT_NONE, 2, {ALL, ALL}},
    {"encoder.padding_tokens", ROOT(padding), WEIGHT_VECTOR, SPLIT_NONE, 4, {ONE, ONE, ONE, ALL}},
};
static const WeightRow halving_rows[] = {
    {"encoder.conv2.conv", ROOT(conv2), WEIGHT_CONV_LINE, SPLIT_NONE, 3, {HALF, QUARTER, TAPS}},
    {"encoder.conv3.conv", ROOT(conv3), WEIGHT_CONV_LINE, SPLIT_NONE, 3, {ALL, HALF, TAPS}},
};

static void set_sizes(WeightGroup *g, const AudioConfig *c)
{
    g->size[LAYERS] = c->layers;
    g->size[IN] = c->width;
    g->size[QUARTER] = c->dim / 4;
    g->size[HALF] = c->dim / 2;
    g->size[ALL] = c->dim;
    g->size[TOKENS] = (int64_t)c->tokens * (c->dim / 4);
}

AudioEncoder *audio_encoder_new(const AudioConfig *c)
{
    AudioEncoder *a = memory_get(1, sizeof *a);
    a->config = *c;
    return a;
}

void audio_encoder_add(AudioEncoder *a, WeightPlan *plan, const char *prefix)
{
    set_sizes(weights_add_group(plan, a, ROWS(root_rows), "%s", prefix), &a->config);
    WeightGroup *halving = weights_add_group(plan, a, ROWS(halving_rows), "%s", prefix);
    set_sizes(halving, &a->config);
    halving->stride = 2;
}

Status audio_encoder_shares(const AudioConfig *c, WeightSource *source, const char *prefix, Backend *be, float *shares)
{
    AudioEncoder a = {.config = *c};
    WeightPlan plan = {0};
    set_sizes(weights_add_group(&plan, &a, root_rows, 1, "%s", prefix), c);
    Status status = weights_load(&plan, source, be);
    if (!failed(status)) {
        backend_download(be, a.shares, shares);
        weights_free(&plan, be);
    }
    weights_plan_clear(&plan);
    return status;
}

void audio_encoder_free(AudioEncoder **a)
{
    free(*a);
    *a = NULL;
}

/* ---- the encoder ---------------------------------------------------------------------------------------------------------- */

/* -> [motion + frames, width]: the clip's frames, the first one repeated before it */
static Tensor heard(const AudioEncoder *a, Backend *be, const float *clip)
{
    const int64_t frames = CHAIN_CLIP_FRAMES, rows = CHAIN_MOTION_FRAMES + frames, width = a->config.width;
    if (!clip) return backend_zeros(be, 2, (int64_t[]){rows, width});
    float *row = memory_get((size_t)(rows * width), sizeof *row);
    for (int64_t d = 0; d < width; d++)
        for (int64_t f = 0; f < rows; f++)
            row[f * width + d] = clip[d * frames + (f < CHAIN_MOTION_FRAMES ? 0 : f - CHAIN_MOTION_FRAMES)];
    Tensor t = backend_upload(be, row, 2, (int64_t[]){rows, width});
    free(row);
    return t;
}

/* x [T,C] -> [T', C']: no frame sees a later one; before the first it is the first. */
static Tensor causal(Backend *be, Tensor x, const Conv *c)
{
    const int64_t before = KERNEL - 1, rows = x.dim[0], width = x.dim[1];
    Tensor all = backend_alloc(be, x.dtype, 4, (int64_t[]){1, before + rows, 1, width});
    Tensor flat = tensor_reshape(all, 2, (int64_t[]){before + rows, width});
    for (int64_t i = 0; i < before; i++) op_copy(be, tensor_rows(flat, i, 1), tensor_rows(x, 0, 1));
    op_copy(be, tensor_rows(flat, before, rows), x);
    Tensor y = op_conv(be, all, c);
    return tensor_reshape(y, 2, (int64_t[]){y.dim[1], y.dim[3]});
}

static Tensor norm_silu(Backend *be, Tensor x)
{
    return op_activation(be, op_layernorm(be, x, (Tensor){0}, (Tensor){0}, 1e-6f), ACT_SILU);
}

/* x [T, dim / 4], as the first convolution gives it -> [latent frames, dim], the motion's dropped */
static Tensor halve_twice(const AudioEncoder *a, Backend *be, Tensor x)
{
    x = norm_silu(be, causal(be, norm_silu(be, x), &a->conv2));
    x = norm_silu(be, causal(be, x, &a->conv3));
    return tensor_rows(x, CHAIN_MOTION_LATENTS, x.dim[0] - CHAIN_MOTION_LATENTS);
}

/* One token of each latent frame: x [latent frames, dim] of any type */
static void put_token(Backend *be, Tensor local, Tensor x, int64_t token)
{
    Tensor wide = backend_alloc(be, F32, 2, x.dim);
    op_copy(be, wide, x);
    op_put_columns(be, local, wide, token * x.dim[1]);
}

AudioTokens audio_encoder_run(const AudioEncoder *a, Backend *be, const float *clip)
{
    const AudioConfig *c = &a->config;
    const int64_t latents = CHAIN_CLIP_LATENTS, quarter = c->dim / 4, dim = c->dim;
    Tensor local = backend_alloc(be, F32, 2, (int64_t[]){latents, (c->tokens + 1) * dim});
    Tensor global = backend_alloc(be, F32, 2, (int64_t[]){latents, dim});
    ArenaMark mark = backend_mark(be);
    Tensor x = heard(a, be, clip), all = causal(be, x, &a->local);
    for (int i = 0; i < c->tokens; i++) {
        ArenaMark inner = backend_mark(be);
        put_token(be, local, halve_twice(a, be, op_columns(be, all, i * quarter, quarter)), i);
        backend_release(be, inner);
    }
    put_token(be, local, op_add(be, backend_zeros(be, 2, global.dim), a->padding), c->tokens);
    op_copy(be, global, op_linear(be, halve_twice(a, be, causal(be, x, &a->global)), &a->final, ACT_NONE));
    backend_release(be, mark);
    return (AudioTokens){tensor_reshape(local, 2, (int64_t[]){latents * (c->tokens + 1), dim}), global};
}
