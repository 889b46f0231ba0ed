#include "adapter_parts.h"

#include <stdio.h>
#include <string.h>

/* ---- names ------------------------------------------------------------------------------------------------------------- */

static const char *const down_ends[] = {".lora_A.weight", ".lora_down.weight", ".lora_A.default.weight",
                                        ".lora.down.weight", NULL};
static const char *const up_ends[] = {".lora_B.weight", ".lora_up.weight", ".lora_B.default.weight", ".lora.up.weight",
                                      NULL};
static const char *const alpha_ends[] = {".alpha", NULL};
static const char *const diff_ends[] = {".diff", NULL};
static const char *const diff_b_ends[] = {".diff_b", NULL};
static const char *const diff_m_ends[] = {".diff_m", NULL};
static const char *const bias_ends[] = {".lora_B.bias", ".lora_up.bias", ".lora_B.default.bias", NULL};

static const StoredTensor *find_end(const Adapter *a, const char *stem, const char *const *end)
{
    char name[2 * NAMES_MOST];
    for (; *end; end++) {
        snprintf(name, sizeof name, "%s%s", stem, *end);
        const StoredTensor *t = safetensors_find(a->file, name);
        if (t) return t;
    }
    return NULL;
}

/* What the file has under this stem for a weight, or for a bias. */
static bool find_at(const Adapter *a, const char *stem, bool bias, Term *out)
{
    out->down = find_end(a, stem, down_ends);
    out->alpha = find_end(a, stem, alpha_ends);
    out->bias = bias ? find_end(a, stem, bias_ends) : NULL;
    out->up = bias ? NULL : find_end(a, stem, up_ends);
    out->diff = find_end(a, stem, bias ? diff_b_ends : diff_ends);
    return out->bias || out->diff || (!bias && (out->down || out->up));
}

static void underscored(char *name)
{
    for (; *name; name++)
        if (*name == '.') *name = '_';
}

/* One spelling of the module, behind each prefix that tools put before it. */
static bool find_spelled(const Adapter *a, const char *module, bool bias, Term *out)
{
    const char *const prefix[] = {"", a->own, "diffusion_model.", "base_model.model.", "model.diffusion_model."};
    char stem[2 * NAMES_MOST];
    snprintf(out->module, sizeof out->module, "%s", module);
    for (size_t i = 0; i < sizeof prefix / sizeof *prefix; i++) {
        snprintf(stem, sizeof stem, "%s%s", prefix[i], module);
        if (find_at(a, stem, bias, out)) return true;
    }
    static const char *const kohya[] = {"lora_unet_", "lora_unet__", "lora_transformer_", "lycoris_"};
    for (size_t i = 0; i < sizeof kohya / sizeof *kohya; i++) {
        const int n = snprintf(stem, sizeof stem, "%s", kohya[i]);
        snprintf(stem + n, sizeof stem - (size_t)n, "%s", module);
        underscored(stem + n);
        if (find_at(a, stem, bias, out)) return true;
    }
    return false;
}

bool adapter_ends_in(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

/* LightX2V's name of a difference of "blocks.0.modulation" is "blocks.0.diff_m". */
static bool find_modulation(const Adapter *a, const char *published, Term *out)
{
    char stem[NAMES_MOST + 32];
    if (!adapter_ends_in(published, ".modulation")) return false;
    snprintf(stem, sizeof stem, "diffusion_model.%s", published);
    *strrchr(stem, '.') = 0;
    out->diff = find_end(a, stem, diff_m_ends);
    if (!out->diff) out->diff = find_end(a, stem + strlen("diffusion_model."), diff_m_ends);
    return out->diff != NULL;
}

bool adapter_find_term(const Adapter *a, const char *tensor, Term *out)
{
    char module[NAMES_MOST], published[NAMES_MOST];
    const bool bias = adapter_ends_in(tensor, ".bias");
    *out = (Term){0};
    if ((size_t)snprintf(module, sizeof module, "%s", tensor) >= sizeof module) return false;
    if (bias || adapter_ends_in(tensor, ".weight")) *strrchr(module, '.') = 0;
    if (find_spelled(a, module, bias, out)) return true;
    if (!names_published(module, false, published, sizeof published)) return false;
    return find_spelled(a, published, bias, out) || find_modulation(a, published, out);
}

/* A setting of this transformer, whatever prefix it stands under; NULL: not there. */
const json_t *adapter_setting(const Adapter *a, const char *key)
{
    char name[128];
    snprintf(name, sizeof name, "%s%s", a->own, key);
    const json_t *found = json_object_get(a->settings, name);
    return found ? found : json_object_get(a->settings, key);
}

const char *adapters_other_kind(const Safetensors *file, const StoredTensor **tensor)
{
    static const struct {
        const char *part, *kind;
    } other[] = {{"dora_scale", "DoRA"},
                 {"lora_magnitude_vector", "DoRA"},
                 {"hada_w1", "LoHa"},
                 {"lokr_w1", "LoKr"},
                 {"oft_blocks", "OFT"},
                 {"boft_R", "BOFT"},
                 {"oft_R", "OFT"},
                 {"vera_lambda", "VeRA"},
                 {"ia3_l", "IA3"},
                 {"lora_mid", "LoCon with a middle"},
                 {"lora_embedding_", "an embedding's LoRA"}};
    for (int i = 0; i < safetensors_count(file); i++)
        for (size_t k = 0; k < sizeof other / sizeof *other; k++) {
            *tensor = safetensors_at(file, i);
            if (strstr((*tensor)->name, other[k].part)) return other[k].kind;
        }
    return NULL;
}
