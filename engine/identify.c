#include "engine/identify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/model_config.h"
#include "engine/speech/speech.h"
#include "engine/text/text.h"
#include "engine/wan/dit.h"
#include "engine/wan/vae.h"
#include "engine/wan/vision.h"
#include "engine/weights/names.h"
#include "engine/weights/safetensors.h"

enum { HEAD = 128, PATCH_VOLUME = 4, MOST_TYPES = 8 }; /* of all published transformers */

/* ---- names ---- */

/* The tensor that ends in `end`, whatever stands before; NULL: none, or a longer name has only part of it. */
static const StoredTensor *ending(const Safetensors *s, const char *end)
{
    const size_t n = strlen(end);
    for (int i = 0; i < safetensors_count(s); i++) {
        const char *name = safetensors_at(s, i)->name;
        const size_t length = strlen(name);
        if (length >= n && strcmp(name + length - n, end) == 0 && (length == n || name[length - n - 1] == '.'))
            return safetensors_at(s, i);
    }
    return NULL;
}

/* The first of two names: diffusers', then the publishers'. */
static const StoredTensor *either(const Safetensors *s, const char *a, const char *b)
{
    const StoredTensor *t = ending(s, a);
    return t ? t : ending(s, b);
}

/* A tensor of UMT5 by the name that diffusers gives it, or one of its other two. */
static const StoredTensor *text_tensor(const Safetensors *s, const char *name)
{
    const StoredTensor *t = ending(s, name);
    char published[NAMES_MOST];
    for (int other = 0; other < 2 && !t; other++)
        if (names_published(name, other, published, sizeof published)) t = ending(s, published);
    return t;
}

static bool has_part(const Safetensors *s, const char *part)
{
    for (int i = 0; i < safetensors_count(s); i++)
        if (strstr(safetensors_at(s, i)->name, part)) return true;
    return false;
}

static int dim(const StoredTensor *t, int i) { return t && i < t->ndim && t->dim[i] < 1 << 20 ? (int)t->dim[i] : 0; }

/* One more than the largest N of "STEMN." in any name, where STEM begins the name or follows a dot. */
static int count_of(const Safetensors *s, const char *stem)
{
    int count = 0;
    for (int i = 0; i < safetensors_count(s); i++) {
        const char *name = safetensors_at(s, i)->name, *at = strstr(name, stem);
        if (!at || (at > name && at[-1] != '.')) continue;
        const long n = strtol(at + strlen(stem), NULL, 10);
        if (n >= count && n < 512) count = (int)n + 1;
    }
    return count;
}

/* ---- the parts ---- */

static DitConfig dit_config(const Safetensors *s)
{
    const StoredTensor *patch = ending(s, "patch_embedding.weight");
    const StoredTensor *up = either(s, "blocks.0.ffn.net.0.proj.weight", "blocks.0.ffn.0.weight");
    const StoredTensor *image = either(s, "image_embedder.norm1.weight", "img_emb.proj.0.weight");
    const StoredTensor *text = either(s, "condition_embedder.text_embedder.linear_1.weight", "text_embedding.0.weight");
    const StoredTensor *time = either(s, "condition_embedder.time_embedder.linear_1.weight", "time_embedding.0.weight");
    const StoredTensor *head = either(s, "proj_out.weight", "head.head.weight");
    const StoredTensor *norm = either(s, "blocks.0.norm2.weight", "blocks.0.norm3.weight");
    const StoredTensor *positions = either(s, "image_embedder.pos_embed", "img_emb.emb_pos");
    const StoredTensor *voice = ending(s, "casual_audio_encoder.encoder.conv1_local.conv.weight");
    const int width = dim(patch, 0), ears = count_of(s, "audio_injector.injector.");
    const DitConfig c = {.patch = {1, 2, 2},
                         .heads = width % HEAD ? 1 : width / HEAD,
                         .head_dim = width % HEAD ? width : HEAD,
                         .in_channels = dim(patch, 1),
                         .out_channels = dim(head, 0) / PATCH_VOLUME,
                         .text_dim = dim(text, 1),
                         .freq_dim = dim(time, 1),
                         .ffn_dim = dim(up, 0),
                         .layers = count_of(s, "blocks."),
                         .cross_norm = norm != NULL,
                         .image_dim = dim(image, 0),
                         .added_kv_dim = image ? width : 0,
                         .pos_embed_len = dim(positions, 1),
                         .vace_count = count_of(s, "vace_blocks."),
                         .vace_in = dim(ending(s, "vace_patch_embedding.weight"), 1),
                         .sound_count = ears < SOUND_MAX_LAYERS ? ears : SOUND_MAX_LAYERS,
                         .sound_dim = dim(voice, 1),
                         .sound_states = dim(ending(s, "casual_audio_encoder.weights"), 1),
                         .sound_tokens = width >= 4 ? dim(voice, 0) / (width / 4) : 0,
                         .pose_channels = dim(ending(s, "cond_encoder.weight"), 1)};
    return c;
}

static void name_dit(const DitConfig *c, Identified *out)
{
    static const struct {
        int width, layers, in;
        bool image, vace, speaks;
        const char *name;
    } known[] = {{1536, 30, 16, false, false, false, "Wan2.1 T2V 1.3B"},
                 {5120, 40, 16, false, false, false, "Wan2.1 T2V 14B, or one of the two of Wan2.2 T2V A14B"},
                 {5120, 40, 36, true, false, false, "Wan2.1 I2V or FLF2V 14B"},
                 {5120, 40, 36, false, false, false, "one of the two of Wan2.2 I2V A14B"},
                 {3072, 30, 48, false, false, false, "Wan2.2 TI2V 5B"},
                 {1536, 30, 16, false, true, false, "Wan2.1 VACE 1.3B"},
                 {5120, 40, 16, false, true, false, "Wan2.1 VACE 14B"},
                 {5120, 40, 16, false, false, true, "Wan2.2 S2V 14B"}};
    const int width = c->heads * c->head_dim;
    snprintf(out->model, sizeof out->model, "a Wan transformer of %d layers, width %d, %d channels%s", c->layers, width,
             c->in_channels,
             c->vace_count    ? ", with a control branch"
             : c->sound_count ? ", that speaks"
                              : "");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].width == width && known[i].layers == c->layers && known[i].in == c->in_channels &&
            known[i].image == (c->image_dim > 0) && known[i].vace == (c->vace_count > 0) &&
            known[i].speaks == (c->sound_count > 0))
            snprintf(out->model, sizeof out->model, "%s", known[i].name);
}

/* The first difference between the file and the plan, without the file's name in front. */
static void compare(const char *path, const WeightPlan *plan, Identified *out)
{
    WeightSource *source;
    Status status = weights_open_file(path, &source);
    if (!failed(status)) status = weights_check(plan, source);
    const size_t n = strlen(path);
    const char *text = failed(status) ? status.message : "";
    snprintf(out->fault, sizeof out->fault, "%s", strncmp(text, path, n) == 0 && text[n] == ':' ? text + n + 2 : text);
    static const char *const about_folder[] = {", which config.json", " from config.json", " that config.json"};
    for (size_t i = 0; i < sizeof about_folder / sizeof *about_folder; i++) { /* here nobody has read one */
        char *at = strstr(out->fault, about_folder[i]);
        if (at) *at = 0;
    }
    weights_close(&source);
}

static void look_at_dit(const char *path, const Safetensors *s, Identified *out)
{
    const DitConfig c = dit_config(s);
    name_dit(&c, out);
    if (c.heads * c.head_dim < 1 || c.layers < 1 || c.vace_count > VACE_MAX_LAYERS) {
        snprintf(out->fault, sizeof out->fault, "the patch embedding or the blocks are missing");
        return;
    }
    Dit *d = dit_new(&c);
    compare(path, dit_plan(d), out);
    dit_free(&d);
}

static void look_at_text(const char *path, const Safetensors *s, Identified *out)
{
    const StoredTensor *table = text_tensor(s, "shared.weight");
    const StoredTensor *q = text_tensor(s, "encoder.block.0.layer.0.SelfAttention.q.weight");
    const StoredTensor *bias = text_tensor(s, "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
    const StoredTensor *up = text_tensor(s, "encoder.block.0.layer.1.DenseReluDense.wi_0.weight");
    const int heads = dim(bias, 1);
    int layers = count_of(s, "encoder.block.");
    if (!layers) layers = count_of(s, "enc.blk.");
    if (!layers) layers = count_of(s, "blocks.");
    if (!table) table = ending(s, "encoder.embed_tokens.weight");
    const TextConfig c = {.vocab_size = dim(table, 0),
                          .d_model = dim(table, 1),
                          .d_kv = heads ? dim(q, 0) / heads : 0,
                          .d_ff = dim(up, 0),
                          .layers = layers,
                          .heads = heads,
                          .buckets = dim(bias, 0)};
    snprintf(out->model, sizeof out->model,
             c.d_model == 4096 && layers == 24 ? "UMT5-XXL" : "a UMT5 of %d layers, width %d", layers, c.d_model);
    if (!heads || !layers) {
        snprintf(out->fault, sizeof out->fault,
                 "the first layer or its table of distances is missing (T5 instead of UMT5?)");
        return;
    }
    TextEncoder *e = text_new(&c);
    compare(path, text_plan(e), out);
    text_free(&e);
}

static void look_at_vision(const char *path, const Safetensors *s, Identified *out)
{
    const StoredTensor *patch = ending(s, "embeddings.patch_embedding.weight"),
                       *up = ending(s, "encoder.layers.0.mlp.fc1.weight"),
                       *places = ending(s, "embeddings.position_embedding.weight");
    int side = 1;
    while ((side + 1) * (side + 1) < dim(places, 0)) side++;
    const VisionConfig c = {.width = dim(patch, 0),
                            .ffn_dim = dim(up, 0),
                            .layers = count_of(s, "encoder.layers."),
                            .heads = 1,
                            .image_size = side * dim(patch, 2),
                            .patch = dim(patch, 2)};
    snprintf(out->model, sizeof out->model,
             c.width == 1280 && c.layers == 32 ? "CLIP ViT-H/14" : "a CLIP vision encoder of %d layers, width %d",
             c.layers, c.width);
    if (!c.width || c.layers < 2 || !c.patch) {
        snprintf(out->fault, sizeof out->fault, "the patch embedding or the layers are missing");
        return;
    }
    Vision *v = vision_new(&c, ending(s, "vision_model.embeddings.class_embedding") ? "vision_model." : "");
    compare(path, vision_plan(v), out);
    vision_free(&v);
}

/* Strides and heads show in no shape, and change none. */
static void look_at_speech(const char *path, const Safetensors *s, Identified *out)
{
    const StoredTensor *up = ending(s, "encoder.layers.0.feed_forward.intermediate_dense.weight"),
                       *places = either(s, "pos_conv_embed.conv.weight_v",
                                        "pos_conv_embed.conv.parametrizations.weight.original1");
    SpeechConfig c = {.width = dim(places, 0),
                      .ffn_dim = dim(up, 0),
                      .layers = count_of(s, "encoder.layers."),
                      .heads = 1,
                      .convs = count_of(s, "feature_extractor.conv_layers."),
                      .position_kernel = dim(places, 2)};
    const int group = dim(places, 1);
    snprintf(out->model, sizeof out->model,
             c.width == 1024 && c.layers == 24 ? "wav2vec2-large" : "a wav2vec2 of %d layers, width %d", c.layers,
             c.width);
    if (!group || c.width % group || !c.layers || c.convs < 1 || c.convs > SPEECH_MAX_CONVS || !c.position_kernel) {
        snprintf(out->fault, sizeof out->fault,
                 "the positional convolution, the layers or the convolutions are missing");
        return;
    }
    c.position_groups = c.width / group;
    for (int i = 0; i < c.convs; i++) {
        char name[64];
        snprintf(name, sizeof name, "feature_extractor.conv_layers.%d.conv.weight", i);
        c.conv_dim[i] = dim(ending(s, name), 0);
        c.conv_kernel[i] = dim(ending(s, name), 2);
        c.conv_stride[i] = 1;
    }
    Speech *speech = speech_new(&c, ending(s, "wav2vec2.feature_projection.projection.weight") ? "wav2vec2." : "");
    compare(path, speech_plan(speech), out);
    speech_free(&speech);
}

/* Both halves' shapes follow from the configuration of the two published ones; of others only the kind is said. */
static void look_at_vae(const Safetensors *s, Identified *out)
{
    const StoredTensor *quant = either(s, "post_quant_conv.weight", "conv2.weight");
    const int z = dim(quant, 0);
    snprintf(out->model, sizeof out->model,
             z == 16   ? "Wan2.1 VAE"
             : z == 48 ? "Wan2.2 VAE"
                       : "an autoencoder of %d channels",
             z);
    if (!either(s, "decoder.conv_in.weight", "decoder.conv1.weight"))
        snprintf(out->fault, sizeof out->fault, "the decoder is missing");
    else if (!either(s, "encoder.conv_in.weight", "encoder.conv1.weight"))
        snprintf(out->fault, sizeof out->fault, "the encoder is missing: enough for models that take no picture");
}

/* ---- types ---- */

static int larger_first(const void *a, const void *b)
{
    const int64_t x = ((const int64_t *)a)[0], y = ((const int64_t *)b)[0];
    return (x < y) - (x > y);
}

static void count_types(const Safetensors *s, Identified *out)
{
    struct {
        int64_t numbers;
        const char *name;
    } type[MOST_TYPES] = {{0}};
    int types = 0, used = 0;
    bool narrow = false;
    for (int i = 0; i < safetensors_count(s); i++) {
        const StoredTensor *t = safetensors_at(s, i);
        int k = 0;
        if (!stored_is_number(t->type)) continue; /* a tokenizer inside */
        while (k < types && strcmp(type[k].name, t->type_name) != 0) k++;
        if (k == MOST_TYPES) continue;
        if (k == types) type[types++].name = t->type_name;
        type[k].numbers += stored_count(t);
        out->parameters += stored_count(t);
        narrow |= stored_is_number(t->type) && t->type != STORED_F64 && t->type != STORED_F32 &&
                  t->type != STORED_BF16 && t->type != STORED_F16;
    }
    qsort(type, (size_t)types, sizeof *type, larger_first);
    for (int k = 0; k < types && used < (int)sizeof out->types; k++)
        used +=
            snprintf(out->types + used, sizeof out->types - (size_t)used, "%s%s %.3g %%", k ? ", " : "", type[k].name,
                     100.0 * (double)type[k].numbers / (double)(out->parameters ? out->parameters : 1));
    out->narrow = narrow;
    out->tensors = safetensors_count(s);
    out->bytes = safetensors_bytes(s);
}

static bool is_dit(const Safetensors *s)
{
    return either(s, "blocks.0.attn1.to_q.weight", "blocks.0.self_attn.q.weight");
}

static bool is_text(const Safetensors *s)
{
    return has_part(s, "SelfAttention") || has_part(s, "enc.blk.") || has_part(s, ".pos_embedding.embedding.");
}

static bool is_vae(const Safetensors *s)
{
    return either(s, "decoder.conv_in.weight", "decoder.conv1.weight") ||
           either(s, "encoder.conv_in.weight", "encoder.conv1.weight");
}

Status identify_file(const char *path, Identified *out)
{
    Safetensors *s = NULL;
    *out = (Identified){0};
    TRY(safetensors_open_file(path, &s));
    count_types(s, out);
    const char *part = "";
    const StoredTensor *t;
    const char *kind = adapters_other_kind(s, &t);
    if (kind) {
        part = "adapter";
        snprintf(out->model, sizeof out->model, "an adapter of %d tensors: %s", safetensors_count(s), kind);
        snprintf(out->fault, sizeof out->fault, "tensor \"%s\" belongs to %s; expected LoRA (lora_A and lora_B)",
                 t->name, kind);
    } else if (has_part(s, "lora_") || has_part(s, ".lora.") || ending(s, "diff") || ending(s, "diff_b")) {
        part = "adapter";
        snprintf(out->model, sizeof out->model, "a low-rank adapter (LoRA) of %d tensors", safetensors_count(s));
    } else if (is_dit(s)) {
        part = "transformer";
        look_at_dit(path, s, out);
        snprintf(out->also, sizeof out->also, "%s%s%s", is_vae(s) ? "vae" : "", is_vae(s) && is_text(s) ? ", " : "",
                 is_text(s) ? "text_encoder" : "");
    } else if (is_text(s)) {
        part = "text_encoder";
        look_at_text(path, s, out);
    } else if (has_part(s, "embeddings.class_embedding")) {
        part = "image_encoder";
        look_at_vision(path, s, out);
    } else if (has_part(s, "encoder.pos_conv_embed.")) {
        part = "audio_encoder";
        look_at_speech(path, s, out);
    } else if (is_vae(s)) {
        part = "vae";
        look_at_vae(s, out);
    } else {
        snprintf(out->fault, sizeof out->fault, "no part of a Wan model: none of its tensors is called as theirs are");
    }
    const char *option =
        strcmp(part, "vae") == 0 || strcmp(part, "image_encoder") == 0 || strcmp(part, "audio_encoder") == 0
            ? "--vae-dtype"
            : "--dtype";
    snprintf(out->part, sizeof out->part, "%s", part);
    const bool stays = strstr(out->types, "F8_E4M3") != NULL; /* where the back end takes such weights */
    snprintf(out->kept, sizeof out->kept,
             stays         ? "on CPUs fp8 weights of products stay fp8; all else becomes %s as it is loaded"
             : out->narrow ? "dequantised to %s as it is loaded: it takes that much memory, not the file's"
                           : "converted to %s as it is loaded",
             option);
    safetensors_close(&s);
    return status_ok();
}
