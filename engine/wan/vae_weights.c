/* vae_weights.c - the autoencoder's weights: which convolutions stand where, and under which names (engine/MODEL.md). */
#include <stdlib.h>

#include "common/file.h"
#include "engine/wan/vae_parts.h"

enum { IN, OUT, OUT2, OUT3 };
#define CUBE      NUMBER(3), NUMBER(3), NUMBER(3)
#define ONES      NUMBER(1), NUMBER(1), NUMBER(1)
#define RES(f)    offsetof(VaeRes, f)
#define SAMPLE(f) offsetof(VaeResample, f)
#define ROOT(f)   offsetof(Vae, f)
#define ROWS(r)   r, (int)(sizeof r / sizeof *r)

static const WeightRow res_rows[] = {
    {"norm1.gamma", RES(norm1), WEIGHT_VECTOR, SPLIT_NONE, 4, {IN, ONES}},
    {"conv1", RES(conv1), WEIGHT_CONV, SPLIT_NONE, 5, {OUT, IN, CUBE}},
    {"norm2.gamma", RES(norm2), WEIGHT_VECTOR, SPLIT_NONE, 4, {OUT, ONES}},
    {"conv2", RES(conv2), WEIGHT_CONV, SPLIT_NONE, 5, {OUT, OUT, CUBE}},
};
static const WeightRow shortcut_rows[] = {
    {"conv_shortcut", RES(shortcut), WEIGHT_CONV, SPLIT_NONE, 5, {OUT, IN, ONES}}};
static const WeightRow up_rows[] = {
    {"resample.1", SAMPLE(space), WEIGHT_CONV, SPLIT_NONE, 4, {OUT, IN, NUMBER(3), NUMBER(3)}}};
static const WeightRow down_rows[] = {
    {"resample.1", SAMPLE(space), WEIGHT_CONV_HALVE, SPLIT_NONE, 4, {OUT, IN, NUMBER(3), NUMBER(3)}}};
static const WeightRow up_time_rows[] = {
    {"time_conv", SAMPLE(time), WEIGHT_CONV, SPLIT_NONE, 5, {OUT2, IN, NUMBER(3), NUMBER(1), NUMBER(1)}}};
static const WeightRow down_time_rows[] = {
    {"time_conv", SAMPLE(time), WEIGHT_CONV_PAIRS, SPLIT_NONE, 5, {OUT, IN, NUMBER(3), NUMBER(1), NUMBER(1)}}};
static const WeightRow attention_rows[] = {
    {"norm.gamma", ROOT(attention_norm), WEIGHT_VECTOR, SPLIT_NONE, 3, {IN, NUMBER(1), NUMBER(1)}},
    {"to_qkv", ROOT(qkv), WEIGHT_LINEAR, SPLIT_NONE, 4, {OUT3, IN, NUMBER(1), NUMBER(1)}},
    {"proj", ROOT(proj), WEIGHT_LINEAR, SPLIT_NONE, 4, {OUT, IN, NUMBER(1), NUMBER(1)}},
};
static const WeightRow in_rows[] = {{"conv_in", ROOT(in), WEIGHT_CONV, SPLIT_NONE, 5, {OUT, IN, CUBE}}};
static const WeightRow out_rows[] = {
    {"norm_out.gamma", ROOT(norm_out), WEIGHT_VECTOR, SPLIT_NONE, 4, {IN, ONES}},
    {"conv_out", ROOT(out), WEIGHT_CONV, SPLIT_NONE, 5, {OUT, IN, CUBE}},
};
static const WeightRow decoder_quant_rows[] = {
    {"post_quant_conv", ROOT(quant), WEIGHT_LINEAR, SPLIT_NONE, 5, {OUT, IN, ONES}}};
static const WeightRow encoder_quant_rows[] = {
    {"quant_conv", ROOT(quant), WEIGHT_LINEAR, SPLIT_NONE, 5, {OUT, IN, ONES}}};

static const char *const decoder_ignored[] = {"encoder.", "quant_conv.", "^conv1.",
                                              NULL}; /* conv1: the publishers' quant_conv */
static const char *const encoder_ignored[] = {"decoder.", "post_quant_conv.", "^conv2.", NULL};

static void add(Vae *v, void *base, const WeightRow *row, int rows, const char *prefix, int64_t in, int64_t out)
{
    WeightGroup *g = weights_add_group(&v->plan, base, row, rows, "%s", prefix);
    g->size[IN] = in;
    g->size[OUT] = out;
    g->size[OUT2] = 2 * out;
    g->size[OUT3] = 3 * out;
}

static void add_res(Vae *v, VaeRes *r, char *prefix, int64_t in, int64_t out)
{
    r->slot = v->slots;
    r->widens = in != out;
    v->slots += 2;
    add(v, r, ROWS(res_rows), prefix, in, out);
    if (r->widens) add(v, r, ROWS(shortcut_rows), prefix, in, out);
    free(prefix);
}

static void add_up(Vae *v, VaeResample *r, char *prefix, int64_t in, int64_t out, bool in_time)
{
    *r = (VaeResample){.present = true, .in_time = in_time, .slot = v->slots++};
    add(v, r, ROWS(up_rows), prefix, in, out);
    if (in_time) add(v, r, ROWS(up_time_rows), prefix, in, in);
    free(prefix);
}

static void add_down(Vae *v, VaeResample *r, char *prefix, int64_t width, bool in_time)
{
    *r = (VaeResample){.present = true, .in_time = in_time, .slot = v->slots++};
    add(v, r, ROWS(down_rows), prefix, width, width);
    if (in_time) add(v, r, ROWS(down_time_rows), prefix, width, width);
    free(prefix);
}

static void add_mid(Vae *v, const char *half, int64_t width)
{
    for (int i = 0; i < 2; i++) add_res(v, &v->mid[i], text_format("%s.mid_block.resnets.%d.", half, i), width, width);
    char *prefix = text_format("%s.mid_block.attentions.0.", half);
    add(v, v, ROWS(attention_rows), prefix, width, width);
    free(prefix);
}

/* Widths go down from mult[last]; in the first generation each upsampler also halves them. */
static void plan_decoder(Vae *v)
{
    const VaeConfig *c = &v->config;
    const int last = c->stages - 1, top = c->decoder_base_dim * c->dim_mult[last];
    add(v, v, ROWS(decoder_quant_rows), "", c->z_dim, c->z_dim);
    add(v, v, ROWS(in_rows), "decoder.", c->z_dim, top);
    add_mid(v, "decoder", top);
    int width = top;
    for (int i = 0; i <= last; i++) {
        VaeStage *s = &v->stage[i];
        const int out = c->decoder_base_dim * c->dim_mult[last - i];
        s->out = out;
        s->res_count = c->res_blocks + 1;
        for (int j = 0; j < s->res_count; j++, width = out)
            add_res(v, &s->res[j], text_format("decoder.up_blocks.%d.resnets.%d.", i, j), width, out);
        if (i == last) break;
        width = c->residual ? out : out / 2;
        const char *name = c->residual ? "upsampler" : "upsamplers.0";
        add_up(v, &s->sample, text_format("decoder.up_blocks.%d.%s.", i, name), out, width, c->time_down[last - 1 - i]);
    }
    add(v, v, ROWS(out_rows), "decoder.", width, c->out_channels);
}

/* The first generation numbers residual blocks and resamplers of all stages in one list. */
static void plan_encoder(Vae *v)
{
    const VaeConfig *c = &v->config;
    const int last = c->stages - 1;
    int width = c->base_dim, flat = 0;
    add(v, v, ROWS(in_rows), "encoder.", c->in_channels, width);
    for (int i = 0; i <= last; i++) {
        VaeStage *s = &v->stage[i];
        const int out = c->base_dim * c->dim_mult[i];
        s->out = out;
        s->res_count = c->res_blocks;
        for (int j = 0; j < s->res_count; j++, width = out) {
            char *prefix = c->residual ? text_format("encoder.down_blocks.%d.resnets.%d.", i, j)
                                       : text_format("encoder.down_blocks.%d.", flat++);
            add_res(v, &s->res[j], prefix, width, out);
        }
        if (i == last) break;
        char *prefix = c->residual ? text_format("encoder.down_blocks.%d.downsampler.", i)
                                   : text_format("encoder.down_blocks.%d.", flat++);
        add_down(v, &s->sample, prefix, out, c->time_down[i]);
    }
    add_mid(v, "encoder", width);
    add(v, v, ROWS(out_rows), "encoder.", width, 2 * c->z_dim);
    add(v, v, ROWS(encoder_quant_rows), "", 2 * c->z_dim, 2 * c->z_dim);
}

Vae *vae_new(const VaeConfig *c, VaeHalf half)
{
    Vae *v = memory_get(1, sizeof *v);
    v->config = *c;
    v->half = half;
    v->plan.ignored = half == VAE_DECODER ? decoder_ignored : encoder_ignored;
    v->in_slot = v->slots++;
    v->out_slot = v->slots++;
    if (half == VAE_DECODER)
        plan_decoder(v);
    else
        plan_encoder(v);
    return v;
}

const WeightPlan *vae_plan(const Vae *v) { return &v->plan; }

Status vae_load(Vae *v, WeightSource *s, Backend *be)
{
    const DType before = backend_begin_exact(be);
    const Status status = weights_load(&v->plan, s, be);
    backend_end_exact(be, before);
    if (!failed(status)) v->be = be;
    return status;
}

bool vae_is_loaded(const Vae *v) { return v->be != NULL; }

void vae_unload(Vae *v)
{
    if (v->be) weights_free(&v->plan, v->be);
    v->be = NULL;
}

void vae_free(Vae **v)
{
    if (!*v) return;
    vae_unload(*v);
    weights_plan_clear(&(*v)->plan);
    free(*v);
    *v = NULL;
}
