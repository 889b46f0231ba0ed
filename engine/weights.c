#include "weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/safetensors.h"

struct WeightSource {
    Safetensors *file; /* NULL = random */
    bool *claimed;     /* per tensor of file */
    uint64_t state;    /* of the random numbers */
};

/* ---- plans ----------------------------------------------------------------------------------------------------------- */

WeightGroup *weights_add_group(WeightPlan *p, void *base, const WeightRow *row, int rows, const char *prefix_fmt, ...)
{
    if (p->count == p->room) {
        p->room = p->room ? 2 * p->room : 16;
        p->group = realloc(p->group, (size_t)p->room * sizeof *p->group);
        if (!p->group) abort();
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

static Tensor row_shape(const WeightGroup *g, const WeightRow *r)
{
    Tensor t = {.dtype = F32, .ndim = r->ndim, .dim = {1, 1, 1, 1, 1}};
    for (int i = 0; i < r->ndim; i++) t.dim[i] = row_dim(g, r, i);
    return t;
}

static bool row_has_bias(const WeightRow *r)
{
    return r->kind != WEIGHT_LINEAR_PLAIN && r->kind != WEIGHT_VECTOR && r->kind != WEIGHT_TABLE;
}

static const char *row_end(const WeightRow *r)
{
    return r->kind == WEIGHT_VECTOR || r->kind == WEIGHT_TABLE ? "" : ".weight";
}

static Tensor bias_shape(Tensor weight)
{
    return (Tensor){.dtype = F32, .ndim = 1, .dim = {weight.dim[0], 1, 1, 1, 1}};
}

void weights_measure(const WeightPlan *p, int ranks, int elem_bytes, int64_t *parameters, int64_t *bytes)
{
    *parameters = *bytes = 0;
    for (int i = 0; i < p->count; i++) {
        const WeightGroup *g = &p->group[i];
        for (const WeightRow *r = g->row; r < g->row + g->rows; r++) {
            Tensor t = row_shape(g, r);
            int64_t bias = row_has_bias(r) ? t.dim[0] : 0, weight = tensor_count(t);
            int64_t held = r->split == SPLIT_NONE ? weight : (weight + ranks - 1) / ranks;
            int64_t held_bias = r->split == SPLIT_OUT ? (bias + ranks - 1) / ranks : bias;
            *parameters += weight + bias;
            if (r->kind == WEIGHT_TABLE) continue; /* stays in its file */
            *bytes +=
                held * (r->kind == WEIGHT_VECTOR ? (int)sizeof(float) : elem_bytes) + held_bias * (int)sizeof(float);
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
            Tensor t = row_shape(g, r);
            int length = (int)strcspn(r->name, "|");
            snprintf(name, sizeof name, "%s%.*s%s", g->prefix, length, r->name, row_end(r));
            put(self, name, t.ndim, t.dim);
            snprintf(name, sizeof name, "%s%.*s.bias", g->prefix, length, r->name);
            if (row_has_bias(r)) put(self, name, 1, t.dim);
        }
    }
}

/* ---- sources --------------------------------------------------------------------------------------------------------- */

Status weights_open(const char *folder, const char *stem, WeightSource **out)
{
    *out = NULL;
    Safetensors *file = NULL;
    TRY(safetensors_open_folder(folder, stem, &file));
    WeightSource *s = memory_get(1, sizeof *s);
    s->file = file;
    s->claimed = memory_get((size_t)safetensors_count(file), sizeof *s->claimed);
    *out = s;
    return status_ok();
}

WeightSource *weights_random(void)
{
    WeightSource *s = memory_get(1, sizeof *s);
    s->state = 88172645463325252u;
    return s;
}

bool weights_has(const WeightSource *s, const char *name)
{
    return !s->file || safetensors_find(s->file, name) != NULL;
}

void weights_close(WeightSource **s)
{
    if (!*s) return;
    safetensors_close(&(*s)->file);
    free((*s)->claimed);
    free(*s);
    *s = NULL;
}

/* A tensor on its way from the source into the back end. */
typedef struct {
    Tensor tensor;
    const StoredTensor *stored;
    void *copy; /* when the file's bytes cannot be used in place; or random numbers */
} Loan;

static void shape_text(char *text, size_t room, int ndim, const int64_t *dim)
{
    size_t used = (size_t)snprintf(text, room, "[");
    for (int i = 0; i < ndim && used < room; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%" PRId64, i ? "," : "", dim[i]);
    if (used < room) snprintf(text + used, room - used, "]");
}

static Status check_shape(const StoredTensor *t, Tensor want)
{
    bool same = t->ndim == want.ndim;
    for (int i = 0; same && i < want.ndim; i++) same = t->dim[i] == want.dim[i];
    if (!same) {
        char has[160], wants[160];
        shape_text(has, sizeof has, t->ndim, t->dim);
        shape_text(wants, sizeof wants, want.ndim, want.dim);
        return status_fail(ERR_INPUT, "%s: tensor \"%s\" is %s, expected %s from config.json", t->file, t->name, has,
                           wants);
    }
    if (t->type != STORED_F32 && t->type != STORED_BF16 && t->type != STORED_F16)
        return status_fail(ERR_INPUT, "%s: tensor \"%s\" is of type %s, expected F32, BF16 or F16", t->file, t->name,
                           t->type_name);
    return status_ok();
}

/* PREFIX + NAME + END in the file, NAME being one of "a|b"; marks all that are there as claimed. */
static const StoredTensor *find_stored(WeightSource *s, const char *prefix, const char *name, const char *end)
{
    const StoredTensor *found = NULL;
    for (const char *p = name; p;) {
        const char *bar = strchr(p, '|');
        int length = bar ? (int)(bar - p) : (int)strlen(p);
        char full[320];
        snprintf(full, sizeof full, "%s%.*s%s", prefix, length, p, end);
        const StoredTensor *t = safetensors_find(s->file, full);
        if (t) s->claimed[t - safetensors_at(s->file, 0)] = true;
        if (!found) found = t;
        p = bar ? bar + 1 : NULL;
    }
    return found;
}

static Status find_checked(WeightSource *s, const WeightGroup *g, const WeightRow *r, const char *end, Tensor want,
                           const StoredTensor **out)
{
    const StoredTensor *t = find_stored(s, g->prefix, r->name, end);
    *out = t;
    if (t) return check_shape(t, want);
    char wants[160];
    shape_text(wants, sizeof wants, want.ndim, want.dim);
    const char *file = safetensors_count(s->file) ? safetensors_at(s->file, 0)->file : "the weights";
    return status_fail(ERR_INPUT, "%s: tensor \"%s%s%s\" %s is missing, which config.json asks for", file, g->prefix,
                       r->name, end, wants);
}

/* Uniform in +-1/sqrt(inputs), or near 1 for vectors: a unit variance stays about one through a layer. */
static Status borrow_random(WeightSource *s, const WeightRow *r, Tensor want, Loan *loan)
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
    loan->copy = v;
    loan->tensor = want;
    loan->tensor.data = v;
    return status_ok();
}

static Status borrow(WeightSource *s, const WeightGroup *g, const WeightRow *r, const char *end, Tensor want,
                     Loan *loan)
{
    *loan = (Loan){0};
    if (!s->file) return borrow_random(s, r, want, loan);
    TRY(find_checked(s, g, r, end, want, &loan->stored));
    loan->tensor = want;
    loan->tensor.dtype = loan->stored->type == STORED_F32 ? F32 : loan->stored->type == STORED_BF16 ? BF16 : F16;
    loan->tensor.data = (void *)loan->stored->data;
    if ((uintptr_t)loan->stored->data % dtype_bytes(loan->tensor.dtype) == 0) return status_ok();
    loan->copy = malloc(loan->stored->bytes ? loan->stored->bytes : 1); /* headers of odd length exist */
    if (!loan->copy) return status_fail(ERR_NODE, "out of memory for tensor \"%s\"", loan->stored->name);
    loan->tensor.data = memcpy(loan->copy, loan->stored->data, loan->stored->bytes);
    return status_ok();
}

static void give_back(WeightSource *s, Loan *loan)
{
    free(loan->copy);
    if (loan->stored) safetensors_forget(s->file, loan->stored);
    *loan = (Loan){0};
}

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

static Status pack(const WeightRow *r, Backend *be, Tensor weight, Tensor bias, void *field)
{
    if (r->kind == WEIGHT_VECTOR) return vector_pack(be, flat_vector(weight), field);
    if (r->kind == WEIGHT_LINEAR || r->kind == WEIGHT_LINEAR_PLAIN) {
        const int64_t dim[2] = {weight.dim[0], tensor_count(weight) / weight.dim[0]};
        return linear_pack(be, tensor_reshape(weight, 2, dim), bias, field);
    }
    *(Conv *)field = conv_geometry(r, weight);
    return conv_pack(be, weight, bias, field);
}

/* The loan becomes the table: nothing is given back. */
static void keep_table(Loan *loan, HostTable *table)
{
    *table = (HostTable){loan->tensor, loan->copy};
    *loan = (Loan){0};
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
    case WEIGHT_LINEAR_PLAIN:
        linear_free(be, field);
        *(Linear *)field = (Linear){0};
        break;
    default:
        conv_free(be, field);
        *(Conv *)field = (Conv){0};
    }
}

/* Sizes without numbers: no source is looked at. */
static Status plan_row(const WeightGroup *g, const WeightRow *r, Backend *be)
{
    Tensor shape = row_shape(g, r);
    if (r->kind == WEIGHT_TABLE) return status_ok();
    return pack(r, be, shape, bias_shape(shape), (char *)g->base + r->field);
}

static Status load_row(const WeightGroup *g, const WeightRow *r, WeightSource *s, Backend *be)
{
    Status status = status_ok();
    Loan weight = {0}, bias = {0};
    Tensor shape = row_shape(g, r);
    TRY_OUT(borrow(s, g, r, row_end(r), shape, &weight));
    if (row_has_bias(r)) TRY_OUT(borrow(s, g, r, ".bias", bias_shape(shape), &bias));
    if (r->kind == WEIGHT_TABLE) {
        keep_table(&weight, (HostTable *)((char *)g->base + r->field));
        return status;
    }
    status = status_at(pack(r, be, weight.tensor, bias.tensor, (char *)g->base + r->field), "%s%s", g->prefix, r->name);
out:
    give_back(s, &weight);
    give_back(s, &bias);
    return status;
}

Status weights_load(const WeightPlan *p, WeightSource *s, Backend *be)
{
    for (int i = 0; i < p->count; i++) {
        const WeightGroup *g = &p->group[i];
        for (const WeightRow *r = g->row; r < g->row + g->rows; r++) {
            Status status = backend_plans(be) ? plan_row(g, r, be) : load_row(g, r, s, be);
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

/* ---- checking ------------------------------------------------------------------------------------------------------------ */

static bool is_ignored(const WeightPlan *p, const char *name)
{
    for (const char *const *part = p->ignored; part && *part; part++)
        if (strstr(name, *part)) return true;
    return false;
}

Status weights_check(const WeightPlan *p, WeightSource *s)
{
    if (!s->file) return status_ok();
    const StoredTensor *t;
    for (int i = 0; i < p->count; i++) {
        const WeightGroup *g = &p->group[i];
        for (const WeightRow *r = g->row; r < g->row + g->rows; r++) {
            Tensor shape = row_shape(g, r);
            TRY(find_checked(s, g, r, row_end(r), shape, &t));
            if (row_has_bias(r)) TRY(find_checked(s, g, r, ".bias", bias_shape(shape), &t));
        }
    }
    for (int i = 0; i < safetensors_count(s->file); i++) {
        t = safetensors_at(s->file, i);
        if (!s->claimed[i] && !is_ignored(p, t->name))
            return status_fail(ERR_INPUT, "%s: tensor \"%s\" has no place in the model that config.json describes",
                               t->file, t->name);
    }
    return status_ok();
}
