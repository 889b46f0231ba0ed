/* What lies between the products of a transformer block. */
#include <math.h>

#include "kernels/ref/ref.h"

/* ---- one element at a time ----------------------------------------------------------------------------------------- */

Status ref_activation(Backend *be, Tensor x, Activation act, Tensor out)
{
    const float *in = ref_floats(be, x);
    float *y = ref_room(be, out);
    if (failed(be->first)) return be->first;
    int64_t count = tensor_count(x);
    for (int64_t i = 0; i < count; i++) y[i] = ref_activation_of(in[i], act);
    ref_store(out, y);
    return status_ok();
}

Status ref_add(Backend *be, Tensor a, Tensor b, Tensor out)
{
    const float *p = ref_floats(be, a), *q = ref_floats(be, b);
    float *y = ref_room(be, out);
    if (failed(be->first)) return be->first;
    int64_t count = tensor_count(out), repeat = tensor_count(b);
    for (int64_t i = 0; i < count; i++) y[i] = p[i] + q[i % repeat];
    ref_store(out, y);
    return status_ok();
}

Status ref_add_to(Backend *be, Tensor acc, Tensor x, float factor)
{
    float *y = ref_floats(be, acc);
    const float *in = ref_floats(be, x);
    if (failed(be->first)) return be->first;
    int64_t count = tensor_count(acc);
    for (int64_t i = 0; i < count; i++) y[i] += factor * in[i];
    ref_store(acc, y);
    return status_ok();
}

Status ref_combine(Backend *be, Tensor out, int count, const Tensor *x, const double *weight)
{
    float *y = out.data;
    const int64_t numbers = tensor_count(out);
    (void)be;
    for (int64_t i = 0; i < numbers; i++) {
        double sum = 0;
        for (int k = 0; k < count; k++) sum += weight[k] * (double)((const float *)x[k].data)[i];
        y[i] = (float)sum;
    }
    return status_ok();
}

Status ref_embed(Backend *be, Tensor table, const int64_t *ids, int64_t n, Tensor out)
{
    for (int64_t i = 0; i < n; i++) {
        Status s = be->kernels->copy(be, tensor_rows(out, i, 1), tensor_rows(table, ids[i], 1));
        if (failed(s)) return s;
    }
    return status_ok();
}

/* ---- norms --------------------------------------------------------------------------------------------------------- */

Status ref_layernorm(Backend *be, Tensor x, Tensor gain, Tensor bias, float eps, Tensor out)
{
    int64_t d = x.dim[x.ndim - 1], rows = tensor_count(x) / d;
    const float *in = ref_floats(be, x), *g = gain.data, *b = bias.data;
    float *y = ref_room(be, out);
    if (failed(be->first)) return be->first;
    for (int64_t t = 0; t < rows; t++) {
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < d; i++) mean += (double)in[t * d + i] / (double)d;
        for (int64_t i = 0; i < d; i++) variance += pow((double)in[t * d + i] - mean, 2) / (double)d;
        for (int64_t i = 0; i < d; i++) {
            double n = ((double)in[t * d + i] - mean) / sqrt(variance + (double)eps);
            y[t * d + i] = (float)(n * (g ? (double)g[i] : 1) + (b ? (double)b[i] : 0));
        }
    }
    ref_store(out, y);
    return status_ok();
}

Status ref_norm_modulate(Backend *be, Tensor x, Tensor scale, Tensor shift, float eps, Tensor out)
{
    Tensor normed = backend_alloc(be, F32, x.ndim, x.dim);
    if (failed(be->first)) return be->first;
    Status status = ref_layernorm(be, x, (Tensor){0}, (Tensor){0}, eps, normed);
    if (failed(status)) return status;
    const float *n = normed.data, *a = scale.data, *b = shift.data;
    float *y = ref_room(be, out);
    if (failed(be->first)) return be->first;
    int64_t count = tensor_count(x), repeat = tensor_count(scale);
    for (int64_t i = 0; i < count; i++) y[i] = n[i] * (1 + a[i % repeat]) + b[i % repeat];
    ref_store(out, y);
    return status_ok();
}

static void ref_scale_row(const float *x, const float *gain, int64_t d, double r, float *y)
{
    for (int64_t i = 0; i < d; i++) y[i] = (float)((double)x[i] * r * (double)gain[i]);
}

Status ref_rmsnorm(Backend *be, Tensor x, Tensor gain, float eps, Tensor out)
{
    int64_t d = x.dim[x.ndim - 1], rows = tensor_count(x) / d;
    const float *in = ref_floats(be, x);
    float *y = ref_room(be, out);
    if (failed(be->first)) return be->first;
    for (int64_t t = 0; t < rows; t++)
        ref_scale_row(in + t * d, gain.data, d, 1 / sqrt(ref_dot(in + t * d, in + t * d, d) / (double)d + (double)eps),
                      y + t * d);
    ref_store(out, y);
    return status_ok();
}

Status ref_sumsq(Backend *be, Tensor x, Tensor out)
{
    int64_t d = x.dim[x.ndim - 1], rows = tensor_count(x) / d;
    const float *in = ref_floats(be, x);
    float *y = out.data;
    if (failed(be->first)) return be->first;
    for (int64_t t = 0; t < rows; t++) y[t] = (float)ref_dot(in + t * d, in + t * d, d);
    return status_ok();
}

/* The norm spans all heads; the rotation takes the pairs (2i, 2i+1) of each head by the token's angles. */
Status ref_qk_norm_rope(Backend *be, Tensor x, const QkNorm *n)
{
    int64_t width = x.dim[x.ndim - 1], rows = tensor_count(x) / width, pairs = width / n->heads / 2;
    const float *c = n->cos.data, *s = n->sin.data, *squares = n->sumsq.data, *gain = n->gain.data;
    float *y = ref_floats(be, x);
    if (failed(be->first)) return be->first;
    for (int64_t t = 0; t < rows; t++) {
        float *row = y + t * width;
        double mean = squares ? (double)squares[t] / (double)n->width : ref_dot(row, row, width) / (double)width;
        ref_scale_row(row, gain, width, 1 / sqrt(mean + (double)n->eps), row);
        for (int64_t i = 0; c && i < width / 2; i++) {
            float re = row[2 * i], im = row[2 * i + 1], cosine = c[t * pairs + i % pairs],
                  sine = s[t * pairs + i % pairs];
            row[2 * i] = re * cosine - im * sine;
            row[2 * i + 1] = re * sine + im * cosine;
        }
    }
    ref_store(x, y);
    return status_ok();
}

/* ---- latents and tokens -------------------------------------------------------------------------------------------- */

/* Where (channel, frame, row, column) of a [C,F,H,W] latent lies among the tokens [T,volume*C], as token index and offset
 * inside the patch. */
typedef struct {
    int64_t token, inside;
} RefPatchPlace;

static RefPatchPlace ref_patch_place(const int64_t *dim, const int *p, int64_t f, int64_t h, int64_t w)
{
    int64_t rows = dim[2] / p[1], columns = dim[3] / p[2];
    return (RefPatchPlace){(f / p[0] * rows + h / p[1]) * columns + w / p[2],
                           (f % p[0] * p[1] + h % p[1]) * p[2] + w % p[2]};
}

/* to_tokens: latent -> tokens with the channel slowest; else tokens with the channel fastest -> latent */
static void ref_patches(const float *from, float *to, const int64_t *dim, const int *patch, bool to_tokens)
{
    int64_t volume = (int64_t)patch[0] * patch[1] * patch[2], at = 0;
    for (int64_t c = 0; c < dim[0]; c++)
        for (int64_t f = 0; f < dim[1]; f++)
            for (int64_t h = 0; h < dim[2]; h++)
                for (int64_t w = 0; w < dim[3]; w++, at++) {
                    RefPatchPlace p = ref_patch_place(dim, patch, f, h, w);
                    if (to_tokens)
                        to[p.token * volume * dim[0] + c * volume + p.inside] = from[at];
                    else
                        to[at] = from[p.token * volume * dim[0] + p.inside * dim[0] + c];
                }
}

Status ref_patchify(Backend *be, Tensor latent, const int patch[3], Tensor out)
{
    const float *in = ref_floats(be, latent);
    float *y = ref_room(be, out);
    if (failed(be->first)) return be->first;
    ref_patches(in, y, latent.dim, patch, true);
    ref_store(out, y);
    return status_ok();
}

Status ref_unpatchify(Backend *be, Tensor tokens, const int patch[3], Tensor out)
{
    const float *in = ref_floats(be, tokens);
    float *y = ref_room(be, out);
    if (failed(be->first)) return be->first;
    ref_patches(in, y, out.dim, patch, false);
    ref_store(out, y);
    return status_ok();
}

Status ref_columns(Backend *be, Tensor x, int64_t first, int64_t count, Tensor out)
{
    const float *in = ref_floats(be, x);
    float *y = ref_room(be, out);
    if (failed(be->first)) return be->first;
    int64_t width = x.dim[x.ndim - 1], total = tensor_count(out);
    for (int64_t i = 0; i < total; i++) y[i] = in[i / count * width + first + i % count];
    ref_store(out, y);
    return status_ok();
}

Status ref_put_columns(Backend *be, Tensor dst, Tensor x, int64_t first)
{
    const float *in = ref_floats(be, x);
    float *y = ref_floats(be, dst);
    if (failed(be->first)) return be->first;
    int64_t width = dst.dim[dst.ndim - 1], count = x.dim[x.ndim - 1], total = tensor_count(x);
    for (int64_t i = 0; i < total; i++) y[i / count * width + first + i % count] = in[i];
    ref_store(dst, y);
    return status_ok();
}
