#include "dit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/trace.h"

typedef struct {
    Linear q, k, v, out;
    Tensor norm_q, norm_k; /* over all heads */
} DitAttention;

typedef struct {
    Tensor table; /* [6,D] */
    DitAttention self, cross;
    Linear image_k, image_v;
    Tensor image_norm_k;
    Tensor norm2_gain, norm2_bias;
    Linear up, down;
    Linear control_in, control_out; /* of a VACE block */
} DitBlock;

struct Dit {
    DitConfig config;
    Backend *be;
    WeightPlan plan;
    Linear patch, control_patch;
    Linear time1, time2, time_proj, text1, text2;
    Tensor image_norm1_gain, image_norm1_bias, image_norm2_gain, image_norm2_bias, image_pos;
    Linear image1, image2;
    DitBlock *block; /* layers, then the VACE blocks */
    int blocks;
    Tensor table; /* [2,D] */
    Linear proj;
};

typedef struct { /* what one prompt gives to one block: [n + 1, D] (the last row stands for all padding) and [m, D] */
    Tensor k, v, image_k, image_v;
} DitContext;

struct DitShot {
    Dit *d;
    int64_t dim[4], grid[3], tokens;
    Tensor cos, sin; /* [T, head_dim / 2] */
    DitContext *context[DIT_BRANCHES];
    Tensor text[DIT_BRANCHES]; /* [n + 1, D] */
    Tensor bias[DIT_BRANCHES]; /* [n + 1] */
    int count[DIT_BRANCHES];
    Tensor image; /* [m, D], for the trace */
};

/* ---- weights ------------------------------------------------------------------------------------------------------------ */

enum { D, FFN, TEXT, FREQ, IN, OUT, PT, PH, PW, D6, IMAGE, KV, POS, CONTROL };

#define ROOT(f)  offsetof(Dit, f)
#define BLOCK(f) offsetof(DitBlock, f)
#define ROWS(r)  r, (int)(sizeof r / sizeof *r)

static const WeightRow root_rows[] = {
    {"patch_embedding", ROOT(patch), WEIGHT_LINEAR, SPLIT_NONE, 5, {D, IN, PT, PH, PW}},
    {"condition_embedder.time_embedder.linear_1", ROOT(time1), WEIGHT_LINEAR, SPLIT_NONE, 2, {D, FREQ}},
    {"condition_embedder.time_embedder.linear_2", ROOT(time2), WEIGHT_LINEAR, SPLIT_NONE, 2, {D, D}},
    {"condition_embedder.time_proj", ROOT(time_proj), WEIGHT_LINEAR, SPLIT_NONE, 2, {D6, D}},
    {"condition_embedder.text_embedder.linear_1", ROOT(text1), WEIGHT_LINEAR, SPLIT_NONE, 2, {D, TEXT}},
    {"condition_embedder.text_embedder.linear_2", ROOT(text2), WEIGHT_LINEAR, SPLIT_NONE, 2, {D, D}},
    {"scale_shift_table", ROOT(table), WEIGHT_VECTOR, SPLIT_NONE, 3, {NUMBER(1), NUMBER(2), D}},
    {"proj_out", ROOT(proj), WEIGHT_LINEAR, SPLIT_NONE, 2, {OUT, D}},
};
static const WeightRow control_rows[] = {
    {"vace_patch_embedding", ROOT(control_patch), WEIGHT_LINEAR, SPLIT_NONE, 5, {D, CONTROL, PT, PH, PW}},
};
static const WeightRow image_rows[] = {
    {"norm1.weight", ROOT(image_norm1_gain), WEIGHT_VECTOR, SPLIT_NONE, 1, {IMAGE}},
    {"norm1.bias", ROOT(image_norm1_bias), WEIGHT_VECTOR, SPLIT_NONE, 1, {IMAGE}},
    {"ff.net.0.proj", ROOT(image1), WEIGHT_LINEAR, SPLIT_NONE, 2, {IMAGE, IMAGE}},
    {"ff.net.2", ROOT(image2), WEIGHT_LINEAR, SPLIT_NONE, 2, {D, IMAGE}},
    {"norm2.weight", ROOT(image_norm2_gain), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
    {"norm2.bias", ROOT(image_norm2_bias), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
};
static const WeightRow image_pos_rows[] = {
    {"pos_embed", ROOT(image_pos), WEIGHT_VECTOR, SPLIT_NONE, 3, {NUMBER(1), POS, IMAGE}},
};

static const WeightRow block_rows[] = {
    {"scale_shift_table", BLOCK(table), WEIGHT_VECTOR, SPLIT_NONE, 3, {NUMBER(1), NUMBER(6), D}},
    {"attn1.to_q", BLOCK(self.q), WEIGHT_LINEAR, SPLIT_OUT, 2, {D, D}},
    {"attn1.to_k", BLOCK(self.k), WEIGHT_LINEAR, SPLIT_OUT, 2, {D, D}},
    {"attn1.to_v", BLOCK(self.v), WEIGHT_LINEAR, SPLIT_OUT, 2, {D, D}},
    {"attn1.to_out.0", BLOCK(self.out), WEIGHT_LINEAR, SPLIT_IN, 2, {D, D}},
    {"attn1.norm_q.weight", BLOCK(self.norm_q), WEIGHT_VECTOR, SPLIT_OUT, 1, {D}},
    {"attn1.norm_k.weight", BLOCK(self.norm_k), WEIGHT_VECTOR, SPLIT_OUT, 1, {D}},
    {"attn2.to_q", BLOCK(cross.q), WEIGHT_LINEAR, SPLIT_OUT, 2, {D, D}},
    {"attn2.to_k", BLOCK(cross.k), WEIGHT_LINEAR, SPLIT_OUT, 2, {D, D}},
    {"attn2.to_v", BLOCK(cross.v), WEIGHT_LINEAR, SPLIT_OUT, 2, {D, D}},
    {"attn2.to_out.0", BLOCK(cross.out), WEIGHT_LINEAR, SPLIT_IN, 2, {D, D}},
    {"attn2.norm_q.weight", BLOCK(cross.norm_q), WEIGHT_VECTOR, SPLIT_OUT, 1, {D}},
    {"attn2.norm_k.weight", BLOCK(cross.norm_k), WEIGHT_VECTOR, SPLIT_OUT, 1, {D}},
    {"ffn.net.0.proj", BLOCK(up), WEIGHT_LINEAR, SPLIT_OUT, 2, {FFN, D}},
    {"ffn.net.2", BLOCK(down), WEIGHT_LINEAR, SPLIT_IN, 2, {D, FFN}},
};
static const WeightRow cross_norm_rows[] = {
    {"norm2.weight", BLOCK(norm2_gain), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
    {"norm2.bias", BLOCK(norm2_bias), WEIGHT_VECTOR, SPLIT_NONE, 1, {D}},
};
static const WeightRow block_image_rows[] = {
    {"attn2.add_k_proj", BLOCK(image_k), WEIGHT_LINEAR, SPLIT_OUT, 2, {D, KV}},
    {"attn2.add_v_proj", BLOCK(image_v), WEIGHT_LINEAR, SPLIT_OUT, 2, {D, KV}},
    {"attn2.norm_added_k.weight", BLOCK(image_norm_k), WEIGHT_VECTOR, SPLIT_OUT, 1, {D}},
};
static const WeightRow control_in_rows[] = {{"proj_in", BLOCK(control_in), WEIGHT_LINEAR, SPLIT_NONE, 2, {D, D}}};
static const WeightRow control_out_rows[] = {{"proj_out", BLOCK(control_out), WEIGHT_LINEAR, SPLIT_NONE, 2, {D, D}}};

static const char *const ignored[] = {"norm_added_q",
                                      NULL}; /* published I2V files hold it, the model has no use for it */

static void add(Dit *d, void *base, const WeightRow *row, int rows, const char *prefix, int number)
{
    const DitConfig *c = &d->config;
    const int width = c->heads * c->head_dim, volume = c->patch[0] * c->patch[1] * c->patch[2];
    WeightGroup *g = number < 0 ? weights_add_group(&d->plan, base, row, rows, "%s", prefix)
                                : weights_add_group(&d->plan, base, row, rows, "%s.%d.", prefix, number);
    const int64_t size[] = {[D] = width,
                            [FFN] = c->ffn_dim,
                            [TEXT] = c->text_dim,
                            [FREQ] = c->freq_dim,
                            [IN] = c->in_channels,
                            [OUT] = c->out_channels * volume,
                            [PT] = c->patch[0],
                            [PH] = c->patch[1],
                            [PW] = c->patch[2],
                            [D6] = 6 * width,
                            [IMAGE] = c->image_dim,
                            [KV] = c->added_kv_dim,
                            [POS] = c->pos_embed_len,
                            [CONTROL] = c->vace_in};
    memcpy(g->size, size, sizeof size);
}

static void add_block(Dit *d, DitBlock *b, const char *prefix, int number)
{
    add(d, b, ROWS(block_rows), prefix, number);
    if (d->config.cross_norm) add(d, b, ROWS(cross_norm_rows), prefix, number);
    if (d->config.added_kv_dim) add(d, b, ROWS(block_image_rows), prefix, number);
}

Dit *dit_new(const DitConfig *c)
{
    Dit *d = memory_get(1, sizeof *d);
    d->config = *c;
    d->blocks = c->layers + c->vace_count;
    d->block = memory_get((size_t)d->blocks, sizeof *d->block);
    d->plan.ignored = ignored;
    add(d, d, ROWS(root_rows), "", -1);
    if (c->vace_count) add(d, d, ROWS(control_rows), "", -1);
    if (c->image_dim) add(d, d, ROWS(image_rows), "condition_embedder.image_embedder.", -1);
    if (c->pos_embed_len && c->image_dim) add(d, d, ROWS(image_pos_rows), "condition_embedder.image_embedder.", -1);
    for (int i = 0; i < c->layers; i++) add_block(d, &d->block[i], "blocks", i);
    for (int i = 0; i < c->vace_count; i++) {
        DitBlock *b = &d->block[c->layers + i];
        add_block(d, b, "vace_blocks", i);
        if (i == 0) add(d, b, ROWS(control_in_rows), "vace_blocks", i);
        add(d, b, ROWS(control_out_rows), "vace_blocks", i);
    }
    return d;
}

const WeightPlan *dit_plan(const Dit *d) { return &d->plan; }

Status dit_load(Dit *d, WeightSource *s, Backend *be)
{
    TRY(weights_load(&d->plan, s, be));
    d->be = be;
    return status_ok();
}

bool dit_is_loaded(const Dit *d) { return d->be != NULL; }

void dit_free(Dit **d)
{
    if (!*d) return;
    if ((*d)->be) weights_free(&(*d)->plan, (*d)->be);
    weights_plan_clear(&(*d)->plan);
    free((*d)->block);
    free(*d);
    *d = NULL;
}

/* ---- what does not depend on the timestep --------------------------------------------------------------------------------- */

static Tensor keep(Backend *be, DType type, Tensor t)
{
    Tensor kept = backend_keep(be, type, t.ndim, t.dim);
    op_copy(be, kept, t);
    return kept;
}

/* Each head's pairs are divided among frame, row and column of the token (44, 42 and 42 of 128 numbers); pair i of an
 * axis of n numbers turns by position / 10000^(2i/n), in double precision, rounded at the end. */
static void fill_rotation(const DitShot *s, float *cosine, float *sine)
{
    const int head_dim = s->d->config.head_dim, side = 2 * (head_dim / 6);
    const int width[3] = {head_dim - 2 * side, side, side};
    for (int64_t t = 0; t < s->tokens; t++) {
        const int64_t at[3] = {t / (s->grid[1] * s->grid[2]), t / s->grid[2] % s->grid[1], t % s->grid[2]};
        for (int axis = 0; axis < 3; axis++) {
            for (int i = 0; i < width[axis]; i += 2) {
                double angle = (double)at[axis] * (1.0 / pow(10000.0, (double)i / width[axis]));
                *cosine++ = (float)cos(angle);
                *sine++ = (float)sin(angle);
            }
        }
    }
}

Status dit_shot_begin(Dit *d, const int64_t dim[4], DitShot **out)
{
    Backend *be = d->be;
    DitShot *s = memory_get(1, sizeof *s);
    s->d = d;
    memcpy(s->dim, dim, sizeof s->dim);
    for (int i = 0; i < 3; i++) s->grid[i] = dim[1 + i] / d->config.patch[i];
    s->tokens = s->grid[0] * s->grid[1] * s->grid[2];
    const int64_t half = d->config.head_dim / 2, shape[2] = {s->tokens, half};
    float *table = memory_get((size_t)(2 * s->tokens * half), sizeof *table);
    fill_rotation(s, table, table + s->tokens * half);
    ArenaMark mark = backend_mark(be);
    s->cos = keep(be, F32, backend_upload(be, table, 2, shape));
    s->sin = keep(be, F32, backend_upload(be, table + s->tokens * half, 2, shape));
    backend_release(be, mark);
    free(table);
    *out = s;
    return backend_status(be);
}

/* The rows that pad a prompt to `padded` are all zero, so their keys and values are all the same, and they are not masked:
 * one row stands for them, with log(how many) added to its score. */
Status dit_shot_prompt(DitShot *s, int branch, const float *rows, int n, int padded)
{
    Dit *d = s->d;
    Backend *be = d->be;
    const int64_t width = d->config.text_dim, count = n < padded ? n + 1 : n;
    float *padded_rows = memory_get((size_t)(count * width), sizeof *padded_rows);
    float *bias = memory_get((size_t)count, sizeof *bias);
    memcpy(padded_rows, rows, (size_t)(n * width) * sizeof *rows);
    if (n < padded) bias[n] = logf((float)(padded - n));
    ArenaMark mark = backend_mark(be);
    Tensor x = op_linear(be, backend_upload(be, padded_rows, 2, (int64_t[]){count, width}), &d->text1, ACT_GELU_TANH);
    Tensor text = op_linear(be, x, &d->text2, ACT_NONE);
    s->text[branch] = keep(be, F32, text);
    s->bias[branch] = keep(be, F32, backend_upload(be, bias, 1, &count));
    s->count[branch] = n;
    s->context[branch] = memory_get((size_t)d->blocks, sizeof **s->context);
    for (int i = 0; i < d->blocks; i++) {
        const DitAttention *a = &d->block[i].cross;
        ArenaMark inner = backend_mark(be);
        Tensor k = op_linear(be, text, &a->k, ACT_NONE);
        op_qk_norm_rope(be, k, a->norm_k, d->config.eps, d->config.heads, (Tensor){0}, (Tensor){0});
        s->context[branch][i].k = keep(be, backend_compute(be), k);
        s->context[branch][i].v = keep(be, backend_compute(be), op_linear(be, text, &a->v, ACT_NONE));
        backend_release(be, inner);
    }
    backend_release(be, mark);
    free(padded_rows);
    free(bias);
    return backend_status(be);
}

static const float IMAGE_NORM_EPS = 1e-5f; /* torch's default, which diffusers' WanImageEmbedding takes */

Status dit_shot_image(DitShot *s, const float *rows, int n)
{
    Dit *d = s->d;
    Backend *be = d->be;
    ArenaMark mark = backend_mark(be);
    Tensor x = backend_upload(be, rows, 2, (int64_t[]){n, d->config.image_dim});
    if (d->image_pos.data) x = op_add(be, x, d->image_pos);
    x = op_layernorm(be, x, d->image_norm1_gain, d->image_norm1_bias, IMAGE_NORM_EPS);
    x = op_linear(be, op_linear(be, x, &d->image1, ACT_GELU_ERF), &d->image2, ACT_NONE);
    x = op_layernorm(be, x, d->image_norm2_gain, d->image_norm2_bias, IMAGE_NORM_EPS);
    s->image = keep(be, F32, x);
    for (int i = 0; i < d->blocks; i++) {
        const DitBlock *b = &d->block[i];
        ArenaMark inner = backend_mark(be);
        Tensor k = op_linear(be, x, &b->image_k, ACT_NONE), v = op_linear(be, x, &b->image_v, ACT_NONE);
        op_qk_norm_rope(be, k, b->image_norm_k, d->config.eps, d->config.heads, (Tensor){0}, (Tensor){0});
        for (int branch = 0; branch < DIT_BRANCHES; branch++) {
            if (!s->context[branch]) continue;
            s->context[branch][i].image_k = keep(be, backend_compute(be), k);
            s->context[branch][i].image_v = keep(be, backend_compute(be), v);
        }
        backend_release(be, inner);
    }
    backend_release(be, mark);
    return backend_status(be);
}

void dit_shot_end(DitShot **shot)
{
    DitShot *s = *shot;
    if (!s) return;
    Backend *be = s->d->be;
    for (int branch = 0; branch < DIT_BRANCHES; branch++) {
        for (int i = 0; s->context[branch] && i < s->d->blocks; i++) {
            DitContext *c = &s->context[branch][i];
            backend_drop(be, &c->k);
            backend_drop(be, &c->v);
            backend_drop(be, &c->image_k);
            backend_drop(be, &c->image_v);
        }
        free(s->context[branch]);
        backend_drop(be, &s->text[branch]);
        backend_drop(be, &s->bias[branch]);
    }
    backend_drop(be, &s->image);
    backend_drop(be, &s->cos);
    backend_drop(be, &s->sin);
    free(s);
    *shot = NULL;
}

/* ---- time ------------------------------------------------------------------------------------------------------------------- */

enum { SHIFT1, SCALE1, GATE1, SHIFT2, SCALE2, GATE2, MODULATIONS };

typedef struct { /* one evaluation */
    const DitShot *s;
    int branch;
    int times;      /* different timesteps: 1, or 2 when the first frames are at 0 */
    int64_t zero;   /* tokens at timestep 0 */
    Tensor temb;    /* [times, D] */
    Tensor proj;    /* [times * 6, D] */
    int64_t *place; /* [T]: which row of a table each token takes */
} DitCall;

/* cos and sin of t / 10000^(i / half), in single precision throughout, as the model was trained */
static void fill_frequencies(float t, int width, float *out)
{
    const int half = width / 2;
    for (int i = 0; i < half; i++) {
        float exponent = (float)-log(10000.0) * (float)i / (float)half;
        float angle = t * (float)exp((double)exponent);
        out[i] = (float)cos((double)angle);
        out[half + i] = (float)sin((double)angle);
    }
}

static void embed_time(DitCall *c, float timestep)
{
    const Dit *d = c->s->d;
    Backend *be = d->be;
    const int width = d->config.freq_dim;
    const int64_t inner = d->config.heads * d->config.head_dim;
    float *wave = memory_get((size_t)(c->times * width), sizeof *wave);
    for (int i = 0; i < c->times; i++) fill_frequencies(i + 1 < c->times ? 0.0f : timestep, width, wave + i * width);
    Tensor x = backend_upload(be, wave, 2, (int64_t[]){c->times, width});
    c->temb = op_linear(be, op_linear(be, x, &d->time1, ACT_SILU), &d->time2, ACT_NONE);
    Tensor proj = op_linear(be, op_activation(be, c->temb, ACT_SILU), &d->time_proj, ACT_NONE);
    c->proj = tensor_reshape(proj, 2, (int64_t[]){c->times * MODULATIONS, inner});
    free(wave);
}

/* Row i of each timestep's `rows` rows: [D], or [T,D] when tokens differ. */
static Tensor pick(const DitCall *c, Tensor table, int rows, int i)
{
    if (c->times == 1) return tensor_rows(table, i, 1);
    for (int64_t t = 0; t < c->s->tokens; t++) c->place[t] = (t < c->zero ? 0 : rows) + i;
    return op_embed(c->s->d->be, table, c->place, c->s->tokens);
}

/* ---- the block ---------------------------------------------------------------------------------------------------------------- */

static Tensor self_attention(const Dit *d, const DitAttention *w, const DitShot *s, Tensor h)
{
    Backend *be = d->be;
    const DitConfig *c = &d->config;
    Tensor q = op_linear(be, h, &w->q, ACT_NONE);
    Tensor k = op_linear(be, h, &w->k, ACT_NONE);
    Tensor v = op_linear(be, h, &w->v, ACT_NONE);
    op_qk_norm_rope(be, q, w->norm_q, c->eps, c->heads, s->cos, s->sin);
    op_qk_norm_rope(be, k, w->norm_k, c->eps, c->heads, s->cos, s->sin);
    return op_attention(be, q, k, v, c->heads, 1.0f / sqrtf((float)c->head_dim), (Tensor){0});
}

static Tensor cross_attention(const Dit *d, const DitAttention *w, const DitContext *x, Tensor bias, Tensor h)
{
    Backend *be = d->be;
    const DitConfig *c = &d->config;
    const float scale = 1.0f / sqrtf((float)c->head_dim);
    Tensor q = op_linear(be, h, &w->q, ACT_NONE);
    op_qk_norm_rope(be, q, w->norm_q, c->eps, c->heads, (Tensor){0}, (Tensor){0});
    Tensor a = op_attention(be, q, x->k, x->v, c->heads, scale, bias);
    if (x->image_k.data)
        op_add_to(be, a, op_attention(be, q, x->image_k, x->image_v, c->heads, scale, (Tensor){0}), 1.0f);
    return a;
}

static void block_forward(const DitCall *call, int index, Tensor x)
{
    const DitShot *s = call->s;
    const Dit *d = s->d;
    const DitBlock *b = &d->block[index];
    Backend *be = d->be;
    const float eps = d->config.eps;
    ArenaMark mark = backend_mark(be);
    Tensor m = op_add(be, call->proj, b->table);
    ArenaMark inner = backend_mark(be);

    Tensor h = op_norm_modulate(be, x, pick(call, m, MODULATIONS, SCALE1), pick(call, m, MODULATIONS, SHIFT1), eps);
    Tensor a = self_attention(d, &b->self, s, h);
    op_linear_add(be, x, a, &b->self.out, pick(call, m, MODULATIONS, GATE1));
    backend_release(be, inner);

    h = d->config.cross_norm ? op_layernorm(be, x, b->norm2_gain, b->norm2_bias, eps) : x;
    a = cross_attention(d, &b->cross, &s->context[call->branch][index], s->bias[call->branch], h);
    op_linear_add(be, x, a, &b->cross.out, (Tensor){0});
    backend_release(be, inner);

    h = op_norm_modulate(be, x, pick(call, m, MODULATIONS, SCALE2), pick(call, m, MODULATIONS, SHIFT2), eps);
    op_linear_add(be, x, op_linear(be, h, &b->up, ACT_GELU_TANH), &b->down, pick(call, m, MODULATIONS, GATE2));
    backend_release(be, mark);
}

/* ---- the control branch (VACE) --------------------------------------------------------------------------------------------------- */

/* The branch's state before its first block: tokens of the control latents (rows beyond them are zero), projected, + x. */
static Tensor control_begin(const DitCall *call, Tensor control, Tensor x)
{
    const Dit *d = call->s->d;
    Backend *be = d->be;
    Tensor state = backend_zeros(be, 2, x.dim);
    ArenaMark mark = backend_mark(be);
    Tensor all = backend_zeros(be, 2, x.dim);
    Tensor tokens = op_linear(be, op_patchify(be, control, d->config.patch), &d->control_patch, ACT_NONE);
    op_copy(be, tensor_rows(all, 0, tokens.dim[0]), tokens);
    op_copy(be, state, x);
    op_linear_add(be, state, all, &d->block[d->config.layers].control_in, (Tensor){0});
    backend_release(be, mark);
    return state;
}

/* Advances the state by VACE block j; what it hints is added to x after layer vace_layers[j]. */
static Tensor control_hint(const DitCall *call, const DitInput *in, int j, Tensor state)
{
    const Dit *d = call->s->d;
    const int index = d->config.layers + j;
    block_forward(call, index, state);
    Tensor hint = op_linear(d->be, state, &d->block[index].control_out, ACT_NONE);
    trace_tensor(in->trace, d->be, hint, "trace.%s.vace_block.%d.hint", in->name, j);
    trace_tensor(in->trace, d->be, state, "trace.%s.vace_block.%d.state", in->name, j);
    return hint;
}

/* ---- the whole -------------------------------------------------------------------------------------------------------------------- */

enum { TRACED_TEXT_ROWS = 32 };

/* The first rows of the padded prompt after its embedder, as the references show it. */
static void trace_text(const DitCall *c, const DitInput *in)
{
    Backend *be = c->s->d->be;
    Tensor text = c->s->text[c->branch];
    const int n = c->s->count[c->branch];
    int64_t row[TRACED_TEXT_ROWS];
    for (int i = 0; i < TRACED_TEXT_ROWS; i++) row[i] = i < n ? i : n;
    trace_tensor(in->trace, be, op_embed(be, text, row, TRACED_TEXT_ROWS), "trace.%s.text", in->name);
}

static void trace_embeddings(const DitCall *c, const DitInput *in, Tensor x)
{
    const DitShot *s = c->s;
    Backend *be = s->d->be;
    if (!in->trace) return;
    const int64_t inner = s->d->config.heads * s->d->config.head_dim;
    ArenaMark mark = backend_mark(be);
    Tensor grid = tensor_reshape(x, 4, (int64_t[]){s->grid[0], s->grid[1], s->grid[2], inner});
    trace_tensor(in->trace, be, op_to_channels_first(be, grid), "trace.%s.patch_embedding", in->name);
    Tensor temb = tensor_reshape(c->temb, 2, (int64_t[]){c->times, inner});
    Tensor proj = tensor_reshape(c->proj, 2, (int64_t[]){c->times, MODULATIONS * inner});
    if (in->per_token) { /* the first and the last token's */
        const int64_t ends[2] = {0, c->times - 1};
        temb = op_embed(be, temb, ends, 2);
        proj = op_embed(be, proj, ends, 2);
    } else {
        temb = tensor_reshape(temb, 1, &inner);
        proj = tensor_reshape(proj, 1, (int64_t[]){MODULATIONS * inner});
    }
    trace_tensor(in->trace, be, temb, "trace.%s.temb", in->name);
    trace_tensor(in->trace, be, proj, "trace.%s.timestep_proj", in->name);
    trace_text(c, in);
    if (s->image.data) trace_tensor(in->trace, be, s->image, "trace.%s.image", in->name);
    backend_release(be, mark);
}

/* All layers, in place. */
static void run_blocks(const DitCall *call, const DitInput *in, Tensor x)
{
    const Dit *d = call->s->d;
    Backend *be = d->be;
    const DitConfig *c = &d->config;
    Tensor state = {0};
    int next = 0;
    if (c->vace_count && in->control.data) state = control_begin(call, in->control, x);
    for (int i = 0; i < c->layers; i++) {
        ArenaMark mark = backend_mark(be);
        bool hinted = state.data && next < c->vace_count && c->vace_layers[next] == i;
        Tensor hint = hinted ? control_hint(call, in, next, state) : (Tensor){0};
        block_forward(call, i, x);
        trace_tensor(in->trace, be, x, "trace.%s.block.%d", in->name, i);
        if (hinted) op_add_to(be, x, hint, in->control_scale[next++]);
        backend_release(be, mark);
    }
}

/* v = unpatch((norm(x) * (1 + scale) + shift) W + b), (shift, scale) = table + time embedding */
static Tensor head(const DitCall *call, const DitInput *in, Tensor x, const int64_t dim[4])
{
    const Dit *d = call->s->d;
    Backend *be = d->be;
    const float eps = d->config.eps;
    if (in->trace)
        trace_tensor(in->trace, be, op_layernorm(be, x, (Tensor){0}, (Tensor){0}, eps), "trace.%s.norm_out", in->name);
    Tensor m = op_add(be, op_embed(be, call->temb, (const int64_t[]){0, 0, 1, 1}, 2 * call->times), d->table);
    Tensor h = op_norm_modulate(be, x, pick(call, m, 2, 1), pick(call, m, 2, 0), eps);
    return op_unpatchify(be, op_linear(be, h, &d->proj, ACT_NONE), d->config.patch, dim);
}

Tensor dit_forward(DitShot *s, int branch, const DitInput *in)
{
    Dit *d = s->d;
    Backend *be = d->be;
    DitCall call = {.s = s, .branch = branch, .times = in->frames_at_zero > 0 ? 2 : 1};
    call.zero = in->frames_at_zero * s->grid[1] * s->grid[2] / d->config.patch[0];
    call.place = memory_get((size_t)s->tokens, sizeof *call.place);
    const int64_t dim[4] = {d->config.out_channels, s->dim[1], s->dim[2], s->dim[3]};

    Tensor out = backend_zeros(be, 4, dim);
    ArenaMark mark = backend_mark(be);
    Tensor x = op_linear(be, op_patchify(be, in->latent, d->config.patch), &d->patch, ACT_NONE);
    embed_time(&call, in->timestep);
    trace_embeddings(&call, in, x);
    run_blocks(&call, in, x);
    op_copy(be, out, head(&call, in, x, dim));
    backend_release(be, mark);
    free(call.place);
    return out;
}
