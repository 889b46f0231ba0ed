/* noise.c - the numbers that torch.randn draws on a CPU, bit for bit, on any machine.
 *
 * PyTorch (ATen, DistributionTemplates.h) seeds a 32-bit Mersenne Twister with the low half of the seed and then goes
 * one of two ways:
 *   - 16 values or more: uniforms of 24 bits for all of them, then Box-Muller within each block of 16, the first eight
 *     being radii and the last eight angles. A count that is no multiple of 16 draws the last 16 values afresh.
 *     log, sin and cos are the single-precision polynomials of the Cephes library, evaluated with fused
 *     multiply-adds where PyTorch's build fuses them: that decides the last bit, so fmaf() is spelled out here.
 *   - fewer: Box-Muller in double precision, two values per pair, each rounded to float at the end.
 * This file must be compiled without contraction of floating-point expressions (see CMakeLists.txt). */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "engine/sample/noise.h"

enum { MT_SIZE = 624, MT_SHIFT = 397, BLOCK = 16, HALF = 8 };

typedef struct {
    uint32_t state[MT_SIZE];
    int next;
} Twister;

static void twister_seed(Twister *t, uint32_t seed)
{
    t->state[0] = seed;
    for (uint32_t i = 1; i < MT_SIZE; i++) {
        uint32_t last = t->state[i - 1];
        t->state[i] = 1812433253u * (last ^ (last >> 30)) + i;
    }
    t->next = MT_SIZE;
}

static void twister_refill(Twister *t)
{
    for (int i = 0; i < MT_SIZE; i++) {
        uint32_t y = (t->state[i] & 0x80000000u) | (t->state[(i + 1) % MT_SIZE] & 0x7fffffffu);
        t->state[i] = t->state[(i + MT_SHIFT) % MT_SIZE] ^ (y >> 1) ^ ((y & 1) ? 0x9908b0dfu : 0);
    }
    t->next = 0;
}

static uint32_t twister_next(Twister *t)
{
    if (t->next == MT_SIZE) twister_refill(t);
    uint32_t y = t->state[t->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

static float uniform_float(Twister *t) { return (float)(twister_next(t) & 0xffffffu) * 0x1p-24f; }

static double uniform_double(Twister *t)
{
    uint64_t high = twister_next(t);
    uint64_t low = twister_next(t);
    return (double)((high << 32 | low) & ((1ull << 53) - 1)) * 0x1p-53;
}

/* ln x for x in [2^-24, 1] */
static float cephes_log(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    float e = (float)((int)(bits >> 23) - 127) + 1.0f;
    bits = (bits & 0x007fffffu) | 0x3f000000u; /* mantissa in [0.5, 1) */
    memcpy(&x, &bits, sizeof bits);
    float carry = 0;
    if (x < 0.707106781186547524f) {
        e -= 1.0f;
        carry = x;
    }
    x = (x - 1.0f) + carry;
    static const float p[] = {7.0376836292E-2f,  -1.1514610310E-1f, 1.1676998740E-1f,
                              -1.2420140846E-1f, 1.4249322787E-1f,  -1.6668057665E-1f,
                              2.0000714765E-1f,  -2.4999993993E-1f, 3.3333331174E-1f};
    float y = p[0];
    for (int i = 1; i < 9; i++) y = fmaf(y, x, p[i]);
    float z = x * x;
    y = fmaf(y * x, z, e * -2.12194440e-4f);
    y = fmaf(-z, 0.5f, y);
    return fmaf(e, 0.693359375f, x + y);
}

/* sin x and cos x for x >= 0 */
static void cephes_sincos(float x, float *sine, float *cosine)
{
    int octant = ((int)(x * 1.27323954473516f) + 1) & ~1;
    float y = (float)octant;
    x = fmaf(y, -0.78515625f, x); /* x - octant * pi/4 in three parts */
    x = fmaf(y, -2.4187564849853515625e-4f, x);
    x = fmaf(y, -3.77489497744594108e-8f, x);
    float z = x * x;
    float c = fmaf(fmaf(2.443315711809948E-005f, z, -1.388731625493765E-003f), z, 4.166664568298827E-002f);
    c = fmaf(c * z, z, -(z * 0.5f)) + 1.0f;
    float s = fmaf(fmaf(-1.9515295891E-4f, z, 8.3321608736E-3f), z, -1.6666654611E-1f);
    s = fmaf(s * z, x, x);
    bool swapped = (octant & 2) != 0;
    *sine = swapped ? c : s;
    *cosine = swapped ? s : c;
    if (octant & 4) *sine = -*sine;
    if ((octant - 2) & 4) return;
    *cosine = -*cosine;
}

/* Box-Muller in place: v[j], v[j + 8] uniform -> two normal values */
static void normal_block(float v[BLOCK])
{
    for (int j = 0; j < HALF; j++) {
        float radius = sqrtf(-2.0f * cephes_log(1.0f - v[j]));
        float sine, cosine;
        cephes_sincos((float)(2.0 * 3.14159265358979323846) * v[j + HALF], &sine, &cosine);
        v[j] = radius * cosine + 0.0f; /* PyTorch adds the mean: no negative zero */
        v[j + HALF] = radius * sine + 0.0f;
    }
}

static void fill_blocks(Twister *t, float *out, int64_t count)
{
    for (int64_t i = 0; i < count; i++) out[i] = uniform_float(t);
    for (int64_t i = 0; i + BLOCK <= count; i += BLOCK) normal_block(out + i);
    if (count % BLOCK == 0) return;
    float *last = out + count - BLOCK;
    for (int i = 0; i < BLOCK; i++) last[i] = uniform_float(t);
    normal_block(last);
}

static void fill_pairs(Twister *t, float *out, int64_t count)
{
    for (int64_t i = 0; i < count; i += 2) {
        double u1 = uniform_double(t), u2 = uniform_double(t);
        double radius = sqrt(-2.0 * log1p(-u2)), theta = 2.0 * 3.14159265358979323846 * u1;
        out[i] = (float)(radius * cos(theta));
        if (i + 1 < count) out[i + 1] = (float)(radius * sin(theta));
    }
}

void noise_fill(uint64_t seed, float *out, int64_t count)
{
    Twister t;
    twister_seed(&t, (uint32_t)seed);
    if (count >= BLOCK)
        fill_blocks(&t, out, count);
    else
        fill_pairs(&t, out, count);
}
