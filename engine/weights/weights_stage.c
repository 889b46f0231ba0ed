#include "weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/weights/names.h"
#include "engine/weights/weights_parts.h"

/* Uniform in +-1/sqrt(inputs), or near 1 for vectors: a unit variance stays about one through a layer. */
static Status stage_random(WeightSource *s, const WeightRow *r, Tensor want, StagedTensor *staged)
{
    int64_t count = tensor_count(want);
    float *v = malloc((size_t)count * sizeof *v);
    if (!v) return status_fail(ERR_NODE, "out of memory for a weight of %" PRId64 " numbers", count);
    float scale = want.ndim > 1 ? sqrtf(3.0f * (float)want.dim[0] / (float)count) : 0.1f;
    float middle = r->kind == WEIGHT_VECTOR && want.ndim == 1 ? 1.0f : 0.0f;
    for (int64_t i = 0; i < count; i++) {
        s->state ^= s->state << 13; /* xorshift64 (Marsaglia) */
        s->state ^= s->state >> 7;
        s->state ^= s->state << 17;
        v[i] = middle + scale * ((float)(int32_t)(s->state >> 32) * 0x1p-31f);
    }
    staged->copy = v;
    staged->tensor = want;
    staged->tensor.data = v;
    return status_ok();
}

/* The staged tensor becomes its share: where the file has it in one piece and aligned (headers of odd length exist) it stays there,
 * else it is copied, and nothing but it is read. */
static Status cut(StagedTensor *staged)
{
    Tensor *t = &staged->tensor;
    const size_t elem = dtype_bytes(t->dtype);
    const int64_t outer = staged->axis == 1 ? t->dim[0] : 1, whole = tensor_count(*t) / outer;
    const int64_t one =
        staged->axis >= 0 ? whole / t->dim[staged->axis] : 0; /* numbers between neighbours along the axis */
    const int64_t piece = staged->axis >= 0 ? staged->share.count * one : whole;
    const char *from = (const char *)t->data + (size_t)(staged->share.first * one) * elem;
    if (staged->axis >= 0) t->dim[staged->axis] = staged->share.count;
    t->data = (void *)(uintptr_t)from;
    if (outer == 1 && (uintptr_t)from % elem == 0) return status_ok();
    char *copy = malloc(tensor_bytes(*t) + 1);
    if (!copy) return status_fail(ERR_NODE, "out of memory for a weight of %zu bytes", tensor_bytes(*t));
    for (int64_t i = 0; i < outer; i++)
        memcpy(copy + (size_t)(i * piece) * elem, from + (size_t)(i * whole) * elem, (size_t)piece * elem);
    free(staged->copy);
    staged->copy = t->data = copy;
    return status_ok();
}

/* Room for a weight in fp32, until the next one asks; NULL when out of memory. */
static float *wide_room(WeightSource *s, int64_t count)
{
    if (count <= s->wide_room) return s->wide;
    free(s->wide);
    s->wide = malloc((size_t)count * sizeof *s->wide);
    s->wide_room = s->wide ? count : 0;
    return s->wide;
}

/* The numbers in fp32, with adapters merged in: where the file's own bytes do not do. The whole tensor, before it is divided among
 * ranks. `kept`: it stays longer than until the next weight, and owns its numbers. */
static Status widen(WeightSource *s, const char *name, bool kept, StagedTensor *staged)
{
    Tensor *t = &staged->tensor;
    const int64_t count = tensor_count(*t);
    float *wide = kept ? malloc((size_t)count * sizeof *wide + 1) : wide_room(s, count);
    if (!wide) return status_fail(ERR_NODE, "out of memory for \"%s\" in fp32", name);
    if (kept) staged->copy = wide;
    stored_to_float(staged->stored, weights_scale_of(s, staged->stored), wide);
    t->data = wide;
    t->dtype = F32;
    return adapters_apply(s->adapters, name, *t, wide);
}

/* `want` is the whole tensor's shape; share.count = 0: all of it. */
Status weights_stage(WeightSource *s, const WeightGroup *g, const WeightRow *r, const char *end, Tensor want,
                     StagedTensor *staged)
{
    char name[NAMES_MOST];
    if (!s->file) {
        TRY(stage_random(s, r, want, staged));
        return cut(staged);
    }
    TRY(weights_find_checked(s, g, r, end, want, &staged->stored));
    const StoredType type = staged->stored->type;
    staged->tensor = want;
    staged->tensor.dtype = type == STORED_F32 ? F32 : type == STORED_BF16 ? BF16 : type == STORED_F8 ? E4M3 : F16;
    staged->tensor.data = (void *)(uintptr_t)staged->stored->data;
    weights_full_name(g, r, end, name, sizeof name);
    const bool plain = type == STORED_F32 || type == STORED_BF16 || type == STORED_F16;
    const bool touched = adapters_touch(s->adapters, name), stays = type == STORED_F8 && staged->narrow && !touched;
    if (!plain && r->kind == WEIGHT_TABLE) return status_ok(); /* its rows are widened one by one */
    if (stays)
        staged->scale = weights_scale_of(s, staged->stored);
    else if (!plain || touched || weights_scale_of(s, staged->stored) != 1)
        TRY(widen(s, name, r->kind == WEIGHT_TABLE || strcmp(end, ".bias") == 0, staged));
    TRY(cut(staged));
    if (r->kind != WEIGHT_TABLE) s->bytes_read += (int64_t)tensor_bytes(staged->tensor);
    return status_ok();
}

void weights_unstage(WeightSource *s, StagedTensor *staged)
{
    free(staged->copy);
    if (staged->stored) safetensors_forget(s->file, staged->stored);
    *staged = (StagedTensor){0};
}
