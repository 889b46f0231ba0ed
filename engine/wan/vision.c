#include "vision.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/speech/encoder_layer.h"
#include "engine/wan/picture.h"

struct Vision {
    VisionConfig config;
    Backend *be;
    Coll *tensor;
    int heads; /* of this rank */
    WeightPlan plan;
    Tensor class_row, positions, norm_gain, norm_bias;
    Linear patch;
    EncoderLayer *layer;
    int layers; /* that are computed: all but the last */
    char last_layer[64];
    const char *ignored[8];
};

/* ---- weights ------------------------------------------------------------------------------------------------------------ */

enum { D, FFN, TOKENS, PATCH };
#define LAYER(f) offsetof(EncoderLayer, f)
#define ROOT(f)  offsetof(Vision, f)
#define ROWS(r)  r, (int)(sizeof r / sizeof *r)

static const WeightRow root_rows[] = {
    {"embeddings.class_embedding", ROOT(class_row), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
    {"embeddings.patch_embedding", ROOT(patch), WEIGHT_LINEAR_PLAIN, SPLIT_NONE, 4, {D, NUMBER(3), PATCH, PATCH}},
    {"embeddings.position_embedding.weight", ROOT(positions), WEIGHT_VECTOR, SPLIT_NONE, 2, {TOKENS, D}},
    {"pre_layrnorm.weight", ROOT(norm_gain), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}}, /* the published name */
    {"pre_layrnorm.bias", ROOT(norm_bias), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
};
static const WeightRow layer_rows[] = {
    {"layer_norm1.weight", LAYER(norm1_gain), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
    {"layer_norm1.bias", LAYER(norm1_bias), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
    {"self_attn.q_proj", LAYER(q), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D, D}},
    {"self_attn.k_proj", LAYER(k), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D, D}},
    {"self_attn.v_proj", LAYER(v), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D, D}},
    {"self_attn.out_proj", LAYER(out), WEIGHT_LINEAR, SPLIT_IN_HEADS, 2, {D, D}},
    {"layer_norm2.weight", LAYER(norm2_gain), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
    {"layer_norm2.bias", LAYER(norm2_bias), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
    {"mlp.fc1", LAYER(up), WEIGHT_LINEAR, SPLIT_OUT, 2, {FFN, D}},
    {"mlp.fc2", LAYER(down), WEIGHT_LINEAR, SPLIT_IN, 2, {D, FFN}},
};

int vision_tokens(const VisionConfig *c) { return (c->image_size / c->patch) * (c->image_size / c->patch) + 1; }

static void set_sizes(WeightGroup *g, const VisionConfig *c)
{
    g->size[D] = c->width;
    g->size[FFN] = c->ffn_dim;
    g->size[TOKENS] = vision_tokens(c);
    g->size[PATCH] = c->patch;
    g->heads = c->heads;
}

Vision *vision_new(const VisionConfig *c, const char *prefix)
{
    Vision *v = memory_get(1, sizeof *v);
    v->config = *c;
    v->tensor = coll_self();
    v->heads = c->heads;
    v->layers = c->layers - 1;
    v->layer = memory_get((size_t)c->layers, sizeof *v->layer);
    snprintf(v->last_layer, sizeof v->last_layer, "encoder.layers.%d.", v->layers);
    const char *const ignored[] = {v->last_layer, "post_layernorm.",  "position_ids", "visual_projection.",
                                   "text_model.", "text_projection.", "logit_scale",  NULL};
    memcpy(v->ignored, ignored, sizeof ignored);
    v->plan.ignored = v->ignored;
    set_sizes(weights_add_group(&v->plan, v, ROWS(root_rows), "%s", prefix), c);
    for (int i = 0; i < v->layers; i++)
        set_sizes(weights_add_group(&v->plan, &v->layer[i], ROWS(layer_rows), "%sencoder.layers.%d.", prefix, i), c);
    return v;
}

void vision_divide(Vision *v, Coll *tensor)
{
    v->tensor = tensor;
    v->plan.rank = tensor->rank;
    v->plan.ranks = tensor->size;
    v->heads = (int)weights_share(v->config.heads, v->config.heads, tensor->rank, tensor->size).count;
}

const WeightPlan *vision_plan(const Vision *v) { return &v->plan; }

Status vision_load(Vision *v, WeightSource *s, Backend *be)
{
    const DType before = backend_begin_exact(be);
    const Status status = weights_load(&v->plan, s, be);
    backend_end_exact(be, before);
    if (!failed(status)) v->be = be;
    return status;
}

bool vision_is_loaded(const Vision *v) { return v->be != NULL; }

void vision_unload(Vision *v)
{
    if (v->be) weights_free(&v->plan, v->be);
    v->be = NULL;
}

void vision_free(Vision **v)
{
    if (!*v) return;
    vision_unload(*v);
    weights_plan_clear(&(*v)->plan);
    free((*v)->layer);
    free(*v);
    *v = NULL;
}

/* ---- pixels --------------------------------------------------------------------------------------------------------------- */

/* The value at (x, y) of the crop; outside the resized picture it is black. */
static uint8_t cropped(const uint8_t *rgb, int width, int height, int x, int y, int channel)
{
    if (x < 0 || y < 0 || x >= width || y >= height) return 0;
    return rgb[((size_t)y * (size_t)width + (size_t)x) * 3 + (size_t)channel];
}

float *vision_pixels(const VisionConfig *c, const Picture *p)
{
    const int size = c->image_size, least = p->width <= p->height ? p->width : p->height;
    const int most = p->width <= p->height ? p->height : p->width;
    const int longer = (int)((double)((int64_t)c->shortest * most) / least);
    const int width = p->width <= p->height ? c->shortest : longer,
              height = p->width <= p->height ? longer : c->shortest;
    const int left = (int)floor((width - size) / 2.0), top = (int)floor((height - size) / 2.0);
    uint8_t *rgb = picture_resize(p, width, height, PICTURE_BICUBIC);
    float *out = rgb ? memory_large(3 * (size_t)size * (size_t)size, sizeof *out) : NULL, *next = out;
    for (int channel = 0; channel < 3 && out; channel++)
        for (int y = 0; y < size; y++)
            for (int x = 0; x < size; x++) {
                float v = (float)(cropped(rgb, width, height, left + x, top + y, channel) * c->rescale);
                *next++ = (v - c->mean[channel]) / c->std[channel];
            }
    free(rgb);
    return out;
}

/* ---- the encoder ------------------------------------------------------------------------------------------------------------- */

static Tensor encode(Vision *v, const float *pixels)
{
    Backend *be = v->be;
    const VisionConfig *c = &v->config;
    const int64_t size = c->image_size;
    Tensor x = backend_zeros(be, 2, (int64_t[]){vision_tokens(c), c->width});
    ArenaMark mark = backend_mark(be);
    Tensor patches =
        op_patchify(be, backend_upload(be, pixels, 4, (int64_t[]){3, 1, size, size}), (int[]){1, c->patch, c->patch});
    Tensor rows = op_linear(be, patches, &v->patch, ACT_NONE);
    op_copy(be, tensor_rows(x, 1, rows.dim[0]), rows);
    op_add_to(be, tensor_rows(x, 0, 1), v->class_row, 1.0f);
    op_add_to(be, x, v->positions, 1.0f);
    op_copy(be, x, op_layernorm(be, x, v->norm_gain, v->norm_bias, c->eps));
    for (int i = 0; i < v->layers; i++)
        encoder_layer_add(be, v->tensor, &v->layer[i], v->heads, c->width / c->heads, c->eps, x);
    backend_release(be, mark);
    return x;
}

Tensor vision_encode(Vision *v, const float *pixels)
{
    const DType before = backend_begin_exact(v->be);
    const Tensor rows = encode(v, pixels);
    backend_end_exact(v->be, before);
    return rows;
}
