/* host_hopper.h - kernels/cuda/hopper.cuh on the host, after the instructions' description in "PTX ISA" (asynchronous warpgroup
 * level matrix operations, mbarrier). Products are done when they are waited for and not before, so that a kernel that reads their
 * result or changes their operands too early is wrong here too; copies are done when they are asked for, so that one that comes
 * before its place is free destroys what is there. */
#ifndef REELWRIGHT_CUDA_HOPPER_CUH
#define REELWRIGHT_CUDA_HOPPER_CUH

#include <math.h>
#include <stdint.h>

extern thread_local unsigned char *host_shared; /* where the block's dynamic shared memory begins */

#define SHARED_MEMORY(name, bytes)                                                                                     \
    static thread_local __attribute__((aligned(128))) unsigned char name[bytes];                                       \
    host_shared = name

struct Barrier { /* eight bytes, as there */
    int8_t count, pending;
    uint8_t phase, unused;
    int32_t bytes; /* on their way */
};

void barrier_init(Barrier *b, int count);
static inline void barriers_ready() {}
void barrier_arrive(Barrier *b);
void barrier_wait(Barrier *b, int parity);
void barrier_load(Barrier *b, void *to, const void *from, int bytes);

template <int N> static inline void registers_take() {}
template <int N> static inline void registers_give() {}

uint64_t matrix_at(const void *shared, int unit, int group);
static inline void products_begin() {}
void products_end();
void host_products_wait(int but);
template <int N> static inline void products_wait() { host_products_wait(N); }
template <typename T, int N> static inline void products_touched(T (&)[N]) {}
void product_int8(int32_t (&c)[64], uint64_t a, uint64_t b, bool add);
void product_bf16(float (&c)[64], const uint32_t *a, uint64_t b);

static inline float power_of_two(float x) { return exp2f(x); }
static inline float __int2float_rn(int x) { return (float)x; }
static inline int __float2int_rn(float x) { return (int)lrintf(x); }

#endif
