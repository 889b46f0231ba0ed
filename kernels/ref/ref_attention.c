/* softmax(scale q k^T + bias) v, one row of scores at a time. */
#include <math.h>
#include <stdlib.h>

#include "kernels/ref/ref.h"

typedef struct {
    const float *q, *k, *v, *bias;
    float *out;
    int64_t tq, tk, d, heads;
    int64_t bias_head, bias_row; /* elements from one head's and one row's bias to the next: 0 for a shared [Tk] */
    float scale;
} RefAttention;

/* One query of one head; s [Tk] is room for its scores. */
static void ref_attend(const RefAttention *a, int64_t t, int64_t head, double *s)
{
    int64_t width = a->heads * a->d;
    const float *q = a->q + t * width + head * a->d;
    const float *bias = a->bias ? a->bias + head * a->bias_head + t * a->bias_row : NULL;
    double highest = -INFINITY, sum = 0;
    for (int64_t j = 0; j < a->tk; j++) {
        s[j] = (double)a->scale * ref_dot(q, a->k + j * width + head * a->d, a->d) + (bias ? (double)bias[j] : 0);
        if (s[j] > highest) highest = s[j];
    }
    for (int64_t j = 0; j < a->tk; j++) sum += s[j] = exp(s[j] - highest);
    for (int64_t i = 0; i < a->d; i++) {
        double o = 0;
        for (int64_t j = 0; j < a->tk; j++) o += s[j] * (double)a->v[j * width + head * a->d + i];
        a->out[t * width + head * a->d + i] = (float)(o / sum);
    }
}

Status ref_attention(Backend *be, Tensor q, Tensor k, Tensor v, int heads, float scale, Tensor bias, Tensor out)
{
    RefAttention a = {ref_floats(be, q),
                      ref_floats(be, k),
                      ref_floats(be, v),
                      bias.data,
                      ref_room(be, out),
                      q.dim[0],
                      k.dim[0],
                      q.dim[1] / heads,
                      heads,
                      0,
                      0,
                      scale};
    if (bias.data && bias.ndim == 3) {
        a.bias_head = a.tq * a.tk;
        a.bias_row = a.tk;
    }
    int threads = be->options.threads;
    double *scores = backend_alloc(be, F32, 3, (int64_t[]){threads, a.tk, 2}).data;
    if (failed(be->first)) return be->first;
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int part = 0; part < threads; part++)
        for (int64_t i = part; i < a.tq * heads; i += threads)
            ref_attend(&a, i / heads, i % heads, scores + part * a.tk);
    ref_store(out, a.out);
    return status_ok();
}
