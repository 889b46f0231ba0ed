#include "model_config.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/chain.h"
#include "common/file.h"

enum { MAX_WIDTH = 1 << 17 };

/* ---- components ----------------------------------------------------------------------------------------------------------- */

static Status read_text(const char *folder, TextConfig *c)
{
    Fields f;
    if (failed(fields_open(folder, "text_encoder/config.json", &f))) return fields_close(&f);
    c->vocab_size = fields_int(&f, "vocab_size", 250112, 4, 1 << 24);
    c->d_model = fields_int(&f, "d_model", 512, 2, MAX_WIDTH);
    c->d_kv = fields_int(&f, "d_kv", 64, 1, 4096);
    c->d_ff = fields_int(&f, "d_ff", 1024, 1, MAX_WIDTH);
    c->layers = fields_int(&f, "num_layers", 8, 1, 512);
    c->heads = fields_int(&f, "num_heads", 6, 1, 1024);
    c->buckets = fields_int(&f, "relative_attention_num_buckets", 32, 4, 4096);
    c->max_distance = fields_int(&f, "relative_attention_max_distance", 128, c->buckets / 4 + 1, 1 << 20);
    c->eps = (float)fields_real(&f, "layer_norm_epsilon", 1e-6, 0, 1);
    fields_expect(&f, "model_type", "umt5", "umt5");
    fields_expect(&f, "feed_forward_proj", "gated-gelu", "gated-gelu");
    if (c->buckets % 4)
        fields_fault(&f, "relative_attention_num_buckets", " = %d, expected a multiple of 4", c->buckets);
    return fields_close(&f);
}

static void read_vace(Fields *f, DitConfig *c)
{
    if (!fields_ints(f, "vace_layers", 1, VACE_MAX_LAYERS, 0, c->layers - 1, c->vace_layers, &c->vace_count)) {
        for (c->vace_count = 0; c->vace_count < 8; c->vace_count++) c->vace_layers[c->vace_count] = 5 * c->vace_count;
    }
    c->vace_in = fields_int(f, "vace_in_channels", 96, 1, 4096);
    for (int i = 0; i < c->vace_count; i++)
        if (c->vace_layers[i] >= c->layers || (i ? c->vace_layers[i] <= c->vace_layers[i - 1] : c->vace_layers[0] != 0))
            fields_fault(f, "vace_layers", " has %d in place %d, expected layers in ascending order that begin with 0",
                         c->vace_layers[i], i);
}

static Status read_dit(const char *folder, const char *name, DitConfig *c)
{
    Fields f;
    if (failed(fields_open(folder, name, &f))) return fields_close(&f);
    const char *kind = fields_text(&f, "_class_name", "WanTransformer3DModel");
    if (strcmp(kind, "WanModel_S2V") == 0) {
        model_config_read_s2v(&f, c);
        return fields_close(&f);
    }
    bool vace = strcmp(kind, "WanVACETransformer3DModel") == 0;
    if (!vace && strcmp(kind, "WanTransformer3DModel") != 0)
        fields_fault(&f, "_class_name",
                     " = \"%.60s\", expected WanTransformer3DModel, WanVACETransformer3DModel or WanModel_S2V", kind);
    int three = 3;
    if (!fields_ints(&f, "patch_size", 3, 3, 1, 16, c->patch, &three))
        memcpy(c->patch, (int[]){1, 2, 2}, sizeof c->patch);
    c->heads = fields_int(&f, "num_attention_heads", 40, 1, 512);
    c->head_dim = fields_int(&f, "attention_head_dim", 128, 6, 1024);
    c->in_channels = fields_int(&f, "in_channels", 16, 1, 4096);
    c->out_channels = fields_int(&f, "out_channels", c->in_channels, 1, VAE_MAX_Z);
    c->text_dim = fields_int(&f, "text_dim", 4096, 1, MAX_WIDTH);
    c->freq_dim = fields_int(&f, "freq_dim", 256, 2, 1 << 14);
    c->ffn_dim = fields_int(&f, "ffn_dim", 13824, 1, MAX_WIDTH);
    c->layers = fields_int(&f, "num_layers", 40, 1, 512);
    c->cross_norm = fields_bool(&f, "cross_attn_norm", true);
    c->eps = (float)fields_real(&f, "eps", 1e-6, 0, 1);
    c->rope_max_len = fields_int(&f, "rope_max_seq_len", 1024, 1, 1 << 16);
    c->image_dim = fields_int(&f, "image_dim", 0, 1, MAX_WIDTH);
    c->added_kv_dim = fields_int(&f, "added_kv_proj_dim", 0, 1, MAX_WIDTH);
    c->pos_embed_len = fields_int(&f, "pos_embed_seq_len", 0, 1, 1 << 16);
    if (vace) read_vace(&f, c);
    if (c->head_dim % 2) fields_fault(&f, "attention_head_dim", " = %d, expected an even number", c->head_dim);
    if (c->freq_dim % 2) fields_fault(&f, "freq_dim", " = %d, expected an even number", c->freq_dim);
    if ((c->image_dim > 0) != (c->added_kv_dim > 0))
        fields_fault(&f, "added_kv_proj_dim", " and image_dim: expected both or neither");
    if (c->added_kv_dim && c->added_kv_dim != c->heads * c->head_dim)
        fields_fault(&f, "added_kv_proj_dim", " = %d, expected num_attention_heads * attention_head_dim = %d",
                     c->added_kv_dim, c->heads * c->head_dim);
    if (c->heads * c->head_dim > MAX_WIDTH)
        fields_fault(&f, "num_attention_heads", " * attention_head_dim = %d, expected at most %d",
                     c->heads * c->head_dim, MAX_WIDTH);
    return fields_close(&f);
}

static const float z16_mean[16] = {-0.7571f, -0.7089f, -0.9113f, 0.1075f,  -0.1745f, 0.9653f,  -0.1517f, 1.5508f,
                                   0.4134f,  -0.0715f, 0.5517f,  -0.3632f, -0.1922f, -0.9497f, 0.2503f,  -0.2921f};
static const float z16_std[16] = {2.8184f, 1.4541f, 2.3275f, 2.6558f, 1.2196f, 1.7708f, 2.6052f, 2.0743f,
                                  3.2687f, 2.1526f, 2.8652f, 1.5579f, 1.6382f, 1.1253f, 2.8251f, 1.9160f};

static void read_stages(Fields *f, VaeConfig *c)
{
    if (!fields_ints(f, "dim_mult", 1, VAE_MAX_STAGES, 1, 64, c->dim_mult, &c->stages)) {
        c->stages = 4;
        memcpy(c->dim_mult, (int[]){1, 2, 4, 4}, 4 * sizeof(int));
    }
    json_t *down = fields_get(f, "temperal_downsample");
    if (down && (!json_is_array(down) || json_array_size(down) != (size_t)c->stages - 1)) {
        fields_fault(f, "temperal_downsample", " is no list of %d truth values, one less than dim_mult has",
                     c->stages - 1);
    } else if (!down && c->stages != 4) {
        fields_fault(f, "temperal_downsample", " is missing, expected %d truth values", c->stages - 1);
    }
    c->scale_space = c->patch;
    c->scale_time = 1;
    for (int i = 0; i + 1 < c->stages; i++) {
        json_t *v = down ? json_array_get(down, (size_t)i) : i ? json_true() : json_false();
        if (!json_is_boolean(v)) fields_fault(f, "temperal_downsample", "[%d] is neither true nor false", i);
        c->time_down[i] = json_is_true(v);
        c->scale_space *= 2;
        c->scale_time *= c->time_down[i] ? 2 : 1;
    }
}

/* The shapes that the decoder and encoder derive from the multipliers must be whole. */
static void check_vae_widths(Fields *f, const VaeConfig *c)
{
    for (int i = 0; i < c->stages; i++)
        if (!c->residual && i + 1 < c->stages && c->decoder_base_dim * c->dim_mult[i + 1] < 2)
            fields_fault(f, "base_dim", " = %d is too small to be halved", c->decoder_base_dim);
    for (int i = 0; c->residual && i < c->stages; i++) {
        bool last = i + 1 == c->stages;
        int factor = last ? 1 : 4 * (c->time_down[i] ? 2 : 1);
        int in = c->base_dim * (i ? c->dim_mult[i - 1] : 1), out = c->base_dim * c->dim_mult[i];
        if (in * factor % out)
            fields_fault(f, "dim_mult", "[%d]: %d channels cannot be averaged to %d", i, in * factor, out);
        if (last) continue;
        int up_in = c->decoder_base_dim * c->dim_mult[i + 2 < c->stages ? i + 2 : c->stages - 1];
        int up_out = c->decoder_base_dim * c->dim_mult[i + 1];
        if (up_out * factor % up_in)
            fields_fault(f, "dim_mult", "[%d]: %d channels cannot be repeated to %d", i, up_in, up_out);
    }
}

static Status read_vae(const char *folder, VaeConfig *c)
{
    Fields f;
    if (failed(fields_open(folder, "vae/config.json", &f))) return fields_close(&f);
    fields_expect(&f, "_class_name", "AutoencoderKLWan", "AutoencoderKLWan");
    c->base_dim = fields_int(&f, "base_dim", 96, 1, 4096);
    c->decoder_base_dim = fields_int(&f, "decoder_base_dim", c->base_dim, 1, 4096);
    c->z_dim = fields_int(&f, "z_dim", 16, 1, VAE_MAX_Z);
    c->res_blocks = fields_int(&f, "num_res_blocks", 2, 1, 16);
    c->residual = fields_bool(&f, "is_residual", false);
    c->patch = fields_int(&f, "patch_size", 1, 1, 8);
    c->in_channels = fields_int(&f, "in_channels", 3, 1, 4096);
    c->out_channels = fields_int(&f, "out_channels", 3, 1, 4096);
    read_stages(&f, c);
    fields_reals(&f, "latents_mean", c->z_dim, c->z_dim == 16 ? z16_mean : NULL, -1e4, 1e4, c->mean);
    fields_reals(&f, "latents_std", c->z_dim, c->z_dim == 16 ? z16_std : NULL, 1e-6, 1e4, c->std);
    json_t *scales = fields_get(&f, "attn_scales");
    if (scales && json_array_size(scales) > 0) fields_fault(&f, "attn_scales", " is not supported, expected []");
    int space = fields_int(&f, "scale_factor_spatial", 8, 1, 4096),
        time = fields_int(&f, "scale_factor_temporal", 4, 1, 4096);
    if (space != c->scale_space)
        fields_fault(&f, "scale_factor_spatial", " = %d, but the stages make it %d", space, c->scale_space);
    if (time != c->scale_time)
        fields_fault(&f, "scale_factor_temporal", " = %d, but the stages make it %d", time, c->scale_time);
    int pixels = 3 * c->patch * c->patch;
    if (c->in_channels != pixels)
        fields_fault(&f, "in_channels", " = %d, expected 3 * patch_size^2 = %d", c->in_channels, pixels);
    if (c->out_channels != pixels)
        fields_fault(&f, "out_channels", " = %d, expected 3 * patch_size^2 = %d", c->out_channels, pixels);
    if (!failed(f.status)) check_vae_widths(&f, c);
    return fields_close(&f);
}

/* {"NAME": n}, or n alone as older files have it */
static int read_side(Fields *f, const char *key, const char *name, int fallback)
{
    json_t *v = fields_get(f, key);
    if (!v) return fallback;
    json_t *n = json_is_object(v) ? json_object_get(v, name) : v;
    json_int_t side = json_integer_value(n);
    if (!json_is_integer(n) || side < 1 || side > 4096) fields_fault(f, key, ".%s: expected 1 to 4096", name);
    return (int)side;
}

static Status read_picture_steps(const char *folder, VisionConfig *c)
{
    static const float mean[3] = {0.48145466f, 0.4578275f, 0.40821073f},
                       std[3] = {0.26862954f, 0.26130258f, 0.27577711f};
    Fields f;
    if (failed(fields_open(folder, "image_processor/preprocessor_config.json", &f))) return fields_close(&f);
    c->shortest = read_side(&f, "size", "shortest_edge", 224);
    c->rescale = fields_real(&f, "rescale_factor", 1.0 / 255, 1e-9, 1e3);
    fields_reals(&f, "image_mean", 3, mean, -1e3, 1e3, c->mean);
    fields_reals(&f, "image_std", 3, std, 1e-6, 1e3, c->std);
    int height = read_side(&f, "crop_size", "height", 224), width = read_side(&f, "crop_size", "width", 224);
    if (height != c->image_size || width != c->image_size)
        fields_fault(&f, "crop_size", " = %dx%d, expected image_size = %d of the image encoder", height, width,
                     c->image_size);
    if (fields_int(&f, "resample", 3, 0, 5) != 3) fields_fault(&f, "resample", ": expected 3 (bicubic)");
    fields_refuse(&f, "do_resize", true);
    fields_refuse(&f, "do_center_crop", true);
    fields_refuse(&f, "do_rescale", true);
    fields_refuse(&f, "do_normalize", true);
    return fields_close(&f);
}

static Status read_vision(const char *folder, VisionConfig *c)
{
    Fields f;
    if (failed(fields_open(folder, "image_encoder/config.json", &f))) return fields_close(&f);
    c->width = fields_int(&f, "hidden_size", 768, 1, MAX_WIDTH);
    c->ffn_dim = fields_int(&f, "intermediate_size", 3072, 1, MAX_WIDTH);
    c->layers = fields_int(&f, "num_hidden_layers", 12, 2, 512);
    c->heads = fields_int(&f, "num_attention_heads", 12, 1, 512);
    c->image_size = fields_int(&f, "image_size", 224, 1, 4096);
    c->patch = fields_int(&f, "patch_size", 32, 1, 1024);
    c->eps = (float)fields_real(&f, "layer_norm_eps", 1e-5, 0, 1);
    fields_expect(&f, "hidden_act", "quick_gelu", "gelu");
    if (c->width % c->heads) fields_fault(&f, "hidden_size", " = %d is no multiple of num_attention_heads", c->width);
    if (c->image_size % c->patch) fields_fault(&f, "image_size", " = %d is no multiple of patch_size", c->image_size);
    TRY(fields_close(&f));
    return read_picture_steps(folder, c);
}

/* ---- the pipeline ---------------------------------------------------------------------------------------------------------- */

/* Whether model_index.json names a class for a component: ["diffusers", "Class"], not [null, null]. */
static bool has_component(Fields *f, const char *key)
{
    json_t *v = fields_get(f, key);
    if (!v) return false;
    if (!json_is_array(v) || json_array_size(v) != 2) fields_fault(f, key, " is no [library, class]");
    return json_is_string(json_array_get(v, 1));
}

static const char speech_pipeline[] = "WanSpeechToVideoPipeline";

static Status read_index(const char *folder, ModelConfig *c)
{
    static const char *const needed[] = {"scheduler", "text_encoder", "tokenizer", "transformer", "vae"};
    Fields f;
    char *path = path_join(folder, "model_index.json");
    const bool there = file_exists(path);
    free(path);
    if (!there)
        return status_fail(ERR_INPUT,
                           "%s/model_index.json: no such file, so this is no model; expected a folder in the diffusers "
                           "layout, with scheduler/, text_encoder/, tokenizer/, transformer/ and vae/ beside that file",
                           folder);
    if (failed(fields_open(folder, "model_index.json", &f))) return fields_close(&f);
    const char *name = fields_text(&f, "_class_name", "");
    snprintf(c->pipeline, sizeof c->pipeline, "%s", name);
    const bool speaks = strcmp(name, speech_pipeline) == 0;
    if (strcmp(name, "WanPipeline") != 0 && strcmp(name, "WanImageToVideoPipeline") != 0 &&
        strcmp(name, "WanVACEPipeline") != 0 && !speaks)
        fields_fault(
            &f, "_class_name",
            " = \"%.60s\", expected WanPipeline, WanImageToVideoPipeline, WanVACEPipeline or WanSpeechToVideoPipeline",
            name);
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!has_component(&f, needed[i])) fields_fault(&f, needed[i], " is missing, expected [library, class]");
    if (speaks && !has_component(&f, "audio_encoder"))
        fields_fault(&f, "audio_encoder", " is missing, expected [library, class]");
    c->boundary_ratio = fields_real(&f, "boundary_ratio", 0, 0, 1);
    c->expand_timesteps = fields_bool(&f, "expand_timesteps", false);
    c->two_transformers = has_component(&f, "transformer_2");
    c->has_image_encoder = has_component(&f, "image_encoder");
    if (c->boundary_ratio > 0 && !c->two_transformers)
        fields_fault(&f, "boundary_ratio", " = %g, but there is no transformer_2", c->boundary_ratio);
    return fields_close(&f);
}

static bool is_vace(const ModelConfig *c) { return strcmp(c->pipeline, "WanVACEPipeline") == 0; }
static bool is_image_to_video(const ModelConfig *c) { return strcmp(c->pipeline, "WanImageToVideoPipeline") == 0; }

/* Numbers that two components must agree about. */
static Status check_agreement(const ModelConfig *c, const DitConfig *d, const char *name)
{
    int z = c->vae.z_dim;
    int want_in = is_image_to_video(c) && !c->expand_timesteps ? 2 * z + c->vae.scale_time : z;
    if (d->text_dim != c->text.d_model)
        return status_fail(ERR_INPUT, "%s/%s: text_dim = %d, expected d_model = %d of the text encoder", c->folder,
                           name, d->text_dim, c->text.d_model);
    const bool speaks = d->sound_count > 0; /* its config.json is the publishers' */
    if (d->out_channels != z)
        return status_fail(ERR_INPUT, "%s/%s: %s = %d, expected z_dim = %d of the autoencoder", c->folder, name,
                           speaks ? "out_dim" : "out_channels", d->out_channels, z);
    if (d->in_channels != want_in)
        return status_fail(ERR_INPUT, "%s/%s: %s = %d, expected %d for %s", c->folder, name,
                           speaks ? "in_dim" : "in_channels", d->in_channels, want_in, c->pipeline);
    if ((d->vace_count > 0) != is_vace(c))
        return status_fail(ERR_INPUT, "%s/%s: _class_name does not go with %s", c->folder, name, c->pipeline);
    if (d->vace_count && d->vace_in != 2 * z + c->vae.scale_space * c->vae.scale_space)
        return status_fail(ERR_INPUT, "%s/%s: vace_in_channels = %d, expected %d", c->folder, name, d->vace_in,
                           2 * z + c->vae.scale_space * c->vae.scale_space);
    if ((d->sound_count > 0) != (strcmp(c->pipeline, speech_pipeline) == 0))
        return status_fail(ERR_INPUT, "%s/%s: _class_name does not go with %s", c->folder, name, c->pipeline);
    if (d->sound_count && (z != CHAIN_CHANNELS || c->vae.scale_time != 4))
        return status_fail(ERR_INPUT,
                           "%s/vae/config.json: %d channels and 1 latent frame for %d, expected %d and 4 for %s",
                           c->folder, z, c->vae.scale_time, CHAIN_CHANNELS, c->pipeline);
    if ((d->image_dim > 0) != c->has_image_encoder)
        return status_fail(ERR_INPUT, "%s/%s: image_dim is %s, but model_index.json has %s image_encoder", c->folder,
                           name, d->image_dim ? "set" : "null", c->has_image_encoder ? "an" : "no");
    return status_ok();
}

/* What a model that speaks hears with. */
static Status read_sound(ModelConfig *c)
{
    TRY(model_config_read_speech(c->folder, &c->speech));
    c->dit.sound_states = c->speech.layers + 1;
    if (c->dit.sound_dim != c->speech.width)
        return status_fail(ERR_INPUT,
                           "%s/transformer/config.json: audio_dim = %d, expected hidden_size = %d of the audio encoder",
                           c->folder, c->dit.sound_dim, c->speech.width);
    if (c->two_transformers)
        return status_fail(ERR_INPUT, "%s/model_index.json: transformer_2, but a model that speaks has one", c->folder);
    return status_ok();
}

/* Positions are learned for the tokens of two pictures, the first and the last frame, one after the other. */
static Status check_positions(const ModelConfig *c)
{
    const int side = c->has_image_encoder ? c->vision.image_size / c->vision.patch : 0;
    const int want = 2 * (side * side + 1);
    if (!c->dit.pos_embed_len || (c->has_image_encoder && c->dit.pos_embed_len == want)) return status_ok();
    if (!c->has_image_encoder)
        return status_fail(ERR_INPUT,
                           "%s/transformer/config.json: pos_embed_seq_len = %d, but there is no image_encoder",
                           c->folder, c->dit.pos_embed_len);
    return status_fail(
        ERR_INPUT,
        "%s/transformer/config.json: pos_embed_seq_len = %d, expected %d: two pictures of %d tokens each "
        "from the image encoder",
        c->folder, c->dit.pos_embed_len, want, want / 2);
}

/* The second transformer takes the first one's place from some step on: same shapes. */
static Status check_second(const ModelConfig *c)
{
    DitConfig second = {0};
    TRY(read_dit(c->folder, "transformer_2/config.json", &second));
    if (memcmp(&second, &c->dit, sizeof second) != 0)
        return status_fail(
            ERR_INPUT, "%s/transformer_2/config.json: expected the same numbers as transformer/config.json", c->folder);
    return status_ok();
}

/* ---- defaults and shots ------------------------------------------------------------------------------------------------------ */

static int grid(const ModelConfig *c, int axis) { return c->vae.scale_space * c->dit.patch[axis]; }

/* Sides are multiples of it: of whole patches, and of the largest in which a model that speaks sees the frames before. */
static int side_step(const ModelConfig *c, int axis)
{
    return c->dit.sound_count ? c->vae.scale_space * CHAIN_LARGEST_PATCH : grid(c, axis);
}

static int most_pixels(const ModelConfig *c, int axis)
{
    return c->dit.rope_max_len < MAX_WIDTH / grid(c, axis) ? c->dit.rope_max_len * grid(c, axis) : MAX_WIDTH;
}

static int clip_size(const ModelConfig *c, int axis, int pixels)
{
    const int most = most_pixels(c, axis), step = side_step(c, axis);
    if (pixels > most) pixels = most;
    pixels -= pixels % step;
    return pixels ? pixels : step;
}

/* Latent frames come in patches; all frames but the first in groups of scale_time. */
static int clip_frames(const ModelConfig *c, int frames)
{
    int latent = (frames - 1) / c->vae.scale_time + 1, patch = c->dit.patch[0];
    if (latent / patch > c->dit.rope_max_len) latent = c->dit.rope_max_len * patch;
    latent -= latent % patch;
    return ((latent ? latent : patch) - 1) * c->vae.scale_time + 1;
}

static Status read_defaults(ModelConfig *c)
{
    ShotSpec *s = &c->defaults;
    const bool speaks = c->dit.sound_count > 0;
    *s = (ShotSpec){.prompt = text_copy(""),
                    .width = clip_size(c, 2, 832),
                    .height = clip_size(c, 1, 480),
                    .frames = speaks ? CHAIN_CLIP_FRAMES - CHAIN_DROPPED : clip_frames(c, 81),
                    .fps = c->expand_timesteps ? 24 : 16, /* what TI2V-5B was trained at, and the others */
                    .steps = speaks ? 40 : 50,
                    .guidance = speaks ? 4.5 : 5.0,
                    .flow_shift = c->scheduler.flow_shift};
    memcpy(s->scheduler, c->scheduler.kind, sizeof s->scheduler);
    char *path = path_join(c->folder, "reelwright.json");
    bool there = file_exists(path);
    free(path);
    if (!there) {
        s->negative = text_copy("");
        return status_ok();
    }
    Fields f;
    fields_open(c->folder, "reelwright.json", &f);
    distilled_read(&f, &c->distilled);
    distilled_apply(&c->distilled, s);
    s->width = fields_int(&f, "width", s->width, 1, MAX_WIDTH);
    s->height = fields_int(&f, "height", s->height, 1, MAX_WIDTH);
    s->frames = fields_int(&f, "frames", s->frames, 1, 1 << 16);
    s->fps = fields_int(&f, "fps", s->fps, 1, 240);
    s->steps = fields_int(&f, "steps", s->steps, 1, 1000);
    s->guidance = fields_real(&f, "guidance", s->guidance, 0, 100);
    s->flow_shift = fields_real(&f, "flow_shift", s->flow_shift, 1e-3, 1e3);
    const char *scheduler = fields_text(&f, "scheduler", NULL), *sigmas = fields_text(&f, "sigmas", NULL);
    if (scheduler) snprintf(s->scheduler, sizeof s->scheduler, "%s", scheduler);
    if (sigmas) shot_set_sigmas(s, sigmas);
    s->negative = text_copy(fields_text(&f, "negative", ""));
    if (!failed(f.status)) f.status = status_at(model_config_check_shot(c, s), "%s", f.path);
    return fields_close(&f);
}

Status model_config_read(const char *folder, ModelConfig **out)
{
    ModelConfig *c = memory_get(1, sizeof *c);
    Status status = status_ok();
    *out = NULL;
    c->folder = text_copy(folder);
    if (!file_is_folder(folder))
        TRY_OUT(status_fail(ERR_INPUT, "%s: no folder; expected a model in the diffusers layout", folder));
    TRY_OUT(read_index(folder, c));
    TRY_OUT(read_text(folder, &c->text));
    TRY_OUT(read_dit(folder, "transformer/config.json", &c->dit));
    TRY_OUT(read_vae(folder, &c->vae));
    TRY_OUT(model_config_read_scheduler(folder, &c->scheduler));
    if (c->has_image_encoder) TRY_OUT(read_vision(folder, &c->vision));
    if (c->dit.sound_count) TRY_OUT(read_sound(c));
    TRY_OUT(check_agreement(c, &c->dit, "transformer/config.json"));
    TRY_OUT(check_positions(c));
    if (c->two_transformers) TRY_OUT(check_second(c));
    TRY_OUT(read_defaults(c));
    *out = c;
    return status;
out:
    model_config_free(&c);
    return status;
}

void model_config_free(ModelConfig **c)
{
    if (!*c) return;
    free((*c)->folder);
    shot_clear(&(*c)->defaults);
    free(*c);
    *c = NULL;
}

static Status check_side(const ModelConfig *c, const char *name, int axis, int pixels)
{
    int step = side_step(c, axis);
    if (pixels < step || pixels % step)
        return status_fail(ERR_INPUT, "%s = %d, expected a multiple of %d (such as %d)", name, pixels, step,
                           clip_size(c, axis, pixels > 0 ? pixels + step / 2 : step));
    if (pixels > most_pixels(c, axis))
        return status_fail(ERR_INPUT, "%s = %d, expected at most %d", name, pixels, clip_size(c, axis, MAX_WIDTH));
    return status_ok();
}

static Status check_frames(const ModelConfig *c, int frames)
{
    int group = c->vae.scale_time, lower = clip_frames(c, frames < 1 ? 1 : frames);
    if (frames < 1 || frames > 1 << 16) return status_fail(ERR_INPUT, "frames = %d, expected 1 to %d", frames, 1 << 16);
    if (c->dit.sound_count) return status_ok(); /* made in clips, as many as it takes */
    if (frames == lower) return status_ok();
    if ((frames - 1) / group + 1 > c->dit.rope_max_len * c->dit.patch[0])
        return status_fail(ERR_INPUT, "frames = %d, expected at most %d", frames, lower);
    return status_fail(ERR_INPUT, "frames = %d, expected %dk+1 (%d or %d)", frames, group, lower,
                       lower + group * c->dit.patch[0]);
}

static Status check_real(const char *name, double x, double min, double max)
{
    if (x >= min && x <= max) return status_ok(); /* false for NaN */
    return status_fail(ERR_INPUT, "%s = %g, expected %g to %g", name, x, min, max);
}

/* What the shot shares with others or leaves out. */
static Status check_savings(const ShotSpec *s)
{
    if (s->trunk_steps < 0 || s->trunk_steps >= s->steps)
        return status_fail(ERR_INPUT, "trunk-steps = %d, expected 0 to %d: the last step is the shot's own",
                           s->trunk_steps, s->steps - 1);
    if (s->reused_steps) {
        bool reused[1000];
        TRY(shot_read_reused(s, reused));
    }
    if (s->guided_from == 0 && s->guided_to == 0) return status_ok();
    if (!(s->guided_from > 0 && s->guided_from <= 1 && s->guided_to >= 0 && s->guided_to < s->guided_from))
        return status_fail(ERR_INPUT, "guided = %g to %g, expected noise levels from at most 1 down to at least 0",
                           s->guided_from, s->guided_to);
    return status_ok();
}

static Status check_schedule(const ShotSpec *s)
{
    const bool unipc = strcmp(s->scheduler, "unipc") == 0, distilled = strcmp(s->sigmas, "distilled") == 0;
    if (!unipc && strcmp(s->scheduler, "euler") != 0 && strcmp(s->scheduler, "lcm") != 0)
        return status_fail(ERR_INPUT, "scheduler = \"%.15s\", expected unipc, euler or lcm", s->scheduler);
    if (*s->sigmas && !distilled && strcmp(s->sigmas, "classic") != 0)
        return status_fail(ERR_INPUT, "sigmas = \"%.15s\", expected standard, classic or distilled", s->sigmas);
    if (distilled && unipc)
        return status_fail(ERR_INPUT, "sigmas = distilled, expected scheduler euler or lcm beside it, not unipc");
    return status_ok();
}

Status model_config_check_shot(const ModelConfig *c, const ShotSpec *s)
{
    TRY(check_side(c, "width", 2, s->width));
    TRY(check_side(c, "height", 1, s->height));
    TRY(check_frames(c, s->frames));
    if (s->frames_most && !c->dit.sound_count)
        return status_fail(ERR_INPUT,
                           "frames = voice, expected a number: %s does not speak, so its clips do not follow a voice",
                           c->folder);
    if (c->dit.sound_count && s->fps != CHAIN_FPS)
        return status_fail(ERR_INPUT, "fps = %d, expected %d: a model that speaks hears the sound at that rate", s->fps,
                           CHAIN_FPS);
    if (s->fps < 1 || s->fps > 240) return status_fail(ERR_INPUT, "fps = %d, expected 1 to 240", s->fps);
    if (s->steps < 1 || s->steps > 1000) return status_fail(ERR_INPUT, "steps = %d, expected 1 to 1000", s->steps);
    TRY(check_real("guidance", s->guidance, 0, 100));
    TRY(check_real("guidance-2", s->guidance_2, 0, 100));
    TRY(check_real("flow-shift", s->flow_shift, 1e-3, 1e3));
    if (s->guidance_2 > 0 && !c->two_transformers)
        return status_fail(ERR_INPUT, "guidance-2 = %g, but %s has no second transformer", s->guidance_2, c->folder);
    TRY(check_schedule(s));
    return check_savings(s);
}
