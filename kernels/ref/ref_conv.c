/* Cross-correlation over [T,H,W,C]; zeros around the frame, nothing around time (the caller prepends the history). */
#include <stdlib.h>

#include "kernels/convert.h"
#include "kernels/ref/ref.h"

typedef struct {
    float *weight; /* [kt,kh,kw,Cout,Cin] */
    float *bias;   /* [Cout], zeros if there is none */
    size_t bytes;
} RefConv;

void ref_conv_free(Backend *be, Conv *c)
{
    RefConv *p = c->packed;
    backend_count(be, 0, p->bytes);
    free(p->weight);
    free(p->bias);
    free(p);
    c->packed = NULL;
}

int64_t ref_conv_numbers(const Conv *c) { return c->in * c->out * c->kernel[0] * c->kernel[1] * c->kernel[2]; }

Status ref_conv_pack(Backend *be, Tensor weight, Tensor bias, Conv *c)
{
    int64_t count = tensor_count(weight), taps = (int64_t)c->kernel[0] * c->kernel[1] * c->kernel[2];
    float *file = malloc((size_t)count * sizeof *file); /* [Cout,Cin,kt,kh,kw] */
    RefConv *p = calloc(1, sizeof *p);
    c->packed = p;
    if (!p || !file || !(p->weight = malloc((size_t)count * sizeof *p->weight)) ||
        !(p->bias = calloc((size_t)c->out, sizeof *p->bias))) {
        free(file);
        if (p) ref_conv_free(be, c);
        return status_fail(ERR_NODE, "out of memory for a weight of %lld numbers", (long long)count);
    }
    convert_to_float(weight.data, weight.dtype, count, file);
    for (int64_t i = 0; i < c->out * c->in; i++)
        for (int64_t tap = 0; tap < taps; tap++) p->weight[tap * c->out * c->in + i] = file[i * taps + tap];
    if (bias.data) convert_to_float(bias.data, bias.dtype, c->out, p->bias);
    free(file);
    p->bytes = (size_t)(count + c->out) * sizeof *p->weight;
    backend_count(be, p->bytes, 0);
    return status_ok();
}

/* All channels of the output at (t, y, x). */
static void ref_conv_at(const float *in, const int64_t *dim, const Conv *c, const int64_t at[3], float *out)
{
    const RefConv *p = c->packed;
    const int *k = c->kernel;
    for (int64_t n = 0; n < c->out; n++) {
        double sum = p->bias[n];
        for (int i = 0; i < k[0] * k[1] * k[2]; i++) {
            int64_t f = at[0] * c->stride[0] + i / (k[1] * k[2]);
            int64_t h = at[1] * c->stride[1] + i / k[2] % k[1] - c->pad[0][0];
            int64_t w = at[2] * c->stride[2] + i % k[2] - c->pad[1][0];
            if (h < 0 || h >= dim[1] || w < 0 || w >= dim[2]) continue;
            sum += ref_dot(in + ((f * dim[1] + h) * dim[2] + w) * c->in, p->weight + (i * c->out + n) * c->in, c->in);
        }
        out[n] = (float)sum;
    }
}

Status ref_conv(Backend *be, Tensor x, const Conv *c, Tensor out)
{
    const float *in = ref_floats(be, x);
    float *y = ref_room(be, out);
    if (failed(be->first)) return be->first;
    int64_t h = out.dim[1], w = out.dim[2], places = out.dim[0] * h * w;
#pragma omp parallel for schedule(static) num_threads(be->options.threads)
    for (int64_t i = 0; i < places; i++)
        ref_conv_at(in, x.dim, c, (int64_t[]){i / (h * w), i / w % h, i % w}, y + i * c->out);
    ref_store(out, y);
    return status_ok();
}

Status ref_conv_add(Backend *be, Tensor acc, Tensor x, const Conv *c)
{
    Tensor y = backend_alloc(be, F32, acc.ndim, acc.dim);
    if (failed(be->first)) return be->first;
    Status status = ref_conv(be, x, c, y);
    return failed(status) ? status : ref_add_to(be, acc, y, 1);
}

Status ref_conv_upsampled(Backend *be, Tensor x, const Conv *c, Tensor out)
{
    int64_t h = 2 * x.dim[1], w = 2 * x.dim[2], d = x.dim[3];
    Tensor large = backend_alloc(be, F32, 4, (int64_t[]){x.dim[0], h, w, d});
    const float *in = ref_floats(be, x);
    float *y = large.data;
    if (failed(be->first)) return be->first;
    for (int64_t i = 0; i < x.dim[0] * h * w; i++) {
        const float *from = in + ((i / (h * w) * x.dim[1] + i / w % h / 2) * x.dim[2] + i % w / 2) * d;
        for (int64_t j = 0; j < d; j++) y[i * d + j] = from[j];
    }
    return ref_conv(be, large, c, out);
}
