#include "names.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    const char *diffusers, *published;
} NamePair;

/* The longest names come first where one begins like another. */
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

bool names_published(const char *diffusers, char *out, size_t room)
{
    const size_t prefix = block_prefix(diffusers);
    const char *name = diffusers + prefix;
    const NamePair *pair = prefix ? block : root, *end = pair + (prefix ? sizeof block : sizeof root) / sizeof *pair;
    for (; pair < end; pair++) {
        const size_t n = strlen(pair->diffusers);
        if (strncmp(name, pair->diffusers, n) != 0 || (name[n] && name[n] != '.')) continue;
        return (size_t)snprintf(out, room, "%.*s%s%s", (int)prefix, diffusers, pair->published, name + n) < room;
    }
    return false;
}
