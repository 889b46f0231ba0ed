#include "names.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    const char *diffusers, *published;
} NamePair;

static const NamePair root[] = {
    {"condition_embedder.time_embedder.linear_1", "time_embedding.0"},
    {"condition_embedder.time_embedder.linear_2", "time_embedding.2"},
    {"condition_embedder.time_proj", "time_projection.1"},
    {"condition_embedder.text_embedder.linear_1", "text_embedding.0"},
    {"condition_embedder.text_embedder.linear_2", "text_embedding.2"},
    {"condition_embedder.image_embedder.norm1", "img_emb.proj.0"},
    {"condition_embedder.image_embedder.ff.net.0.proj", "img_emb.proj.1"},
    {"condition_embedder.image_embedder.ff.net.2", "img_emb.proj.3"},
    {"condition_embedder.image_embedder.norm2", "img_emb.proj.4"},
    {"condition_embedder.image_embedder.pos_embed", "img_emb.emb_pos"},
    {"vace_patch_embedding", "vace_patch_embedding"},
    {"cond_encoder", "cond_encoder"},
    {"trainable_cond_mask", "trainable_cond_mask"},
    {"frame_packer", "frame_packer"},
    {"audio_injector", "audio_injector"},
    {"casual_audio_encoder", "casual_audio_encoder"}, /* so spelled */
    {"patch_embedding", "patch_embedding"},
    {"scale_shift_table", "head.modulation"},
    {"proj_out", "head.head"},
};

/* Behind "blocks.N." and "vace_blocks.N.". The norm before the text attention is the second in diffusers and the third there. */
static const NamePair block[] = {
    {"attn1.to_q", "self_attn.q"},
    {"attn1.to_k", "self_attn.k"},
    {"attn1.to_v", "self_attn.v"},
    {"attn1.to_out.0", "self_attn.o"},
    {"attn1.norm_q", "self_attn.norm_q"},
    {"attn1.norm_k", "self_attn.norm_k"},
    {"attn2.to_q", "cross_attn.q"},
    {"attn2.to_k", "cross_attn.k"},
    {"attn2.to_v", "cross_attn.v"},
    {"attn2.to_out.0", "cross_attn.o"},
    {"attn2.norm_q", "cross_attn.norm_q"},
    {"attn2.norm_k", "cross_attn.norm_k"},
    {"attn2.add_k_proj", "cross_attn.k_img"},
    {"attn2.add_v_proj", "cross_attn.v_img"},
    {"attn2.norm_added_k", "cross_attn.norm_k_img"},
    {"ffn.net.0.proj", "ffn.0"},
    {"ffn.net.2", "ffn.2"},
    {"norm2", "norm3"},
    {"scale_shift_table", "modulation"},
    {"proj_in", "before_proj"},
    {"proj_out", "after_proj"},
};

/* Bytes of "blocks.N." or "vace_blocks.N." at the beginning of the name; 0: it is no block's. */
static size_t block_prefix(const char *name)
{
    size_t at = strncmp(name, "vace_", 5) == 0 ? 5 : 0;
    if (strncmp(name + at, "blocks.", 7) != 0) return 0;
    at += 7;
    const size_t digits = strspn(name + at, "0123456789");
    return digits > 0 && name[at + digits] == '.' ? at + digits + 1 : 0;
}

/* ---- the autoencoder ---- */

static const NamePair vae_root[] = {
    {"post_quant_conv", "conv2"},
    {"quant_conv", "conv1"},
};

/* Behind "encoder." and "decoder.". */
static const NamePair vae_half[] = {
    {"conv_in", "conv1"},
    {"norm_out", "head.0"},
    {"conv_out", "head.2"},
    {"mid_block.attentions.0", "middle.1"},
};

/* Of a residual block. */
static const NamePair vae_block[] = {
    {"norm1", "residual.0"}, {"conv1", "residual.2"},       {"norm2", "residual.3"},
    {"conv2", "residual.6"}, {"conv_shortcut", "shortcut"},
};

#define PAIRS(table) table, table + sizeof table / sizeof *table

/* *begin of the table that `name` begins with, up to a dot or its end; NULL: none. */
static const NamePair *find_pair(const char *name, const NamePair *pair, const NamePair *end)
{
    for (; pair < end; pair++) {
        const size_t n = strlen(pair->diffusers);
        if (strncmp(name, pair->diffusers, n) == 0 && (!name[n] || name[n] == '.')) return pair;
    }
    return NULL;
}

/* "conv1.weight" of a block that the publishers call `stem`. What resamples has the same names in both. */
static bool put_block(const char *half, const char *stem, const char *name, char *out, size_t room)
{
    const NamePair *pair = find_pair(name, PAIRS(vae_block));
    const char *rest = pair ? name + strlen(pair->diffusers) : name;
    return (size_t)snprintf(out, room, "%s.%s.%s%s", half, stem, pair ? pair->published : "", rest) <
           room; /* rest begins with a dot only behind a pair */
}

/* Wan2.1 counts the parts of all stages through: three residual blocks and what doubles the size are four. Wan2.2 and the encoder
 * of Wan2.2 count them within each stage. */
static bool put_stage(const char *half, const char *name, bool other, char *out, size_t room)
{
    const bool up = half[0] == 'd';
    const char *inner = up ? "upsamples" : "downsamples";
    char stem[64];
    int stage, part, used = 0;
    if (sscanf(name, up ? "up_blocks.%d.resnets.%d.%n" : "down_blocks.%d.resnets.%d.%n", &stage, &part, &used) == 2 &&
        used) {
        if (!up || other)
            snprintf(stem, sizeof stem, "%s.%d.%s.%d", inner, stage, inner, part);
        else
            snprintf(stem, sizeof stem, "%s.%d", inner, 4 * stage + part);
    } else if (sscanf(name, up ? "up_blocks.%d.upsampler.%n" : "down_blocks.%d.downsampler.%n", &stage, &used) == 1 &&
               used) {
        snprintf(stem, sizeof stem, "%s.%d.%s.%d", inner, stage, inner, up ? 3 : 2);
    } else if (up && sscanf(name, "up_blocks.%d.upsamplers.0.%n", &stage, &used) == 1 && used) {
        snprintf(stem, sizeof stem, "%s.%d", inner, 4 * stage + 3);
    } else if (!up && sscanf(name, "down_blocks.%d.%n", &stage, &used) == 1 && used) {
        snprintf(stem, sizeof stem, "%s.%d", inner, stage);
    } else {
        return false;
    }
    return put_block(half, stem, name + used, out, room);
}

static bool put_vae_half(const char *half, const char *name, bool other, char *out, size_t room)
{
    const NamePair *pair = find_pair(name, PAIRS(vae_half));
    int i, used = 0;
    if (pair)
        return (size_t)snprintf(out, room, "%s.%s%s", half, pair->published, name + strlen(pair->diffusers)) < room;
    if (sscanf(name, "mid_block.resnets.%d.%n", &i, &used) == 1 && used)
        return put_block(half, i ? "middle.2" : "middle.0", name + used, out, room);
    return put_stage(half, name, other, out, room);
}

/* ---- UMT5, as llama.cpp's converter calls its parts, and as Wan's publishers do ---- */

static const NamePair text_block[] = {
    {"0.layer_norm", "attn_norm"},       {"0.SelfAttention.q", "attn_q"},
    {"0.SelfAttention.k", "attn_k"},     {"0.SelfAttention.v", "attn_v"},
    {"0.SelfAttention.o", "attn_o"},     {"0.SelfAttention.relative_attention_bias", "attn_rel_b"},
    {"1.layer_norm", "ffn_norm"},        {"1.DenseReluDense.wi_0", "ffn_gate"},
    {"1.DenseReluDense.wi_1", "ffn_up"}, {"1.DenseReluDense.wo", "ffn_down"},
};

static const NamePair text_root[] = {
    {"shared", "token_embd"},
    {"encoder.embed_tokens", "token_embd"},
    {"encoder.final_layer_norm", "enc.output_norm"},
};

static const NamePair text_block_wan[] = {
    {"0.layer_norm", "norm1"},
    {"0.SelfAttention.q", "attn.q"},
    {"0.SelfAttention.k", "attn.k"},
    {"0.SelfAttention.v", "attn.v"},
    {"0.SelfAttention.o", "attn.o"},
    {"0.SelfAttention.relative_attention_bias", "pos_embedding.embedding"},
    {"1.layer_norm", "norm2"},
    {"1.DenseReluDense.wi_0", "ffn.gate.0"},
    {"1.DenseReluDense.wi_1", "ffn.fc1"},
    {"1.DenseReluDense.wo", "ffn.fc2"},
};

static const NamePair text_root_wan[] = {
    {"shared", "token_embedding"},
    {"encoder.embed_tokens", "token_embedding"},
    {"encoder.final_layer_norm", "norm"},
};

static bool put_text(const char *name, bool wan, char *out, size_t room)
{
    int layer, used = 0;
    const NamePair *pair = wan ? find_pair(name, PAIRS(text_root_wan)) : find_pair(name, PAIRS(text_root));
    if (pair) return (size_t)snprintf(out, room, "%s%s", pair->published, name + strlen(pair->diffusers)) < room;
    if (sscanf(name, "encoder.block.%d.layer.%n", &layer, &used) != 1 || !used) return false;
    pair = wan ? find_pair(name + used, PAIRS(text_block_wan)) : find_pair(name + used, PAIRS(text_block));
    if (!pair) return false;
    return (size_t)snprintf(out, room, "%s.%d.%s%s", wan ? "blocks" : "enc.blk", layer, pair->published,
                            name + used + strlen(pair->diffusers)) < room;
}

/* ---- all ---- */

bool names_published(const char *diffusers, bool other, char *out, size_t room)
{
    if (put_text(diffusers, other, out, room)) return true;
    if (strncmp(diffusers, "encoder.", 8) == 0) return put_vae_half("encoder", diffusers + 8, other, out, room);
    if (strncmp(diffusers, "decoder.", 8) == 0) return put_vae_half("decoder", diffusers + 8, other, out, room);
    const size_t prefix = block_prefix(diffusers);
    const char *name = diffusers + prefix;
    const NamePair *pair = prefix ? find_pair(name, PAIRS(block)) : find_pair(name, PAIRS(root));
    if (!pair && !prefix) pair = find_pair(name, PAIRS(vae_root));
    if (!pair) return false;
    return (size_t)snprintf(out, room, "%.*s%s%s", (int)prefix, diffusers, pair->published,
                            name + strlen(pair->diffusers)) < room;
}
