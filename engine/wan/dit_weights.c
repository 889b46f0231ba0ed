/* dit_weights.c - the transformer's table of weights: what a published file holds, by name and shape. */
#include "dit_parts.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"

enum { D, FFN, TEXT, FREQ, IN, OUT, PT, PH, PW, D6, IMAGE, KV, POS, CONTROL, POSE, D2 };

#define ROOT(f)  offsetof(Dit, f)
#define BLOCK(f) offsetof(DitBlock, f)
#define ROWS(r)  r, (int)(sizeof r / sizeof *r)

static const WeightRow root_rows[] = {
    {"patch_embedding", ROOT(patch), WEIGHT_LINEAR, SPLIT_NONE, 5, {D, IN, PT, PH, PW}},
    {"condition_embedder.time_embedder.linear_1", ROOT(time1), WEIGHT_LINEAR_EXACT, SPLIT_OUT, 2, {D, FREQ}},
    {"condition_embedder.time_embedder.linear_2", ROOT(time2), WEIGHT_LINEAR_EXACT, SPLIT_IN, 2, {D, D}},
    {"condition_embedder.time_proj", ROOT(time_proj), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D6, D}},
    {"condition_embedder.text_embedder.linear_1", ROOT(text1), WEIGHT_LINEAR, SPLIT_OUT, 2, {D, TEXT}},
    {"condition_embedder.text_embedder.linear_2", ROOT(text2), WEIGHT_LINEAR, SPLIT_IN, 2, {D, D}},
    {"scale_shift_table", ROOT(table), WEIGHT_VECTOR, SPLIT_NONE, 3, {NUMBER(1), NUMBER(2), D}},
    {"proj_out", ROOT(proj), WEIGHT_LINEAR, SPLIT_NONE, 2, {OUT, D}},
};
static const WeightRow control_rows[] = {
    {"vace_patch_embedding", ROOT(control_patch), WEIGHT_LINEAR, SPLIT_NONE, 5, {D, CONTROL, PT, PH, PW}},
};
static const WeightRow image_rows[] = {
    {"norm1.weight", ROOT(image_norm1_gain), WEIGHT_VECTOR, SPLIT_NONE, 1, {IMAGE}},
    {"norm1.bias", ROOT(image_norm1_bias), WEIGHT_VECTOR, SPLIT_NONE, 1, {IMAGE}},
    {"ff.net.0.proj", ROOT(image1), WEIGHT_LINEAR, SPLIT_OUT, 2, {IMAGE, IMAGE}},
    {"ff.net.2", ROOT(image2), WEIGHT_LINEAR, SPLIT_IN, 2, {D, IMAGE}},
    {"norm2.weight", ROOT(image_norm2_gain), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
    {"norm2.bias", ROOT(image_norm2_bias), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
};
static const WeightRow image_pos_rows[] = {
    {"pos_embed", ROOT(image_pos), WEIGHT_VECTOR, SPLIT_NONE, 3, {NUMBER(1), POS, IMAGE}},
};

static const WeightRow block_rows[] = {
    {"scale_shift_table", BLOCK(table), WEIGHT_VECTOR, SPLIT_NONE, 3, {NUMBER(1), NUMBER(6), D}},
    {"attn1.to_q", BLOCK(self.q), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D, D}},
    {"attn1.to_k", BLOCK(self.k), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D, D}},
    {"attn1.to_v", BLOCK(self.v), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D, D}},
    {"attn1.to_out.0", BLOCK(self.out), WEIGHT_LINEAR, SPLIT_IN_HEADS, 2, {D, D}},
    {"attn1.norm_q.weight", BLOCK(self.norm_q), WEIGHT_VECTOR, SPLIT_OUT_HEADS, 1, {D}},
    {"attn1.norm_k.weight", BLOCK(self.norm_k), WEIGHT_VECTOR, SPLIT_OUT_HEADS, 1, {D}},
    {"attn2.to_q", BLOCK(cross.q), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D, D}},
    {"attn2.to_k", BLOCK(cross.k), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D, D}},
    {"attn2.to_v", BLOCK(cross.v), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D, D}},
    {"attn2.to_out.0", BLOCK(cross.out), WEIGHT_LINEAR, SPLIT_IN_HEADS, 2, {D, D}},
    {"attn2.norm_q.weight", BLOCK(cross.norm_q), WEIGHT_VECTOR, SPLIT_OUT_HEADS, 1, {D}},
    {"attn2.norm_k.weight", BLOCK(cross.norm_k), WEIGHT_VECTOR, SPLIT_OUT_HEADS, 1, {D}},
    {"ffn.net.0.proj", BLOCK(up), WEIGHT_LINEAR, SPLIT_OUT, 2, {FFN, D}},
    {"ffn.net.2", BLOCK(down), WEIGHT_LINEAR, SPLIT_IN, 2, {D, FFN}},
};
static const WeightRow cross_norm_rows[] = {
    {"norm2.weight", BLOCK(norm2_gain), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
    {"norm2.bias", BLOCK(norm2_bias), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
};
static const WeightRow block_image_rows[] = {
    {"attn2.add_k_proj", BLOCK(image_k), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D, KV}},
    {"attn2.add_v_proj", BLOCK(image_v), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D, KV}},
    {"attn2.norm_added_k.weight", BLOCK(image_norm_k), WEIGHT_VECTOR, SPLIT_OUT_HEADS, 1, {D}},
};
static const WeightRow control_in_rows[] = {{"proj_in", BLOCK(control_in), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D, D}}};
static const WeightRow control_out_rows[] = {
    {"proj_out", BLOCK(control_out), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D, D}}};

/* A model that speaks: FramePack's convolutions, which see one, two and four latent frames that were before. */
static const WeightRow speech_rows[] = {
    {"cond_encoder", ROOT(pose), WEIGHT_LINEAR, SPLIT_NONE, 5, {D, POSE, PT, PH, PW}},
    {"trainable_cond_mask.weight", ROOT(kinds), WEIGHT_VECTOR, SPLIT_NONE, 2, {NUMBER(3), D}},
    {"frame_packer.proj", ROOT(pack[0]), WEIGHT_LINEAR, SPLIT_NONE, 5, {D, IN, NUMBER(1), NUMBER(2), NUMBER(2)}},
    {"frame_packer.proj_2x", ROOT(pack[1]), WEIGHT_LINEAR, SPLIT_NONE, 5, {D, IN, NUMBER(2), NUMBER(4), NUMBER(4)}},
    {"frame_packer.proj_4x", ROOT(pack[2]), WEIGHT_LINEAR, SPLIT_NONE, 5, {D, IN, NUMBER(4), NUMBER(8), NUMBER(8)}},
};
static const WeightRow ear_rows[] = {
    {"q", offsetof(DitEar, cross.q), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D, D}},
    {"k", offsetof(DitEar, cross.k), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D, D}},
    {"v", offsetof(DitEar, cross.v), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D, D}},
    {"o", offsetof(DitEar, cross.out), WEIGHT_LINEAR, SPLIT_IN_HEADS, 2, {D, D}},
    {"norm_q.weight", offsetof(DitEar, cross.norm_q), WEIGHT_VECTOR, SPLIT_OUT_HEADS, 1, {D}},
    {"norm_k.weight", offsetof(DitEar, cross.norm_k), WEIGHT_VECTOR, SPLIT_OUT_HEADS, 1, {D}},
};
static const WeightRow ear_adapt_rows[] = {
    {"linear", offsetof(DitEar, adapt), WEIGHT_LINEAR, SPLIT_OUT_HEADS, 2, {D2, D}},
};

static const char *const ignored[] = {"norm_added_q",
                                      NULL}; /* published I2V files hold it, the model has no use for it */

static WeightGroup *add(Dit *d, void *base, const WeightRow *row, int rows, const char *prefix, int number)
{
    const DitConfig *c = &d->config;
    const int width = c->heads * c->head_dim, volume = c->patch[0] * c->patch[1] * c->patch[2];
    WeightGroup *g = number < 0 ? weights_add_group(&d->plan, base, row, rows, "%s", prefix)
                                : weights_add_group(&d->plan, base, row, rows, "%s.%d.", prefix, number);
    const int64_t size[] = {[D] = width,
                            [FFN] = c->ffn_dim,
                            [TEXT] = c->text_dim,
                            [FREQ] = c->freq_dim,
                            [IN] = c->in_channels,
                            [OUT] = c->out_channels * volume,
                            [PT] = c->patch[0],
                            [PH] = c->patch[1],
                            [PW] = c->patch[2],
                            [D6] = 6 * width,
                            [IMAGE] = c->image_dim,
                            [KV] = c->added_kv_dim,
                            [POS] = c->pos_embed_len,
                            [CONTROL] = c->vace_in,
                            [POSE] = c->pose_channels,
                            [D2] = 2 * width};
    g->heads = c->heads;
    g->quantize = number >= 0; /* the blocks' products: nearly all of the arithmetic, and the least sensitive */
    memcpy(g->size, size, sizeof size);
    return g;
}

static const char audio_prefix[] = "casual_audio_encoder."; /* so spelled */

static AudioConfig audio_config(const DitConfig *c)
{
    return (AudioConfig){c->sound_states, c->sound_dim, c->heads * c->head_dim, c->sound_tokens};
}

Status dit_sound_shares(const DitConfig *c, WeightSource *source, Backend *be, float *shares)
{
    const AudioConfig audio = audio_config(c);
    return audio_encoder_shares(&audio, source, audio_prefix, be, shares);
}

/* They stay in the compute type: what is heard is a small part of the arithmetic, and acts weakly. */
static void add_ears(Dit *d)
{
    const AudioConfig audio = audio_config(&d->config);
    d->audio = audio_encoder_new(&audio);
    audio_encoder_add(d->audio, &d->plan, audio_prefix);
    d->ear = memory_get((size_t)d->config.sound_count, sizeof *d->ear);
    for (int i = 0; i < d->config.sound_count; i++) {
        add(d, &d->ear[i], ROWS(ear_rows), "audio_injector.injector", i)->quantize = false;
        add(d, &d->ear[i], ROWS(ear_adapt_rows), "audio_injector.injector_adain_layers", i)->quantize = false;
    }
}

static void add_block(Dit *d, DitBlock *b, const char *prefix, int number)
{
    add(d, b, ROWS(block_rows), prefix, number);
    if (d->config.cross_norm) add(d, b, ROWS(cross_norm_rows), prefix, number);
    if (d->config.added_kv_dim) add(d, b, ROWS(block_image_rows), prefix, number);
}

Dit *dit_new(const DitConfig *c)
{
    Dit *d = memory_get(1, sizeof *d);
    d->config = *c;
    d->tensor = d->sequence = coll_self();
    d->heads = c->heads;
    d->blocks = c->layers + c->vace_count;
    d->block = memory_get((size_t)d->blocks, sizeof *d->block);
    d->plan.ignored = ignored;
    add(d, d, ROWS(root_rows), "", -1);
    if (c->vace_count) add(d, d, ROWS(control_rows), "", -1);
    if (c->sound_count) {
        add(d, d, ROWS(speech_rows), "", -1);
        add_ears(d);
    }
    if (c->image_dim) add(d, d, ROWS(image_rows), "condition_embedder.image_embedder.", -1);
    if (c->pos_embed_len && c->image_dim) add(d, d, ROWS(image_pos_rows), "condition_embedder.image_embedder.", -1);
    for (int i = 0; i < c->layers; i++) add_block(d, &d->block[i], "blocks", i);
    for (int i = 0; i < c->vace_count; i++) {
        DitBlock *b = &d->block[c->layers + i];
        add_block(d, b, "vace_blocks", i);
        if (i == 0) add(d, b, ROWS(control_in_rows), "vace_blocks", i);
        add(d, b, ROWS(control_out_rows), "vace_blocks", i);
    }
    return d;
}

void dit_divide(Dit *d, Coll *tensor, Coll *sequence)
{
    d->tensor = tensor;
    d->sequence = sequence;
    d->plan.rank = tensor->rank;
    d->plan.ranks = tensor->size;
    d->heads = (int)weights_share(d->config.heads, d->config.heads, tensor->rank, tensor->size).count;
}

const WeightPlan *dit_plan(const Dit *d) { return &d->plan; }

Status dit_load(Dit *d, WeightSource *s, Backend *be)
{
    TRY(weights_load(&d->plan, s, be));
    d->be = be;
    return status_ok();
}

Status dit_reload(Dit *d, WeightSource *s, Backend *be, const Adapters *before, const Adapters *now)
{
    Status status = weights_reload(&d->plan, s, be, before, now);
    if (failed(status)) d->be = NULL; /* everything was freed */
    return status;
}

bool dit_is_loaded(const Dit *d) { return d->be != NULL; }

void dit_unload(Dit *d)
{
    if (d->be) weights_free(&d->plan, d->be);
    d->be = NULL;
}

void dit_free(Dit **d)
{
    if (!*d) return;
    dit_unload(*d);
    weights_plan_clear(&(*d)->plan);
    free((*d)->block);
    free((*d)->ear);
    audio_encoder_free(&(*d)->audio);
    free(*d);
    *d = NULL;
}
