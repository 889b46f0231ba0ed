#include "model_config.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/chain.h"
#include "common/file.h"
#include "common/model_config_shot.h"

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

/* ---- the whole ---------------------------------------------------------------------------------------------------------------- */

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
    if (c->two_transformers) {
        DitConfig second = {0};
        TRY_OUT(read_dit(folder, "transformer_2/config.json", &second));
        TRY_OUT(model_config_check_second(folder, &c->dit, &second));
    }
    TRY_OUT(model_config_read_defaults(c));
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
