/* model_config_s2v.c - transformer/config.json of Wan2.2-S2V, as its publishers wrote it. */
#include <string.h>

#include "common/model_config.h"

enum { MAX_WIDTH = 1 << 17 };

/* Kinds of the model that its code can make and of which no weights are published. */
static void refuse_others(Fields *f)
{
    fields_expect(f, "model_type", "s2v", "s2v");
    fields_expect(f, "adain_mode", "attn_norm", "attn_norm");
    fields_expect(f, "framepack_drop_mode", "padd", "padd");
    fields_refuse(f, "enable_adain", true);
    fields_refuse(f, "enable_framepack", true);
    fields_refuse(f, "zero_timestep", true);
    fields_refuse(f, "add_last_motion", true);
    fields_refuse(f, "qk_norm", true);
    fields_refuse(f, "enable_motioner", false);
    fields_refuse(f, "enable_tsm", false);
    fields_refuse(f, "trainable_token_pos_emb", false);
}

static void read_layers(Fields *f, DitConfig *c)
{
    static const int published[] = {0, 4, 8, 12, 16, 20, 24, 27, 30, 33, 36, 39};
    enum { PUBLISHED = sizeof published / sizeof *published };
    if (!fields_ints(f, "audio_inject_layers", 1, SOUND_MAX_LAYERS, 0, c->layers - 1, c->sound_layers,
                     &c->sound_count)) {
        memcpy(c->sound_layers, published, sizeof published);
        c->sound_count = PUBLISHED;
    }
    for (int i = 0; i < c->sound_count; i++)
        if (c->sound_layers[i] >= c->layers || (i && c->sound_layers[i] <= c->sound_layers[i - 1]))
            fields_fault(f, "audio_inject_layers", " has %d in place %d, expected layers below %d in ascending order",
                         c->sound_layers[i], i, c->layers);
}

void model_config_read_s2v(Fields *f, DitConfig *c)
{
    const int three[3] = {1, 2, 2};
    int patch[3], count = 3;
    refuse_others(f);
    memcpy(c->patch, three, sizeof c->patch);
    if (fields_ints(f, "patch_size", 3, 3, 1, 16, patch, &count) && memcmp(patch, three, sizeof patch) != 0)
        fields_fault(f, "patch_size", ": expected [1, 2, 2]");
    const int width = fields_int(f, "dim", 5120, 6, MAX_WIDTH);
    c->heads = fields_int(f, "num_heads", 40, 1, 512);
    c->head_dim = width / c->heads;
    if (width % c->heads) fields_fault(f, "dim", " = %d is no multiple of num_heads", width);
    if (c->head_dim % 2 || c->head_dim < 6 || c->head_dim > 1024)
        fields_fault(f, "dim", " = %d: %d for each head, expected an even number from 6 to 1024", width, c->head_dim);
    if (width % 4) fields_fault(f, "dim", " = %d, expected a multiple of 4: the sound's widths", width);
    c->in_channels = fields_int(f, "in_dim", 16, 1, 4096);
    c->out_channels = fields_int(f, "out_dim", 16, 1, VAE_MAX_Z);
    c->text_dim = fields_int(f, "text_dim", 4096, 1, MAX_WIDTH);
    c->freq_dim = fields_int(f, "freq_dim", 256, 2, 1 << 14);
    c->ffn_dim = fields_int(f, "ffn_dim", 13824, 1, MAX_WIDTH);
    c->layers = fields_int(f, "num_layers", 40, 1, 512);
    c->cross_norm = fields_bool(f, "cross_attn_norm", true);
    c->eps = (float)fields_real(f, "eps", 1e-6, 0, 1);
    c->rope_max_len = 1024;
    c->pose_channels = fields_int(f, "cond_dim", 16, 1, 4096);
    c->sound_dim = fields_int(f, "audio_dim", 1024, 1, MAX_WIDTH);
    c->sound_tokens = fields_int(f, "num_audio_token", 4, 1, 64);
    if (c->freq_dim % 2) fields_fault(f, "freq_dim", " = %d, expected an even number", c->freq_dim);
    if (!failed(f->status)) read_layers(f, c);
}
