/* y = x W^T + b, alone, with an activation function, added to a residual stream, and as T5's gated unit. */
#include <math.h>
#include <stdlib.h>

#include "kernels/convert.h"
#include "kernels/ref/ref.h"

typedef struct {
    float *weight; /* [N,K] */
    float *bias;   /* [N], zeros if there is none */
    size_t bytes;
} RefLinear;

Status ref_linear_pack(Backend *be, Tensor weight, Tensor bias, Linear *l)
{
    int64_t count = tensor_count(weight);
    RefLinear *p = calloc(1, sizeof *p);
    l->packed = p;
    if (!p) return status_fail(ERR_NODE, "out of memory");
    p->weight = malloc((size_t)count * sizeof *p->weight);
    p->bias = calloc((size_t)l->out, sizeof *p->bias);
    if (!p->weight || !p->bias) {
        ref_linear_free(be, l);
        return status_fail(ERR_NODE, "out of memory for a weight of %lld numbers", (long long)count);
    }
    convert_to_float(weight.data, weight.dtype, count, p->weight);
    for (int64_t i = 0; weight.dtype == E4M3 && l->scale != 0 && i < count; i++) p->weight[i] *= l->scale;
    if (bias.data) convert_to_float(bias.data, bias.dtype, l->out, p->bias);
    p->bytes = (size_t)(count + l->out) * sizeof *p->weight;
    backend_count(be, p->bytes, 0);
    return status_ok();
}

void ref_linear_free(Backend *be, Linear *l)
{
    RefLinear *p = l->packed;
    backend_count(be, 0, p->bytes);
    free(p->weight);
    free(p->bias);
    free(p);
    l->packed = NULL;
}

float ref_activation_of(float v, Activation act)
{
    double x = v;
    switch (act) {
    case ACT_GELU_TANH:
        return (float)(0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))));
    case ACT_GELU_ERF:
        return (float)(0.5 * x * (1 + erf(x * M_SQRT1_2)));
    case ACT_SILU:
        return (float)(x / (1 + exp(-x)));
    case ACT_RELU:
        return v > 0 ? v : 0;
    case ACT_NONE:
        break;
    }
    return v;
}

/* y[t,n] = x[t,:] . w[n,:] + b[n] */
static void ref_product(const Backend *be, const float *x, const Linear *l, int64_t rows, float *y)
{
    const RefLinear *p = l->packed;
#pragma omp parallel for schedule(static) num_threads(be->options.threads)
    for (int64_t t = 0; t < rows; t++)
        for (int64_t n = 0; n < l->out; n++)
            y[t * l->out + n] = (float)(ref_dot(x + t * l->in, p->weight + n * l->in, l->in) + (double)p->bias[n]);
}

/* The product in scratch memory; NULL after a failure. */
static float *ref_product_of(Backend *be, Tensor x, const Linear *l)
{
    int64_t rows = l->in ? tensor_count(x) / l->in : 0;
    float *y = backend_alloc(be, F32, 2, (int64_t[]){rows, l->out}).data;
    const float *in = ref_floats(be, x);
    if (failed(be->first)) return NULL;
    ref_product(be, in, l, rows, y);
    return y;
}

Status ref_linear(Backend *be, Tensor x, const Linear *w, Activation act, Tensor out)
{
    float *y = ref_product_of(be, x, w);
    if (!y) return be->first;
    int64_t count = tensor_count(out);
    for (int64_t i = 0; i < count; i++) y[i] = ref_activation_of(y[i], act);
    ref_store(out, y);
    return status_ok();
}

Status ref_linear_add(Backend *be, Tensor acc, Tensor x, const Linear *w, Tensor gate)
{
    const float *y = ref_product_of(be, x, w);
    if (!y) return be->first;
    float *a = acc.data;
    const float *g = gate.data;
    int64_t count = tensor_count(acc), gates = tensor_count(gate);
    for (int64_t i = 0; i < count; i++) a[i] += (g ? g[i % gates] : 1.0f) * y[i];
    return status_ok();
}

Status ref_linear_geglu(Backend *be, Tensor x, const Linear *a, const Linear *b, Tensor out)
{
    float *y = ref_product_of(be, x, a);
    const float *z = ref_product_of(be, x, b);
    if (!z) return be->first;
    int64_t count = tensor_count(out);
    for (int64_t i = 0; i < count; i++) y[i] = ref_activation_of(y[i], ACT_GELU_TANH) * z[i];
    ref_store(out, y);
    return status_ok();
}
