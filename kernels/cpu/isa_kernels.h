/* isa_kernels.h - the functions of isa.h for one instruction set; included once by each isa_SET.c, which defines
 *   ISA       the name of its table            LANES  numbers in a vector
 *   TILE_ROWS rows of a tile
 *   PAIRS     1 if products of bf16 take pairs
 *   QUADS     1 if products take fours of int8
 * Plain C on GCC's vector types; intrinsics only for what C cannot say: the product of pairs, rounding to bf16, max. */
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
#define INLINE static inline __attribute__((always_inline))
#if LANES == 8
#define EVEN                                                                                                           \
    (IntVec) { 0, 2, 4, 6, 8, 10, 12, 14 }
#define WOVEN                                                                                                          \
    (IntVec) { 0, 8, 1, 9, 2, 10, 3, 11 }
#else
#define EVEN                                                                                                           \
    (IntVec) { 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30 }
#define WOVEN                                                                                                          \
    (IntVec) { 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23 }
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

/* ---- the product --------------------------------------------------------------------------------------------------- */

#if QUADS /* of the compiler's vectors of 32 bits: x is four unsigned bytes, b four signed ones, the sum a whole number */
#if defined(__AVX512VNNI__)
#define STEP_SUM(sum, a, b) sum = (Vec)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(a), (__m512i)(b))
#else /* the same in plain C: how tests/ops checks this form where there is no such instruction */
INLINE IntVec quads_product(IntVec a, IntVec b, int byte)
{
    return (a >> 8 * byte & 0xff) * (b << (24 - 8 * byte) >> 24);
}
#define STEP_SUM(sum, a, b)                                                                                            \
    sum = (Vec)((IntVec)(sum) + quads_product((IntVec)(a), (IntVec)(b), 0) +                                           \
                quads_product((IntVec)(a), (IntVec)(b), 1) + quads_product((IntVec)(a), (IntVec)(b), 2) +              \
                quads_product((IntVec)(a), (IntVec)(b), 3))
#endif
#define BROADCAST(p)  ((Vec)(*(const int32_t *)(p) + (IntVec){0}))
#define PLUS(sum, at) ((Vec)((IntVec)(sum) + *(const IntVec *)(at)))
#else
#define BROADCAST(p)  vec_all(*(const float *)(p))
#define PLUS(sum, at) ((sum) + vec_load(at))
#if PAIRS && defined(__AVX512BF16__)
#define STEP_SUM(sum, a, b) sum = (Vec)_mm512_dpbf16_ps((__m512)(sum), (__m512bh)(a), (__m512bh)(b))
#elif PAIRS /* the same in plain C: how tests/ops checks this form where there is no such instruction */
INLINE Vec pairs_low(Vec v) { return (Vec)((IntVec)v << 16); }
INLINE Vec pairs_high(Vec v) { return (Vec)((IntVec)v & (int32_t)0xffff0000); }
#define STEP_SUM(sum, a, b) sum += pairs_low(a) * pairs_low(b) + pairs_high(a) * pairs_high(b)
#else
#define STEP_SUM(sum, a, b) sum += (a) * (b)
#endif
#endif

#define HIDE(pointer) __asm__("" : "+r"(pointer)) /* what it was made of, or the compiler makes it again in the loop */

/* m rows, v vectors; both are constants where this is inlined, so the sums stay in registers */
INLINE void product_tile(const IsaProduct *p, int64_t row, const int m, const int v)
{
    Vec sum[TILE_ROWS][2];
    float *c = p->c + row * p->c_stride;
#pragma GCC unroll 16
    for (int i = 0; i < m; i++)
        for (int j = 0; j < v; j++) sum[i][j] = (Vec){0};
    const float *b = (const float *)p->b;
    const int64_t stride = p->a_stride;
    for (int s = 0; s < p->segments; s++) {
        /* three pointers, each for five rows at 0 to 4 strides: 14 pointers would not fit into the registers */
        const char *a0 = p->a + row * stride + p->segment[s], *a1 = a0 + 5 * stride, *a2 = a1 + 5 * stride;
        HIDE(a1);
        HIDE(a2);
        for (int64_t k = 0; k < p->steps; k++, a0 += 4, a1 += 4, a2 += 4, b += v * LANES) {
            Vec column[2];
            for (int j = 0; j < v; j++) column[j] = vec_load(b + j * LANES);
#pragma GCC unroll 16
            for (int i = 0; i < m; i++) {
                const char *a = (i < 5 ? a0 : i < 10 ? a1 : a2) + i % 5 * stride;
                Vec x = BROADCAST(a);
                for (int j = 0; j < v; j++) STEP_SUM(sum[i][j], x, column[j]);
            }
        }
    }
    /* a further chunk of k is added as a whole: the error grows with the longest chunk, not with k */
#pragma GCC unroll 16
    for (int i = 0; i < m; i++)
        for (int j = 0; j < v; j++) {
            float *at = c + i * p->c_stride + j * LANES;
            if (p->add) sum[i][j] = PLUS(sum[i][j], at);
            vec_store(at, sum[i][j]);
        }
}

#define PRODUCT_CASE(m, v)                                                                                             \
    case m:                                                                                                            \
        if ((m) <= TILE_ROWS) product_tile(p, row, (m) <= TILE_ROWS ? (m) : 1, v);                                     \
        break
#define PRODUCT_SWITCH(m, v)                                                                                           \
    switch (m) {                                                                                                       \
        PRODUCT_CASE(1, v);                                                                                            \
        PRODUCT_CASE(2, v);                                                                                            \
        PRODUCT_CASE(3, v);                                                                                            \
        PRODUCT_CASE(4, v);                                                                                            \
        PRODUCT_CASE(5, v);                                                                                            \
        PRODUCT_CASE(6, v);                                                                                            \
        PRODUCT_CASE(7, v);                                                                                            \
        PRODUCT_CASE(8, v);                                                                                            \
        PRODUCT_CASE(9, v);                                                                                            \
        PRODUCT_CASE(10, v);                                                                                           \
        PRODUCT_CASE(11, v);                                                                                           \
        PRODUCT_CASE(12, v);                                                                                           \
        PRODUCT_CASE(13, v);                                                                                           \
        PRODUCT_CASE(14, v);                                                                                           \
    }

static void product(const IsaProduct *p)
{
    for (int64_t row = 0; row < p->rows; row += TILE_ROWS) {
        int64_t m = p->rows - row < TILE_ROWS ? p->rows - row : TILE_ROWS;
        if (p->narrow)
            PRODUCT_SWITCH(m, 1)
        else
            PRODUCT_SWITCH(m, 2)
    }
}

static void unpack(const uint16_t *pairs, int64_t n, int width, float *panel)
{
    for (int64_t i = 0; i < n; i++, pairs += 2 * width, panel += 2 * width)
        for (int j = 0; j < width; j += LANES) { /* a pair as one 32-bit number: even k below, odd k above */
            IntVec both = *(const IntVec *)(pairs + 2 * j);
            *(IntVec *)(panel + j) = both << 16;
            *(IntVec *)(panel + width + j) = both & (int32_t)0xffff0000;
        }
}

static void unpack_quads(const int8_t *quads, int64_t n, int width, float *panel)
{
    for (int64_t i = 0; i < n; i++, quads += 4 * width, panel += 4 * width)
        for (int j = 0; j < width; j += LANES)
            for (int byte = 0; byte < 4; byte++) {
                IntVec all = *(const IntVec *)(quads + 4 * j);
                vec_store(panel + byte * width + j, __builtin_convertvector(all << (24 - 8 * byte) >> 24, Vec));
            }
}

/* The bf16 nearest to x, in the upper half of 32 bits. Not of NaN with a small mantissa. */
INLINE IntVec vec_rounded(Vec x)
{
    IntVec bits = (IntVec)x;
    return (bits + 0x7fff + ((bits >> 16) & 1)) & (int32_t)0xffff0000;
}

/* e4m3 in the low 8 bits -> fp32: the exponent's bias becomes 127. The smallest numbers, which have no leading 1, are counted in their
 * steps: as fp32 they would be subnormal on the way, which some processors take 150 cycles for. */
INLINE Vec vec_e4m3(IntVec v)
{
    const IntVec size = v & 127;
    Vec x = vec_if(size < 8, __builtin_convertvector(size, Vec) * 0x1p-9f, (Vec)((size << 20) + (120 << 23)));
    x = vec_if(size == 127, vec_all(__builtin_nanf("")), x);
    return (Vec)((IntVec)x | (v & 128) << 24);
}

#if PAIRS
typedef uint16_t PairVec __attribute__((vector_size(LANES * 4), aligned(2), may_alias));
typedef uint8_t CodeVec __attribute__((vector_size(LANES * 2), aligned(1), may_alias));

/* From a table of the 128 sizes, which are four vectors: twice as fast as the arithmetic. */
static void unpack_e4m3(const uint8_t *pairs, int64_t n, int width, float factor, bool rounded, void *panel)
{
    uint16_t size[8 * LANES], *to = panel;
    (void)rounded;
    for (int i = 0; i < 8 * LANES; i += LANES) {
        IntVec code;
        for (int k = 0; k < LANES; k++) code[k] = i + k;
        const IntVec bits = vec_rounded(vec_e4m3(code) * factor) >> 16;
        *(HalfVec *)(size + i) = __builtin_convertvector(bits, HalfVec);
    }
    const PairVec *t = (const PairVec *)size;
    const PairVec first = t[0], second = t[1], third = t[2], fourth = t[3];
    for (int64_t i = 0; i < 2 * n * width; i += 2 * LANES) {
        const PairVec code = __builtin_convertvector(*(const CodeVec *)(pairs + i), PairVec);
        const PairVec low = __builtin_shuffle(first, second, code), high = __builtin_shuffle(third, fourth, code);
        const PairVec upper = (PairVec)((code & 64) != 0);
        *(PairVec *)(to + i) = ((low & ~upper) | (high & upper)) ^ (code & 128) << 8;
    }
}
#else
static void unpack_e4m3(const uint8_t *pairs, int64_t n, int width, float factor, bool rounded, void *panel)
{
    float *to = panel;
    for (int64_t i = 0; i < n; i++, pairs += 2 * width, to += 2 * width)
        for (int j = 0; j < width; j += LANES) {
            const IntVec both = __builtin_convertvector(*(const HalfVec *)(pairs + 2 * j), IntVec);
            Vec even = vec_e4m3(both & 0xff) * factor, odd = vec_e4m3(both >> 8) * factor;
            if (rounded) even = (Vec)vec_rounded(even), odd = (Vec)vec_rounded(odd);
            vec_store(to + j, even);
            vec_store(to + width + j, odd);
        }
}
#endif

static void spread(const void *row, int64_t n, int width, void *panel)
{
    const uint32_t *from = row;
    uint32_t *to = panel;
    for (int64_t i = 0; i < n; i++) to[i * width] = from[i];
}

static void interleave(const uint16_t *even, const uint16_t *odd, int64_t n, uint16_t *pairs)
{
    for (int64_t i = 0; i + LANES <= n; i += LANES) {
        IntVec low = __builtin_convertvector(*(const HalfVec *)(even + i), IntVec);
        IntVec high = __builtin_convertvector(*(const HalfVec *)(odd + i), IntVec);
        *(IntVec *)(pairs + 2 * i) = low | high << 16;
    }
}

/* ---- functions of one number --------------------------------------------------------------------------------------- */

/* 2^x for x <= 127. Split into 2^n 2^f with |f| <= 1/2; the polynomial is the Chebyshev fit of degree 6 (relative error
 * 3e-9, below rounding). Below -126 the result is 2^-126. */
INLINE Vec vec_exp2(Vec x)
{
    const Vec magic = vec_all(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
    x = vec_max(vec_all(-126.0f), x);       /* in this order a NaN stays one */
    Vec shifted = x + magic;
    Vec f = x - (shifted - magic);
    Vec p = vec_all(0.00015469732f);
    p = p * f + 0.00134004322f;
    p = p * f + 0.0096180256f;
    p = p * f + 0.0555032721f;
    p = p * f + 0.240226512f;
    p = p * f + 0.693147207f;
    p = p * f + 1.0f;
    return (Vec)((IntVec)p + ((IntVec)shifted << 23));
}

/* 1 / (1 + e^-x); below -87 it is 2^-126 */
INLINE Vec vec_sigmoid(Vec x) { return 1.0f / (1.0f + vec_exp2(vec_max(vec_all(-87.0f), x) * -1.44269504f)); }

INLINE Vec vec_erf(Vec x)
{
    for (int i = 0; i < LANES; i++) x[i] = erff(x[i]);
    return x;
}

INLINE Vec vec_activate(Vec x, Activation act)
{
    switch (act) {
    case ACT_GELU_TANH: /* (1 + tanh u) / 2 = sigmoid(2u) */
        return x * vec_sigmoid(x * (1.59576912f + 0.0713548163f * x * x));
    case ACT_GELU_ERF:
        return 0.5f * x * (1.0f + vec_erf(x * 0.707106781f));
    case ACT_SILU:
        return x * vec_sigmoid(x);
    case ACT_RELU:
        return vec_max(x, (Vec){0});
    case ACT_NONE:
        break;
    }
    return x;
}

INLINE void vec_store_bf16(uint16_t *p, Vec v)
{
#if defined(__AVX512BF16__)
    *(HalfVec *)p = (HalfVec)_mm512_cvtneps_pbh((__m512)v);
#else
    IntVec bits = (IntVec)v;
    IntVec rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    rounded = (IntVec)vec_if(v != v, (Vec)(bits >> 16 | 0x40), (Vec)rounded);
    *(HalfVec *)p = __builtin_convertvector(rounded, HalfVec);
#endif
}

/* The first n < LANES lanes: part loads zeros into the others, put_part leaves alone what stands behind. By masks where there are some: copied
 * by way of the stack, a row of 24 numbers took three times as long (SPEED.md). */
#if LANES == 16 && defined(__AVX512BW__) && defined(__AVX512VL__)
INLINE __mmask16 first_lanes(int64_t n) { return (__mmask16)((1u << n) - 1); }
INLINE Vec vec_part(const float *p, int64_t n) { return (Vec)_mm512_maskz_loadu_ps(first_lanes(n), p); }
INLINE void vec_put_part(Vec v, int64_t n, float *to) { _mm512_mask_storeu_ps(to, first_lanes(n), (__m512)v); }
INLINE HalfVec half_part(const uint16_t *p, int64_t n) { return (HalfVec)_mm256_maskz_loadu_epi16(first_lanes(n), p); }
INLINE void half_put_part(HalfVec v, int64_t n, uint16_t *to)
{
    _mm256_mask_storeu_epi16(to, first_lanes(n), (__m256i)v);
}
#else
#if LANES == 8
INLINE __m256i first_lanes(int64_t n) { return (__m256i)((IntVec){0, 1, 2, 3, 4, 5, 6, 7} < (int32_t)n); }
INLINE Vec vec_part(const float *p, int64_t n) { return (Vec)_mm256_maskload_ps(p, first_lanes(n)); }
INLINE void vec_put_part(Vec v, int64_t n, float *to) { _mm256_maskstore_ps(to, first_lanes(n), (__m256)v); }
#else
INLINE Vec vec_part(const float *p, int64_t n)
{
    Vec t = {0};
    memcpy(&t, p, (size_t)n * 4);
    return t;
}
INLINE void vec_put_part(Vec v, int64_t n, float *to) { memcpy(to, &v, (size_t)n * 4); }
#endif
INLINE HalfVec half_part(const uint16_t *p, int64_t n)
{
    HalfVec t = {0};
    memcpy(&t, p, (size_t)n * 2);
    return t;
}
INLINE void half_put_part(HalfVec v, int64_t n, uint16_t *to) { memcpy(to, &v, (size_t)n * 2); }
#endif

INLINE Vec vec_some(const float *p, int64_t n) { return n >= LANES ? vec_load(p) : vec_part(p, n); }

INLINE void vec_put(Vec v, int64_t n, DType dtype, void *to)
{
    if (dtype == F32) {
        if (n >= LANES)
            vec_store(to, v);
        else
            vec_put_part(v, n, to);
    } else if (n >= LANES) {
        vec_store_bf16(to, v);
    } else {
        HalfVec half;
        vec_store_bf16((uint16_t *)&half, v);
        half_put_part(half, n, to);
    }
}

/* ---- whole numbers of 8 bits --------------------------------------------------------------------------------------- */

static float peak(const float *x, int64_t n)
{
    Vec most = {0}, bad = {0}; /* bad: NaN where a number was none */
    for (int64_t i = 0; i < n; i += LANES) {
        Vec v = vec_some(x + i, n - i);
        most = vec_max(vec_max(v, -v), most);
        bad += v * 0.0f;
    }
    float out = 0;
    for (int i = 0; i < LANES; i++) out = most[i] > out ? most[i] : out;
    for (int i = 0; i < LANES; i++) out += bad[i];
    return out;
}

/* Adding 1.5 * 2^23 rounds to a whole number, which then stands in the low bits. */
static void quantize(const float *x, int64_t n, float times, void *to)
{
    const Vec magic = vec_all(12582912.0f);
    for (int64_t i = 0; i < n; i += LANES) {
        Vec shifted = vec_some(x + i, n - i) * times + magic;
        int64_t m = n - i < LANES ? n - i : LANES;
#if QUADS
        ByteVec bytes = __builtin_convertvector((IntVec)shifted + 128, ByteVec);
        memcpy((uint8_t *)to + i, &bytes, (size_t)m);
#else
        vec_put(shifted - magic, m, F32, (float *)to + i);
#endif
    }
}

static void rescale(float *c, int64_t c_stride, int64_t rows, int64_t columns, const IsaScales *s)
{
    for (int64_t r = 0; r < rows; r++, c += c_stride)
        for (int64_t n = 0; n < columns; n += LANES) {
#if QUADS
            IntVec sum = *(const IntVec *)(c + n) - 128 * *(const IntVec *)(s->sum + n);
            Vec v = __builtin_convertvector(sum, Vec);
#else
            Vec v = vec_load(c + n);
#endif
            vec_store(c + n, v * (s->row[r] * vec_load(s->column + n)));
        }
}

/* ---- rows of numbers ----------------------------------------------------------------------------------------------- */

static void load(const void *from, DType dtype, int64_t n, float *to)
{
    int64_t i = 0;
    if (dtype == BF16)
        for (; i + LANES <= n; i += LANES) vec_store(to + i, vec_bf16((const uint16_t *)from + i));
    convert_to_float((const char *)from + (size_t)i * dtype_bytes(dtype), dtype, n - i, to + i);
}

static void store(const float *from, int64_t n, DType dtype, void *to)
{
    for (int64_t i = 0; i < n; i += LANES)
        vec_put(vec_some(from + i, n - i), n - i, dtype, (char *)to + (size_t)i * dtype_bytes(dtype));
}

static void round_bf16(const float *from, int64_t n, float *to)
{
    for (int64_t i = 0; i < n; i += LANES) {
        uint16_t half[LANES];
        vec_store_bf16(half, vec_some(from + i, n - i));
        vec_put(vec_bf16(half), n - i, F32, to + i);
    }
}

static void scale(float *x, int64_t n, float factor)
{
    for (int64_t i = 0; i < n; i++) x[i] *= factor;
}

static void activate(float *x, int64_t n, Activation act)
{
    for (int64_t i = 0; i < n; i += LANES) vec_put(vec_activate(vec_some(x + i, n - i), act), n - i, F32, x + i);
}

INLINE double vec_total(Vec v)
{
    double total = 0;
    for (int i = 0; i < LANES; i++) total += (double)v[i];
    return total;
}

static double sum(const float *x, int64_t n)
{
    Vec a = {0}, b = {0}, c = {0}, d = {0};
    int64_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        a += vec_load(x + i);
        b += vec_load(x + i + LANES);
        c += vec_load(x + i + 2 * LANES);
        d += vec_load(x + i + 3 * LANES);
    }
    for (; i < n; i += LANES) a += vec_some(x + i, n - i);
    return vec_total(a) + vec_total(b) + vec_total(c) + vec_total(d);
}

static double sum_squares(const float *x, int64_t n, float less)
{
    Vec a = {0}, b = {0}, u, v;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        u = vec_load(x + i) - less;
        v = vec_load(x + i + LANES) - less;
        a += u * u;
        b += v * v;
    }
    double total = vec_total(a) + vec_total(b);
    for (; i < n; i++) total += (double)(x[i] - less) * (double)(x[i] - less);
    return total;
}

static void affine(const float *x, int64_t n, const IsaAffine *f, DType dtype, void *out)
{
    for (int64_t i = 0; i < n; i += LANES) {
        Vec v = (vec_some(x + i, n - i) - f->less) * f->times;
        if (f->gain) v *= vec_some(f->gain + i, n - i) + f->more;
        if (f->bias) v += vec_some(f->bias + i, n - i);
        vec_put(vec_activate(v, f->act), n - i, dtype, (char *)out + (size_t)i * dtype_bytes(dtype));
    }
}

static void rotate(float *x, int64_t pairs, const float *cosine, const float *sine)
{
    int64_t i = 0;
    for (; i + LANES <= pairs; i += LANES) { /* even and odd numbers apart, and together again */
        Vec first = vec_load(x + 2 * i), second = vec_load(x + 2 * i + LANES);
        Vec re = __builtin_shuffle(first, second, EVEN), im = __builtin_shuffle(first, second, EVEN + 1);
        Vec c = vec_load(cosine + i), s = vec_load(sine + i);
        Vec real = re * c - im * s, imaginary = re * s + im * c;
        vec_store(x + 2 * i, __builtin_shuffle(real, imaginary, WOVEN));
        vec_store(x + 2 * i + LANES, __builtin_shuffle(real, imaginary, WOVEN + LANES / 2));
    }
    for (; i < pairs; i++) {
        float re = x[2 * i], im = x[2 * i + 1];
        x[2 * i] = re * cosine[i] - im * sine[i];
        x[2 * i + 1] = re * sine[i] + im * cosine[i];
    }
}

INLINE Vec softmax_mask(Vec v, int64_t n, float outside)
{
    return vec_if(EVEN / 2 < (int32_t)n, v, vec_all(outside)); /* EVEN / 2: the lane's number */
}

/* With a bias the scores in units of log 2 are stored on the way; without one they are scaled again, which is cheaper. */
INLINE float softmax_highest(float *s, int64_t keys, float scale, const float *bias)
{
    Vec high = vec_all(-INFINITY);
    for (int64_t i = 0; i < keys; i += LANES) {
        int64_t n = keys - i;
        Vec v = vec_some(s + i, n) * scale;
        if (bias) {
            v = vec_fma(vec_some(bias + i, n), vec_all(1.44269504f), v);
            vec_put(v, n, F32, s + i);
        }
        high = vec_max(n < LANES ? softmax_mask(v, n, -INFINITY) : v, high);
    }
    float highest = -INFINITY;
    for (int i = 0; i < LANES; i++) highest = high[i] > highest ? high[i] : highest;
    return highest;
}

static void softmax(float *s, int64_t keys, float times, const float *bias, IsaSoftmax *state)
{
    float scale = times * 1.44269504f, highest = softmax_highest(s, keys, scale, bias);
    if (bias) scale = 1;
    if (state->highest > highest) highest = state->highest;
    if (highest == -INFINITY) highest = 0; /* every key so far is masked */
    Vec total = {0};
    for (int64_t i = 0; i < keys; i += LANES) {
        int64_t n = keys - i;
        Vec p = vec_exp2(vec_some(s + i, n) * scale - highest);
        if (n < LANES) p = softmax_mask(p, n, 0);
        total += p;
        vec_put(p, n, F32, s + i);
    }
    state->factor = state->highest == highest ? 1 : exp2f(state->highest - highest);
    state->sum = state->sum * state->factor + (float)vec_total(total);
    state->highest = highest;
}

INLINE void finish_vec(const float *c, const float *other, const IsaEpilogue *e, int64_t at, int64_t n, void *out)
{
    Vec v = vec_load(c);
    if (e->bias) v += vec_some(e->bias + at, n);
    v = vec_activate(v, e->act);
    if (other) v *= vec_load(other);
    if (e->gate) v *= vec_some(e->gate + at, n);
    if (e->add) v += vec_some(out, n);
    vec_put(v, n, e->dtype, out);
}

static void finish(const float *c, int64_t c_stride, int64_t rows, int64_t columns, const IsaEpilogue *e, void *out,
                   int64_t out_stride)
{
    size_t bytes = dtype_bytes(e->dtype);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j += LANES) {
            int64_t at = i * c_stride + j;
            finish_vec(c + at, e->other ? e->other + at : NULL, e, j, columns - j,
                       (char *)out + (size_t)(i * out_stride + j) * bytes);
        }
}

/* ---- Winograd F(2x2, 3x3) ------------------------------------------------------------------------------------------ */

INLINE Vec points_load(const void *place, DType dtype, int64_t at, int64_t n)
{
    if (dtype == F32) return vec_some((const float *)place + at, n);
    if (n >= LANES) return vec_bf16((const uint16_t *)place + at);
    HalfVec part = half_part((const uint16_t *)place + at, n);
    return vec_bf16((const uint16_t *)&part);
}

INLINE void points_store(Vec v, const IsaPoints *p, int64_t at, char *to)
{
    int64_t n = p->padded - at;
    if (p->pairs) {
        vec_put(v, n, BF16, to + at * 2);
        return;
    }
    if (p->rounded) {
        uint16_t half[LANES];
        vec_store_bf16(half, v);
        v = vec_bf16(half);
    }
    vec_put(v, n, F32, to + at * 4);
}

/* B^T d B with B^T = {1,0,-1,0; 0,1,1,0; 0,-1,1,0; 0,1,0,-1} */
static void winograd_points(const void *const patch[16], const IsaPoints *p, char *to)
{
    for (int64_t at = 0; at < p->padded; at += LANES) {
        Vec d[4][4], t[4][4];
        int64_t n = p->channels - at;
        for (int i = 0; i < 16; i++) d[i / 4][i % 4] = points_load(patch[i], p->dtype, at, n < 0 ? 0 : n);
        for (int j = 0; j < 4; j++) {
            t[0][j] = d[0][j] - d[2][j];
            t[1][j] = d[1][j] + d[2][j];
            t[2][j] = d[2][j] - d[1][j];
            t[3][j] = d[1][j] - d[3][j];
        }
        for (int i = 0; i < 4; i++) {
            char *row = to + 4 * i * p->point;
            points_store(t[i][0] - t[i][2], p, at, row);
            points_store(t[i][1] + t[i][2], p, at, row + p->point);
            points_store(t[i][2] - t[i][1], p, at, row + 2 * p->point);
            points_store(t[i][1] - t[i][3], p, at, row + 3 * p->point);
        }
    }
}

INLINE void outputs_store(Vec v, const IsaEpilogue *e, int64_t at, int64_t n, void *place)
{
    if (!place) return;
    char *to = (char *)place + (size_t)at * dtype_bytes(e->dtype);
    if (e->bias) v += vec_some(e->bias + at, n);
    if (e->add) v += vec_some((const float *)to, n);
    vec_put(v, n, e->dtype, to);
}

/* A^T M A with A^T = {1,1,1,0; 0,1,-1,-1} */
static void winograd_outputs(const float *sums, int64_t stride, int64_t columns, const IsaEpilogue *e,
                             void *const to[4])
{
    for (int64_t at = 0; at < columns; at += LANES) {
        Vec t[2][4];
        for (int j = 0; j < 4; j++) {
            const float *m = sums + j * stride + at;
            Vec second = vec_load(m + 4 * stride), third = vec_load(m + 8 * stride);
            t[0][j] = vec_load(m) + second + third;
            t[1][j] = second - third - vec_load(m + 12 * stride);
        }
        for (int i = 0; i < 2; i++) {
            outputs_store(t[i][0] + t[i][1] + t[i][2], e, at, columns - at, to[2 * i]);
            outputs_store(t[i][1] - t[i][2] - t[i][3], e, at, columns - at, to[2 * i + 1]);
        }
    }
}

const Isa ISA = {
    .name = ISA_NAME,
    .lanes = LANES,
    .tile_rows = TILE_ROWS,
    .pairs = PAIRS,
    .quads = QUADS,
    .product = product,
    .finish = finish,
    .unpack = unpack,
    .unpack_quads = unpack_quads,
    .unpack_e4m3 = unpack_e4m3,
    .peak = peak,
    .quantize = quantize,
    .rescale = rescale,
    .spread = spread,
    .interleave = interleave,
    .load = load,
    .store = store,
    .round = round_bf16,
    .softmax = softmax,
    .scale = scale,
    .activate = activate,
    .sum = sum,
    .sum_squares = sum_squares,
    .affine = affine,
    .rotate = rotate,
    .winograd_points = winograd_points,
    .winograd_outputs = winograd_outputs,
};
