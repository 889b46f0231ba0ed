#include "text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "common/file.h"

typedef struct {
    Tensor norm_attention, norm_ff;
    Linear q, k, v, o;
    Tensor distance_bias; /* [buckets, heads of this rank]: every layer has its own */
    Linear gate, up, down;
} TextLayer;

struct TextEncoder {
    TextConfig config;
    Backend *be;
    Coll *tensor;
    int heads; /* of this rank */
    WeightPlan plan;
    HostTable table; /* [vocab, d_model] */
    TextLayer *layer;
    Tensor norm_final;
};

/* ---- weights ----------------------------------------------------------------------------------------------------------- */

enum { D, INNER, FF, VOCAB, BUCKETS, HEADS };
#define FIELD(f) offsetof(TextLayer, f)

static const WeightRow layer_rows[] = {
    {"0.layer_norm.weight", FIELD(norm_attention), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
    {"0.SelfAttention.q", FIELD(q), WEIGHT_LINEAR_PLAIN, SPLIT_OUT_HEADS, 2, {INNER, D}},
    {"0.SelfAttention.k", FIELD(k), WEIGHT_LINEAR_PLAIN, SPLIT_OUT_HEADS, 2, {INNER, D}},
    {"0.SelfAttention.v", FIELD(v), WEIGHT_LINEAR_PLAIN, SPLIT_OUT_HEADS, 2, {INNER, D}},
    {"0.SelfAttention.o", FIELD(o), WEIGHT_LINEAR_PLAIN, SPLIT_IN_HEADS, 2, {D, INNER}},
    {"0.SelfAttention.relative_attention_bias.weight",
     FIELD(distance_bias),
     WEIGHT_VECTOR,
     SPLIT_IN_HEADS,
     2,
     {BUCKETS, HEADS}},
    {"1.layer_norm.weight", FIELD(norm_ff), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
    {"1.DenseReluDense.wi_0", FIELD(gate), WEIGHT_LINEAR_PLAIN, SPLIT_OUT, 2, {FF, D}},
    {"1.DenseReluDense.wi_1", FIELD(up), WEIGHT_LINEAR_PLAIN, SPLIT_OUT, 2, {FF, D}},
    {"1.DenseReluDense.wo", FIELD(down), WEIGHT_LINEAR_PLAIN, SPLIT_IN, 2, {D, FF}},
};

static const WeightRow root_rows[] = {
    {"shared.weight|encoder.embed_tokens.weight",
     offsetof(TextEncoder, table),
     WEIGHT_TABLE,
     SPLIT_NONE,
     2,
     {VOCAB, D}},
    {"encoder.final_layer_norm.weight", offsetof(TextEncoder, norm_final), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
};

static const char *const ignored[] = {"decoder.", "lm_head.", NULL}; /* of a whole UMT5 checkpoint */

static void set_sizes(WeightGroup *g, const TextConfig *c)
{
    g->size[D] = c->d_model;
    g->size[INNER] = (int64_t)c->heads * c->d_kv;
    g->size[FF] = c->d_ff;
    g->size[VOCAB] = c->vocab_size;
    g->size[BUCKETS] = c->buckets;
    g->size[HEADS] = g->heads = c->heads;
}

#define ROWS(r) r, (int)(sizeof r / sizeof *r)

TextEncoder *text_new(const TextConfig *c)
{
    TextEncoder *e = memory_get(1, sizeof *e);
    e->config = *c;
    e->tensor = coll_self();
    e->heads = c->heads;
    e->layer = memory_get((size_t)c->layers, sizeof *e->layer);
    e->plan.ignored = ignored;
    set_sizes(weights_add_group(&e->plan, e, ROWS(root_rows), "%s", ""), c);
    for (int i = 0; i < c->layers; i++)
        set_sizes(weights_add_group(&e->plan, &e->layer[i], ROWS(layer_rows), "encoder.block.%d.layer.", i), c);
    return e;
}

void text_divide(TextEncoder *e, Coll *tensor)
{
    e->tensor = tensor;
    e->plan.rank = tensor->rank;
    e->plan.ranks = tensor->size;
    e->heads = (int)weights_share(e->config.heads, e->config.heads, tensor->rank, tensor->size).count;
}

const WeightPlan *text_plan(const TextEncoder *e) { return &e->plan; }

Status text_load(TextEncoder *e, WeightSource *s, Backend *be)
{
    TRY(weights_load(&e->plan, s, be));
    e->be = be;
    return status_ok();
}

void text_unload(TextEncoder *e)
{
    if (e->be) weights_free(&e->plan, e->be);
    e->be = NULL;
}

void text_free(TextEncoder **e)
{
    if (!*e) return;
    text_unload(*e);
    weights_plan_clear(&(*e)->plan);
    free((*e)->layer);
    free(*e);
    *e = NULL;
}

/* ---- relative positions ----------------------------------------------------------------------------------------------------- */

/* Of the key `distance` tokens after (negative: before) the query. Half of the buckets for keys behind, half ahead; in each,
 * the near half one distance each, the far half in logarithmic steps up to max_distance. The logarithm is single precision
 * because the boundaries are where the model has them. */
static int bucket_of(const TextConfig *c, int distance)
{
    int half = c->buckets / 2, exact = half / 2, far = abs(distance), base = distance > 0 ? half : 0;
    if (far < exact) return base + far;
    float ratio = logf((float)far / (float)exact) / (float)log((double)c->max_distance / exact);
    int step = exact + (int)(ratio * (float)(half - exact));
    return base + (step < half - 1 ? step : half - 1);
}

/* [heads, n, n]: what head h adds to the score of query i and key j */
static Tensor position_bias(TextEncoder *e, const TextLayer *l, int n)
{
    int heads = e->heads;
    if (backend_plans(e->be)) return backend_alloc(e->be, F32, 3, (int64_t[]){heads, n, n});
    float *table = memory_get((size_t)e->config.buckets * (size_t)heads, sizeof *table);
    float *row = memory_get(2 * (size_t)n, sizeof *row); /* by distance + n - 1 */
    float *bias = memory_get((size_t)heads * (size_t)n * (size_t)n, sizeof *bias);
    backend_download(e->be, l->distance_bias, table);
    for (int h = 0; h < heads; h++) {
        for (int d = 1 - n; d < n; d++) row[d + n - 1] = table[bucket_of(&e->config, d) * heads + h];
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                bias[((size_t)h * (size_t)n + (size_t)i) * (size_t)n + (size_t)j] = row[j - i + n - 1];
    }
    Tensor t = backend_upload(e->be, bias, 3, (int64_t[]){heads, n, n});
    free(bias);
    free(row);
    free(table);
    return t;
}

/* ---- the encoder -------------------------------------------------------------------------------------------------------------- */

/* x += attention(norm(x)); x += ff(norm(x)), each summed over the ranks. T5 does not scale its scores. */
static void text_layer(TextEncoder *e, const TextLayer *l, Tensor x)
{
    Backend *be = e->be;
    const Tensor none = {0};
    Tensor h = op_rmsnorm(be, x, l->norm_attention, e->config.eps);
    Tensor q = op_linear(be, h, &l->q, ACT_NONE);
    Tensor k = op_linear(be, h, &l->k, ACT_NONE);
    Tensor v = op_linear(be, h, &l->v, ACT_NONE);
    Tensor a = op_attention(be, q, k, v, e->heads, 1.0f, position_bias(e, l, (int)x.dim[0]));
    coll_linear_add(e->tensor, be, x, a, &l->o, none);
    h = op_rmsnorm(be, x, l->norm_ff, e->config.eps);
    coll_linear_add(e->tensor, be, x, op_linear_geglu(be, h, &l->gate, &l->up), &l->down, none);
}

static Status embed(TextEncoder *e, const int64_t *ids, int n, Tensor *out)
{
    int64_t d = e->config.d_model;
    float *rows = memory_get((size_t)n * (size_t)d, sizeof *rows);
    for (int i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= e->config.vocab_size) {
            free(rows);
            return status_fail(ERR_INPUT, "token id %" PRId64 " lies outside the text encoder's vocab_size = %d",
                               ids[i], e->config.vocab_size);
        }
        if (e->table.rows.data) weights_table_row(&e->table, ids[i], rows + i * d);
    }
    *out = backend_upload(e->be, rows, 2, (int64_t[]){n, d});
    free(rows);
    return status_ok();
}

Status text_encode(TextEncoder *e, const int64_t *ids, int n, Tensor *out)
{
    Backend *be = e->be;
    Tensor x;
    TRY(embed(e, ids, n, &x));
    for (int i = 0; i < e->config.layers; i++) {
        ArenaMark mark = backend_mark(be);
        text_layer(e, &e->layer[i], x);
        backend_release(be, mark);
    }
    *out = op_rmsnorm(be, x, e->norm_final, e->config.eps);
    return status_ok();
}
