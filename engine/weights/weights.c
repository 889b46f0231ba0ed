#include "weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/weights/names.h"
#include "engine/weights/safetensors.h"
#include "kernels/convert.h"

struct WeightSource {
    Safetensors *file; /* NULL = random */
    bool *claimed;     /* per tensor of file */
    uint64_t state;    /* of the random numbers */
    int64_t bytes_read;
    Adapters *adapters; /* borrowed, or NULL */
    float *wide; /* where one weight after the other is widened: fresh memory for each costs more than the numbers */
    int64_t wide_room;
};

/* ---- plans ----------------------------------------------------------------------------------------------------------- */

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

/* ---- shares ------------------------------------------------------------------------------------------------------------ */

enum { LEAST_UNIT = 16 /* numbers: what vector units and cache lines take at once */ };

WeightShare weights_share(int64_t size, int64_t units, int rank, int ranks)
{
    if (units == 0) units = size % LEAST_UNIT == 0 ? size / LEAST_UNIT : size;
    const int64_t first = rank * units / ranks, end = (rank + 1) * units / ranks;
    return (WeightShare){first * (size / units), (end - first) * (size / units)};
}

/* Which dimension of the row's tensor is divided, -1: none. */
static int split_axis(const WeightRow *r)
{
    static const int axis[] = {
        [SPLIT_NONE] = -1, [SPLIT_OUT] = 0, [SPLIT_IN] = 1, [SPLIT_OUT_HEADS] = 0, [SPLIT_IN_HEADS] = 1};
    return axis[r->split];
}

static WeightShare row_share(const WeightGroup *g, const WeightRow *r, int rank, int ranks)
{
    const int axis = split_axis(r);
    const int64_t size = axis < 0 ? 0 : row_dim(g, r, axis);
    if (axis < 0) return (WeightShare){0, 0};
    const bool by_heads = r->split == SPLIT_OUT_HEADS || r->split == SPLIT_IN_HEADS;
    return weights_share(size, by_heads ? g->heads : 0, rank, ranks);
}

/* The last rank's share is the largest. */
void weights_measure(const WeightPlan *p, int ranks, int elem_bytes, int64_t *parameters, int64_t *bytes)
{
    *parameters = *bytes = 0;
    for (int i = 0; i < p->count; i++) {
        const WeightGroup *g = &p->group[i];
        const int each = g->quantize ? elem_bytes : backend_plain_bytes(elem_bytes);
        for (const WeightRow *r = g->row; r < g->row + g->rows; r++) {
            Tensor t = row_shape(g, r);
            int64_t bias = row_has_bias(r) ? t.dim[0] : 0, weight = tensor_count(t);
            *parameters += weight + bias;
            if (r->kind == WEIGHT_TABLE) continue; /* stays in its file */
            if (split_axis(r) >= 0) t.dim[split_axis(r)] = row_share(g, r, ranks - 1, ranks).count;
            if (bias) bias = t.dim[0];
            weight = tensor_count(t);
            const bool wide = r->kind == WEIGHT_VECTOR || r->kind == WEIGHT_LINEAR_EXACT;
            *bytes += weight * (wide ? (int)sizeof(float) : each) + bias * (int)sizeof(float);
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

const void *weights_extra(const WeightSource *s, const char *name, size_t *bytes)
{
    const StoredTensor *t = s->file ? safetensors_find(s->file, name) : NULL;
    *bytes = t ? t->bytes : 0;
    return t ? t->data : NULL;
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
    free((*s)->wide);
    free(*s);
    *s = NULL;
}

/* A tensor on its way from the source into the back end. */
typedef struct {
    Tensor tensor;
    const StoredTensor *stored;
    void *copy; /* when the file's bytes cannot be used in place; or random numbers */
    int axis;   /* that is divided, -1: none */
    WeightShare share;
    bool narrow; /* numbers of 8 bits may stay so: the back end multiplies them by `scale` */
    float scale;
} StagedTensor;

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
        return status_fail(ERR_INPUT,
                           "%s: tensor \"%s\" is of type %s, expected F32, BF16, F16, F8_E4M3 or a block type", t->file,
                           t->name, t->type_name);
    return status_ok();
}

/* By diffusers' name, else by the publishers', which some repackagers put a prefix before. */
static const StoredTensor *find_spelled(const WeightSource *s, const char *name)
{
    static const char *const prefix[] = {"", "model.diffusion_model.", "diffusion_model."};
    char published[NAMES_MOST], full[NAMES_MOST + 32];
    const StoredTensor *t = safetensors_find(s->file, name);
    for (int other = 0; other < 2 && !t; other++) {
        if (!names_published(name, other, published, sizeof published)) return NULL;
        for (size_t i = 0; i < sizeof prefix / sizeof *prefix && !t; i++) {
            snprintf(full, sizeof full, "%s%s", prefix[i], published);
            t = safetensors_find(s->file, full);
        }
    }
    return t;
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
        const StoredTensor *t = find_spelled(s, full);
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
    char wants[STORED_SHAPE_TEXT];
    stored_shape_text(want.ndim, want.dim, wants);
    const char *file = safetensors_count(s->file) ? safetensors_at(s->file, 0)->file : "the weights";
    return status_fail(ERR_INPUT, "%s: tensor \"%s%s%s\" %s is missing, which config.json asks for", file, g->prefix,
                       r->name, end, wants);
}

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

/* The tensor as the model's own code calls it, the first of several possible names: adapters know that one. */
static void full_name(const WeightGroup *g, const WeightRow *r, const char *end, char *name, size_t room)
{
    snprintf(name, room, "%s%.*s%s", g->prefix, (int)strcspn(r->name, "|"), r->name, end);
}

/* Files with numbers of 8 bits say beside each weight what they are to be multiplied by: X.weight has X.scale_weight, or X.weight_scale. */
static float scale_of(const WeightSource *s, const StoredTensor *t)
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
    stored_to_float(staged->stored, scale_of(s, staged->stored), wide);
    t->data = wide;
    t->dtype = F32;
    return adapters_apply(s->adapters, name, *t, wide);
}

/* `want` is the whole tensor's shape; share.count = 0: all of it. */
static Status stage(WeightSource *s, const WeightGroup *g, const WeightRow *r, const char *end, Tensor want,
                    StagedTensor *staged)
{
    char name[NAMES_MOST];
    if (!s->file) {
        TRY(stage_random(s, r, want, staged));
        return cut(staged);
    }
    TRY(find_checked(s, g, r, end, want, &staged->stored));
    const StoredType type = staged->stored->type;
    staged->tensor = want;
    staged->tensor.dtype = type == STORED_F32 ? F32 : type == STORED_BF16 ? BF16 : type == STORED_F8 ? E4M3 : F16;
    staged->tensor.data = (void *)(uintptr_t)staged->stored->data;
    full_name(g, r, end, name, sizeof name);
    const bool plain = type == STORED_F32 || type == STORED_BF16 || type == STORED_F16;
    const bool touched = adapters_touch(s->adapters, name), stays = type == STORED_F8 && staged->narrow && !touched;
    if (!plain && r->kind == WEIGHT_TABLE) return status_ok(); /* its rows are widened one by one */
    if (stays)
        staged->scale = scale_of(s, staged->stored);
    else if (!plain || touched || scale_of(s, staged->stored) != 1)
        TRY(widen(s, name, r->kind == WEIGHT_TABLE || strcmp(end, ".bias") == 0, staged));
    TRY(cut(staged));
    if (r->kind != WEIGHT_TABLE) s->bytes_read += (int64_t)tensor_bytes(staged->tensor);
    return status_ok();
}

static void unstage(WeightSource *s, StagedTensor *staged)
{
    free(staged->copy);
    if (staged->stored) safetensors_forget(s->file, staged->stored);
    *staged = (StagedTensor){0};
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

static bool is_linear(const WeightRow *r)
{
    return r->kind == WEIGHT_LINEAR || r->kind == WEIGHT_LINEAR_EXACT || r->kind == WEIGHT_LINEAR_PLAIN;
}

/* scale: of a weight of E4M3 */
static Status pack(const WeightGroup *g, const WeightRow *r, Backend *be, Tensor weight, float scale, Tensor bias,
                   void *field)
{
    if (r->kind == WEIGHT_VECTOR) return vector_pack(be, flat_vector(weight), field);
    if (is_linear(r)) {
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
    StagedTensor staged = {.axis = p->ranks > 1 ? split_axis(r) : -1};
    if (staged.axis >= 0) staged.share = row_share(g, r, p->rank, p->ranks);
    return staged;
}

/* Sizes without numbers: no source is looked at. */
static Status plan_row(const WeightPlan *p, const WeightGroup *g, const WeightRow *r, Backend *be)
{
    Tensor shape = row_shape(g, r);
    const StagedTensor staged = staged_share(p, g, r);
    if (r->kind == WEIGHT_TABLE) return status_ok();
    if (staged.axis >= 0) shape.dim[staged.axis] = staged.share.count;
    return pack(g, r, be, shape, 0, bias_shape(shape), (char *)g->base + r->field);
}

static Status load_row(const WeightPlan *p, const WeightGroup *g, const WeightRow *r, WeightSource *s, Backend *be)
{
    Status status = status_ok();
    StagedTensor weight = staged_share(p, g, r), bias = weight;
    weight.narrow = is_linear(r) && backend_takes_e4m3(be);
    Tensor shape = row_shape(g, r);
    const bool added_elsewhere = bias.axis == 1 && p->rank > 0;
    if (bias.axis == 1) bias.axis = -1;
    TRY_OUT(stage(s, g, r, row_end(r), shape, &weight));
    if (row_has_bias(r) && (!added_elsewhere || !s->file)) /* random numbers are the same on every rank */
        TRY_OUT(stage(s, g, r, ".bias", bias_shape(shape), &bias));
    if (added_elsewhere) bias.tensor = (Tensor){0};
    if (r->kind == WEIGHT_TABLE) {
        keep_table(&weight, s->file ? scale_of(s, weight.stored) : 1, (HostTable *)((char *)g->base + r->field));
        return status;
    }
    status = status_at(pack(g, r, be, weight.tensor, weight.scale, bias.tensor, (char *)g->base + r->field), "%s%s",
                       g->prefix, r->name);
out:
    unstage(s, &weight);
    unstage(s, &bias);
    return status;
}

Status weights_load(const WeightPlan *p, WeightSource *s, Backend *be)
{
    for (int i = 0; i < p->count; i++) {
        const WeightGroup *g = &p->group[i];
        for (const WeightRow *r = g->row; r < g->row + g->rows; r++) {
            Status status = backend_plans(be) ? plan_row(p, g, r, be) : load_row(p, g, r, s, be);
            if (!failed(status)) continue;
            weights_free(p, be);
            return status;
        }
    }
    return status_ok();
}

static bool row_is_touched(const WeightGroup *g, const WeightRow *r, const Adapters *a)
{
    char weight[320], bias[320];
    full_name(g, r, row_end(r), weight, sizeof weight);
    full_name(g, r, ".bias", bias, sizeof bias);
    return adapters_touch(a, weight) || (row_has_bias(r) && adapters_touch(a, bias));
}

Status weights_reload(const WeightPlan *p, WeightSource *s, Backend *be, const Adapters *before, const Adapters *now)
{
    for (int i = 0; i < p->count; i++) {
        const WeightGroup *g = &p->group[i];
        for (const WeightRow *r = g->row; r < g->row + g->rows; r++) {
            if (!row_is_touched(g, r, before) && !row_is_touched(g, r, now)) continue;
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
        if (**part == '^' ? strncmp(name, *part + 1, strlen(*part + 1)) == 0 : strstr(name, *part) != NULL) return true;
    return false;
}

static Status claim_adapters(WeightSource *s, const WeightGroup *g, const WeightRow *r, Tensor shape)
{
    char name[320];
    full_name(g, r, row_end(r), name, sizeof name);
    TRY(adapters_claim(s->adapters, name, shape));
    if (!row_has_bias(r)) return status_ok();
    full_name(g, r, ".bias", name, sizeof name);
    return adapters_claim(s->adapters, name, bias_shape(shape));
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
            Tensor shape = row_shape(g, r);
            TRY(find_checked(s, g, r, row_end(r), shape, &t));
            if (row_has_bias(r)) TRY(find_checked(s, g, r, ".bias", bias_shape(shape), &t));
            TRY(claim_adapters(s, g, r, shape));
        }
    }
    for (int i = 0; i < safetensors_count(s->file); i++) {
        t = safetensors_at(s->file, i);
        if (!s->claimed[i] && !is_ignored(p, t->name) && !is_about_scales(t->name))
            return status_fail(ERR_INPUT, "%s: tensor \"%s\" has no place in the model that config.json describes",
                               t->file, t->name);
    }
    return adapters_check_claimed(s->adapters);
}
