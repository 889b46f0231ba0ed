#include "dit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/dit_parts.h"
#include "engine/trace.h"

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
    op_qk_norm_rope(be, q, &(QkNorm){w->norm_q, c->eps, c->heads, s->cos, s->sin, .width = 0});
    op_qk_norm_rope(be, k, &(QkNorm){w->norm_k, c->eps, c->heads, s->cos, s->sin, .width = 0});
    return op_attention(be, q, k, v, c->heads, 1.0f / sqrtf((float)c->head_dim), (Tensor){0});
}

static Tensor cross_attention(const Dit *d, const DitAttention *w, const DitContext *x, Tensor bias, Tensor h)
{
    Backend *be = d->be;
    const DitConfig *c = &d->config;
    const float scale = 1.0f / sqrtf((float)c->head_dim);
    Tensor q = op_linear(be, h, &w->q, ACT_NONE);
    op_qk_norm_rope(be, q, &(QkNorm){.gain = w->norm_q, .eps = c->eps, .heads = c->heads});
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
