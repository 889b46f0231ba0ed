/* isa_vector.h - vectors of one instruction set: load, store, choose. Part of isa_kernels.h. */
#include "kernels/convert.h"
#include "kernels/cpu/isa.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

typedef float Vec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t IntVec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef uint16_t HalfVec __attribute__((vector_size(LANES * 2), aligned(2), may_alias));
#if QUADS
typedef uint8_t ByteVec __attribute__((vector_size(LANES), aligned(1), may_alias));
#endif
typedef float FloatHalf __attribute__((vector_size(LANES * 2), aligned(4), may_alias));
typedef double DoubleVec __attribute__((vector_size(LANES * 4), may_alias)); /* as many as a FloatHalf has */
#define INLINE static inline __attribute__((always_inline))
#if LANES == 8
#define EVEN                                                                                                           \
    (IntVec) { 0, 2, 4, 6, 8, 10, 12, 14 }
#define WOVEN                                                                                                          \
    (IntVec) { 0, 8, 1, 9, 2, 10, 3, 11 }
#define LOW_HALF(v)  __builtin_shufflevector(v, v, 0, 1, 2, 3)
#define HIGH_HALF(v) __builtin_shufflevector(v, v, 4, 5, 6, 7)
#else
#define EVEN                                                                                                           \
    (IntVec) { 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30 }
#define WOVEN                                                                                                          \
    (IntVec) { 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23 }
#define LOW_HALF(v)  __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7)
#define HIGH_HALF(v) __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15)
#endif

INLINE Vec vec_load(const float *p) { return *(const Vec *)p; }
INLINE void vec_store(float *p, Vec v) { *(Vec *)p = v; }
INLINE Vec vec_all(float x) { return x - (Vec){0}; }
INLINE Vec vec_if(IntVec mask, Vec yes, Vec no) { return (Vec)(((IntVec)yes & mask) | ((IntVec)no & ~mask)); }
/* a > b ? a : b, one instruction where there is one for the width */
INLINE Vec vec_max(Vec a, Vec b)
{
#if LANES == 8
    return (Vec)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__AVX512F__)
    return (Vec)_mm512_max_ps((__m512)a, (__m512)b);
#else
    return vec_if(a > b, a, b);
#endif
}
/* a b + c in one rounding; elsewhere the compiler makes that of what it sees, here it saw sometimes one and sometimes the other */
INLINE Vec vec_fma(Vec a, Vec b, Vec c)
{
#if LANES == 8
    return (Vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__AVX512F__)
    return (Vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#else
    return a * b + c;
#endif
}
INLINE Vec vec_bf16(const uint16_t *p) { return (Vec)(__builtin_convertvector(*(const HalfVec *)p, IntVec) << 16); }
