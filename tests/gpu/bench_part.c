/* One stage at the shape of a published model, random weights, timed as worker/verbs/bench.c times it; and where the time goes: the
 * back end's kernels with a pair of events around each call. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/gpu/parts.h"
#include "tests/gpu/profile.h"
#include "worker/verbs/bench.h"
#ifdef REELWRIGHT_GPU_CUDA
#include "kernels/cuda/cuda.h"
#endif

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
    const int stage = choice(gpu_value(argc, argv, "--stage", "transformer"), bench_stage_name, BENCH_STAGES);
    const int shape = choice(gpu_value(argc, argv, "--shape", "1.3b"), bench_shape_name, 3);
    long long f, h, w;
    if (stage < 0 || shape < 0 || sscanf(gpu_value(argc, argv, "--latent", "1x8x8"), "%lldx%lldx%lld", &f, &h, &w) != 3)
        return false;
    *r = (BenchRequest){
        .stage = (BenchStage)stage,
        .shape = (BenchShape)shape,
        .latent = {f, h, w},
        .layers = (int)strtol(gpu_value(argc, argv, "--layers", "0"), NULL, 10),
        .tokens = (int)strtol(gpu_value(argc, argv, "--tokens", "120"), NULL, 10),
        .repeat = (int)strtol(gpu_value(argc, argv, "--repeat", "3"), NULL, 10),
        .backend = {.kind = gpu_backend(),
                    .compute = BF16,
                    .quantized = gpu_flag(argc, argv, "--fp8") ? E4M3 : F32,
                    .scores = gpu_flag(argc, argv, "--int8") ? INT8 : F32,
                    .exact = gpu_flag(argc, argv, "--vae-bf16") ? BF16 : F32,
                    .memory_bytes = gpu_flag(argc, argv, "--one-by-one")}}; /* no room for frames together */
    return r->tokens > 0 && r->repeat > 0;
}

int part_bench(int argc, char **argv)
{
    BenchRequest r;
    BenchResult b;
    if (!read_request(argc, argv, &r)) return 2;
    const bool profiled = gpu_flag(argc, argv, "--profile");
    const bool of_autoencoder = r.stage == BENCH_VAE_DECODE || r.stage == BENCH_VAE_ENCODE;
    profile_begin(profiled);
    Status status = bench_run(&r, &b);
    printf("{\"part\": \"bench\", \"dtype\": \"%s\", \"stage\": \"%s\", \"shape\": \"%s\", \"latent\": [%lld, %lld, "
           "%lld], \"profiled\": %s, \"one_by_one\": %s",
           of_autoencoder && r.backend.exact == F32 ? "fp32" : backend_dtype_name(&r.backend),
           bench_stage_name[r.stage], bench_shape_name[r.shape], (long long)r.latent[0], (long long)r.latent[1],
           (long long)r.latent[2], profiled ? "true" : "false", r.backend.memory_bytes ? "true" : "false");
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

static float *numbers(int64_t count)
{
    float *v = malloc((size_t)count * sizeof *v);
    uint32_t state = 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        v[i] = (float)(int32_t)state * 0x1p-31f;
    }
    return v;
}

/* [rows,width] in bf16, each row of variance one */
static Tensor normal(Backend *be, const float *v, int64_t rows, int64_t width)
{
    return op_layernorm(be, backend_upload(be, v, 2, (int64_t[]){rows, width}), (Tensor){0}, (Tensor){0}, 1e-6f);
}

/* Seconds of one of `repeat` calls after one that warms up. */
static double timed(Backend *be, int repeat, void (*call)(Backend *be, void *self), void *self)
{
    double begin = 0;
    for (int i = 0; i <= repeat; i++) {
        if (i == 1) begin = bench_seconds();
        ArenaMark mark = backend_mark(be);
        call(be, self);
        backend_release(be, mark);
        if (i == 0 || i == repeat) backend_finish(be);
    }
    return (bench_seconds() - begin) / repeat;
}

typedef struct {
    Tensor x;
    Linear l;
} RateProduct;

static void run_product(Backend *be, void *self)
{
    RateProduct *p = self;
    op_linear(be, p->x, &p->l, ACT_GELU_TANH);
}

/* One product [m,k] x [k,n] as the transformer makes it, repeated. */
static Status rate_product(Backend *be, int64_t m, int64_t n, int64_t k)
{
    RateProduct p = {.l = {.quantize = true}};
    float *v = numbers((m > n ? m : n) * k);
    Status status = linear_pack(be, tensor_view(v, F32, 2, (int64_t[]){n, k}), (Tensor){0}, &p.l);
    p.x = normal(be, v, m, k);
    if (!failed(status)) {
        const double seconds = timed(be, 20, run_product, &p);
        status = backend_status(be);
        printf("{\"part\": \"rate\", \"dtype\": \"%s\", \"m\": %lld, \"n\": %lld, \"k\": %lld, \"tflop_per_s\": %.1f, "
               "\"ok\": %s}\n",
               backend_dtype(be), (long long)m, (long long)n, (long long)k,
               2e-12 * (double)m * (double)n * (double)k / seconds, failed(status) ? "false" : "true");
    }
    linear_free(be, &p.l);
    free(v);
    return status;
}

typedef struct {
    Tensor x, doubled, out; /* out: of the last call, until the next */
    Conv c;
} RateUpsampled;

static void run_upsampled(Backend *be, void *self)
{
    RateUpsampled *r = self;
    r->out = op_conv_upsampled(be, r->x, &r->c);
}

static void run_doubled(Backend *be, void *self)
{
    RateUpsampled *r = self;
    r->out = op_conv(be, r->doubled, &r->c);
}

/* How far b is from a, of a's size. */
static double apart(const float *a, const float *b, int64_t count)
{
    double d = 0, size = 0;
    for (int64_t i = 0; i < count; i++) {
        d += pow((double)a[i] - (double)b[i], 2);
        size += pow((double)a[i], 2);
    }
    return sqrt(d / (size > 0 ? size : 1));
}

/* The upsampler's convolution, beside the same one over a picture [1,2h,2w,c] that was doubled and made bf16 before. */
static Status rate_upsampled(Backend *be, int64_t h, int64_t w, int64_t c)
{
    const int64_t out = c / 2, count = 4 * h * w * out;
    RateUpsampled r = {.c = {.stride = {1, 1, 1}, .pad = {{1, 1}, {1, 1}}}};
    float *v = numbers(h * w * c > out * c * 9 ? h * w * c : out * c * 9);
    float *a = malloc((size_t)count * sizeof *a), *b = malloc((size_t)count * sizeof *b);
    Status status = conv_pack(be, tensor_view(v, F32, 4, (int64_t[]){out, c, 3, 3}), (Tensor){0}, &r.c);
    r.x = backend_upload(be, v, 4, (int64_t[]){1, h, w, c});
    r.doubled = backend_alloc(be, backend_compute(be), 4, (int64_t[]){1, 2 * h, 2 * w, c});
    ArenaMark mark = backend_mark(be);
    op_copy(be, r.doubled, op_dup_up(be, r.x, c, 1, 2, false));
    backend_release(be, mark);
    if (!failed(status) && a && b) {
        const double phases = timed(be, 5, run_upsampled, &r);
        backend_download(be, r.out, a);
        const double doubled = timed(be, 5, run_doubled, &r);
        backend_download(be, r.out, b);
        status = backend_status(be);
        printf(
            "{\"part\": \"rate upsampled\", \"size\": [%lld, %lld, %lld], \"phases_ms\": %.3f, \"doubled_ms\": %.3f, "
            "\"apart\": %.2e, \"ok\": %s}\n",
            (long long)h, (long long)w, (long long)c, 1e3 * phases, 1e3 * doubled, apart(b, a, count),
            !failed(status) && apart(b, a, count) < 8e-3 ? "true" : "false"); /* 2.3e-3 each has from fp32 */
    }
    conv_free(be, &r.c);
    free(v);
    free(a);
    free(b);
    return status;
}

#ifdef REELWRIGHT_GPU_CUDA
typedef struct {
    Tensor q, k, v;
    int heads;
} RateAttention;

static void run_attention(Backend *be, void *self)
{
    const RateAttention *a = self;
    op_attention(be, a->q, a->k, a->v, a->heads, 0.088f, (Tensor){0});
}

enum { HEAD = 128 };

static RateAttention attention_new(Backend *be, const float *v, int heads, int64_t queries, int64_t keys)
{
    const int64_t width = (int64_t)heads * HEAD;
    return (RateAttention){normal(be, v, queries, width), normal(be, v + queries * width, keys, width),
                           normal(be, v + (queries + keys) * width, keys, width), heads};
}

/* With scores in int8, laying out its tiles included. */
static Status rate_attention_int8(Backend *be, int heads, int64_t queries, int64_t keys)
{
    float *v = numbers((queries + 2 * keys) * heads * HEAD);
    RateAttention a = attention_new(be, v, heads, queries, keys);
    const double seconds = timed(be, 3, run_attention, &a);
    if (!failed(backend_status(be)))
        printf("{\"part\": \"rate attention\", \"heads\": %d, \"queries\": %lld, \"keys\": %lld, \"form\": \"int8\", "
               "\"engine\": \"own\", \"tflop_per_s\": %.1f, \"ok\": %s}\n",
               heads, (long long)queries, (long long)keys,
               4e-12 * heads * (double)queries * (double)keys * HEAD / seconds,
               cuda_of(be)->note[NOTE_ATTENTION_INT8] > 0 ? "true" : "false");
    free(v);
    return backend_status(be);
}

/* Every form of cuDNN's attention and every engine that it offers for it. */
static Status rate_attention(Backend *be, int heads, int64_t queries, int64_t keys)
{
    enum { FORMS = 2, MOST_SKIPS = 4 };
    float *v = numbers((queries + 2 * keys) * heads * HEAD);
    const RateAttention a = attention_new(be, v, heads, queries, keys);
    for (int form = 1; form <= FORMS; form++) {
        for (int skips = 0; skips < MOST_SKIPS; skips++) {
            cuda_choose_attention(be, form, skips);
            const double seconds = timed(be, 3, run_attention, (void *)&a);
            if (failed(backend_status(be))) break;
            printf("{\"part\": \"rate attention\", \"heads\": %d, \"queries\": %lld, \"keys\": %lld, \"form\": %d, "
                   "\"engine\": %d, \"tflop_per_s\": %.1f}\n",
                   heads, (long long)queries, (long long)keys, form, skips,
                   4e-12 * heads * (double)queries * (double)keys * HEAD / seconds);
        }
        if (backend_status(be).err == ERR_INPUT) backend_clear(be); /* no more engines */
    }
    free(v);
    return backend_status(be);
}
#endif

int part_rate(int argc, char **argv)
{
    Backend *be = NULL;
    const bool int8 = gpu_flag(argc, argv, "--int8");
    const BackendOptions options = {.kind = gpu_backend(),
                                    .compute = BF16,
                                    .quantized = gpu_flag(argc, argv, "--fp8") ? E4M3 : F32,
                                    .scores = int8 ? INT8 : F32};
    int64_t size[3];
    for (int i = 0; i < 3; i++) size[i] = argc > 2 + i ? strtol(argv[2 + i], NULL, 10) : 4096;
    Status status = backend_open(&options, &be);
    if (!failed(status) && gpu_flag(argc, argv, "--upsampled")) {
        status = rate_upsampled(be, size[0], size[1], size[2]);
    } else if (!failed(status)) {
#ifdef REELWRIGHT_GPU_CUDA
        const bool attention = gpu_flag(argc, argv, "--attention");
        status = attention && int8 ? rate_attention_int8(be, (int)size[0], size[1], size[2])
                 : attention       ? rate_attention(be, (int)size[0], size[1], size[2])
                                   : rate_product(be, size[0], size[1], size[2]);
#else
        status = rate_product(be, size[0], size[1], size[2]);
#endif
    }
    if (failed(status)) fprintf(stderr, "%s\n", status.message);
    backend_close(&be);
    return failed(status);
}
