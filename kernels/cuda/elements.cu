// One element at a time: y[i] from a[i] and b, four elements a thread where they lie so.
#include "kernels/cuda/device.cuh"

namespace
{

struct ElementJob {
    const void *a, *b;
    void *out;
    int64_t count, b_count;
    int64_t row; // numbers of a that share one of b; 0: ELEMENT_MUL_ROWS alone has rows
    float factor;
    DType a_type, b_type, out_type;
    int kind, act;
};

enum { RELU = 4, GELU_ERF = 3, SILU = 2, GELU_TANH = 1 }; // Activation of ops.h, which is C

__device__ float activated(float x, int act)
{
    switch (act) {
    case GELU_TANH:
        return gelu_tanh(x);
    case SILU:
        return silu(x);
    case GELU_ERF:
        return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f));
    case RELU:
        return fmaxf(x, 0.0f);
    default:
        return x;
    }
}

__device__ float element(const ElementJob &j, float a, float b)
{
    switch (j.kind) {
    case ELEMENT_MUL:
    case ELEMENT_MUL_ROWS:
        return a * b;
    case ELEMENT_ADD:
        return a + b;
    case ELEMENT_ADD_TIMES:
        return a + j.factor * b;
    case ELEMENT_GEGLU:
        return gelu_tanh(a) * b;
    case ELEMENT_BIAS:
        return activated(a + b, j.act);
    case ELEMENT_ACT:
        return activated(a, j.act);
    default:
        return a;
    }
}

__device__ int64_t wrapped(int64_t i, int64_t count, int64_t n)
{
    if (n == count) return i;
    return count <= 0xffffffffLL ? (int64_t)((uint32_t)i % (uint32_t)n) : i % n;
}

template <int N> __global__ void __launch_bounds__(THREADS) elements(ElementJob j)
{
    const int64_t i = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * N;
    if (i >= j.count) return;
    float a[N], b[N] = {0};
    load<N>(j.a, j.a_type, i, a);
    if (j.row) {
#pragma unroll
        for (int k = 0; k < N; k++) b[k] = load_one(j.b, j.b_type, (i + k) / j.row);
    } else if (j.b) {
        load<N>(j.b, j.b_type, wrapped(i, j.count, j.b_count), b);
    }
#pragma unroll
    for (int k = 0; k < N; k++) a[k] = element(j, a[k], b[k]);
    store<N>(j.out, j.out_type, i, a);
}

struct CombineJob {
    const float *x[COMBINE_TERMS];
    float *out;
    double weight[COMBINE_TERMS];
    int64_t count;
    int terms;
};

template <int N> __global__ void __launch_bounds__(THREADS) combine(CombineJob j)
{
    const int64_t i = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * N;
    if (i >= j.count) return;
    double sum[N] = {0};
    float x[N];
    for (int t = 0; t < j.terms; t++) {
        load<N>(j.x[t], F32, i, x);
#pragma unroll
        for (int k = 0; k < N; k++) sum[k] += j.weight[t] * (double)x[k];
    }
#pragma unroll
    for (int k = 0; k < N; k++) x[k] = (float)sum[k];
    store<N>(j.out, F32, i, x);
}

} // namespace

cudaError_t launch_elements(cudaStream_t stream, const Elements *e)
{
    ElementJob j = {};
    j.a = e->a.data;
    j.b = e->b.data;
    j.out = e->out.data;
    j.count = tensor_count(e->out);
    j.b_count = tensor_count(e->b);
    j.factor = e->factor;
    j.a_type = e->a.dtype;
    j.b_type = e->b.dtype;
    j.out_type = e->out.dtype;
    j.kind = e->kind;
    j.row = e->kind == ELEMENT_MUL_ROWS ? j.count / j.b_count : 0;
    j.act = e->act;
    if (j.count == 0) return cudaSuccess;
    const bool four = by_four(e->a, j.count) && by_four(e->out, j.count) && by_four(e->b, j.b_count);
    if (four) return LAUNCH(elements<4>, blocks_for(j.count / 4, THREADS), THREADS, stream, j);
    return LAUNCH(elements<1>, blocks_for(j.count, THREADS), THREADS, stream, j);
}

cudaError_t launch_combine(cudaStream_t stream, const Combine *c)
{
    CombineJob j = {};
    j.out = (float *)c->out.data;
    j.count = tensor_count(c->out);
    j.terms = c->count;
    bool four = by_four(c->out, j.count);
    for (int i = 0; i < c->count; i++) {
        j.x[i] = (const float *)c->x[i].data;
        j.weight[i] = c->weight[i];
        four = four && by_four(c->x[i], j.count);
    }
    if (j.count == 0) return cudaSuccess;
    if (four) return LAUNCH(combine<4>, blocks_for(j.count / 4, THREADS), THREADS, stream, j);
    return LAUNCH(combine<1>, blocks_for(j.count, THREADS), THREADS, stream, j);
}
