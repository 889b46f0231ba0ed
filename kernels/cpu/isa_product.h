/* isa_product.h - the product of packed panels, and how panels are unpacked. Part of isa_kernels.h. */
#if TILES
#include "kernels/cpu/isa_tiles.h"
#else
#include "kernels/cpu/isa_registers.h"
#endif

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
