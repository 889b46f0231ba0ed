#include "weights.h"

#include <stdlib.h>
#include <string.h>

#include "engine/weights/weights_parts.h"
#include "kernels/convert.h"

/* ---- packing ----------------------------------------------------------------------------------------------------------- */

static Conv conv_geometry(const WeightRow *r, Tensor weight)
{
    Conv c = {.stride = {1, 1, 1}};
    if (r->kind == WEIGHT_CONV_PAIRS) c.stride[0] = 2;
    for (int axis = 0; axis < 2; axis++) {
        int kernel = (int)weight.dim[weight.ndim - 2 + axis];
        if (r->kind == WEIGHT_CONV_HALVE) {
            c.stride[1 + axis] = 2;
            c.pad[axis][1] = 1;
        } else {
            c.pad[axis][0] = c.pad[axis][1] = kernel / 2;
        }
    }
    return c;
}

static Tensor flat_vector(Tensor t)
{
    int64_t dim[TENSOR_MAX_DIM];
    int n = 0;
    for (int i = 0; i < t.ndim; i++)
        if (t.dim[i] != 1) dim[n++] = t.dim[i];
    if (n == 0) dim[n++] = 1;
    return tensor_reshape(t, n, dim);
}

/* scale: of a weight of E4M3 */
static Status pack(const WeightGroup *g, const WeightRow *r, Backend *be, Tensor weight, float scale, Tensor bias,
                   void *field)
{
    if (r->kind == WEIGHT_VECTOR) return vector_pack(be, flat_vector(weight), field);
    if (weights_row_is_linear(r)) {
        const int64_t dim[2] = {weight.dim[0], tensor_count(weight) / weight.dim[0]};
        *(Linear *)field = (Linear){.quantize = g->quantize, .exact = r->kind == WEIGHT_LINEAR_EXACT, .scale = scale};
        return linear_pack(be, tensor_reshape(weight, 2, dim), bias, field);
    }
    if (r->kind == WEIGHT_CONV_LINE) {
        *(Conv *)field = (Conv){.stride = {1, g->stride ? g->stride : 1, 1}};
        const int64_t dim[4] = {weight.dim[0], weight.dim[1], weight.dim[2], 1};
        return conv_pack(be, tensor_reshape(weight, 4, dim), bias, field);
    }
    *(Conv *)field = conv_geometry(r, weight);
    return conv_pack(be, weight, bias, field);
}

/* The staged tensor becomes the table: nothing is given back. */
static void keep_table(StagedTensor *staged, float scale, HostTable *table)
{
    *table = (HostTable){.rows = staged->tensor, .owned = staged->copy, .scale = scale};
    if (staged->stored) table->stored = *staged->stored;
    *staged = (StagedTensor){0};
}

static void free_row(const WeightRow *r, Backend *be, void *field)
{
    switch (r->kind) {
    case WEIGHT_VECTOR:
        backend_drop(be, field);
        break;
    case WEIGHT_TABLE:
        free(((HostTable *)field)->owned);
        *(HostTable *)field = (HostTable){0};
        break;
    case WEIGHT_LINEAR:
    case WEIGHT_LINEAR_EXACT:
    case WEIGHT_LINEAR_PLAIN:
        linear_free(be, field);
        *(Linear *)field = (Linear){0};
        break;
    default:
        conv_free(be, field);
        *(Conv *)field = (Conv){0};
    }
}

/* The divided axis and this rank's share of it. */
static StagedTensor staged_share(const WeightPlan *p, const WeightGroup *g, const WeightRow *r)
{
    StagedTensor staged = {.axis = p->ranks > 1 ? weights_split_axis(r) : -1};
    if (staged.axis >= 0) staged.share = weights_row_share(g, r, p->rank, p->ranks);
    return staged;
}

/* Sizes without numbers. */
static Status plan_row(const WeightPlan *p, const WeightGroup *g, const WeightRow *r, const WeightSource *s,
                       Backend *be)
{
    Tensor shape = weights_row_shape(g, r);
    if (weights_stays_e4m3(s, g, r)) shape.dtype = E4M3;
    const StagedTensor staged = staged_share(p, g, r);
    if (r->kind == WEIGHT_TABLE) return status_ok();
    if (staged.axis >= 0) shape.dim[staged.axis] = staged.share.count;
    return pack(g, r, be, shape, 0, weights_bias_shape(shape), (char *)g->base + r->field);
}

static Status load_row(const WeightPlan *p, const WeightGroup *g, const WeightRow *r, WeightSource *s, Backend *be)
{
    Status status = status_ok();
    StagedTensor weight = staged_share(p, g, r), bias = weight;
    weight.narrow = weights_row_is_linear(r) && backend_takes_e4m3(be);
    Tensor shape = weights_row_shape(g, r);
    const bool added_elsewhere = bias.axis == 1 && p->rank > 0;
    if (bias.axis == 1) bias.axis = -1;
    TRY_OUT(weights_stage(s, g, r, weights_row_end(r), shape, &weight));
    if (weights_row_has_bias(r) && (!added_elsewhere || !s->file)) /* random numbers are the same on every rank */
        TRY_OUT(weights_stage(s, g, r, ".bias", weights_bias_shape(shape), &bias));
    if (added_elsewhere) bias.tensor = (Tensor){0};
    if (r->kind == WEIGHT_TABLE) {
        keep_table(&weight, s->file ? weights_scale_of(s, weight.stored) : 1,
                   (HostTable *)((char *)g->base + r->field));
        return status;
    }
    status = status_at(pack(g, r, be, weight.tensor, weight.scale, bias.tensor, (char *)g->base + r->field), "%s%s",
                       g->prefix, r->name);
out:
    weights_unstage(s, &weight);
    weights_unstage(s, &bias);
    return status;
}

Status weights_load(const WeightPlan *p, WeightSource *s, Backend *be)
{
    for (int i = 0; i < p->count; i++) {
        const WeightGroup *g = &p->group[i];
        for (const WeightRow *r = g->row; r < g->row + g->rows; r++) {
            Status status = backend_plans(be) ? plan_row(p, g, r, s, be) : load_row(p, g, r, s, be);
            if (!failed(status)) continue;
            weights_free(p, be);
            return status;
        }
    }
    return status_ok();
}

static bool row_differs(const WeightGroup *g, const WeightRow *r, const Adapters *before, const Adapters *now)
{
    char weight[320], bias[320];
    weights_full_name(g, r, weights_row_end(r), weight, sizeof weight);
    weights_full_name(g, r, ".bias", bias, sizeof bias);
    return adapters_differ(before, now, weight) || (weights_row_has_bias(r) && adapters_differ(before, now, bias));
}

Status weights_reload(const WeightPlan *p, WeightSource *s, Backend *be, const Adapters *before, const Adapters *now)
{
    for (int i = 0; i < p->count; i++) {
        const WeightGroup *g = &p->group[i];
        for (const WeightRow *r = g->row; r < g->row + g->rows; r++) {
            if (!row_differs(g, r, before, now)) continue;
            free_row(r, be, (char *)g->base + r->field);
            Status status = load_row(p, g, r, s, be);
            if (!failed(status)) continue;
            weights_free(p, be);
            return status;
        }
    }
    return status_ok();
}

void weights_free(const WeightPlan *p, Backend *be)
{
    for (int i = 0; i < p->count; i++) {
        const WeightGroup *g = &p->group[i];
        for (const WeightRow *r = g->row; r < g->row + g->rows; r++) free_row(r, be, (char *)g->base + r->field);
    }
}

void weights_table_row(const HostTable *t, int64_t row, float *to)
{
    const StoredType type = t->stored.type;
    const int64_t width = t->rows.dim[1];
    if (!t->stored.data || type == STORED_F32 || type == STORED_BF16 || type == STORED_F16) {
        convert_to_float(tensor_rows(t->rows, row, 1).data, t->rows.dtype, width, to);
        return;
    }
    int64_t numbers;
    size_t bytes;
    StoredTensor one = t->stored;
    stored_block(type, &numbers, &bytes);
    one.data = (const char *)one.data + (size_t)(row * width / numbers) * bytes; /* a row is whole blocks: gguf.c */
    one.ndim = 1;
    one.dim[0] = width;
    stored_to_float(&one, t->scale, to);
}

/* ---- checking ------------------------------------------------------------------------------------------------------------ */

static bool is_ignored(const WeightPlan *p, const char *name)
{
    for (const char *const *part = p->ignored; part && *part; part++)
        if (**part == '^' ? strncmp(weights_bare_name(name), *part + 1, strlen(*part + 1)) == 0
                          : strstr(name, *part) != NULL)
            return true;
    return false;
}

static Status claim_adapters(WeightSource *s, const WeightGroup *g, const WeightRow *r, Tensor shape)
{
    char name[320];
    weights_full_name(g, r, weights_row_end(r), name, sizeof name);
    TRY(adapters_claim(s->adapters, name, shape));
    if (!weights_row_has_bias(r)) return status_ok();
    weights_full_name(g, r, ".bias", name, sizeof name);
    return adapters_claim(s->adapters, name, weights_bias_shape(shape));
}

/* What repackagers of 8-bit files put beside the weights: factors, a mark, and the tokenizer that the folder has anyway. */
static bool is_about_scales(const char *name)
{
    const char *last = strrchr(name, '.');
    last = last ? last + 1 : name;
    static const char *const known[] = {"scale_weight", "weight_scale", "scale_input", "input_scale",
                                        "scaled_fp8",   "comfy_quant",  "spiece_model"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(last, known[i]) == 0) return true;
    return false;
}

Status weights_check(const WeightPlan *p, WeightSource *s)
{
    if (!s->file) return status_ok();
    const StoredTensor *t;
    for (int i = 0; i < p->count; i++) {
        const WeightGroup *g = &p->group[i];
        for (const WeightRow *r = g->row; r < g->row + g->rows; r++) {
            Tensor shape = weights_row_shape(g, r);
            TRY(weights_find_checked(s, g, r, weights_row_end(r), shape, &t));
            if (weights_row_has_bias(r)) TRY(weights_find_checked(s, g, r, ".bias", weights_bias_shape(shape), &t));
            TRY(claim_adapters(s, g, r, shape));
        }
    }
    const unsigned claimed = weights_claimed_prefixes(s);
    for (int i = 0; i < safetensors_count(s->file); i++) {
        t = safetensors_at(s->file, i);
        if (!s->claimed[i] && !is_ignored(p, t->name) && !is_about_scales(t->name) &&
            !weights_is_another_part(claimed, t->name))
            return status_fail(ERR_INPUT, "%s: tensor \"%s\" has no place in the model that config.json describes",
                               t->file, t->name);
        TRY(weights_check_scale(t));
    }
    return adapters_check_claimed(s->adapters);
}
