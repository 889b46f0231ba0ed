// A row at a time: norms, the rotation of queries and keys, softmax. A warp takes a row of up to WARP_ROW numbers, a block a
// longer one; what is read twice comes from the first-level cache the second time.
#include "kernels/cuda/device.cuh"

namespace
{

enum { WARP_ROW = 512 };

struct RowJob {
    const void *x, *gain, *bias;
    void *out;
    int64_t rows, d;
    DType x_type, out_type;
    float eps, more;
    int kind;
    bool silu;
};

template <int LANES> __device__ int64_t row_of() // the row of this thread
{
    return (int64_t)blockIdx.x * (THREADS / LANES) + threadIdx.x / LANES;
}

template <int LANES, int N> __device__ float row_squares(const void *x, DType type, int64_t at, int64_t d, float less)
{
    float sum = 0;
    for (int64_t i = threadIdx.x % LANES * N; i < d; i += LANES * N) {
        float v[N];
        load<N>(x, type, at + i, v);
#pragma unroll
        for (int k = 0; k < N; k++) sum += (v[k] - less) * (v[k] - less);
    }
    return row_reduce<LANES, Sum>(sum);
}

template <int LANES, int N> __device__ float row_mean(const RowJob &j, int64_t at)
{
    float sum = 0;
    for (int64_t i = threadIdx.x % LANES * N; i < j.d; i += LANES * N) {
        float v[N];
        load<N>(j.x, j.x_type, at + i, v);
#pragma unroll
        for (int k = 0; k < N; k++) sum += v[k];
    }
    return row_reduce<LANES, Sum>(sum) / (float)j.d;
}

template <int LANES, int N> __global__ void __launch_bounds__(THREADS) norm_rows(RowJob j)
{
    const int64_t row = row_of<LANES>(), at = row * j.d;
    if (row >= j.rows) return; // whole warps; a block has one row, which exists
    const float mean = j.kind == ROWS_LAYER ? row_mean<LANES, N>(j, at) : 0.0f;
    const float squares = row_squares<LANES, N>(j.x, j.x_type, at, j.d, mean);
    const float r = j.kind == ROWS_CHANNELS ? sqrtf((float)j.d) / fmaxf(sqrtf(squares), 1e-12f)
                                            : 1.0f / sqrtf(squares / (float)j.d + j.eps);
    for (int64_t i = threadIdx.x % LANES * N; i < j.d; i += LANES * N) {
        float v[N], gain[N], bias[N];
        load<N>(j.x, j.x_type, at + i, v);
        if (j.gain) load<N>(j.gain, F32, i, gain);
        if (j.bias) load<N>(j.bias, F32, i, bias);
#pragma unroll
        for (int k = 0; k < N; k++) {
            v[k] = (v[k] - mean) * r;
            if (j.gain) v[k] *= gain[k] + j.more;
            if (j.bias) v[k] += bias[k];
            if (j.silu) v[k] = silu(v[k]);
        }
        store<N>(j.out, j.out_type, at + i, v);
    }
}

struct RopeJob {
    void *x;
    const void *gain, *cosine, *sine;
    const float *squares;
    int64_t rows, d, pairs; // pairs of a head
    float width, eps;
    DType type;
};

// (re, im) turned by the angle
__device__ void rotate(float *v, float cosine, float sine)
{
    const float re = v[0], im = v[1];
    v[0] = re * cosine - im * sine;
    v[1] = re * sine + im * cosine;
}

template <int LANES, int N> __device__ void rope_part(const RopeJob &j, int64_t row, int64_t i, float r)
{
    float v[N], gain[N];
    load<N>(j.x, j.type, row * j.d + i, v);
    load<N>(j.gain, F32, i, gain);
#pragma unroll
    for (int k = 0; k < N; k++) v[k] *= r * gain[k];
    if (j.cosine) {
        const float *cosine = (const float *)j.cosine + row * j.pairs, *sine = (const float *)j.sine + row * j.pairs;
#pragma unroll
        for (int k = 0; k < N; k += 2) {
            const int64_t pair = (i + k) / 2 % j.pairs;
            rotate(v + k, cosine[pair], sine[pair]);
        }
    }
    store<N>(j.x, j.type, row * j.d + i, v);
}

// Two numbers at the least, because they turn together.
template <> __device__ void rope_part<THREADS, 1>(const RopeJob &j, int64_t row, int64_t i, float r)
{
    float v[2];
    for (int k = 0; k < 2; k++)
        v[k] = load_one(j.x, j.type, row * j.d + i + k) * r * load_one(j.gain, F32, i + k);
    const int64_t pair = row * j.pairs + i / 2 % j.pairs;
    if (j.cosine) rotate(v, ((const float *)j.cosine)[pair], ((const float *)j.sine)[pair]);
    for (int k = 0; k < 2; k++) store_one(j.x, j.type, row * j.d + i + k, v[k]);
}

template <int N> __global__ void __launch_bounds__(THREADS) rope_rows(RopeJob j)
{
    const int64_t row = blockIdx.x;
    const int step = N < 2 ? 2 : N;
    const float squares =
        j.squares ? j.squares[row] : row_squares<THREADS, N>(j.x, j.type, row * j.d, j.d, 0.0f);
    const float r = 1.0f / sqrtf(squares / j.width + j.eps);
    for (int64_t i = threadIdx.x * step; i < j.d; i += THREADS * step) rope_part<THREADS, N>(j, row, i, r);
}

template <int N> __global__ void __launch_bounds__(THREADS)
    square_rows(const void *x, DType type, int64_t d, float *out)
{
    const float squares = row_squares<THREADS, N>(x, type, blockIdx.x * d, d, 0.0f);
    if (threadIdx.x == 0) out[blockIdx.x] = squares;
}

struct SoftmaxJob {
    const float *scores, *bias;
    void *out;
    int64_t queries, keys, bias_head, bias_query;
    DType out_type;
};

__global__ void __launch_bounds__(THREADS) softmax_rows(SoftmaxJob j)
{
    const int64_t row = blockIdx.x, head = row / j.queries, query = row % j.queries, at = row * j.keys;
    const float *bias = j.bias ? j.bias + head * j.bias_head + query * j.bias_query : nullptr;
    float highest = -INFINITY, sum = 0;
    for (int64_t i = threadIdx.x; i < j.keys; i += THREADS)
        highest = fmaxf(highest, j.scores[at + i] + (bias ? bias[i] : 0.0f));
    highest = row_reduce<THREADS, Max>(highest);
    for (int64_t i = threadIdx.x; i < j.keys; i += THREADS)
        sum += expf(j.scores[at + i] + (bias ? bias[i] : 0.0f) - highest);
    sum = row_reduce<THREADS, Sum>(sum);
    for (int64_t i = threadIdx.x; i < j.keys; i += THREADS)
        store_one(j.out, j.out_type, at + i, expf(j.scores[at + i] + (bias ? bias[i] : 0.0f) - highest) / sum);
}

int64_t last(Tensor t) { return t.ndim ? t.dim[t.ndim - 1] : 1; }

template <int N> cudaError_t launch_norm(cudaStream_t stream, const RowJob &j)
{
    if (j.d <= WARP_ROW) return LAUNCH((norm_rows<32, N>), blocks_for(j.rows, THREADS / 32), THREADS, stream, j);
    return LAUNCH((norm_rows<THREADS, N>), j.rows, THREADS, stream, j);
}

} // namespace

cudaError_t launch_rows(cudaStream_t stream, const Rows *r)
{
    RowJob j = {};
    j.x = r->x.data;
    j.gain = r->gain.data;
    j.bias = r->bias.data;
    j.out = r->out.data;
    j.d = last(r->x);
    j.rows = j.d ? tensor_count(r->x) / j.d : 0;
    j.x_type = r->x.dtype;
    j.out_type = r->out.dtype;
    j.eps = r->eps;
    j.more = r->more;
    j.kind = r->kind;
    j.silu = r->silu;
    if (j.rows == 0) return cudaSuccess;
    if (j.rows > MOST_BLOCKS) return cudaErrorInvalidValue;
    const bool four = by_four(r->x, j.d) && by_four(r->out, j.d) && by_four(r->gain, j.d) && by_four(r->bias, j.d);
    return four ? launch_norm<4>(stream, j) : launch_norm<1>(stream, j);
}

cudaError_t launch_rope(cudaStream_t stream, const Rope *r)
{
    RopeJob j = {};
    j.x = r->x.data;
    j.gain = r->gain.data;
    j.cosine = r->cos.data;
    j.sine = r->sin.data;
    j.squares = (const float *)r->squares.data;
    j.d = last(r->x);
    j.rows = j.d ? tensor_count(r->x) / j.d : 0;
    j.pairs = j.d / r->heads / 2;
    j.width = (float)r->width;
    j.eps = r->eps;
    j.type = r->x.dtype;
    if (j.rows == 0) return cudaSuccess;
    if (j.rows > MOST_BLOCKS) return cudaErrorInvalidValue;
    if (by_four(r->x, j.d) && by_four(r->gain, j.d)) return LAUNCH(rope_rows<4>, j.rows, THREADS, stream, j);
    return LAUNCH(rope_rows<1>, j.rows, THREADS, stream, j);
}

cudaError_t launch_squares(cudaStream_t stream, Tensor x, Tensor out)
{
    const int64_t d = last(x), rows = d ? tensor_count(x) / d : 0;
    if (rows == 0) return cudaSuccess;
    if (rows > MOST_BLOCKS) return cudaErrorInvalidValue;
    if (by_four(x, d)) return LAUNCH(square_rows<4>, rows, THREADS, stream, x.data, x.dtype, d, (float *)out.data);
    return LAUNCH(square_rows<1>, rows, THREADS, stream, x.data, x.dtype, d, (float *)out.data);
}

cudaError_t launch_softmax(cudaStream_t stream, const Softmax *s)
{
    SoftmaxJob j = {};
    j.scores = (const float *)s->scores.data;
    j.bias = s->bias;
    j.out = s->out.data;
    j.queries = s->scores.dim[1];
    j.keys = s->scores.dim[2];
    j.bias_head = s->bias_head;
    j.bias_query = s->bias_query;
    j.out_type = s->out.dtype;
    const int64_t rows = s->scores.dim[0] * j.queries;
    if (rows == 0) return cudaSuccess;
    if (rows > MOST_BLOCKS) return cudaErrorInvalidValue;
    return LAUNCH(softmax_rows, rows, THREADS, stream, j);
}
