/* bench_peak.c - what this machine's processors and memory can do at most, measured. */
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "common/file.h"
#include "common/moment.h"
#include "worker/finish/team.h"
#include "worker/verbs/bench_roofline.h"

enum { MOST_THREADS = 256, MULTIPLICATIONS = 40, CALLS = 300 /* some ms together */ };

/* ---- products: sums in registers, as many of them as hide how long one takes ---- */

typedef float Wide __attribute__((vector_size(64)));
typedef float Half __attribute__((vector_size(32)));
typedef float Quarter __attribute__((vector_size(16)));
enum { SUMS = 10, ROUNDS = 4096 };

#define MULTIPLY_AND_ADD(Vector)                                                                                       \
    Vector sum[SUMS], factor = {0}, more = {0};                                                                        \
    for (int i = 0; i < SUMS; i++) sum[i] = (Vector){0} + (float)i;                                                    \
    factor += f, more += 1e-6f;                                                                                        \
    for (int n = 0; n < ROUNDS; n++) {                                                                                 \
        _Pragma("GCC unroll 10") for (int i = 0; i < SUMS; i++) sum[i] = sum[i] * factor + more;                       \
    }                                                                                                                  \
    for (int i = 1; i < SUMS; i++) sum[0] += sum[i];                                                                   \
    return sum[0][0]

static float multiply_128(float f) { MULTIPLY_AND_ADD(Quarter); }
#if defined(__x86_64__)
__attribute__((target("avx512f"))) static float multiply_512(float f) { MULTIPLY_AND_ADD(Wide); }
__attribute__((target("avx2,fma"))) static float multiply_256(float f) { MULTIPLY_AND_ADD(Half); }

/* Pairs of bf16, fours of int8: what the numbers are does not change how long they take. */
__attribute__((target("avx512f,avx512bf16"))) static float multiply_pairs(float f)
{
    __m512 sum[SUMS];
    const __m512bh x = (__m512bh)_mm512_set1_ps(f);
    for (int i = 0; i < SUMS; i++) sum[i] = _mm512_setzero_ps();
    for (int n = 0; n < ROUNDS; n++) {
        _Pragma("GCC unroll 10") for (int i = 0; i < SUMS; i++) sum[i] = _mm512_dpbf16_ps(sum[i], x, x);
    }
    for (int i = 1; i < SUMS; i++) sum[0] += sum[i];
    return sum[0][0];
}

__attribute__((target("avx512f,avx512vnni"))) static float multiply_fours(float f)
{
    __m512i sum[SUMS];
    const __m512i x = _mm512_set1_epi8((char)(2 * f));
    for (int i = 0; i < SUMS; i++) sum[i] = _mm512_setzero_si512();
    for (int n = 0; n < ROUNDS; n++) {
        _Pragma("GCC unroll 10") for (int i = 0; i < SUMS; i++) sum[i] = _mm512_dpbusd_epi32(sum[i], x, x);
    }
    for (int i = 1; i < SUMS; i++) sum[0] = _mm512_add_epi32(sum[0], sum[i]);
    return (float)_mm512_reduce_add_epi32(sum[0]);
}

/* Tiles of 16 rows and 64 bytes, four of them sums. The back end has asked Linux for them. */
enum { TILE_ROUNDS = ROUNDS / 4, TILE_SUMS = 4 };
typedef struct {
    unsigned char palette, start_row, reserved[14];
    unsigned short row_bytes[16];
    unsigned char rows[16];
} TileShape;

__attribute__((target("amx-tile"))) static void begin_tiles(void)
{
    enum { B = 64, R = 16 };
    /* a constant: gcc 12 takes stores into a variable away, for it does not see that all of it is read */
    static const TileShape shape = {
        .palette = 1, .row_bytes = {B, B, B, B, B, B, B, B}, .rows = {R, R, R, R, R, R, R, R}};
    _tile_loadconfig(&shape);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
}

#define MULTIPLY_TILES(multiply)                                                                                       \
    begin_tiles();                                                                                                     \
    for (int n = 0; n < TILE_ROUNDS; n++) {                                                                            \
        multiply(0, 4, 5);                                                                                             \
        multiply(1, 4, 5);                                                                                             \
        multiply(2, 4, 5);                                                                                             \
        multiply(3, 4, 5);                                                                                             \
    }                                                                                                                  \
    _tile_release();                                                                                                   \
    return f

__attribute__((target("amx-tile,amx-bf16"))) static float multiply_pair_tiles(float f)
{
    MULTIPLY_TILES(_tile_dpbf16ps);
}

__attribute__((target("amx-tile,amx-int8"))) static float multiply_four_tiles(float f) { MULTIPLY_TILES(_tile_dpbusd); }
#endif

typedef struct {
    float (*multiply)(float f);
    double flop; /* of one call */
    float kept[MOST_THREADS];
} Products;

static double vector_flop(double numbers) { return 2.0 * ROUNDS * SUMS * numbers; }
static double tile_flop(double numbers) { return 2.0 * TILE_ROUNDS * TILE_SUMS * 16 * 16 * numbers; }

/* By the instructions with which the back end multiplies numbers of this type; one that has none for it multiplies in fp32. */
static Products best_products(DType dtype, const char *instructions)
{
#if defined(__x86_64__)
    if (dtype == BF16 && strstr(instructions, "AMX-bf16")) return (Products){multiply_pair_tiles, tile_flop(32), {0}};
    if (dtype == INT8 && strstr(instructions, "AMX-int8")) return (Products){multiply_four_tiles, tile_flop(64), {0}};
    if (dtype == BF16 && strstr(instructions, "AVX-512-bf16")) return (Products){multiply_pairs, vector_flop(32), {0}};
    if (dtype == INT8 && strstr(instructions, "AVX-512-vnni")) return (Products){multiply_fours, vector_flop(64), {0}};
    if (__builtin_cpu_supports("avx512f") && !strstr(instructions, "AVX2"))
        return (Products){multiply_512, vector_flop(16), {0}};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (Products){multiply_256, vector_flop(8), {0}};
#endif
    (void)dtype, (void)instructions;
    return (Products){multiply_128, vector_flop(4), {0}};
}

static Status multiply_in_parallel(void *self, int thread)
{
    Products *p = self;
    for (int i = 0; i < CALLS; i++) p->kept[thread] += p->multiply(0.999f);
    return status_ok();
}

/* The quickest round counts: others share the machine. */
double bench_peak_flop_per_s(DType dtype, const char *instructions, int threads)
{
    Products p = best_products(dtype, instructions);
    double best_s = 1e9;
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    for (int round = 0; round < MULTIPLICATIONS; round++) {
        const double begin_s = moment_s();
        if (failed(team_do(threads, threads, multiply_in_parallel, &p))) return 0; /* it cannot fail */
        const double s = moment_s() - begin_s;
        if (s < best_s) best_s = s;
    }
    return CALLS * p.flop * threads / best_s;
}

/* ---- memory: a = b + x c over arrays that no cache holds ---- */

enum { ARRAY_BYTES = 64 << 20, PASSES = 10 };

typedef struct {
    Quarter *a;
    const Quarter *b, *c;
    size_t each; /* vectors of one thread */
} Triad;

static Status add_arrays(void *self, int thread)
{
    const Triad *t = self;
    const Quarter factor = {3, 3, 3, 3};
    for (size_t i = (size_t)thread * t->each; i < (size_t)(thread + 1) * t->each; i++)
        t->a[i] = t->b[i] + factor * t->c[i];
    return status_ok();
}

double bench_peak_bytes_per_s(int threads)
{
    char *all = aligned_alloc(64, 3 * (size_t)ARRAY_BYTES);
    double best_s = 1e9;
    if (!all) return 0;
    memset(all, 0, 3 * (size_t)ARRAY_BYTES);
    Triad t = {(Quarter *)(void *)all, (const Quarter *)(const void *)(all + ARRAY_BYTES),
               (const Quarter *)(const void *)(all + 2 * (size_t)ARRAY_BYTES),
               (size_t)ARRAY_BYTES / sizeof(Quarter) / (size_t)threads};
    for (int pass = 0; pass < PASSES; pass++) {
        const double begin_s = moment_s();
        if (failed(team_do(threads, threads, add_arrays, &t))) break;
        const double s = moment_s() - begin_s;
        if (s < best_s) best_s = s;
    }
    free(all);
    return 3.0 * (double)t.each * (double)threads * sizeof(Quarter) / best_s;
}
