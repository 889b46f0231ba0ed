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

#include <tuple>
#include <type_traits>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#undef __shared__
#define __shared__ static thread_local
#undef __launch_bounds__
#define __launch_bounds__(...)

extern thread_local uint3 threadIdx, blockIdx;

void __syncthreads();
float __shfl_xor_sync(unsigned mask, float v, int lanes);
void host_warp_sync();
// Lets the block's other threads go on; `progress`: what this one waits for is there.
void host_pause(bool progress);

typedef void (*HostThread)(const void *call);
/* Runs thread(call) for every thread of every block. */
void host_launch(HostThread thread, const void *call, int64_t blocks, int threads);

extern "C" bool host_keep(void (*run)(const void *what), const void *what, size_t bytes); // host.h

// A launch with its arguments as they were when it was made.
template <typename Body, typename... Arguments> struct HostCall {
    Body body;
    int64_t blocks;
    int threads;
    std::tuple<Arguments...> arguments;
    static void thread(const void *what)
    {
        const HostCall *call = (const HostCall *)what;
        std::apply(call->body, call->arguments);
    }
    static void run(const void *what)
    {
        const HostCall *call = (const HostCall *)what;
        host_launch(thread, call, call->blocks, call->threads);
    }
};

template <typename Body, typename... Arguments>
static cudaError_t host_run(const Body &body, int64_t blocks, int threads, Arguments... arguments)
{
    static_assert((std::is_trivially_copyable<Arguments>::value && ...), "kept as bytes");
    const HostCall<Body, Arguments...> call = {body, blocks, threads, {arguments...}};
    if (!host_keep(call.run, &call, sizeof call)) call.run(&call);
    return cudaSuccess;
}

// More shared memory is there without asking.
#define LAUNCH_SHARED(kernel, bytes, blocks, threads, stream, ...)                                                     \
    ((void)(bytes), LAUNCH(kernel, blocks, threads, stream, __VA_ARGS__))
#define LAUNCH(kernel, blocks, threads, stream, ...)                                                                   \
    ((void)(stream), host_run([](auto... argument) { kernel(argument...); }, blocks, threads, __VA_ARGS__))

#include "tests/cuda/host_hopper.h"

#endif
