/* verb_bench.c - `reelwright bench`: one stage at one shape, as a line for people or as JSON. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "common/options.h"
#include "worker/bench.h"
#include "worker/verbs.h"

static const char *const backend_name[] = {[BACKEND_REF] = "ref", [BACKEND_CPU] = "cpu", [BACKEND_CUDA] = "cuda"};

/* "FxHxW" */
static Status read_latent(const char *text, int64_t latent[3])
{
    char rest;
    long long f, h, w;
    if (sscanf(text, "%5lldx%5lldx%5lld%c", &f, &h, &w, &rest) != 3 || f < 1 || h < 1 || w < 1)
        return status_fail(ERR_INPUT, "--latent %s: expected frames x height x width, such as 3x30x52", text);
    latent[0] = f;
    latent[1] = h;
    latent[2] = w;
    return status_ok();
}

static Status check_request(const BenchRequest *r, const char *latent)
{
    if (r->stage == BENCH_TEXT) return status_ok();
    if (!latent) return status_fail(ERR_INPUT, "--latent FxHxW is missing: the size that the stage is measured at");
    if (r->stage == BENCH_TRANSFORMER && (r->latent[1] % 2 || r->latent[2] % 2))
        return status_fail(ERR_INPUT, "--latent %s: height and width must be even, a patch is 1x2x2", latent);
    return status_ok();
}

static Status print_json(const BenchRequest *r, const BenchResult *b)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    json_t *j = json_pack("{s:s, s:s, s:i, s:{s:f, s:f, s:f}, s:f, s:f, s:I, s:s, s:s}", "stage",
                          bench_stage_name[r->stage], "shape", bench_shape_name[r->shape], "layers", b->layers,
                          "seconds", "median", b->median, "min", b->min, "max", b->max, "flop", b->flop, "flop_per_s",
                          b->flop / b->median, "peak_rss_bytes", (json_int_t)usage.ru_maxrss * 1024, "backend",
                          backend_name[r->backend.kind], "dtype", dtype_name(r->backend.compute));
    char *text = j ? json_dumps(j, JSON_REAL_PRECISION(9)) : NULL;
    json_decref(j);
    if (!text) return status_fail(ERR_NODE, "out of memory");
    puts(text);
    free(text);
    return status_ok();
}

Status verb_bench(int argc, char **argv)
{
    int stage = BENCH_TRANSFORMER, shape = BENCH_1_3B, backend = 0, dtype = 0;
    BenchRequest r = {.tokens = 512, .repeat = 3};
    const char *latent = NULL;
    bool json = false;
    const Option option[] = {
        {.name = "stage",
         .kind = OPTION_CHOICE,
         .to = &stage,
         .value = "transformer|vae-decode|vae-encode|text",
         .required = true,
         .help = "what to evaluate"},
        {.name = "shape",
         .kind = OPTION_CHOICE,
         .to = &shape,
         .value = "1.3b|5b|14b",
         .required = true,
         .help = "of which published model"},
        {.name = "layers",
         .kind = OPTION_INT,
         .to = &r.layers,
         .value = "N",
         .min = 1,
         .max = 1000,
         .help = "of the transformer or text encoder (as the model has)"},
        {.name = "latent",
         .kind = OPTION_TEXT,
         .to = &latent,
         .value = "FxHxW",
         .help = "frames, height, width before patching"},
        {.name = "tokens",
         .kind = OPTION_INT,
         .to = &r.tokens,
         .value = "N",
         .min = 1,
         .max = 512,
         .help = "of the prompt (512)"},
        {.name = "dtype",
         .kind = OPTION_CHOICE,
         .to = &dtype,
         .value = "fp32|bf16",
         .help = "of matrix products (fp32)"},
        {.name = "backend", .kind = OPTION_CHOICE, .to = &backend, .value = "cpu|cuda|ref", .help = "(cpu)"},
        {.name = "threads",
         .kind = OPTION_INT,
         .to = &r.backend.threads,
         .value = "N",
         .min = 1,
         .max = 4096,
         .help = "(as many as the process may run on)"},
        {.name = "repeat",
         .kind = OPTION_INT,
         .to = &r.repeat,
         .value = "N",
         .min = 1,
         .max = 1000,
         .help = "measured evaluations, after one that warms up (3)"},
        {.name = "json", .kind = OPTION_FLAG, .to = &json, .help = "print one JSON object"},
    };
    const Usage usage = {.verb = "bench",
                         .arguments = "--stage STAGE --shape SHAPE [options]",
                         .about = "Times one stage of the engine with random weights.",
                         .option = option,
                         .option_count = (int)(sizeof option / sizeof *option)};
    int first;
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    r.stage = (BenchStage)stage;
    r.shape = (BenchShape)shape;
    r.backend.kind = (BackendKind[]){BACKEND_CPU, BACKEND_CUDA, BACKEND_REF}[backend];
    r.backend.compute = dtype ? BF16 : F32;
    if (latent) TRY(read_latent(latent, r.latent));
    TRY(check_request(&r, latent));
    BenchResult b;
    TRY(bench_run(&r, &b));
    if (json) return print_json(&r, &b);
    printf("%s %s %s on %s: %.4g s (%.4g to %.4g), %.1f GFLOP/s\n", bench_stage_name[r.stage],
           bench_shape_name[r.shape], dtype_name(r.backend.compute), backend_name[r.backend.kind], b.median, b.min,
           b.max, b.flop / b.median / 1e9);
    return status_ok();
}
