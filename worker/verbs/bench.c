#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "common/file.h"
#include "common/moment.h"
#include "common/order.h"
#include "engine/sample/step.h"
#include "engine/text/text.h"
#include "engine/wan/tiles.h"

const char *const bench_stage_name[] = {"transformer", "step", "vae-decode", "vae-encode", "text", "render", "sum"};
const char *const bench_shape_name[] = {"1.3b", "5b", "14b", "mlperf"};

enum { PADDED_PROMPT = 512, BENCH_VOCABULARY = 1024 /* rows of the embedding table: only looked up, so few will do */ };

enum { MAX_PLACES = 1 << 22 }; /* of a latent: 4K for a minute, more than any of the models renders */

Status bench_read_latent(const char *text, int64_t latent[3])
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

/* ---- the published configurations ------------------------------------------------------------------------------------------ */

static const DitConfig dit_config[] = {
    [BENCH_1_3B] = {.heads = 12, .ffn_dim = 8960, .layers = 30, .in_channels = 16, .out_channels = 16},
    [BENCH_5B] = {.heads = 24, .ffn_dim = 14336, .layers = 30, .in_channels = 48, .out_channels = 48},
    [BENCH_14B] = {.heads = 40, .ffn_dim = 13824, .layers = 40, .in_channels = 16, .out_channels = 16},
};

DitConfig bench_dit(const BenchRequest *r)
{
    DitConfig c = dit_config[r->shape == BENCH_MLPERF ? BENCH_14B : r->shape];
    c.patch[0] = 1;
    c.patch[1] = c.patch[2] = 2;
    c.head_dim = 128;
    c.text_dim = 4096;
    c.freq_dim = 256;
    c.rope_max_len = 1024;
    c.cross_norm = true;
    c.eps = 1e-6f;
    if (r->layers) c.layers = r->layers;
    return c;
}

VaeConfig bench_vae(const BenchRequest *r)
{
    static const VaeConfig z16 = {.base_dim = 96,
                                  .decoder_base_dim = 96,
                                  .z_dim = 16,
                                  .in_channels = 3,
                                  .out_channels = 3,
                                  .patch = 1,
                                  .scale_space = 8};
    static const VaeConfig z48 = {.base_dim = 160,
                                  .decoder_base_dim = 256,
                                  .z_dim = 48,
                                  .in_channels = 12,
                                  .out_channels = 12,
                                  .patch = 2,
                                  .scale_space = 16,
                                  .residual = true};
    VaeConfig c = r->shape == BENCH_5B ? z48 : z16;
    static const int mult[] = {1, 2, 4, 4};
    c.stages = 4;
    for (int i = 0; i < c.stages; i++) c.dim_mult[i] = mult[i];
    c.res_blocks = 2;
    c.scale_time = 4;
    c.time_down[1] = c.time_down[2] = true; /* the first stage keeps time */
    return c;
}

static TextConfig bench_text(const BenchRequest *r)
{
    TextConfig c = {.vocab_size = BENCH_VOCABULARY,
                    .d_model = 4096,
                    .d_kv = 64,
                    .d_ff = 10240,
                    .layers = 24,
                    .heads = 64,
                    .buckets = 32,
                    .max_distance = 128,
                    .eps = 1e-6f};
    if (r->layers) c.layers = r->layers;
    return c;
}

static const ShotSpec bench_shot = {.guidance = 5, .flow_shift = 5, .scheduler = "unipc"};

/* ---- measuring --------------------------------------------------------------------------------------------------------------- */

/* The number below which the share q of them lies (nearest rank). */
static double quantile(const double *sorted, int count, double q)
{
    const int at = (int)ceil(q * count) - 1;
    return sorted[at < 0 ? 0 : at];
}

double bench_processor_s(void)
{
    struct rusage own, others;
    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &others);
    return (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec + others.ru_utime.tv_sec + others.ru_stime.tv_sec) +
           (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec + others.ru_utime.tv_usec + others.ru_stime.tv_usec) /
               1e6;
}

/* One evaluation that warms up, then r->repeat measured ones, and more until r->least_s are over. */
static Status measure(const BenchRequest *r, Status (*evaluate)(void *self), void *self, BenchResult *out)
{
    int room = r->repeat, n = 0;
    double *seconds = memory_get((size_t)room, sizeof *seconds);
    Status status = evaluate(self);
    const double begin = moment_s(), spent = bench_processor_s();
    while (!failed(status) && (n < r->repeat || moment_s() - begin < r->least_s)) {
        if (n == room) seconds = memory_resize(seconds, (size_t)(room *= 2), sizeof *seconds);
        const double before = moment_s();
        status = evaluate(self);
        seconds[n++] = moment_s() - before;
    }
    out->all_s = moment_s() - begin;
    out->processor_s = n ? (bench_processor_s() - spent) / n : 0;
    out->count = n;
    if (!failed(status)) {
        qsort(seconds, (size_t)n, sizeof *seconds, order_doubles);
        out->min = seconds[0];
        out->max = seconds[n - 1];
        out->median = (seconds[(n - 1) / 2] + seconds[n / 2]) / 2;
        out->p90 = quantile(seconds, n, 0.9);
        out->p99 = quantile(seconds, n, 0.99);
        for (int i = 0; i < BENCH_PERCENTILES; i++) out->percentile[i] = quantile(seconds, n, i / 100.0);
    }
    free(seconds);
    return status;
}

/* Numbers between -1 and 1 that look like noise. */
static float *some_numbers(int64_t count)
{
    float *v = memory_get((size_t)count, sizeof *v);
    uint32_t state = 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        v[i] = (float)(int32_t)state * 0x1p-31f;
    }
    return v;
}

/* ---- the stages -------------------------------------------------------------------------------------------------------------- */

typedef struct {
    Backend *be;
    const BenchRequest *request;
    DitShot *shot;
    Step step;
    Vae *vae;
    VaePace pace;
    TextEncoder *text;
    float *input, *noise, *rows;
    int latent_channels;
    Tensor summed;
    int64_t *ids;
    int64_t dim[4];
    double text_s, denoise_s, decode_s; /* of all renders so far */
} Bench;

static void evaluate_branch(Bench *b, int branch, Tensor latent)
{
    const Sampler *s = &b->step.sampler;
    const DitInput in = {.latent = latent, .timestep = s->schedule.timestep[s->step]};
    dit_forward(b->shot, branch, &in, b->step.velocity[branch]);
}

static Status evaluate_transformer(void *self)
{
    Bench *b = self;
    evaluate_branch(b, DIT_COND, step_input(&b->step));
    return backend_finish(b->be);
}

static Status evaluate_step(void *self)
{
    Bench *b = self;
    if (b->step.sampler.step == b->step.sampler.schedule.steps) return status_fail(ERR_FATAL, "no step is left");
    const Tensor latent = step_input(&b->step);
    for (int i = 0; i < DIT_BRANCHES; i++) evaluate_branch(b, i, latent);
    step_update(&b->step, DIT_BRANCHES, bench_shot.guidance);
    return backend_finish(b->be);
}

static void begin_step(Bench *b, const int64_t dim[4], int steps)
{
    static const SchedulerConfig unipc = {.train_steps = 1000,
                                          .order = 2,
                                          .lower_order_final = true,
                                          .predict_x0 = true,
                                          .bh2 = true,
                                          .final_sigma_zero = true};
    ShotSpec shot = bench_shot;
    shot.steps = steps;
    if (!b->noise) b->noise = some_numbers(dim[0] * dim[1] * dim[2] * dim[3]);
    const Condition given = {.dim = {dim[0], dim[1], dim[2], dim[3]}};
    step_begin(&b->step, b->be, &unipc, &shot, &given, b->noise);
}

static Status bench_transformer(Bench *b, BenchResult *out)
{
    const BenchRequest *r = b->request;
    const int branches = r->stage == BENCH_STEP ? DIT_BRANCHES : 1;
    DitConfig c = bench_dit(r);
    Dit *d = dit_new(&c);
    WeightSource *source = weights_random();
    const int64_t dim[4] = {c.in_channels, r->latent[0], r->latent[1], r->latent[2]};
    float *rows = some_numbers((int64_t)r->tokens * c.text_dim);
    Status status;
    begin_step(b, dim, r->repeat + 1); /* one warms up */
    TRY_OUT(dit_load(d, source, b->be));
    TRY_OUT(dit_shot_begin(d, dim, NULL, &b->shot));
    for (int i = 0; i < branches; i++) TRY_OUT(dit_shot_prompt(b->shot, i, rows, r->tokens, PADDED_PROMPT));
    out->layers = c.layers;
    out->flop = branches * bench_flop_transformer(&c, r->latent, r->tokens < PADDED_PROMPT ? r->tokens + 1 : r->tokens);
    TRY_OUT(measure(r, r->stage == BENCH_STEP ? evaluate_step : evaluate_transformer, b, out));
out:
    free(rows);
    weights_close(&source);
    dit_shot_end(&b->shot);
    step_end(&b->step);
    dit_free(&d);
    return status;
}

/* A whole clip, chunk by chunk: latent frames in, or the pictures of one latent frame. */
static Status evaluate_vae(void *self)
{
    Bench *b = self;
    bool encode = b->request->stage == BENCH_VAE_ENCODE;
    VaeStream *s = vae_begin(b->vae, b->pace);
    for (int64_t f = 0, n = 1; f < b->request->latent[0]; f += n) {
        const int64_t left = b->request->latent[0] - f;
        n = f == 0 ? 1 : left < b->pace.latents ? left : b->pace.latents; /* at once */
        int64_t dim[4] = {encode && f > 0 ? b->dim[0] : n, b->dim[1], b->dim[2], b->dim[3]};
        ArenaMark mark = backend_mark(b->be);
        Tensor x = backend_upload(b->be, b->input, 4, dim);
        if (encode)
            vae_encode(s, x);
        else
            vae_decode(s, x);
        backend_release(b->be, mark);
    }
    vae_end(&s);
    return backend_finish(b->be);
}

static Status load_autoencoder(Bench *b, bool encode, VaeConfig *c)
{
    const BenchRequest *r = b->request;
    *c = bench_vae(r);
    b->vae = vae_new(c, encode ? VAE_ENCODER : VAE_DECODER);
    const int scale = encode ? c->scale_space : 1;
    b->dim[0] = c->scale_time;
    b->dim[1] = r->latent[1] * scale;
    b->dim[2] = r->latent[2] * scale;
    b->dim[3] = encode ? 3 : c->z_dim;
    const BackendOptions o = backend_options(b->be);
    b->pace = tiles_choose(c, encode ? VAE_ENCODER : VAE_DECODER, &o, r->latent[1], r->latent[2], o.memory_bytes).pace;
    if (!encode) b->dim[0] = b->pace.latents;
    b->input = some_numbers(b->dim[0] * b->dim[1] * b->dim[2] * b->dim[3]);
    WeightSource *source = weights_random();
    Status status = vae_load(b->vae, source, b->be);
    weights_close(&source);
    return status;
}

static Status bench_autoencoder(Bench *b, BenchResult *out)
{
    const BenchRequest *r = b->request;
    const bool encode = r->stage == BENCH_VAE_ENCODE;
    VaeConfig c;
    TRY(load_autoencoder(b, encode, &c));
    out->layers = 0;
    out->flop = encode ? bench_flop_vae_encode(&c, r->latent) : bench_flop_vae_decode(&c, r->latent);
    return measure(r, evaluate_vae, b, out);
}

static Status evaluate_text(void *self)
{
    Bench *b = self;
    Tensor out;
    ArenaMark mark = backend_mark(b->be);
    TRY(text_encode(b->text, b->ids, b->request->tokens, &out));
    backend_release(b->be, mark);
    return backend_finish(b->be);
}

static Status load_text(Bench *b, TextConfig *c)
{
    const BenchRequest *r = b->request;
    *c = bench_text(r);
    b->text = text_new(c);
    b->ids = memory_get((size_t)r->tokens, sizeof *b->ids);
    for (int i = 0; i < r->tokens; i++) b->ids[i] = i * 7 % BENCH_VOCABULARY;
    WeightSource *source = weights_random();
    Status status = text_load(b->text, source, b->be);
    weights_close(&source);
    return status;
}

static Status bench_text_encoder(Bench *b, BenchResult *out)
{
    TextConfig c;
    TRY(load_text(b, &c));
    out->layers = c.layers;
    out->flop = bench_flop_text(&c, b->request->tokens);
    return measure(b->request, evaluate_text, b, out);
}

/* ---- a whole render ---------------------------------------------------------------------------------------------------------- */

static Status evaluate_render(void *self)
{
    Bench *b = self;
    const BenchRequest *r = b->request;
    const int64_t dim[4] = {b->latent_channels, r->latent[0], r->latent[1], r->latent[2]};
    const double begin_s = moment_s();
    Status status = status_ok();
    for (int i = 0; i < DIT_BRANCHES; i++) TRY(evaluate_text(b));
    const double encoded_s = moment_s();
    for (int i = 0; i < DIT_BRANCHES; i++) TRY(dit_shot_prompt(b->shot, i, b->rows, r->tokens, PADDED_PROMPT));
    begin_step(b, dim, r->steps);
    for (int i = 0; i < r->steps && !failed(status); i++) status = evaluate_step(b);
    step_end(&b->step);
    const double denoised_s = moment_s();
    if (!failed(status)) status = evaluate_vae(b);
    b->text_s += encoded_s - begin_s;
    b->denoise_s += denoised_s - encoded_s;
    b->decode_s += moment_s() - denoised_s;
    return status;
}

/* The prompt's numbers are not the encoder's: random weights make none that would differ in how long they take. */
static Status bench_render(Bench *b, BenchResult *out)
{
    const BenchRequest *r = b->request;
    DitConfig c = bench_dit(r);
    VaeConfig vae;
    TextConfig text;
    Dit *d = dit_new(&c);
    const int64_t dim[4] = {c.in_channels, r->latent[0], r->latent[1], r->latent[2]};
    WeightSource *source = weights_random();
    Status status;
    b->latent_channels = c.in_channels;
    b->rows = some_numbers((int64_t)r->tokens * c.text_dim);
    TRY_OUT(load_text(b, &text));
    TRY_OUT(load_autoencoder(b, false, &vae));
    TRY_OUT(dit_load(d, source, b->be));
    TRY_OUT(dit_shot_begin(d, dim, NULL, &b->shot));
    out->layers = c.layers;
    out->flop = DIT_BRANCHES *
                    (bench_flop_text(&text, r->tokens) + r->steps * bench_flop_transformer(&c, r->latent, r->tokens)) +
                bench_flop_vae_decode(&vae, r->latent);
    TRY_OUT(measure(r, evaluate_render, b, out));
    out->text_s = b->text_s / (out->count + 1);
    out->denoise_s = b->denoise_s / (out->count + 1);
    out->decode_s = b->decode_s / (out->count + 1);
out:
    weights_close(&source);
    dit_shot_end(&b->shot);
    dit_free(&d);
    return status;
}

/* ---- what ranks exchange ----------------------------------------------------------------------------------------------------- */

static Status evaluate_sum(void *self)
{
    Bench *b = self;
    coll_sum(b->request->ranks, b->be, b->summed);
    return backend_finish(b->be);
}

static Status bench_sum(Bench *b, BenchResult *out)
{
    const int64_t count = BENCH_SUM_BYTES / (int64_t)sizeof(float);
    b->input = some_numbers(count);
    b->summed = backend_upload(b->be, b->input, 1, &count);
    return measure(b->request, evaluate_sum, b, out);
}

Status bench_run(const BenchRequest *r, BenchResult *out)
{
    static Status (*const run[])(Bench *, BenchResult *) = {[BENCH_TRANSFORMER] = bench_transformer,
                                                            [BENCH_STEP] = bench_transformer,
                                                            [BENCH_VAE_DECODE] = bench_autoencoder,
                                                            [BENCH_VAE_ENCODE] = bench_autoencoder,
                                                            [BENCH_TEXT] = bench_text_encoder,
                                                            [BENCH_RENDER] = bench_render,
                                                            [BENCH_SUM] = bench_sum};
    Bench b = {.request = r};
    *out = (BenchResult){0};
    TRY(backend_open(&r->backend, &b.be));
    Status status = run[r->stage](&b, out);
    vae_free(&b.vae);
    text_free(&b.text);
    free(b.ids);
    free(b.rows);
    free(b.input);
    free(b.noise);
    backend_close(&b.be);
    return status;
}
