// Rows of numbers in e4m3 with a scale for each row, and products of such rows as they come from the library without scales.
#include <cuda_fp8.h>

#include "kernels/cuda/device.cuh"

namespace
{

const float MOST = 448.0f; // of e4m3

union FourBytes {
    uint32_t bits;
    __nv_fp8_storage_t e4m3[4];
};

template <int N> __device__ void store_e4m3(uint8_t *out, int64_t i, const float *v)
{
    union FourBytes four;
#pragma unroll
    for (int k = 0; k < N; k++) four.e4m3[k] = __nv_cvt_float_to_fp8(v[k], __NV_SATFINITE, __NV_E4M3);
    if (N == 1)
        out[i] = four.e4m3[0];
    else
        ((uint32_t *)out)[i / 4] = four.bits;
}

// The largest number of a row becomes 448. A row of zeros has the scale 0, and stays zeros.
template <int N> __global__ void __launch_bounds__(THREADS)
    quantize_rows(const void *x, DType type, int64_t d, uint8_t *out, float *scale)
{
    const int64_t at = blockIdx.x * d;
    float most = 0;
    for (int64_t i = threadIdx.x * N; i < d; i += THREADS * N) {
        float v[N];
        load<N>(x, type, at + i, v);
#pragma unroll
        for (int k = 0; k < N; k++) most = fmaxf(most, fabsf(v[k]));
    }
    most = row_reduce<THREADS, Max>(most);
    const float times = most > 0 ? MOST / most : 0.0f;
    if (threadIdx.x == 0) scale[blockIdx.x] = most / MOST;
    for (int64_t i = threadIdx.x * N; i < d; i += THREADS * N) {
        float v[N];
        load<N>(x, type, at + i, v);
#pragma unroll
        for (int k = 0; k < N; k++) v[k] *= times;
        store_e4m3<N>(out, at + i, v);
    }
}

__global__ void __launch_bounds__(THREADS)
    scale_product(const float *y, const float *row, const float *column, const float *bias, int64_t d, int64_t count,
                  float *out, float old)
{
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, c = i % d;
    if (i >= count) return;
    const float v = y[i] * row[i / d] * column[c] + bias[c];
    out[i] = old == 0 ? v : old * out[i] + v;
}

} // namespace

cudaError_t launch_quantize(cudaStream_t stream, Tensor x, void *out, float *scale)
{
    const int64_t d = x.ndim ? x.dim[x.ndim - 1] : 1, rows = d ? tensor_count(x) / d : 0;
    if (rows == 0) return cudaSuccess;
    if (rows > MOST_BLOCKS) return cudaErrorInvalidValue;
    if (by_four(x, d) && (uintptr_t)out % 4 == 0)
        return LAUNCH(quantize_rows<4>, rows, THREADS, stream, x.data, x.dtype, d, (uint8_t *)out, scale);
    return LAUNCH(quantize_rows<1>, rows, THREADS, stream, x.data, x.dtype, d, (uint8_t *)out, scale);
}

cudaError_t launch_scale_product(cudaStream_t stream, Tensor y, const float *row, const float *column, Tensor bias,
                                 Tensor out, bool add)
{
    const int64_t d = tensor_count(bias), count = tensor_count(y);
    if (count == 0) return cudaSuccess;
    return LAUNCH(scale_product, blocks_for(count, THREADS), THREADS, stream, (const float *)y.data, row, column,
                  (const float *)bias.data, d, count, (float *)out.data, add ? 1.0f : 0.0f);
}
