#include "weights.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/weights/weights_parts.h"

/* ---- rows ---------------------------------------------------------------------------------------------------- */

WeightGroup *weights_add_group(WeightPlan *p, void *base, const WeightRow *row, int rows, const char *prefix_fmt, ...)
{
    if (p->count == p->room) {
        p->room = p->room ? 2 * p->room : 16;
        p->group = memory_resize(p->group, (size_t)p->room, sizeof *p->group);
    }
    WeightGroup *g = &p->group[p->count++];
    memset(g, 0, sizeof *g);
    g->row = row;
    g->rows = rows;
    g->base = base;
    va_list args;
    va_start(args, prefix_fmt);
    vsnprintf(g->prefix, sizeof g->prefix, prefix_fmt, args);
    va_end(args);
    return g;
}

void weights_plan_clear(WeightPlan *p)
{
    free(p->group);
    *p = (WeightPlan){0};
}

static int64_t row_dim(const WeightGroup *g, const WeightRow *r, int i)
{
    return r->dim[i] >= NUMBER_FIRST ? r->dim[i] - NUMBER_FIRST : g->size[r->dim[i]];
}

Tensor weights_row_shape(const WeightGroup *g, const WeightRow *r)
{
    Tensor t = {.dtype = F32, .ndim = r->ndim, .dim = {1, 1, 1, 1, 1}};
    for (int i = 0; i < r->ndim; i++) t.dim[i] = row_dim(g, r, i);
    return t;
}

bool weights_row_has_bias(const WeightRow *r)
{
    return r->kind != WEIGHT_LINEAR_PLAIN && r->kind != WEIGHT_VECTOR && r->kind != WEIGHT_TABLE;
}

const char *weights_row_end(const WeightRow *r)
{
    return r->kind == WEIGHT_VECTOR || r->kind == WEIGHT_TABLE ? "" : ".weight";
}

Tensor weights_bias_shape(Tensor weight)
{
    return (Tensor){.dtype = F32, .ndim = 1, .dim = {weight.dim[0], 1, 1, 1, 1}};
}

bool weights_row_is_linear(const WeightRow *r)
{
    return r->kind == WEIGHT_LINEAR || r->kind == WEIGHT_LINEAR_EXACT || r->kind == WEIGHT_LINEAR_PLAIN;
}

/* The tensor as the model's own code calls it, the first of several possible names: adapters know that one. */
void weights_full_name(const WeightGroup *g, const WeightRow *r, const char *end, char *name, size_t room)
{
    snprintf(name, room, "%s%.*s%s", g->prefix, (int)strcspn(r->name, "|"), r->name, end);
}

/* ---- shares ------------------------------------------------------------------------------------------------------------ */

enum { LEAST_UNIT = 16 /* numbers: what vector units and cache lines take at once */ };

WeightShare weights_share(int64_t size, int64_t units, int rank, int ranks)
{
    if (units == 0) units = size % LEAST_UNIT == 0 ? size / LEAST_UNIT : size;
    const int64_t first = rank * units / ranks, end = (rank + 1) * units / ranks;
    return (WeightShare){first * (size / units), (end - first) * (size / units)};
}

/* Which dimension of the row's tensor is divided, -1: none. */
int weights_split_axis(const WeightRow *r)
{
    static const int axis[] = {
        [SPLIT_NONE] = -1, [SPLIT_OUT] = 0, [SPLIT_IN] = 1, [SPLIT_OUT_HEADS] = 0, [SPLIT_IN_HEADS] = 1};
    return axis[r->split];
}

WeightShare weights_row_share(const WeightGroup *g, const WeightRow *r, int rank, int ranks)
{
    const int axis = weights_split_axis(r);
    const int64_t size = axis < 0 ? 0 : row_dim(g, r, axis);
    if (axis < 0) return (WeightShare){0, 0};
    const bool by_heads = r->split == SPLIT_OUT_HEADS || r->split == SPLIT_IN_HEADS;
    return weights_share(size, by_heads ? g->heads : 0, rank, ranks);
}

/* The last rank's share is the largest. */
void weights_measure(const WeightPlan *p, const WeightSource *narrow, int ranks, int elem_bytes, int64_t *parameters,
                     int64_t *bytes)
{
    *parameters = *bytes = 0;
    for (int i = 0; i < p->count; i++) {
        const WeightGroup *g = &p->group[i];
        const int each = g->quantize ? elem_bytes : backend_plain_bytes(elem_bytes);
        for (const WeightRow *r = g->row; r < g->row + g->rows; r++) {
            Tensor t = weights_row_shape(g, r);
            int64_t bias = weights_row_has_bias(r) ? t.dim[0] : 0, weight = tensor_count(t);
            *parameters += weight + bias;
            if (r->kind == WEIGHT_TABLE) continue; /* stays in its file */
            if (weights_split_axis(r) >= 0)
                t.dim[weights_split_axis(r)] = weights_row_share(g, r, ranks - 1, ranks).count;
            if (bias) bias = t.dim[0];
            weight = tensor_count(t);
            const bool wide = r->kind == WEIGHT_VECTOR || r->kind == WEIGHT_LINEAR_EXACT;
            const int own = weights_stays_e4m3(narrow, g, r) ? 1 : wide ? (int)sizeof(float) : each;
            *bytes += weight * own + bias * (int)sizeof(float);
        }
    }
}

void weights_list(const WeightPlan *p, void (*put)(void *self, const char *name, int ndim, const int64_t *dim),
                  void *self)
{
    char name[320];
    for (int i = 0; i < p->count; i++) {
        const WeightGroup *g = &p->group[i];
        for (const WeightRow *r = g->row; r < g->row + g->rows; r++) {
            Tensor t = weights_row_shape(g, r);
            int length = (int)strcspn(r->name, "|");
            snprintf(name, sizeof name, "%s%.*s%s", g->prefix, length, r->name, weights_row_end(r));
            put(self, name, t.ndim, t.dim);
            snprintf(name, sizeof name, "%s%.*s.bias", g->prefix, length, r->name);
            if (weights_row_has_bias(r)) put(self, name, 1, t.dim);
        }
    }
}
