/* bench_peak.c - what this machine's processors and memory can do at most, measured. */
#include <stdlib.h>
#include <string.h>

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

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static float multiply_512(float f) { MULTIPLY_AND_ADD(Wide); }
__attribute__((target("avx2,fma"))) static float multiply_256(float f) { MULTIPLY_AND_ADD(Half); }
#endif
static float multiply_128(float f) { MULTIPLY_AND_ADD(Quarter); }

typedef struct {
    float (*multiply)(float f);
    int lanes;
    float kept[MOST_THREADS];
} Products;

static Products best_products(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return (Products){.multiply = multiply_512, .lanes = 16};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (Products){.multiply = multiply_256, .lanes = 8};
#endif
    return (Products){.multiply = multiply_128, .lanes = 4};
}

static Status multiply_in_parallel(void *self, int thread)
{
    Products *p = self;
    for (int i = 0; i < CALLS; i++) p->kept[thread] += p->multiply(0.999f);
    return status_ok();
}

/* The quickest round counts: others share the machine. */
double bench_peak_flop_per_s(int threads)
{
    Products p = best_products();
    double best_s = 1e9;
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    for (int round = 0; round < MULTIPLICATIONS; round++) {
        const double begin_s = moment_s();
        if (failed(team_do(threads, threads, multiply_in_parallel, &p))) return 0; /* it cannot fail */
        const double s = moment_s() - begin_s;
        if (s < best_s) best_s = s;
    }
    return 2.0 * CALLS * ROUNDS * SUMS * p.lanes * threads / best_s;
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
