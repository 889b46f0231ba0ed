#include "bench_roofline.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/moment.h"
#include "common/options.h"
#include "worker/render/worker.h"

enum { MOST_TOKENS = 2048, PROMPT_ROWS = 512, MOST_PLACES = 1 << 14 /* of a convolution's frame */, FRAMES = 3 };
static const double least_s = 0.08; /* of each operation */

typedef struct
{ /* operands of all operations, in the sizes of one transformer block and of one residual block of the decoder */
    Backend *be;
    int64_t tokens, width, ffn, places[2], channels;
    int heads;
    Linear square, up;
    Conv conv;
    Tensor x, out, q, k, v, text, scale, shift, gain, cos, sin, features, feature_gain;
    float *numbers;
    json_t *list;
} Roofline;

static Tensor some(Roofline *r, int ndim, const int64_t *dim) { return backend_upload(r->be, r->numbers, ndim, dim); }
static Tensor rows(Roofline *r, int64_t count, int64_t width) { return some(r, 2, (int64_t[]){count, width}); }

static Status make_weights(Roofline *r)
{
    const int64_t square[] = {r->width, r->width}, up[] = {r->ffn, r->width},
                  kernel[] = {r->channels, r->channels, 3, 3, 3};
    const Tensor none = {0};
    r->square.quantize = r->up.quantize = true;
    TRY(linear_pack(r->be, tensor_view(r->numbers, F32, 2, square), none, &r->square));
    TRY(linear_pack(r->be, tensor_view(r->numbers, F32, 2, up), none, &r->up));
    r->conv = (Conv){.stride = {1, 1, 1}, .pad = {{1, 1}, {1, 1}}};
    return conv_pack(r->be, tensor_view(r->numbers, F32, 5, kernel), none, &r->conv);
}

static void make_operands(Roofline *r)
{
    const int64_t d = r->width, half = d / r->heads / 2;
    r->x = rows(r, r->tokens, d);
    r->out = rows(r, r->tokens, d);
    r->q = rows(r, r->tokens, d);
    r->k = rows(r, r->tokens, d);
    r->v = rows(r, r->tokens, d);
    r->text = rows(r, PROMPT_ROWS, d);
    r->scale = some(r, 1, &d);
    r->shift = some(r, 1, &d);
    r->gain = some(r, 1, &d);
    r->cos = rows(r, r->tokens, half);
    r->sin = rows(r, r->tokens, half);
    r->features = some(r, 4, (int64_t[]){FRAMES, r->places[0], r->places[1], r->channels});
    r->feature_gain = some(r, 1, &r->channels);
}

/* ---- the operations ---- */

static void do_square(Roofline *r) { op_linear(r->be, r->x, &r->square, ACT_NONE); }
static void do_up(Roofline *r) { op_linear(r->be, r->x, &r->up, ACT_GELU_TANH); }
static void do_self(Roofline *r)
{
    op_attention(r->be, r->q, r->k, r->v, r->heads, 1 / sqrtf((float)(r->width / r->heads)), (Tensor){0});
}
static void do_cross(Roofline *r)
{
    op_attention(r->be, r->q, r->text, r->text, r->heads, 1 / sqrtf((float)(r->width / r->heads)), (Tensor){0});
}
static void do_norm(Roofline *r) { op_norm_modulate(r->be, r->x, r->scale, r->shift, 1e-6f, r->out); }
static void do_rope(Roofline *r)
{
    const QkNorm n = {
        .gain = r->gain, .eps = 1e-6f, .heads = r->heads, .cos = r->cos, .sin = r->sin, .width = r->width};
    op_qk_norm_rope(r->be, r->q, &n);
}
static void do_conv(Roofline *r) { op_conv(r->be, r->features, &r->conv); }
static void do_channels(Roofline *r) { op_channel_norm(r->be, r->features, r->feature_gain, true); }

static Status measure_operation(Roofline *r, const char *name, DType dtype, double flop, double numbers,
                                void (*run)(Roofline *r))
{
    const double begin_s = moment_s();
    double least = 1e9;
    for (int n = 0; n < 2 || moment_s() - begin_s < least_s;
         n++) { /* the first one warms up; the quickest counts: a peak is one, too */
        const ArenaMark mark = backend_mark(r->be);
        const double before_s = moment_s();
        run(r);
        TRY(backend_finish(r->be));
        if (n > 0) least = fmin(least, moment_s() - before_s);
        backend_release(r->be, mark);
    }
    json_array_append_new(r->list, json_pack("{s:s, s:s, s:f, s:f, s:f}", "name", name, "dtype", dtype_name(dtype),
                                             "flop", flop, "bytes", 4 * numbers, "s", fmax(least, 1e-9)));
    return status_ok();
}

static Status measure_all(Roofline *r)
{
    const double t = (double)r->tokens, d = (double)r->width, f = (double)r->ffn, p = PROMPT_ROWS,
                 c = (double)r->channels, places = (double)(r->places[0] * r->places[1]);
    const BackendOptions o = backend_options(r->be);
    const DType some = o.compute, linear = o.quantized == INT8 ? INT8 : some;
    TRY(measure_operation(r, "product of attention (q, k, v, out)", linear, 2 * t * d * d, 2 * t * d + d * d,
                          do_square));
    TRY(measure_operation(r, "product of the feed-forward, GELU", linear, 2 * t * d * f, t * d + t * f + d * f, do_up));
    TRY(measure_operation(r, "self-attention", some, 4 * t * t * d, 4 * t * d, do_self));
    TRY(measure_operation(r, "cross-attention", some, 4 * t * p * d, 2 * t * d + 2 * p * d, do_cross));
    TRY(measure_operation(r, "norm and modulation", F32, 9 * t * d, 2 * t * d, do_norm));
    TRY(measure_operation(r, "norm and rotation of q and k", F32, 7 * t * d, 2 * t * d, do_rope));
    TRY(measure_operation(r, "convolution 3x3x3 of the decoder", some, 54 * (FRAMES - 2) * places * c * c,
                          (2 * FRAMES - 2) * places * c + 27 * c * c, do_conv));
    return measure_operation(r, "norm and SiLU of the decoder", F32, 8 * FRAMES * places * c, 2 * FRAMES * places * c,
                             do_channels);
}

/* Of each type in which an operation multiplies. */
static json_t *measure_peaks(const Roofline *r, const char *instructions, int threads)
{
    static const DType type[] = {F32, BF16, INT8};
    const BackendOptions o = backend_options(r->be);
    json_t *peaks = json_object();
    for (size_t i = 0; i < sizeof type / sizeof *type; i++)
        if (type[i] == F32 || type[i] == o.compute || type[i] == o.quantized)
            json_object_set_new(peaks, dtype_name(type[i]),
                                json_real(bench_peak_flop_per_s(type[i], instructions, threads)));
    return peaks;
}

static void set_sizes(Roofline *r, const DitConfig *dit, const VaeConfig *vae, const int64_t latent[3])
{
    int64_t tokens = 1;
    for (int i = 0; i < 3; i++) tokens *= latent[i] / dit->patch[i] > 0 ? latent[i] / dit->patch[i] : 1;
    r->tokens = tokens < MOST_TOKENS ? tokens : MOST_TOKENS;
    r->heads = dit->heads;
    r->width = (int64_t)dit->heads * dit->head_dim;
    r->ffn = dit->ffn_dim;
    r->channels = (int64_t)vae->decoder_base_dim * vae->dim_mult[vae->stages - 1];
    r->places[0] = latent[1];
    r->places[1] = latent[2];
    while (r->places[0] * r->places[1] > MOST_PLACES)
        r->places[0] = (r->places[0] + 1) / 2, r->places[1] = (r->places[1] + 1) / 2;
}

/* As many small numbers as the largest operand has. */
static float *make_numbers(const Roofline *r)
{
    const int64_t size[] = {
        r->tokens * r->width, PROMPT_ROWS * r->width,         r->width * r->ffn,
        r->width * r->width,  27 * r->channels * r->channels, FRAMES * r->places[0] * r->places[1] * r->channels};
    int64_t most = 0;
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) most = size[i] > most ? size[i] : most;
    float *v = memory_get((size_t)most, sizeof *v);
    for (int64_t i = 0; i < most; i++) v[i] = (float)(i * 7919 % 2003) / 2003 - 0.5f;
    return v;
}

Status bench_roofline(const BackendOptions *backend, const DitConfig *dit, const VaeConfig *vae,
                      const int64_t latent[3], json_t **out)
{
    Roofline r = {.list = json_array()};
    Status status = backend_open(backend, &r.be);
    if (!failed(status)) {
        const int threads = backend_options(r.be).threads;
        set_sizes(&r, dit, vae, latent);
        r.numbers = make_numbers(&r);
        status = make_weights(&r);
        if (!failed(status)) make_operands(&r);
        if (!failed(status)) status = measure_all(&r);
        char instructions[80];
        backend_kind(r.be, instructions, sizeof instructions);
        *out = json_pack("{s:s, s:i, s:s, s:s, s:I, s:o, s:f, s:O}", "stage", "roofline", "threads", threads, "dtype",
                         backend_dtype(r.be), "instructions", instructions, "tokens", (json_int_t)r.tokens, "peaks",
                         measure_peaks(&r, instructions, threads), "peak_bytes_per_s", bench_peak_bytes_per_s(threads),
                         "operations", r.list);
        linear_free(r.be, &r.square);
        linear_free(r.be, &r.up);
        conv_free(r.be, &r.conv);
        backend_close(&r.be);
    }
    if (failed(status)) json_decref(*out), *out = NULL;
    json_decref(r.list);
    free(r.numbers);
    return status;
}

static void print_roofline(const json_t *j)
{
    const double bytes_s = json_number_value(json_object_get(j, "peak_bytes_per_s"));
    json_t *peaks = json_object_get(j, "peaks"), *peak;
    const json_t *one;
    const char *type;
    size_t i;
    foreign_print(stdout, "peaks of this machine: ");
    json_object_foreach(peaks, type, peak)
        foreign_print(stdout, "%.1f GFLOP/s in %s, ", json_number_value(peak) / 1e9, type);
    foreign_print(stdout, "%.1f GB/s (%s)\n", bytes_s / 1e9, json_string_value(json_object_get(j, "instructions")));
    json_array_foreach(json_object_get(j, "operations"), i, one)
    {
        const double flop = json_number_value(json_object_get(one, "flop")),
                     bytes = json_number_value(json_object_get(one, "bytes")),
                     s = json_number_value(json_object_get(one, "s"));
        type = json_string_value(json_object_get(one, "dtype"));
        const double most = fmin(json_number_value(json_object_get(peaks, type)), flop / bytes * bytes_s);
        foreign_print(stdout, "  %-36s %s %8.1f GFLOP/s %8.1f GB/s, %3.0f %% of the roof\n",
                      json_string_value(json_object_get(one, "name")), type, flop / s / 1e9, bytes / s / 1e9,
                      100 * flop / s / most);
    }
}

static Status find_sizes(const char *model, int shape, const char *latent_text, ModelConfig **config, DitConfig *dit,
                         VaeConfig *vae, int64_t latent[3])
{
    BenchRequest r = {.shape = shape < 0 ? BENCH_1_3B : (BenchShape)shape};
    if ((shape < 0) == !model)
        return status_fail(ERR_INPUT, "--stage roofline: expected --shape or --model DIR, one of them");
    TRY(bench_read_latent(latent_text ? latent_text : "3x30x52", latent));
    if (model) TRY(model_config_read(model, config));
    *dit = model ? (*config)->dit : bench_dit(&r);
    *vae = model ? (*config)->vae : bench_vae(&r);
    return status_ok();
}

Status bench_roofline_verb(int argc, char **argv)
{
    const char *stage = "", *model = NULL, *latent_text = NULL;
    int shape = -1, dtype = 0, threads = 0, first;
    bool as_json = false;
    const Option option[] = {
        {"stage", OPTION_TEXT, &stage, .value = "roofline", .help = "what to do"},
        {"shape", OPTION_CHOICE, &shape, .value = "1.3b|5b|14b|mlperf",
         .help = "operations in the sizes of this published model"},
        {"model", OPTION_TEXT, &model, .value = "DIR",
         .help = "or of the model in this folder; its weights are not read"},
        {"latent", OPTION_TEXT, &latent_text, .value = "FxHxW",
         .help = "frames, height, width before patching (3x30x52)"},
        {"dtype", OPTION_CHOICE, &dtype, .value = WORK_DTYPES, .help = "of matrix products (fp32)"},
        {"threads", OPTION_INT, &threads, .value = "N", .min = 1, .max = 256,
         .help = "(as many as the process may run on)"},
        {"json", OPTION_FLAG, &as_json, .help = "print one JSON object"}};
    const Usage usage = {.verb = "bench",
                         .arguments = "--stage roofline --shape SHAPE|--model DIR [options]",
                         .about = "What single operations reach of what this machine's processors and memory could do.",
                         .option = option,
                         .option_count = (int)(sizeof option / sizeof *option)};
    ModelConfig *config = NULL;
    DitConfig dit;
    VaeConfig vae;
    int64_t latent[3];
    json_t *j = NULL;
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    BackendOptions backend = worker_backend(WORK_CPU, dtype, dtype);
    backend.threads = threads;
    Status status = find_sizes(model, shape, latent_text, &config, &dit, &vae, latent);
    if (!failed(status)) status = bench_roofline(&backend, &dit, &vae, latent, &j);
    if (!failed(status) && as_json)
        foreign_print_json(stdout, j, JSON_REAL_PRECISION(6));
    else if (!failed(status))
        print_roofline(j);
    json_decref(j);
    model_config_free(&config);
    return status;
}
