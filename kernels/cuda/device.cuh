// device.cuh - what the kernels share: how they are launched, numbers of several types, sums over a row's threads.
#ifndef REELWRIGHT_CUDA_DEVICE_CUH
#define REELWRIGHT_CUDA_DEVICE_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "kernels/cuda/launch.h"

#ifndef LAUNCH // the tests bring another that runs the threads on the host
#define LAUNCH(kernel, blocks, threads, stream, ...)                                                                   \
    (kernel<<<(unsigned)(blocks), threads, 0, stream>>>(__VA_ARGS__), cudaGetLastError())
#endif

#ifndef LAUNCH_SHARED // with `bytes` of dynamic shared memory, more than 48 KB too
template <typename Kernel> static inline cudaError_t allow_shared(Kernel kernel, int bytes)
{
    return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
}
#define LAUNCH_SHARED(kernel, bytes, blocks, threads, stream, ...)                                                     \
    (allow_shared(kernel, (int)(bytes)) == cudaSuccess                                                                 \
         ? (kernel<<<(unsigned)(blocks), threads, bytes, stream>>>(__VA_ARGS__), cudaGetLastError())                   \
         : cudaGetLastError())
#endif

enum { THREADS = 256, MOST_BLOCKS = 0x7fffffff };

static inline int64_t blocks_for(int64_t count, int64_t per_block) { return (count + per_block - 1) / per_block; }

__device__ static inline float load_one(const void *p, DType t, int64_t i)
{
    if (t == F32) return ((const float *)p)[i];
    if (t == BF16) return __bfloat162float(((const __nv_bfloat16 *)p)[i]);
    return __half2float(((const __half *)p)[i]);
}

__device__ static inline void store_one(void *p, DType t, int64_t i, float v)
{
    if (t == F32)
        ((float *)p)[i] = v;
    else if (t == BF16)
        ((__nv_bfloat16 *)p)[i] = __float2bfloat16_rn(v);
    else
        ((__half *)p)[i] = __float2half_rn(v);
}

union Eight { // bytes: four numbers of 16 bits
    uint2 bits;
    __nv_bfloat16 bf16[4];
    __half half[4];
};

// N = 4: one access of 16 or 8 bytes, i and p aligned to it
template <int N> __device__ static inline void load(const void *p, DType t, int64_t i, float v[N])
{
    if (N == 1) {
        v[0] = load_one(p, t, i);
    } else if (t == F32) {
        const float4 four = ((const float4 *)p)[i / 4];
        v[0] = four.x;
        v[1] = four.y;
        v[2] = four.z;
        v[3] = four.w;
    } else {
        union Eight e;
        e.bits = ((const uint2 *)p)[i / 4];
#pragma unroll
        for (int k = 0; k < N; k++) v[k] = t == BF16 ? __bfloat162float(e.bf16[k]) : __half2float(e.half[k]);
    }
}

template <int N> __device__ static inline void store(void *p, DType t, int64_t i, const float v[N])
{
    if (N == 1) {
        store_one(p, t, i, v[0]);
    } else if (t == F32) {
        ((float4 *)p)[i / 4] = make_float4(v[0], v[1], v[2], v[3]);
    } else {
        union Eight e;
#pragma unroll
        for (int k = 0; k < N; k++) {
            if (t == BF16)
                e.bf16[k] = __float2bfloat16_rn(v[k]);
            else
                e.half[k] = __float2half_rn(v[k]);
        }
        ((uint2 *)p)[i / 4] = e.bits;
    }
}

// Whether four numbers at a time fit rows of `width` numbers of a tensor.
static inline bool by_four(Tensor t, int64_t width)
{
    return !t.data || (width % 4 == 0 && (uintptr_t)t.data % (4 * dtype_bytes(t.dtype)) == 0);
}

__device__ static inline float gelu_tanh(float x)
{
    return 0.5f * x * (1.0f + tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x)));
}

__device__ static inline float silu(float x) { return x / (1.0f + expf(-x)); }

// The sum (or maximum) over the LANES threads that share a row: 32, or all of a block.
struct Sum {
    __device__ static float of(float a, float b) { return a + b; }
};
struct Max {
    __device__ static float of(float a, float b) { return fmaxf(a, b); }
};

template <int LANES, typename Op> __device__ static inline float row_reduce(float v)
{
#pragma unroll
    for (int step = 16; step > 0; step /= 2) v = Op::of(v, __shfl_xor_sync(0xffffffffu, v, step));
    if (LANES == 32) return v;
    __shared__ float part[THREADS / 32];
    __syncthreads(); // the part of the last sum has been read by all
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = v;
    __syncthreads();
    v = part[0];
#pragma unroll
    for (int i = 1; i < THREADS / 32; i++) v = Op::of(v, part[i]);
    return v;
}

#endif
