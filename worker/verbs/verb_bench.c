/* verb_bench.c - `reelwright bench`: one stage at one shape, or whole renders as MLPerf measures them, as lines for people or as JSON. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/host.h"
#include "common/options.h"
#include "worker/render/render_group.h"
#include "worker/render/worker.h"
#include "worker/verbs/bench.h"
#include "worker/verbs/bench_finish.h"
#include "worker/verbs/bench_page.h"
#include "worker/verbs/bench_ranks.h"
#include "worker/verbs/bench_roofline.h"
#include "worker/verbs/bench_rules.h"
#include "worker/verbs/verbs.h"

static const char *const backend_name[] = {[BACKEND_REF] = "ref", [BACKEND_CPU] = "cpu", [BACKEND_CUDA] = "cuda"};

static Status check_request(const BenchRequest *r, const char *latent)
{
    if (r->stage == BENCH_TEXT || r->stage == BENCH_SUM) return status_ok();
    if (!latent && !r->latent[0])
        return status_fail(ERR_INPUT, "--latent FxHxW is missing: the size that the stage is measured at");
    if ((r->stage == BENCH_TRANSFORMER || r->stage == BENCH_STEP || r->stage == BENCH_RENDER) &&
        (r->latent[1] % 2 || r->latent[2] % 2))
        return status_fail(ERR_INPUT, "--latent %s: height and width must be even, a patch is 1x2x2", latent);
    return status_ok();
}

static json_t *result_json(const BenchRequest *r, const BenchResult *b, const BenchRanks *ranks)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    json_t *j =
        json_pack("{s:s, s:s, s:i, s:{s:f, s:f, s:f, s:f, s:f}, s:i, s:f, s:f, s:f, s:f, s:I, s:s, s:s}", "stage",
                  bench_stage_name[r->stage], "shape", bench_shape_name[r->shape], "layers", b->layers, "seconds",
                  "median", b->median, "min", b->min, "max", b->max, "p90", b->p90, "p99", b->p99, "count", b->count,
                  "duration_s", b->all_s, "processor_s", b->processor_s, "flop", b->flop, "flop_per_s",
                  b->median > 0 ? b->flop / b->median : 0, "peak_rss_bytes", (json_int_t)usage.ru_maxrss * 1024,
                  "backend", backend_name[r->backend.kind], "dtype", backend_dtype_name(&r->backend));
    if (!j) abort();
    if (r->stage == BENCH_SUM) {
        json_object_set_new(j, "bytes", json_integer(BENCH_SUM_BYTES));
        json_object_set_new(j, "bytes_per_s", json_real(b->median > 0 ? BENCH_SUM_BYTES / b->median : 0));
    } else {
        json_object_set_new(j, "latent", json_pack("[i,i,i]", (int)r->latent[0], (int)r->latent[1], (int)r->latent[2]));
        json_object_set_new(j, "tokens", json_integer(r->tokens));
        json_object_set_new(j, "weights", json_string("random, of a fixed seed"));
        json_object_set_new(j, "threads", json_integer(r->backend.threads)); /* 0: as many as it may run on */
    }
    if (r->stage == BENCH_RENDER) {
        json_object_set_new(j, "steps", json_integer(r->steps));
        json_object_set_new(
            j, "stages",
            json_pack("{s:f, s:f, s:f}", "text_s", b->text_s, "denoise_s", b->denoise_s, "decode_s", b->decode_s));
    }
    json_object_set_new(j, "machine", host_json());
    if (ranks->count > 1 && r->stage != BENCH_SUM) bench_ranks_json(ranks, j); /* in a sum they wait for each other */
    return j;
}

/* ---- the command line ------------------------------------------------------------------------------------------------------ */

static struct {
    int stage, shape, backend, dtype, scenario, ranks;
    const char *latent, *out;
    bool json;
    BenchRequest request;
} given = {.stage = -1, .shape = -1, .scenario = -1, .ranks = 1, .request = {.tokens = 512, .repeat = 3}};

static const Option option[] = {
    {"stage", OPTION_CHOICE, &given.stage, .value = "transformer|step|vae-decode|vae-encode|text|render|sum",
     .help = "what to evaluate (a whole render); sum: what ranks exchange, 16 MiB each"},
    {"shape", OPTION_CHOICE, &given.shape, .value = "1.3b|5b|14b|mlperf",
     .help = "of which published model; mlperf: A14B, 720x1280, 81 frames, 20 steps, on processors a part of it"},
    {"scenario", OPTION_CHOICE, &given.scenario, .value = "single-stream|offline",
     .help = "whole renders, as MLPerf measures latency or throughput; says which of its rules were broken"},
    {"steps", OPTION_INT, &given.request.steps, .value = "N", .min = 1, .max = 1000, .help = "of a render (20)"},
    {"ranks", OPTION_INT, &given.ranks, .value = "N", .min = 1, .max = COLL_MAX_RANKS,
     .help = "so many processes measure at the same time, here or where mpirun started this: a slow node is named"},
    {"layers", OPTION_INT, &given.request.layers, .value = "N", .min = 1, .max = 1000,
     .help = "of the transformer or text encoder (as the model has)"},
    {"latent", OPTION_TEXT, &given.latent, .value = "FxHxW", .help = "frames, height, width before patching"},
    {"tokens", OPTION_INT, &given.request.tokens, .value = "N", .min = 1, .max = 512, .help = "of the prompt (512)"},
    {"dtype", OPTION_CHOICE, &given.dtype, .value = WORK_DTYPES,
     .help = "of matrix products (fp32); fp8 on cuda, int8 on cpu: of the blocks; int8 on cuda: of attention"},
    {"backend", OPTION_CHOICE, &given.backend, .value = WORK_BACKENDS, .help = "(cpu)"},
    {"threads", OPTION_INT, &given.request.backend.threads, .value = "N", .min = 1, .max = 4096,
     .help = "(as many as the process may run on)"},
    {"repeat", OPTION_INT, &given.request.repeat, .value = "N", .min = 1, .max = 1000,
     .help = "measured evaluations, after one that warms up (3)"},
    {"min-duration", OPTION_REAL, &given.request.least_s, .value = "S", .min = 0, .max = 1e6,
     .help = "and as many more as fill so many seconds"},
    {"out", OPTION_TEXT, &given.out, .value = "FILE.json",
     .help = "of a scenario: the same as a file, and a page beside it"},
    {"json", OPTION_FLAG, &given.json, .help = "print one JSON object"},
};

static const Usage usage = {
    .verb = "bench",
    .arguments = "--stage STAGE | --scenario SCENARIO, --shape SHAPE [options]",
    .about = "Times one stage of the engine, or whole renders, with random weights; --stage "
             "finish: a clip's files, --stage roofline: single operations; each has a --help of its own.",
    .option = option,
    .option_count = (int)(sizeof option / sizeof *option)};

/* Stages that have options of their own. */
static bool asks_for(const char *stage, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if ((strncmp(argv[i], "--stage=", 8) == 0 && strcmp(argv[i] + 8, stage) == 0) ||
            (i + 1 < argc && strcmp(argv[i], "--stage") == 0 && strcmp(argv[i + 1], stage) == 0))
            return true;
    return false;
}

static Status take_options(BenchRequest *r)
{
    if (given.scenario >= 0 && given.stage >= 0 && given.stage != BENCH_RENDER)
        return status_fail(ERR_INPUT, "--scenario measures whole renders; leave --stage %s out, or --scenario",
                           bench_stage_name[given.stage]);
    if (given.out) TRY(file_check_place(given.out));
    r->stage = given.stage >= 0 ? (BenchStage)given.stage : BENCH_RENDER;
    if (given.out && given.scenario < 0)
        return status_fail(ERR_INPUT, "--out %s: expected --scenario, too; else --json > FILE", given.out);
    if (given.shape < 0 && r->stage != BENCH_SUM)
        return status_fail(ERR_INPUT, "--shape is missing: 1.3b, 5b, 14b or mlperf");
    if (r->stage == BENCH_SUM && given.ranks < 2)
        return status_fail(ERR_INPUT, "--stage sum: expected --ranks N, 2 to %d", COLL_MAX_RANKS);
    r->shape = given.shape >= 0 ? (BenchShape)given.shape : BENCH_14B;
    const int threads = r->backend.threads;
    r->backend = worker_backend(given.backend, given.dtype, given.dtype); /* a stage computes in what was asked */
    r->backend.threads = threads;
    if (given.latent) TRY(bench_read_latent(given.latent, r->latent));
    bench_rules_complete(r);
    TRY(check_request(r, given.latent));
    if (r->stage == BENCH_STEP && r->least_s > 0)
        return status_fail(ERR_INPUT, "--min-duration: not with --stage step, whose schedule has an end; --repeat N");
    return status_ok();
}

static void print_result(const BenchRequest *r, const BenchResult *b, const BenchRanks *ranks)
{
    if (r->stage == BENCH_SUM)
        foreign_print(stdout, "sum of 16 MiB over %d ranks: %.4g s (%.4g to %.4g), %.2f GB/s\n", ranks->count,
                      b->median, b->min, b->max, BENCH_SUM_BYTES / b->median / 1e9);
    else
        foreign_print(stdout, "%s %s %s on %s: %.4g s (%.4g to %.4g), %.1f GFLOP/s\n", bench_stage_name[r->stage],
                      bench_shape_name[r->shape], backend_dtype_name(&r->backend), backend_name[r->backend.kind],
                      b->median, b->min, b->max, b->flop / b->median / 1e9);
    if (ranks->count > 1 && r->stage != BENCH_SUM) bench_ranks_print(ranks);
}

/* What MLPerf asks for, and what was not kept of it. */
static void tell_scenario(const BenchRequest *r, const BenchResult *b, const BenchRanks *ranks, json_t *j)
{
    static const char *const name[] = {[BENCH_SINGLE_STREAM] = "SingleStream", [BENCH_OFFLINE] = "Offline"};
    json_t *broken = bench_rules_broken(r, b), *one;
    const double rate = ranks->count > 1 ? bench_ranks_rate(ranks) : b->count / b->all_s;
    size_t i;
    json_object_set_new(j, "scenario", json_string(name[given.scenario]));
    json_object_set_new(j, "samples_per_s", json_real(rate));
    json_object_set_new(j, "valid", json_boolean(json_array_size(broken) == 0));
    json_object_set_new(j, "invalid", broken);
    if (given.json) return;
    if (given.scenario == BENCH_SINGLE_STREAM)
        foreign_print(stdout, "SingleStream: nine of ten samples within %.4g s (p50 %.4g, p99 %.4g; %d samples)\n",
                      b->p90, b->median, b->p99, b->count);
    else
        foreign_print(stdout, "Offline: %.4g samples a second (%d samples in %.1f s)\n", rate, b->count, b->all_s);
    json_array_foreach(broken, i, one) foreign_print(stdout, "INVALID: %s\n", json_string_value(one));
}

static Status measure(const BenchRequest *r, Coll *group)
{
    BenchResult b;
    BenchRanks ranks = {.count = 1};
    Status status = coll_agree(group, bench_run(r, &b));
    if (!failed(status) && group->size > 1) status = bench_ranks_gather(group, &b, &ranks);
    if (!failed(status) && group->rank == 0) {
        json_t *j = result_json(r, &b, &ranks);
        if (!given.json) print_result(r, &b, &ranks);
        if (given.scenario >= 0) tell_scenario(r, &b, &ranks, j);
        if (given.out) status = bench_page_write(given.out, j, &b);
        if (given.json) foreign_print_json(stdout, j, JSON_REAL_PRECISION(9));
        json_decref(j);
    }
    bench_ranks_clear(&ranks);
    return status;
}

Status verb_bench(int argc, char **argv, LaunchRanks *launch)
{
    int first;
    RenderGroup group;
    if (asks_for("finish", argc, argv)) return bench_finish(argc, argv);
    if (asks_for("roofline", argc, argv)) return bench_roofline_verb(argc, argv);
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    BenchRequest *r = &given.request;
    TRY(take_options(r));
    if (given.ranks > 1 && !link_under_launcher())
        return render_group_launch(given.ranks, r->backend.threads, argc, argv, launch);
    Status status = render_group_join(given.ranks, &group);
    if (failed(status)) return status;
    if (group.threads && !r->backend.threads) r->backend.threads = group.threads;
    r->ranks = group.coll;
    return render_group_leave(&group, measure(r, group.coll));
}
