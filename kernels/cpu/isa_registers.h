/* isa_registers.h - the product with its sums in vector registers. Part of isa_kernels.h. */

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
