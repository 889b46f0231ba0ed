/* verb_bench.c - `reelwright bench`: one stage at one shape, as a line for people or as JSON. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/foreign.h"
#include "common/options.h"
#include "worker/render/worker.h"
#include "worker/verbs/bench.h"
#include "worker/verbs/bench_finish.h"
#include "worker/verbs/verbs.h"

static const char *const backend_name[] = {[BACKEND_REF] = "ref", [BACKEND_CPU] = "cpu", [BACKEND_CUDA] = "cuda"};

enum { MAX_PLACES = 1 << 22 }; /* of a latent: 4K for a minute, more than any of the models renders */

/* "FxHxW" */
static Status read_latent(const char *text, int64_t latent[3])
{
    char rest;
    long long f, h, w;
    if (sscanf(text, "%5lldx%5lldx%5lld%c", &f, &h, &w, &rest) != 3 || f < 1 || h < 1 || w < 1)
        return status_fail(ERR_INPUT, "--latent %s: expected frames x height x width, such as 3x30x52", text);
    if (f * h * w > MAX_PLACES)
        return status_fail(ERR_INPUT, "--latent %s: %lld places, expected at most %d", text, f * h * w, MAX_PLACES);
    latent[0] = f;
    latent[1] = h;
    latent[2] = w;
    return status_ok();
}

static Status check_request(const BenchRequest *r, const char *latent)
{
    if (r->stage == BENCH_TEXT) return status_ok();
    if (!latent) return status_fail(ERR_INPUT, "--latent FxHxW is missing: the size that the stage is measured at");
    if ((r->stage == BENCH_TRANSFORMER || r->stage == BENCH_STEP) && (r->latent[1] % 2 || r->latent[2] % 2))
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
                          backend_name[r->backend.kind], "dtype", backend_dtype_name(&r->backend));
    char *text = j ? json_dumps(j, JSON_REAL_PRECISION(9)) : NULL;
    json_decref(j);
    if (!text) return status_fail(ERR_NODE, "out of memory");
    puts(text);
    free(text);
    return status_ok();
}

/* ---- the command line ------------------------------------------------------------------------------------------------------ */

static struct {
    int stage, shape, backend, dtype;
    const char *latent;
    bool json;
    BenchRequest request;
} given = {.request = {.tokens = 512, .repeat = 3}};

static const Option option[] = {
    {.name = "stage",
     .kind = OPTION_CHOICE,
     .to = &given.stage,
     .value = "transformer|step|vae-decode|vae-encode|text",
     .required = true,
     .help = "what to evaluate"},
    {.name = "shape",
     .kind = OPTION_CHOICE,
     .to = &given.shape,
     .value = "1.3b|5b|14b",
     .required = true,
     .help = "of which published model"},
    {.name = "layers",
     .kind = OPTION_INT,
     .to = &given.request.layers,
     .value = "N",
     .min = 1,
     .max = 1000,
     .help = "of the transformer or text encoder (as the model has)"},
    {.name = "latent",
     .kind = OPTION_TEXT,
     .to = &given.latent,
     .value = "FxHxW",
     .help = "frames, height, width before patching"},
    {.name = "tokens",
     .kind = OPTION_INT,
     .to = &given.request.tokens,
     .value = "N",
     .min = 1,
     .max = 512,
     .help = "of the prompt (512)"},
    {.name = "dtype",
     .kind = OPTION_CHOICE,
     .to = &given.dtype,
     .value = WORK_DTYPES,
     .help = "of matrix products (fp32); fp8 on cuda, int8 on cpu: of the blocks"},
    {.name = "backend", .kind = OPTION_CHOICE, .to = &given.backend, .value = WORK_BACKENDS, .help = "(cpu)"},
    {.name = "threads",
     .kind = OPTION_INT,
     .to = &given.request.backend.threads,
     .value = "N",
     .min = 1,
     .max = 4096,
     .help = "(as many as the process may run on)"},
    {.name = "repeat",
     .kind = OPTION_INT,
     .to = &given.request.repeat,
     .value = "N",
     .min = 1,
     .max = 1000,
     .help = "measured evaluations, after one that warms up (3)"},
    {.name = "json", .kind = OPTION_FLAG, .to = &given.json, .help = "print one JSON object"},
};

static const Usage usage = {.verb = "bench",
                            .arguments = "--stage STAGE --shape SHAPE [options]",
                            .about = "Times one stage of the engine with random weights; --stage finish: of a clip's "
                                     "files, `bench --stage finish --help`.",
                            .option = option,
                            .option_count = (int)(sizeof option / sizeof *option)};

/* The finish needs no engine, and none of its options. */
static bool asks_for_finish(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--stage=finish") == 0 ||
            (i + 1 < argc && strcmp(argv[i], "--stage") == 0 && strcmp(argv[i + 1], "finish") == 0))
            return true;
    return false;
}

Status verb_bench(int argc, char **argv)
{
    int first;
    if (asks_for_finish(argc, argv)) return bench_finish(argc, argv);
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    BenchRequest *r = &given.request;
    r->stage = (BenchStage)given.stage;
    r->shape = (BenchShape)given.shape;
    const int threads = r->backend.threads;
    r->backend = worker_backend(given.backend, given.dtype, given.dtype); /* a stage computes in what was asked */
    r->backend.threads = threads;
    if (given.latent) TRY(read_latent(given.latent, r->latent));
    TRY(check_request(r, given.latent));
    BenchResult b;
    TRY(bench_run(r, &b));
    if (given.json) return print_json(r, &b);
    foreign_print(stdout, "%s %s %s on %s: %.4g s (%.4g to %.4g), %.1f GFLOP/s\n", bench_stage_name[r->stage],
                  bench_shape_name[r->shape], backend_dtype_name(&r->backend), backend_name[r->backend.kind], b.median,
                  b.min, b.max, b.flop / b.median / 1e9);
    return status_ok();
}
