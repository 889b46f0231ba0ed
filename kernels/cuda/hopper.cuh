// hopper.cuh - what compute capability 9.0 has beyond its forerunners, as attention_int8.cu uses it: products by a group of four
// warps straight from shared memory, bulk copies into it, and the barriers that say when these are done. For sm_90a only; elsewhere
// nothing of it may run. The tests bring another that does the same on the host.
//
// A matrix of such a product lies in shared memory as units of 16 bytes of a row: eight rows of a unit follow each other, `group` bytes
// on come the next eight rows, `unit` bytes on the next 16 bytes of the same rows.
#ifndef REELWRIGHT_CUDA_HOPPER_CUH
#define REELWRIGHT_CUDA_HOPPER_CUH

#include <cuda_bf16.h>
#include <stdint.h>

#if defined(__CUDA_ARCH__) && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define HOPPER_ASM(...) __trap()
#else
#define HOPPER_ASM(...) asm volatile(__VA_ARGS__)
#endif

// A block's dynamic shared memory; `bytes` are given when it is launched.
#define SHARED_MEMORY(name, bytes) extern __shared__ __align__(128) unsigned char name[]

struct Barrier {
    uint64_t bits;
};

__device__ static inline uint32_t shared_address(const void *p) { return (uint32_t)__cvta_generic_to_shared(p); }

// Of `count` arrivals each time; then barriers_ready by whoever did it, and __syncthreads.
__device__ static inline void barrier_init(Barrier *b, int count)
{
    HOPPER_ASM("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(b)), "r"(count) : "memory");
}

__device__ static inline void barriers_ready() { HOPPER_ASM("fence.mbarrier_init.release.cluster;" ::: "memory"); }

__device__ static inline void barrier_arrive(Barrier *b)
{
    HOPPER_ASM("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(b)) : "memory");
}

// Waits for the end of the phase whose number, counted from 0, is odd or even as `parity` is.
__device__ static inline void barrier_wait(Barrier *b, int parity)
{
    HOPPER_ASM("{\n.reg .pred done;\n"
               "again: mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
               "@!done bra again;\n}" ::"r"(shared_address(b)),
               "r"(parity)
               : "memory");
}

// One arrival, that also stands for `bytes` (whole units of 16) on their way from `from` to `to`.
__device__ static inline void barrier_load(Barrier *b, void *to, const void *from, int bytes)
{
    HOPPER_ASM("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(b)), "r"(bytes)
               : "memory");
    HOPPER_ASM("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                   shared_address(to)),
               "l"(from), "r"(bytes), "r"(shared_address(b))
               : "memory");
}

// A warp group (four warps) takes registers that others gave back; N in whole units of 8, for each thread.
template <int N> __device__ static inline void registers_take()
{
    HOPPER_ASM("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N));
}
template <int N> __device__ static inline void registers_give()
{
    HOPPER_ASM("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N));
}

// ---- products: what they write may be read, and what they read changed, after products_wait ---------------------------------------

__device__ static inline uint64_t matrix_at(const void *shared, int unit, int group)
{
    return (uint64_t)(shared_address(shared) >> 4 & 0x3fff) | (uint64_t)(unit >> 4) << 16 |
           (uint64_t)(group >> 4) << 32;
}

// Before the first product after anything else touched the registers of one.
__device__ static inline void products_begin() { HOPPER_ASM("wgmma.fence.sync.aligned;" ::: "memory"); }

__device__ static inline void products_end() { HOPPER_ASM("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Until of what lies between products_begin and products_end only the last N are not done.
template <int N> __device__ static inline void products_wait()
{
    HOPPER_ASM("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

// The compiler does not know that a product writes and reads registers until it was waited for.
__device__ static inline void touched(int32_t &r) { asm volatile("" : "+r"(r)::"memory"); }
__device__ static inline void touched(uint32_t &r) { asm volatile("" : "+r"(r)::"memory"); }
__device__ static inline void touched(float &r) { asm volatile("" : "+f"(r)::"memory"); }

template <typename T, int N> __device__ static inline void products_touched(T (&r)[N])
{
#pragma unroll
    for (int i = 0; i < N; i++) touched(r[i]);
}

#define SIXTEEN(n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, na, nb, nc, nd, ne, nf)                                        \
    "%" #n0 ",%" #n1 ",%" #n2 ",%" #n3 ",%" #n4 ",%" #n5 ",%" #n6 ",%" #n7 ",%" #n8 ",%" #n9 ",%" #na ",%" #nb         \
    ",%" #nc ",%" #nd ",%" #ne ",%" #nf
#define SIXTY_FOUR                                                                                                     \
    "{" SIXTEEN(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) "," SIXTEEN(                                     \
        16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,                                                    \
        31) "," SIXTEEN(32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46,                                    \
                        47) "," SIXTEEN(48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63) "}"
#define EIGHT_OF(how, r, i)                                                                                            \
    how(r[i]), how(r[i + 1]), how(r[i + 2]), how(r[i + 3]), how(r[i + 4]), how(r[i + 5]), how(r[i + 6]), how(r[i + 7])
#define ALL_OF(how, r)                                                                                                 \
    EIGHT_OF(how, r, 0), EIGHT_OF(how, r, 8), EIGHT_OF(how, r, 16), EIGHT_OF(how, r, 24), EIGHT_OF(how, r, 32),        \
        EIGHT_OF(how, r, 40), EIGHT_OF(how, r, 48), EIGHT_OF(how, r, 56)

// Number i of thread t of the 128: row t / 32 * 16 + t % 32 / 4 + i / 2 % 2 * 8, column i / 4 * 8 + t % 4 * 2 + i % 2.

// c (+)= a b^T: a [64,32], b [128,32] of int8 in shared memory
__device__ static inline void product_int8(int32_t (&c)[64], uint64_t a, uint64_t b, bool add)
{
    HOPPER_ASM("{\n.reg .pred add;\nsetp.ne.b32 add, %66, 0;\n"
               "wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8 " SIXTY_FOUR ", %64, %65, add;\n}"
               : ALL_OF("+r", c)
               : "l"(a), "l"(b), "r"((int)add));
}

// c += a b^T: a [64,16] in bf16, of each thread four pairs where c has its first eight numbers; b [128,16] in shared memory
__device__ static inline void product_bf16(float (&c)[64], const uint32_t *a, uint64_t b)
{
    HOPPER_ASM("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 " SIXTY_FOUR
               ", {%64,%65,%66,%67}, %68, 1, 1, 1, 0;"
               : ALL_OF("+f", c)
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

// 2^x; of what is far below 1 zero
__device__ static inline float power_of_two(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

#endif
