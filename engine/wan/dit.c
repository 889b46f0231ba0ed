#include "dit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/wan/dit_parts.h"
#include "engine/weights/trace.h"

/* ---- time ------------------------------------------------------------------------------------------------------------------- */

enum { SHIFT1, SCALE1, GATE1, SHIFT2, SCALE2, GATE2, MODULATIONS };

typedef struct { /* one evaluation */
    const DitShot *s;
    int branch;
    int times;      /* different timesteps: 1, or 2 when some tokens are at 0 */
    float time[2];  /* in the order of the tokens */
    int64_t change; /* how many of this rank's tokens are at the first of 2 */
    Tensor wave;    /* [times, freq_dim]: cos and sin of the timesteps */
    Tensor temb;    /* [times, D] */
    Tensor proj;    /* [times * 6, D] */
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

static Tensor upload_time(const DitCall *c)
{
    const Dit *d = c->s->d;
    const int width = d->config.freq_dim;
    float *wave = memory_get((size_t)(c->times * width), sizeof *wave);
    for (int i = 0; i < c->times; i++) fill_frequencies(c->time[i], width, wave + i * width);
    Tensor x = backend_upload(d->be, wave, 2, (int64_t[]){c->times, width});
    free(wave);
    return x;
}

static void embed_time(DitCall *c)
{
    const Dit *d = c->s->d;
    Backend *be = d->be;
    const int64_t inner = d->config.heads * d->config.head_dim;
    c->temb = coll_linear(d->tensor, be, op_linear(be, c->wave, &d->time1, ACT_SILU), &d->time2);
    Tensor proj = op_linear(be, op_activation(be, c->temb, ACT_SILU), &d->time_proj, ACT_NONE);
    proj = coll_columns(d->tensor, be, proj);
    c->proj = tensor_reshape(proj, 2, (int64_t[]){c->times * MODULATIONS, inner});
}

/* The rows of this rank's tokens that are at one of the timesteps. */
static Tensor at_time(const DitCall *c, Tensor x, int time)
{
    const int64_t first = time == 0 ? 0 : c->change, end = time == c->times - 1 ? c->s->count : c->change;
    return tensor_rows(x, first, end - first);
}

/* norm(x) * (1 + scale) + shift, which are rows of the `rows` rows that `table` has for each timestep */
static Tensor modulated(const DitCall *c, Tensor x, Tensor table, int rows, int scale, int shift)
{
    const Dit *d = c->s->d;
    Tensor out = backend_alloc(d->be, backend_compute(d->be), x.ndim, x.dim);
    for (int t = 0; t < c->times; t++)
        op_norm_modulate(d->be, at_time(c, x, t), tensor_rows(table, t * rows + scale, 1),
                         tensor_rows(table, t * rows + shift, 1), d->config.eps, at_time(c, out, t));
    return out;
}

/* x += gate * (a W^T + b) */
static void add_gated(const DitCall *c, Tensor x, Tensor a, const Linear *w, Tensor table, int gate)
{
    const Dit *d = c->s->d;
    for (int t = 0; t < c->times; t++) {
        const Tensor row = tensor_rows(table, t * MODULATIONS + gate, 1);
        coll_linear_add(d->tensor, d->be, at_time(c, x, t), at_time(c, a, t), w, row);
    }
}

/* This rank's tokens of [T,...]. */
static Tensor own(const DitCall *c, Tensor tokens) { return tensor_rows(tokens, c->s->first, c->s->count); }

/* What a trace shows: the tokens of all ranks. Without a trace nothing is gathered. */
static Tensor seen(const DitCall *c, const DitInput *in, Tensor x)
{
    const Dit *d = c->s->d;
    return in->trace ? coll_all_tokens(d->sequence, d->be, x, c->s->tokens) : x;
}

/* ---- the block ---------------------------------------------------------------------------------------------------------------- */

/* Converts to the type that attention computes in. The ranks exchange tensors of that type. */
static Tensor narrow(Backend *be, Tensor x)
{
    if (x.dtype == backend_compute(be)) return x;
    Tensor y = backend_alloc(be, backend_compute(be), x.ndim, x.dim);
    op_copy(be, y, x);
    return y;
}

/* Each rank has some tokens' q, k and v. Where the ranks divide the heads, each gets all tokens of some heads; else each gets
 * all keys and values. */
static Tensor attend(const DitShot *s, Tensor q, Tensor k, Tensor v)
{
    const Dit *d = s->d;
    Backend *be = d->be;
    Coll *c = d->sequence;
    const float scale = 1.0f / sqrtf((float)d->config.head_dim);
    if (d->heads % c->size) {
        k = coll_all_tokens(c, be, narrow(be, k), s->tokens);
        v = coll_all_tokens(c, be, narrow(be, v), s->tokens);
        return op_attention(be, q, k, v, d->heads, scale, (Tensor){0});
    }
    q = coll_to_heads(c, be, q, s->tokens, d->heads);
    k = coll_to_heads(c, be, k, s->tokens, d->heads);
    v = coll_to_heads(c, be, v, s->tokens, d->heads);
    Tensor a = op_attention(be, q, k, v, d->heads / c->size, scale, (Tensor){0});
    return coll_to_tokens(c, be, a, s->tokens, d->heads);
}

QkNorm dit_norm(const Dit *d, Tensor gain, Tensor sumsq, int row)
{
    const int64_t width = (int64_t)d->config.heads * d->config.head_dim;
    QkNorm n = {.gain = gain, .eps = d->config.eps, .heads = d->heads, .width = width};
    if (sumsq.data) n.sumsq = tensor_rows(sumsq, row, 1);
    return n;
}

static Tensor self_attention(const Dit *d, const DitAttention *w, const DitShot *s, Tensor h)
{
    Backend *be = d->be;
    Tensor qkv[3];
    op_project(be, h, 3, (const Linear *[]){&w->q, &w->k, &w->v}, qkv);
    Tensor sumsq = coll_sumsq(d->tensor, be, qkv[0], qkv[1]);
    QkNorm norm_q = dit_norm(d, w->norm_q, sumsq, 0), norm_k = dit_norm(d, w->norm_k, sumsq, 1);
    norm_q.cos = norm_k.cos = s->cos;
    norm_q.sin = norm_k.sin = s->sin;
    op_qk_norm_rope(be, qkv[0], &norm_q);
    op_qk_norm_rope(be, qkv[1], &norm_k);
    return attend(s, qkv[0], qkv[1], qkv[2]);
}

static Tensor cross_attention(const Dit *d, const DitAttention *w, const DitContext *x, Tensor bias, Tensor h)
{
    Backend *be = d->be;
    const float scale = 1.0f / sqrtf((float)d->config.head_dim);
    Tensor q;
    op_project(be, h, 1, (const Linear *[]){&w->q}, &q);
    const QkNorm norm = dit_norm(d, w->norm_q, coll_sumsq(d->tensor, be, q, (Tensor){0}), 0);
    op_qk_norm_rope(be, q, &norm);
    Tensor a = op_attention(be, q, x->k, x->v, d->heads, scale, bias);
    if (x->image_k.data)
        op_add_to(be, a, op_attention(be, q, x->image_k, x->image_v, d->heads, scale, (Tensor){0}), 1.0f);
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

    Tensor h = modulated(call, x, m, MODULATIONS, SCALE1, SHIFT1);
    Tensor a = self_attention(d, &b->self, s, h);
    add_gated(call, x, a, &b->self.out, m, GATE1);
    backend_release(be, inner);

    h = d->config.cross_norm ? op_layernorm(be, x, b->norm2_gain, b->norm2_bias, eps) : x;
    a = cross_attention(d, &b->cross, &s->context[call->branch][index], s->bias[call->branch], h);
    coll_linear_add(d->tensor, be, x, a, &b->cross.out, (Tensor){0});
    backend_release(be, inner);

    h = modulated(call, x, m, MODULATIONS, SCALE2, SHIFT2);
    a = op_linear(be, h, &b->up, ACT_GELU_TANH);
    add_gated(call, x, a, &b->down, m, GATE2);
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
    Tensor all = backend_zeros(be, 2, x.dim), patches = op_patchify(be, control, d->config.patch);
    int64_t n = patches.dim[0] - call->s->first;
    if (n > call->s->count) n = call->s->count;
    if (n > 0) {
        patches = tensor_rows(patches, call->s->first, n);
        op_copy(be, tensor_rows(all, 0, n), op_linear(be, patches, &d->control_patch, ACT_NONE));
    }
    op_copy(be, state, x);
    Tensor more = op_linear(be, all, &d->block[d->config.layers].control_in, ACT_NONE);
    op_add_to(be, state, coll_columns(d->tensor, be, more), 1.0f);
    backend_release(be, mark);
    return state;
}

/* Runs VACE block j on the branch's state. Returns its hint, which is added to x after layer vace_layers[j]. */
static Tensor control_hint(const DitCall *call, const DitInput *in, int j, Tensor state)
{
    const Dit *d = call->s->d;
    const int index = d->config.layers + j;
    block_forward(call, index, state);
    Tensor hint = coll_columns(d->tensor, d->be, op_linear(d->be, state, &d->block[index].control_out, ACT_NONE));
    trace_tensor(in->trace, d->be, seen(call, in, hint), "trace.%s.vace_block.%d.hint", in->name, j);
    trace_tensor(in->trace, d->be, seen(call, in, state), "trace.%s.vace_block.%d.state", in->name, j);
    return hint;
}

/* ---- the whole -------------------------------------------------------------------------------------------------------------------- */

enum { TRACED_TEXT_ROWS = 32 };

/* The first rows of the padded prompt after its embedder, as the references show it. */
static void trace_text(const DitCall *c, const DitInput *in)
{
    Backend *be = c->s->d->be;
    Tensor text = c->s->text[c->branch];
    const int n = c->s->rows[c->branch];
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
    const Tensor shown = tensor_rows(seen(c, in, x), 0, s->shown);
    Tensor grid = tensor_reshape(shown, 4, (int64_t[]){s->grid[0], s->grid[1], s->grid[2], inner});
    trace_tensor(in->trace, be, op_to_channels_first(be, grid), "trace.%s.patch_embedding", in->name);
    Tensor temb = tensor_reshape(c->temb, 2, (int64_t[]){c->times, inner});
    Tensor proj = tensor_reshape(c->proj, 2, (int64_t[]){c->times, MODULATIONS * inner});
    if (in->per_token || c->times > 1) { /* the first and the last token's */
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
    int next = 0, ear = 0;
    if (c->vace_count && in->control.data) state = control_begin(call, in->control, x);
    for (int i = 0; i < c->layers; i++) {
        ArenaMark mark = backend_mark(be);
        bool hinted = state.data && next < c->vace_count && c->vace_layers[next] == i;
        Tensor hint = hinted ? control_hint(call, in, next, state) : (Tensor){0};
        block_forward(call, i, x);
        trace_tensor(in->trace, be, seen(call, in, x), "trace.%s.block.%d", in->name, i);
        if (hinted) op_add_to(be, x, hint, in->control_scale[next++]);
        if (ear < c->sound_count && c->sound_layers[ear] == i) {
            dit_sound_hear(call->s, call->branch, ear++, x);
            trace_tensor(in->trace, be, seen(call, in, x), "trace.%s.block.%d.heard", in->name, i);
        }
        backend_release(be, mark);
    }
}

/* Runs the layers on x, or adds to x what the layers added in the step before. */
static void run_or_reuse(const DitCall *call, const DitInput *in, Tensor x)
{
    Backend *be = call->s->d->be;
    const Tensor kept = call->s->kept[call->branch];
    if (in->reuse == DIT_REUSE) {
        op_add_to(be, x, kept, 1.0f);
        return;
    }
    if (in->reuse == DIT_KEEP) op_copy(be, kept, x);
    run_blocks(call, in, x);
    if (in->reuse == DIT_KEEP) op_combine(be, kept, 2, (Tensor[]){x, kept}, (double[]){1, -1});
}

/* v = unpatch((norm(x) * (1 + scale) + shift) W + b), (shift, scale) = table + time embedding */
static Tensor head(const DitCall *call, const DitInput *in, Tensor x, const int64_t dim[4])
{
    const Dit *d = call->s->d;
    Backend *be = d->be;
    const float eps = d->config.eps;
    if (in->trace) {
        Tensor all = seen(call, in, op_layernorm(be, x, (Tensor){0}, (Tensor){0}, eps));
        trace_tensor(in->trace, be, all, "trace.%s.norm_out", in->name);
    }
    Tensor m = backend_alloc(be, F32, 2, (int64_t[]){call->times * 2, d->table.dim[1]});
    for (int t = 0; t < call->times; t++)
        op_copy(be, tensor_rows(m, t * 2, 2), op_add(be, d->table, tensor_rows(call->temb, t, 1)));
    Tensor h = modulated(call, x, m, 2, 1, 0);
    Tensor tokens = coll_all_tokens(d->sequence, be, op_linear(be, h, &d->proj, ACT_NONE), call->s->tokens);
    return op_unpatchify(be, tensor_rows(tokens, 0, call->s->shown), d->config.patch, dim);
}

typedef struct {
    DitCall *call;
    const DitInput *in;
    Tensor out;
} Evaluation;

/* Calls nothing but ops on the device, unless it is traced: so a back end can record it once and replay it. */
static void evaluate(void *self)
{
    const Evaluation *e = self;
    DitCall *call = e->call;
    const Dit *d = call->s->d;
    Backend *be = d->be;
    ArenaMark mark = backend_mark(be);
    const Tensor patches = op_patchify(be, e->in->latent, d->config.patch);
    Tensor x = d->config.sound_count ? dit_sound_tokens(call->s, patches)
                                     : op_linear(be, own(call, patches), &d->patch, ACT_NONE);
    embed_time(call);
    trace_embeddings(call, e->in, x);
    run_or_reuse(call, e->in, x);
    op_copy(be, e->out, head(call, e->in, x, e->out.dim));
    backend_release(be, mark);
}

static int64_t address(Tensor t) { return (int64_t)(uintptr_t)t.data; }

/* The tokens of given first frames are at timestep 0, and so are the tokens that stand behind those of the latents. */
static DitCall begin_call(const DitShot *s, int branch, const DitInput *in)
{
    DitCall call = {.s = s, .branch = branch, .times = 1, .time = {in->timestep}};
    int64_t change = s->shown - s->first;
    if (in->frames_at_zero > 0) {
        call.times = 2;
        call.time[0] = 0;
        call.time[1] = in->timestep;
        change = in->frames_at_zero * s->grid[1] * s->grid[2] / s->d->config.patch[0] - s->first;
    } else if (s->shown < s->tokens) {
        call.times = 2;
    }
    call.change = change < 0 ? 0 : change > s->count ? s->count : change;
    return call;
}

void dit_forward(DitShot *s, int branch, const DitInput *in, Tensor velocity)
{
    Dit *d = s->d;
    Backend *be = d->be;
    DitCall call = begin_call(s, branch, in);
    if (in->reuse != DIT_COMPUTE && !s->kept[branch].data)
        s->kept[branch] = backend_keep(be, F32, 2, (int64_t[]){s->count, d->config.heads * d->config.head_dim});
    ArenaMark mark = backend_mark(be);
    call.wave = upload_time(&call);
    Evaluation e = {&call, in, velocity};
    const int64_t key[REPEAT_KEY] = {(int64_t)(uintptr_t)s, branch + DIT_BRANCHES * (int64_t)in->reuse,
                                     address(in->latent),   address(in->control),
                                     address(call.wave),    address(velocity)};
    if (in->trace || d->tensor->size > 1 || d->sequence->size > 1)
        evaluate(&e);
    else
        backend_repeat(be, key, evaluate, &e);
    backend_release(be, mark);
}

Tensor dit_shot_kept(const DitShot *s, int branch) { return s->kept[branch]; }
