/* One stage at the shape of a published model, random weights, timed as worker/bench.c times it; and where the time goes: the
 * back end's kernels with a pair of events around each call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/gpu/parts.h"
#include "tests/gpu/profile.h"
#include "worker/bench.h"

static double bench_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int choice(const char *value, const char *const *name, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(value, name[i]) == 0) return i;
    return -1;
}

static bool read_request(int argc, char **argv, BenchRequest *r)
{
    const int stage = choice(gpu_value(argc, argv, "--stage", "transformer"), bench_stage_name, 4);
    const int shape = choice(gpu_value(argc, argv, "--shape", "1.3b"), bench_shape_name, 3);
    long long f, h, w;
    if (stage < 0 || shape < 0 || sscanf(gpu_value(argc, argv, "--latent", "1x8x8"), "%lldx%lldx%lld", &f, &h, &w) != 3)
        return false;
    *r = (BenchRequest){.stage = (BenchStage)stage,
                        .shape = (BenchShape)shape,
                        .latent = {f, h, w},
                        .layers = (int)strtol(gpu_value(argc, argv, "--layers", "0"), NULL, 10),
                        .tokens = (int)strtol(gpu_value(argc, argv, "--tokens", "120"), NULL, 10),
                        .repeat = (int)strtol(gpu_value(argc, argv, "--repeat", "3"), NULL, 10),
                        .backend = {.kind = gpu_backend(), .compute = BF16, .fp8 = gpu_flag(argc, argv, "--fp8")}};
    return r->tokens > 0 && r->repeat > 0;
}

int part_bench(int argc, char **argv)
{
    BenchRequest r;
    BenchResult b;
    if (!read_request(argc, argv, &r)) return 2;
    const bool profiled = gpu_flag(argc, argv, "--profile");
    profile_begin(profiled);
    Status status = bench_run(&r, &b);
    printf("{\"part\": \"bench\", \"dtype\": \"%s\", \"stage\": \"%s\", \"shape\": \"%s\", \"latent\": [%lld, %lld, "
           "%lld], \"profiled\": %s",
           r.backend.fp8 ? "fp8" : "bf16", bench_stage_name[r.stage], bench_shape_name[r.shape], (long long)r.latent[0],
           (long long)r.latent[1], (long long)r.latent[2], profiled ? "true" : "false");
    if (failed(status)) {
        printf(", \"error\": ");
        gpu_print_text(status.message);
    } else {
        printf(
            ", \"layers\": %d, \"tokens\": %d, \"seconds\": [%.6f, %.6f, %.6f], \"tflop\": %.4f, \"tflop_per_s\": %.2f",
            b.layers, r.tokens, b.min, b.median, b.max, b.flop / 1e12, b.flop / b.median / 1e12);
    }
    printf("}\n");
    if (profiled) profile_print(r.repeat);
    return failed(status);
}

/* One product [m,k] x [k,n] as the transformer makes it, repeated. */
int part_rate(int argc, char **argv)
{
    const int64_t m = strtol(argc > 2 ? argv[2] : "4096", NULL, 10), n = strtol(argc > 3 ? argv[3] : "4096", NULL, 10);
    const int64_t k = strtol(argc > 4 ? argv[4] : "4096", NULL, 10);
    enum { REPEAT = 20 };
    Backend *be;
    Status status = backend_open(&(BackendOptions){.kind = gpu_backend(), .compute = BF16}, &be);
    if (failed(status)) {
        fprintf(stderr, "%s\n", status.message);
        return 3;
    }
    float *v = malloc((size_t)((m > n ? m : n) * k) * sizeof *v);
    uint32_t state = 1;
    for (int64_t i = 0; i < (m > n ? m : n) * k; i++) {
        state = state * 1664525u + 1013904223u;
        v[i] = (float)(int32_t)state * 0x1p-31f;
    }
    Linear l = {0};
    status = linear_pack(be, tensor_view(v, F32, 2, (int64_t[]){n, k}), (Tensor){0}, &l);
    Tensor x =
        op_layernorm(be, backend_upload(be, v, 2, (int64_t[]){m, k}), (Tensor){0}, (Tensor){0}, 1e-6f); /* bf16 */
    double seconds = 0;
    for (int i = 0; i <= REPEAT && !failed(status); i++) {
        if (i == 1) seconds = bench_seconds();
        ArenaMark mark = backend_mark(be);
        op_linear(be, x, &l, ACT_GELU_TANH);
        backend_release(be, mark);
        if (i == 0 || i == REPEAT) status = backend_finish(be);
    }
    seconds = (bench_seconds() - seconds) / REPEAT;
    printf("{\"part\": \"rate\", \"m\": %lld, \"n\": %lld, \"k\": %lld, \"tflop_per_s\": %.1f, \"ok\": %s}\n",
           (long long)m, (long long)n, (long long)k, 2e-12 * (double)m * (double)n * (double)k / seconds,
           failed(status) ? "false" : "true");
    if (l.packed) linear_free(be, &l);
    backend_close(&be);
    free(v);
    return failed(status);
}
