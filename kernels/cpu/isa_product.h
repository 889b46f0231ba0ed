/* isa_product.h - the product of packed panels, and how panels are unpacked. Part of isa_kernels.h. */

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
