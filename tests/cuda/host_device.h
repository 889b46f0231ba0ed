/* host_device.h - runs the kernels of kernels/cuda as they are written on the host, thread by thread, so that the tables of
 * tests/ops and the references of tests/parity prove their arithmetic and their indices without a device. Put in front of
 * each .cu file (-include) when g++ compiles it.
 *
 * Every thread of a block is a fiber. __syncthreads and the shuffles wait until the threads that they concern have come; a
 * barrier that not all reach ends the program. Blocks run on the host's threads, in any order, as on a device. */
#ifndef REELWRIGHT_TESTS_CUDA_HOST_DEVICE_H
#define REELWRIGHT_TESTS_CUDA_HOST_DEVICE_H

#include <cuda_runtime_api.h>
#include <math.h>
#include <stdint.h>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#undef __shared__
#define __shared__ static thread_local
#undef __launch_bounds__
#define __launch_bounds__(...)

extern thread_local uint3 threadIdx, blockIdx;

void __syncthreads();
float __shfl_xor_sync(unsigned mask, float v, int lanes);

typedef void (*HostThread)(const void *call);
/* Runs thread(call) for every thread of every block. */
void host_launch(HostThread thread, const void *call, int64_t blocks, int threads);

template <typename Body> static void host_thread(const void *call) { (*(const Body *)call)(); }

template <typename Body> static cudaError_t host_run(const Body &body, int64_t blocks, int threads)
{
    host_launch(host_thread<Body>, &body, blocks, threads);
    return cudaSuccess;
}

#define LAUNCH(kernel, blocks, threads, stream, ...)                                                                   \
    ((void)(stream), host_run([=]() { kernel(__VA_ARGS__); }, blocks, threads))

#endif
