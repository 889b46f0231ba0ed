/* Tokens: check, take the output from the arena, call the back end's kernel. */
#include "kernels/ops.h"

#include <assert.h>

#include "kernels/shape.h"

static Tensor linear_shape(const Linear *w) { return tensor_view(NULL, F32, 2, (int64_t[]){w->out, w->in}); }

/* The type of a + b: what carries the residual stream stays fp32. */
static DType wider(Tensor a, Tensor b) { return a.dtype == F32 || b.dtype == F32 ? F32 : a.dtype; }

void op_copy(Backend *be, Tensor dst, Tensor src)
{
    if (shape_check(be, tensor_count(dst) == tensor_count(src), "op_copy", dst, src))
        BACKEND_RUN(be, copy(be, dst, src));
}

void op_zero(Backend *be, Tensor t) { BACKEND_RUN(be, zero(be, t)); }

/* ---- products ------------------------------------------------------------------------------------------------------ */

/* When planning: x quantised, and its scales. */
static void plan_quantized(Backend *be, Tensor x, const Linear *w)
{
    if (w->quantize) backend_plan_scratch(be, (size_t)tensor_count(x) + (size_t)shape_rows(x) * sizeof(float));
}

/* The result's place; whether there is one. */
static bool linear_room(Backend *be, const char *op, Tensor x, const Linear *w, DType type, Tensor *out)
{
    *out = shape_with_last(x, w->out, type);
    if (!shape_check(be, x.ndim > 0 && shape_last(x) == w->in, op, x, linear_shape(w))) return false;
    *out = shape_alloc(be, *out);
    return true;
}

/* What an activation function made goes into the next product: the compute type. Without one the result may be a residual
 * stream or a model's output: fp32. */
Tensor op_linear(Backend *be, Tensor x, const Linear *w, Activation act)
{
    Tensor out;
    if (!linear_room(be, "op_linear", x, w, act == ACT_NONE || w->exact ? F32 : backend_branch(be), &out)) return out;
    if (!shape_check(be, !w->exact || x.dtype == F32, "op_linear", x, linear_shape(w))) return out;
    plan_quantized(be, x, w);
    BACKEND_RUN(be, linear(be, x, w, act, out));
    return out;
}

void op_project(Backend *be, Tensor x, int count, const Linear *const *w, Tensor *out)
{
    const bool narrow = be->kernels->project != NULL;
    bool fits = true;
    for (int i = 0; i < count; i++)
        fits = linear_room(be, "op_project", x, w[i], narrow ? backend_branch(be) : F32, &out[i]) && fits;
    if (!fits) return;
    plan_quantized(be, x, w[0]);
    if (narrow) BACKEND_RUN(be, project(be, x, count, w, out));
    for (int i = 0; i < count && !narrow; i++) BACKEND_RUN(be, linear(be, x, w[i], ACT_NONE, out[i]));
}

void op_linear_add(Backend *be, Tensor acc, Tensor x, const Linear *w, Tensor gate)
{
    bool fits = x.ndim > 0 && shape_last(x) == w->in && shape_last(acc) == w->out && shape_rows(x) == shape_rows(acc);
    if (!shape_check(be, fits && acc.dtype == F32, "op_linear_add", x, linear_shape(w))) return;
    fits = !gate.data || (gate.dtype == F32 && tensor_count(gate) == w->out);
    if (!shape_check(be, fits, "op_linear_add", acc, gate)) return;
    plan_quantized(be, x, w);
    if (shape_rows(x) > 0) BACKEND_RUN(be, linear_add(be, acc, x, w, gate));
}

Tensor op_linear_geglu(Backend *be, Tensor x, const Linear *a, const Linear *b)
{
    Tensor out = shape_with_last(x, a->out, backend_branch(be));
    bool fits =
        x.ndim > 0 && shape_last(x) == a->in && a->in == b->in && a->out == b->out && a->quantize == b->quantize;
    if (!shape_check(be, fits, "op_linear_geglu", x, linear_shape(a))) return out;
    out = shape_alloc(be, out);
    BACKEND_RUN(be, linear_geglu(be, x, a, b, out));
    return out;
}

/* bias [Tk] or [heads,Tq,Tk], fp32 */
static bool attention_bias_fits(Tensor bias, Tensor q, Tensor k, int heads)
{
    if (!bias.data) return true;
    int64_t n = tensor_count(bias), tk = k.dim[0];
    return bias.dtype == F32 && (n == tk || (bias.ndim == 3 && bias.dim[0] == heads && n == heads * q.dim[0] * tk));
}

Tensor op_attention(Backend *be, Tensor q, Tensor k, Tensor v, int heads, float scale, Tensor bias)
{
    Tensor out = shape_with_last(q, shape_last(q), backend_branch(be));
    bool fits = q.ndim == 2 && k.ndim == 2 && shape_same(k, v) && k.dim[1] == q.dim[1] && k.dim[0] > 0 && heads > 0 &&
                q.dim[1] % heads == 0;
    if (!shape_check(be, fits, "op_attention", q, k)) return out;
    if (!shape_check(be, attention_bias_fits(bias, q, k, heads), "op_attention", q, bias)) return out;
    out = shape_alloc(be, out);
    backend_plan_scratch(be,
                         2 * (size_t)tensor_count(k) * dtype_bytes(be->options.compute)); /* keys and values packed */
    BACKEND_RUN(be, attention(be, q, k, v, heads, scale, bias, out));
    return out;
}

/* ---- one element at a time ----------------------------------------------------------------------------------------- */

Tensor op_activation(Backend *be, Tensor x, Activation act)
{
    Tensor out = shape_with_last(x, shape_last(x), x.dtype);
    if (!shape_check(be, true, "op_activation", x, x)) return out;
    out = shape_alloc(be, out);
    BACKEND_RUN(be, activation(be, x, act, out));
    return out;
}

Tensor op_add(Backend *be, Tensor a, Tensor b)
{
    Tensor out = shape_with_last(a, shape_last(a), wider(a, b));
    int64_t n = tensor_count(b);
    bool fits = n > 0 && tensor_count(a) % n == 0 && n % shape_last(a) == 0;
    if (!shape_check(be, fits, "op_add", a, b)) return out;
    out = shape_alloc(be, out);
    BACKEND_RUN(be, add(be, a, b, out));
    return out;
}

void op_add_to(Backend *be, Tensor acc, Tensor x, float factor)
{
    if (shape_check(be, tensor_count(acc) == tensor_count(x), "op_add_to", acc, x))
        BACKEND_RUN(be, add_to(be, acc, x, factor));
}

void op_combine(Backend *be, Tensor out, int count, const Tensor *x, const double *weight)
{
    assert(count >= 1 && count <= COMBINE_MOST);
    for (int i = 0; i < count; i++) {
        const bool fits = out.dtype == F32 && x[i].dtype == F32 && tensor_count(x[i]) == tensor_count(out);
        if (!shape_check(be, fits, "op_combine", out, x[i])) return;
    }
    BACKEND_RUN(be, combine(be, out, count, x, weight));
}

Tensor op_embed(Backend *be, Tensor table, const int64_t *ids, int64_t n)
{
    Tensor out = tensor_view(NULL, F32, 2, (int64_t[]){n, table.dim[1]});
    bool fits = table.ndim == 2 && n >= 0;
    for (int64_t i = 0; fits && i < n; i++) fits = ids[i] >= 0 && ids[i] < table.dim[0];
    if (!shape_check(be, fits, "op_embed", table, out)) return out;
    out = shape_alloc(be, out);
    BACKEND_RUN(be, embed(be, table, ids, n, out));
    return out;
}

/* ---- norms --------------------------------------------------------------------------------------------------------- */

/* v is none or fp32 with `n` elements */
static bool vector_fits(Tensor v, int64_t n) { return !v.data || (v.dtype == F32 && tensor_count(v) == n); }

Tensor op_layernorm(Backend *be, Tensor x, Tensor gain, Tensor bias, float eps)
{
    int64_t d = shape_last(x);
    Tensor out = shape_with_last(x, d, backend_branch(be));
    if (!shape_check(be, vector_fits(gain, d) && vector_fits(bias, d), "op_layernorm", x, gain)) return out;
    out = shape_alloc(be, out);
    BACKEND_RUN(be, layernorm(be, x, gain, bias, eps, out));
    return out;
}

Tensor op_rmsnorm(Backend *be, Tensor x, Tensor gain, float eps)
{
    Tensor out = shape_with_last(x, shape_last(x), backend_branch(be));
    if (!shape_check(be, gain.data && vector_fits(gain, shape_last(x)), "op_rmsnorm", x, gain)) return out;
    out = shape_alloc(be, out);
    BACKEND_RUN(be, rmsnorm(be, x, gain, eps, out));
    return out;
}

void op_norm_modulate(Backend *be, Tensor x, Tensor scale, Tensor shift, float eps, Tensor out)
{
    const int64_t d = shape_last(x);
    const bool fits = scale.data && shift.data && vector_fits(scale, d) && vector_fits(shift, d);
    if (!shape_check(be, fits, "op_norm_modulate", x, scale)) return;
    if (!shape_check(be, shape_same(x, out), "op_norm_modulate", x, out)) return;
    if (shape_rows(x) > 0) BACKEND_RUN(be, norm_modulate(be, x, scale, shift, eps, out));
}

void op_sumsq(Backend *be, Tensor x, Tensor out)
{
    bool fits = out.dtype == F32 && tensor_count(out) == shape_rows(x);
    if (shape_check(be, fits, "op_sumsq", x, out)) BACKEND_RUN(be, sumsq(be, x, out));
}

void op_qk_norm_rope(Backend *be, Tensor x, const QkNorm *n)
{
    int64_t d = shape_last(x), both = 2 * (int64_t)n->heads;
    int64_t pairs = both > 0 && d % both == 0 ? tensor_count(x) / both : -1;
    bool fits = pairs >= 0 && n->gain.data && vector_fits(n->gain, d);
    if (!shape_check(be, fits, "op_qk_norm_rope", x, n->gain)) return;
    fits = !n->cos.data || (n->sin.data && vector_fits(n->cos, pairs) && vector_fits(n->sin, pairs));
    if (!shape_check(be, fits, "op_qk_norm_rope", x, n->cos)) return;
    fits = !n->sumsq.data || (vector_fits(n->sumsq, shape_rows(x)) && n->width >= d);
    if (!shape_check(be, fits, "op_qk_norm_rope", x, n->sumsq)) return;
    BACKEND_RUN(be, qk_norm_rope(be, x, n));
}

/* ---- latents and tokens -------------------------------------------------------------------------------------------- */

static bool patch_fits(const int64_t dim[4], const int patch[3])
{
    for (int i = 0; i < 3; i++)
        if (patch[i] < 1 || dim[1 + i] % patch[i]) return false;
    return true;
}

Tensor op_patchify(Backend *be, Tensor latent, const int patch[3])
{
    const int64_t *d = latent.dim;
    bool fits = latent.ndim == 4 && patch_fits(d, patch);
    int64_t volume = fits ? (int64_t)patch[0] * patch[1] * patch[2] : 1;
    Tensor out = tensor_view(NULL, F32, 2, (int64_t[]){d[1] * d[2] * d[3] / volume, d[0] * volume});
    if (!shape_check(be, fits, "op_patchify", latent, out)) return out;
    out = shape_alloc(be, out);
    BACKEND_RUN(be, patchify(be, latent, patch, out));
    return out;
}

Tensor op_unpatchify(Backend *be, Tensor tokens, const int patch[3], const int64_t dim[4])
{
    Tensor out = tensor_view(NULL, F32, 4, dim);
    bool fits = patch_fits(dim, patch) && tensor_count(out) == tensor_count(tokens) &&
                shape_last(tokens) == dim[0] * patch[0] * patch[1] * patch[2];
    if (!shape_check(be, fits, "op_unpatchify", tokens, out)) return out;
    out = shape_alloc(be, out);
    BACKEND_RUN(be, unpatchify(be, tokens, patch, out));
    return out;
}

Tensor op_columns(Backend *be, Tensor x, int64_t first, int64_t count)
{
    Tensor out = shape_with_last(x, count, x.dtype);
    if (!shape_check(be, first >= 0 && count >= 0 && first + count <= shape_last(x), "op_columns", x, out)) return out;
    out = shape_alloc(be, out);
    BACKEND_RUN(be, columns(be, x, first, count, out));
    return out;
}

void op_put_columns(Backend *be, Tensor dst, Tensor x, int64_t first)
{
    bool fits = dst.dtype == x.dtype && shape_rows(dst) == shape_rows(x) && first >= 0 &&
                first + shape_last(x) <= shape_last(dst);
    if (shape_check(be, fits, "op_put_columns", dst, x)) BACKEND_RUN(be, put_columns(be, dst, x, first));
}
