/* model_config_second.c - the second transformer takes the first one's place from some step on: it has the same shapes. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/model_config.h"

#define NUMBERS(key, field)                                                                                            \
    {                                                                                                                  \
        key, offsetof(DitConfig, field), sizeof((DitConfig *)NULL)->field / sizeof(int)                                \
    }

static const struct {
    const char *key;
    size_t at;
    size_t count; /* ints */
} same[] = {NUMBERS("patch_size", patch),
            NUMBERS("num_attention_heads", heads),
            NUMBERS("attention_head_dim", head_dim),
            NUMBERS("in_channels", in_channels),
            NUMBERS("out_channels", out_channels),
            NUMBERS("text_dim", text_dim),
            NUMBERS("freq_dim", freq_dim),
            NUMBERS("ffn_dim", ffn_dim),
            NUMBERS("num_layers", layers),
            NUMBERS("rope_max_seq_len", rope_max_len),
            NUMBERS("image_dim", image_dim),
            NUMBERS("added_kv_proj_dim", added_kv_dim),
            NUMBERS("pos_embed_seq_len", pos_embed_len),
            NUMBERS("vace_in_channels", vace_in)};

/* "40", "[1,2,2]" */
static void say(const int *number, size_t count, char *text, size_t room)
{
    size_t n = (size_t)snprintf(text, room, "%s", count > 1 ? "[" : "");
    for (size_t i = 0; i < count && n < room; i++)
        n += (size_t)snprintf(text + n, room - n, "%s%d", i ? "," : "", number[i]);
    if (count > 1 && n < room) snprintf(text + n, room - n, "]");
}

static Status differs(const char *folder, const char *key, const char *is, const char *wanted)
{
    return status_fail(ERR_INPUT,
                       "%s/transformer_2/config.json: %s = %s, expected %s as in transformer/config.json: the second "
                       "transformer takes the first one's place, so both have the same shapes",
                       folder, key, is, wanted);
}

Status model_config_check_second(const char *folder, const DitConfig *first, const DitConfig *second)
{
    char is[256], wanted[256];
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        const int *a = (const int *)(const void *)((const char *)first + same[i].at),
                  *b = (const int *)(const void *)((const char *)second + same[i].at);
        if (memcmp(a, b, same[i].count * sizeof *a) == 0) continue;
        say(a, same[i].count, wanted, sizeof wanted);
        say(b, same[i].count, is, sizeof is);
        return differs(folder, same[i].key, is, wanted);
    }
    if (first->vace_count != second->vace_count ||
        memcmp(first->vace_layers, second->vace_layers, sizeof first->vace_layers) != 0) {
        say(first->vace_layers, (size_t)first->vace_count, wanted, sizeof wanted);
        say(second->vace_layers, (size_t)second->vace_count, is, sizeof is);
        return differs(folder, "vace_layers", *is ? is : "none", *wanted ? wanted : "none");
    }
    if (first->cross_norm != second->cross_norm)
        return differs(folder, "cross_attn_norm", second->cross_norm ? "true" : "false",
                       first->cross_norm ? "true" : "false");
    if (first->eps == second->eps) return status_ok();
    snprintf(is, sizeof is, "%g", (double)second->eps);
    snprintf(wanted, sizeof wanted, "%g", (double)first->eps);
    return differs(folder, "eps", is, wanted);
}
