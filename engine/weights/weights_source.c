#include "weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/weights/names.h"
#include "engine/weights/weights_parts.h"

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static WeightSource *source_of(Safetensors *file)
{
    WeightSource *s = memory_get(1, sizeof *s);
    s->file = file;
    s->claimed = memory_get((size_t)safetensors_count(file), sizeof *s->claimed);
    return s;
}

Status weights_open(const char *folder, const char *stem, WeightSource **out)
{
    *out = NULL;
    Safetensors *file = NULL;
    TRY(safetensors_open_folder(folder, stem, &file));
    *out = source_of(file);
    return status_ok();
}

Status weights_open_file(const char *path, WeightSource **out)
{
    *out = NULL;
    Safetensors *file = NULL;
    TRY(safetensors_open_file(path, &file));
    *out = source_of(file);
    return status_ok();
}

WeightSource *weights_random(void)
{
    WeightSource *s = memory_get(1, sizeof *s);
    s->state = 88172645463325252u;
    return s;
}

void weights_adapt(WeightSource *s, Adapters *a) { s->adapters = a; }

int64_t weights_bytes_read(const WeightSource *s) { return s->bytes_read; }

bool weights_has(const WeightSource *s, const char *name)
{
    return !s->file || safetensors_find(s->file, name) != NULL;
}

void weights_close(WeightSource **s)
{
    if (!*s) return;
    safetensors_close(&(*s)->file);
    free((*s)->claimed);
    free((*s)->wide);
    free(*s);
    *s = NULL;
}

/* ---- finding ---------------------------------------------------------------------------------------------------- */

static Status check_shape(const StoredTensor *t, Tensor want)
{
    bool same = t->ndim == want.ndim;
    for (int i = 0; same && i < want.ndim; i++) same = t->dim[i] == want.dim[i];
    if (!same) {
        char has[STORED_SHAPE_TEXT], wants[STORED_SHAPE_TEXT];
        stored_shape_text(t->ndim, t->dim, has);
        stored_shape_text(want.ndim, want.dim, wants);
        return status_fail(ERR_INPUT, "%s: tensor \"%s\" is %s, expected %s from config.json", t->file, t->name, has,
                           wants);
    }
    if (!stored_is_number(t->type))
        return status_fail(ERR_INPUT, "%s: tensor \"%s\" is of type %s, expected F32, BF16, F16, fp8 or a block type",
                           t->file, t->name, t->type_name);
    return status_ok();
}

/* What repackagers put before the names of one part. Files with all parts in one have several of them. */
static const char *const prefixes[] = {"model.diffusion_model.",
                                       "diffusion_model.",
                                       "transformer.",
                                       "first_stage_model.",
                                       "vae.",
                                       "text_encoders.umt5xxl.transformer.",
                                       "text_encoders.",
                                       "text_encoder.",
                                       "model."};
enum { PREFIXES = (int)(sizeof prefixes / sizeof *prefixes) };

static const StoredTensor *find_prefixed(const WeightSource *s, const char *name)
{
    char full[NAMES_MOST + 64];
    const StoredTensor *t = safetensors_find(s->file, name);
    for (int i = 0; i < PREFIXES && !t; i++) {
        snprintf(full, sizeof full, "%s%s", prefixes[i], name);
        t = safetensors_find(s->file, full);
    }
    return t;
}

const void *weights_extra(const WeightSource *s, const char *name, size_t *bytes)
{
    const StoredTensor *t = s->file ? find_prefixed(s, name) : NULL;
    *bytes = t ? t->bytes : 0;
    return t ? t->data : NULL;
}

/* By diffusers' name, else by the publishers'. */
static const StoredTensor *find_spelled(const WeightSource *s, const char *name)
{
    char published[NAMES_MOST];
    const StoredTensor *t = find_prefixed(s, name);
    for (int other = 0; other < 2 && !t; other++) {
        if (!names_published(name, other, published, sizeof published)) return NULL;
        t = find_prefixed(s, published);
    }
    return t;
}

/* The first of the prefixes that the name begins with, -1: none. */
static int prefix_of(const char *name)
{
    for (int i = 0; i < PREFIXES; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) return i;
    return -1;
}

const char *weights_bare_name(const char *name)
{
    const int prefix = prefix_of(name);
    return prefix < 0 ? name : name + strlen(prefixes[prefix]);
}

unsigned weights_claimed_prefixes(const WeightSource *s)
{
    unsigned claimed = 0;
    for (int i = 0; i < safetensors_count(s->file); i++) {
        const int prefix = s->claimed[i] ? prefix_of(safetensors_at(s->file, i)->name) : -1;
        if (prefix >= 0) claimed |= 1u << prefix;
    }
    return claimed;
}

bool weights_is_another_part(unsigned claimed, const char *name)
{
    const int prefix = prefix_of(name);
    return prefix >= 0 && claimed && !(claimed >> prefix & 1);
}

/* PREFIX + NAME + END in the file, NAME being one of "a|b"; marks all that are there as claimed. */
static const StoredTensor *find_stored(const WeightSource *s, const char *prefix, const char *name, const char *end)
{
    const StoredTensor *found = NULL;
    for (const char *p = name; p;) {
        const char *bar = strchr(p, '|');
        int length = bar ? (int)(bar - p) : (int)strlen(p);
        char full[320];
        snprintf(full, sizeof full, "%s%.*s%s", prefix, length, p, end);
        const StoredTensor *t = find_spelled(s, full);
        if (t) s->claimed[t - safetensors_at(s->file, 0)] = true;
        if (!found) found = t;
        p = bar ? bar + 1 : NULL;
    }
    return found;
}

bool weights_stays_e4m3(const WeightSource *s, const WeightGroup *g, const WeightRow *r)
{
    char name[NAMES_MOST];
    const StoredTensor *t =
        s && s->file && weights_row_is_linear(r) ? find_stored(s, g->prefix, r->name, weights_row_end(r)) : NULL;
    weights_full_name(g, r, weights_row_end(r), name, sizeof name);
    return t && t->type == STORED_F8 && !adapters_touch(s->adapters, name);
}

Status weights_find_checked(WeightSource *s, const WeightGroup *g, const WeightRow *r, const char *end, Tensor want,
                            const StoredTensor **out)
{
    const StoredTensor *t = find_stored(s, g->prefix, r->name, end);
    *out = t;
    if (t) return check_shape(t, want);
    char wants[STORED_SHAPE_TEXT];
    stored_shape_text(want.ndim, want.dim, wants);
    const char *file = safetensors_count(s->file) ? safetensors_at(s->file, 0)->file : "the weights";
    return status_fail(ERR_INPUT, "%s: tensor \"%s%s%s\" %s is missing, which config.json asks for", file, g->prefix,
                       r->name, end, wants);
}

/* Files with numbers of 8 bits say beside each weight what they are to be multiplied by: X.weight has X.scale_weight, or X.weight_scale. */
float weights_scale_of(const WeightSource *s, const StoredTensor *t)
{
    char name[NAMES_MOST + 64];
    float scale = 1;
    const size_t n = strlen(t->name);
    if (n < 7 || strcmp(t->name + n - 7, ".weight") != 0) return 1;
    snprintf(name, sizeof name, "%.*s.scale_weight", (int)(n - 7), t->name);
    const StoredTensor *found = safetensors_find(s->file, name);
    snprintf(name, sizeof name, "%.*s.weight_scale", (int)(n - 7), t->name);
    if (!found) found = safetensors_find(s->file, name);
    if (found && stored_is_number(found->type) && stored_count(found) == 1) stored_to_float(found, 1, &scale);
    return scale;
}

static bool is_scale(const char *name)
{
    const char *last = strrchr(name, '.');
    return last && (strcmp(last, ".scale_weight") == 0 || strcmp(last, ".weight_scale") == 0);
}

Status weights_check_scale(const StoredTensor *t)
{
    char is[STORED_SHAPE_TEXT];
    float scale;
    if (!is_scale(t->name)) return status_ok();
    stored_shape_text(t->ndim, t->dim, is);
    const bool plain = t->type == STORED_F32 || t->type == STORED_BF16 || t->type == STORED_F16;
    if (!plain || stored_count(t) != 1)
        return status_fail(
            ERR_INPUT,
            "%s: tensor \"%s\" is %s of type %s, expected one number in F32, BF16 or F16, which scales the whole "
            "weight beside it",
            t->file, t->name, is, t->type_name);
    stored_to_float(t, 1, &scale);
    if (isfinite(scale) && scale > 0) return status_ok();
    return status_fail(ERR_INPUT, "%s: tensor \"%s\" is %g, expected a number above 0; download the file again",
                       t->file, t->name, (double)scale);
}
