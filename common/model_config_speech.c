/* model_config_speech.c - what audio_encoder/ of a model folder says: wav2vec2 of the kind that norms before each layer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/json_fields.h"
#include "common/model_config.h"

enum { MAX_WIDTH = 1 << 17, HOP = 320 /* samples from one row to the next: 50 rows a second of 16,000 samples */ };

static void read_line(Fields *f, const char *key, const int fallback[7], int max, int *to, int *count)
{
    if (fields_ints(f, key, 1, SPEECH_MAX_CONVS, 1, max, to, count)) return;
    *count = 7;
    memcpy(to, fallback, 7 * sizeof *to);
}

static void read_convs(Fields *f, SpeechConfig *c)
{
    static const int dim[7] = {512, 512, 512, 512, 512, 512, 512}, kernel[7] = {10, 3, 3, 3, 3, 2, 2},
                     stride[7] = {5, 2, 2, 2, 2, 2, 2};
    int kernels = 0, strides = 0;
    int64_t hop = 1;
    read_line(f, "conv_dim", dim, MAX_WIDTH, c->conv_dim, &c->convs);
    read_line(f, "conv_kernel", kernel, 64, c->conv_kernel, &kernels);
    read_line(f, "conv_stride", stride, HOP, c->conv_stride, &strides);
    if (kernels != c->convs || strides != c->convs)
        fields_fault(f, "conv_dim", " has %d numbers, conv_kernel %d and conv_stride %d, expected as many of each",
                     c->convs, kernels, strides);
    for (int i = 0; i < c->convs && hop <= HOP; i++) hop *= c->conv_stride[i];
    if (!failed(f->status) && hop != HOP)
        fields_fault(f, "conv_stride", ": together they are not %d, which 50 rows a second of sound come from", HOP);
    fields_expect(f, "feat_extract_norm", "group", "layer");
    fields_expect(f, "feat_extract_activation", "gelu", "gelu");
    if (!fields_bool(f, "conv_bias", false)) fields_fault(f, "conv_bias", " = false is not supported, expected true");
}

static Status read_preprocessor(const char *folder, SpeechConfig *c)
{
    static const char name[] = "audio_encoder/preprocessor_config.json";
    Fields f;
    char *path = path_join(folder, name);
    const bool there = file_exists(path);
    free(path);
    c->normalize = true; /* what the file's class does without a word */
    if (!there) return status_ok();
    if (failed(fields_open(folder, name, &f))) return fields_close(&f);
    c->normalize = fields_bool(&f, "do_normalize", true);
    const int rate = fields_int(&f, "sampling_rate", 16000, 1, 1 << 20);
    if (rate != 16000) fields_fault(&f, "sampling_rate", " = %d is not supported, expected 16000", rate);
    return fields_close(&f);
}

Status model_config_read_speech(const char *folder, SpeechConfig *c)
{
    Fields f;
    *c = (SpeechConfig){0};
    if (failed(fields_open(folder, "audio_encoder/config.json", &f))) return fields_close(&f);
    fields_expect(&f, "model_type", "wav2vec2", "wav2vec2");
    c->width = fields_int(&f, "hidden_size", 768, 1, MAX_WIDTH);
    c->ffn_dim = fields_int(&f, "intermediate_size", 3072, 1, MAX_WIDTH);
    c->layers = fields_int(&f, "num_hidden_layers", 12, 1, 512);
    c->heads = fields_int(&f, "num_attention_heads", 12, 1, 512);
    c->eps = (float)fields_real(&f, "layer_norm_eps", 1e-5, 0, 1);
    fields_expect(&f, "hidden_act", "gelu", "gelu");
    if (!fields_bool(&f, "do_stable_layer_norm", false))
        fields_fault(&f, "do_stable_layer_norm", " = false is not supported, expected true");
    fields_refuse(&f, "add_adapter", false);
    read_convs(&f, c);
    c->position_kernel = fields_int(&f, "num_conv_pos_embeddings", 128, 1, 4096);
    c->position_groups = fields_int(&f, "num_conv_pos_embedding_groups", 16, 1, 4096);
    if (c->width % c->heads) fields_fault(&f, "hidden_size", " = %d is no multiple of num_attention_heads", c->width);
    if (c->width % c->position_groups)
        fields_fault(&f, "hidden_size", " = %d is no multiple of num_conv_pos_embedding_groups", c->width);
    TRY(fields_close(&f));
    return read_preprocessor(folder, c);
}
