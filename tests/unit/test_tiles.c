/* test_tiles.c - large frames in tiles give what whole frames give, and what is planned is what a run takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <malloc.h>

#include "common/file.h"
#include "engine/parts.h"
#include "engine/wan/tiles.h"
#include "kernels/backend.h"

static const char fixtures[] = SOURCE_DIR "/tests/parity/fixtures";

static Engine *open_as(const char *name, const BackendOptions *o)
{
    char *folder = text_format("%s/%s/model", fixtures, name);
    Engine *e;
    Status status = engine_open(folder, o, &e);
    if (failed(status)) fail_msg("%s", status.message);
    free(folder);
    return e;
}

static Engine *open_fixture(const char *name, int64_t memory_bytes)
{
    return open_as(name, &(BackendOptions){.kind = BACKEND_CPU, .threads = 1, .memory_bytes = memory_bytes});
}

/* ---- decoding -------------------------------------------------------------------------------------------------------------------- */

enum { LATENT_FRAMES = 3, TALL = 36, WIDE = 16, PIXELS = 8 }; /* in tiles above each other */

/* Every frame of a clip decoded with this much memory; *tiles: how many it took. */
static float *decode(int64_t memory_bytes, int *tiles, size_t *count)
{
    Engine *e = open_fixture("t2v-0", memory_bytes);
    const VaeConfig *c = &engine_config(e)->vae;
    const int64_t dim[4] = {c->z_dim, LATENT_FRAMES, TALL, WIDE};
    const size_t frame = (size_t)(TALL * WIDE * PIXELS * PIXELS * 3);
    float *latents = memory_get((size_t)(dim[0] * dim[1] * dim[2] * dim[3]), sizeof *latents);
    float *all = memory_get((1 + 4 * (LATENT_FRAMES - 1)) * frame, sizeof *all);
    const BackendOptions o = backend_options(engine_backend(e));
    Tiles t = tiles_choose(c, VAE_DECODER, &o, TALL, WIDE, memory_bytes);
    *tiles = tiles_count(&t);
    *count = 0;
    noise_fill(5, latents, dim[0] * dim[1] * dim[2] * dim[3]);
    Decode *d;
    const float *frames;
    int n;
    assert_int_equal(decode_begin(e, latents, dim, NULL, &d).err, OK);
    do {
        assert_int_equal(decode_next(d, &frames, &n).err, OK);
        if (n) memcpy(all + *count, frames, (size_t)n * frame * sizeof *all);
        *count += (size_t)n * frame;
    } while (n);
    decode_end(&d);
    free(latents);
    engine_close(&e);
    return all;
}

static void decoded_tiles_are_the_frame(void **state)
{
    (void)state;
    int64_t weights, work;
    int one, several;
    size_t count, same;
    Engine *e = open_fixture("t2v-0", 0);
    const BackendOptions o = backend_options(engine_backend(e));
    vae_measure(&engine_config(e)->vae, VAE_DECODER, &o, vae_least_pace, TALL, WIDE, &weights, &work);
    engine_close(&e);
    float *whole = decode(weights + work, &one, &count), *tiled = decode(weights + work - work / 8, &several, &same);
    assert_int_equal(one, 1);
    assert_true(several > 1);
    assert_int_equal(count, same);
    assert_int_equal(count, 9 * TALL * WIDE * PIXELS * PIXELS * 3);
    for (size_t i = 0; i < count; i++) /* half a step of 16 bits */
        if (tiled[i] - whole[i] > 0.51f / 65535 || whole[i] - tiled[i] > 0.51f / 65535)
            fail_msg("value %zu is %.7f in tiles, %.7f whole", i, (double)tiled[i], (double)whole[i]);
    free(whole);
    free(tiled);
}

/* ---- encoding -------------------------------------------------------------------------------------------------------------------- */

typedef struct {
    float *mean;
    size_t count;
} Kept;

static void keep_mean(void *self, const char *name, const char *dtype, const void *data, int ndim, const int64_t *dim)
{
    Kept *k = self;
    (void)dtype;
    if (strcmp(name, "vae.encode.0.mean") != 0) return;
    k->count = 1;
    for (int i = 0; i < ndim; i++) k->count *= (size_t)dim[i];
    k->mean = memory_get(k->count, sizeof *k->mean);
    memcpy(k->mean, data, k->count * sizeof *k->mean);
}

/* The mean that a picture's encoding gives with this much memory. */
static Kept encode(int64_t memory_bytes, const Picture *picture)
{
    Kept k = {0};
    const Trace trace = {.put = keep_mean, .self = &k};
    Engine *e = open_fixture("i2v_a14b-0", memory_bytes);
    ShotSpec s = engine_config(e)->defaults;
    s.width = picture->width;
    s.height = picture->height;
    s.frames = 5;
    s.steps = 1;
    s.guidance = 1;
    PromptEmbeds p = {memory_get((size_t)engine_config(e)->text.d_model, sizeof(float)), 1,
                      engine_config(e)->text.d_model};
    const Conditions given = {.image = picture};
    Denoise *d;
    Status status = denoise_begin_with(e, &s, &p, NULL, &given, NULL, &trace, &d);
    if (failed(status)) fail_msg("%s", status.message);
    denoise_end(&d);
    prompt_embeds_free(&p);
    engine_close(&e);
    return k;
}

static void encoded_tiles_are_the_frame(void **state)
{
    (void)state;
    enum { W = 256, H = 128 }; /* in tiles side by side */
    uint8_t *rgb = memory_get(W * H * 3, 1);
    for (unsigned i = 0; i < W * H * 3; i++) rgb[i] = (uint8_t)((i * 2654435761u) >> 24);
    const Picture picture = {W, H, rgb};
    int64_t weights, work;
    Engine *e = open_fixture("i2v_a14b-0", 0);
    const BackendOptions o = backend_options(engine_backend(e));
    const VaeConfig *c = &engine_config(e)->vae;
    vae_measure(c, VAE_ENCODER, &o, vae_least_pace, H / 8, W / 8, &weights, &work);
    Tiles t = tiles_choose(c, VAE_ENCODER, &o, H / 8, W / 8, weights + work - work / 8);
    assert_true(tiles_count(&t) > 1);
    engine_close(&e);
    Kept whole = encode(weights + work, &picture), tiled = encode(weights + work - work / 8, &picture);
    assert_int_equal(whole.count, tiled.count);
    assert_true(whole.count > 0);
    for (size_t i = 0; i < whole.count; i++)
        if (whole.mean[i] - tiled.mean[i] > 1e-5f || tiled.mean[i] - whole.mean[i] > 1e-5f)
            fail_msg("value %zu is %.7f in tiles, %.7f whole", i, (double)tiled.mean[i], (double)whole.mean[i]);
    free(whole.mean);
    free(tiled.mean);
    free(rgb);
}

/* ---- memory ---------------------------------------------------------------------------------------------------------------------- */

/* Bytes that malloc has handed out. */
static size_t taken(void)
{
    const struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

/* The most memory during the decoding of a clip; frames so many that what grows with them would show. */
static size_t peak_of_decoding(int64_t latent_frames, int64_t tall, int64_t memory_bytes)
{
    Engine *e = open_fixture("t2v-0", memory_bytes);
    const int64_t dim[4] = {engine_config(e)->vae.z_dim, latent_frames, tall, 2};
    float *latents = memory_get((size_t)(dim[0] * dim[1] * dim[2] * dim[3]), sizeof *latents);
    noise_fill(1, latents, dim[0] * dim[1] * dim[2] * dim[3]);
    Decode *d;
    const float *frames;
    int n;
    size_t peak = 0;
    const size_t before = taken();
    assert_int_equal(decode_begin(e, latents, dim, NULL, &d).err, OK);
    do {
        assert_int_equal(decode_next(d, &frames, &n).err, OK);
        const size_t now = taken() - before;
        if (now > peak) peak = now;
    } while (n);
    decode_end(&d);
    if (backend_peak_bytes(engine_backend(e)) > peak) peak = backend_peak_bytes(engine_backend(e));
    free(latents);
    engine_close(&e);
    return peak;
}

/* 61 frames, 13 frames: the latents themselves may make the difference, whole frames and in tiles. One latent frame is decoded
 * into 240 kB: kept, 12 of them would be 20 times the slack. */
static void decoding_does_not_grow_with_the_clip(void **state)
{
    enum { TALL_LATENT = 40, FEW = 4, MANY = 16 };
    (void)state;
    const size_t latents = (MANY - FEW) * 16 * 2 * sizeof(float), slack = 64 << 10;
    size_t few = peak_of_decoding(FEW, TALL_LATENT, 0), many = peak_of_decoding(MANY, TALL_LATENT, 0);
    if (many > few + TALL_LATENT * latents + slack) fail_msg("whole frames: %zu bytes, of 13 frames %zu", many, few);
    int64_t weights, work;
    Engine *e = open_fixture("t2v-0", 0);
    const BackendOptions o = backend_options(engine_backend(e));
    vae_measure(&engine_config(e)->vae, VAE_DECODER, &o, vae_least_pace, TALL_LATENT, 2, &weights, &work);
    engine_close(&e);
    few = peak_of_decoding(FEW, TALL_LATENT, weights + work * 7 / 8);
    many = peak_of_decoding(MANY, TALL_LATENT, weights + work * 7 / 8);
    if (many > few + TALL_LATENT * latents + slack) fail_msg("tiles: %zu bytes, of 13 frames %zu", many, few);
}

static void near(const char *what, int64_t planned, int64_t taken)
{
    if (planned > taken + taken / 10 || planned < taken - taken / 4)
        fail_msg("%s: planned %lld bytes, taken %lld", what, (long long)planned, (long long)taken);
}

/* What a shot keeps from step to step: UniPC four tensors of the latents' size more than Euler, in the plan as in the engine. */
static void what_steps_keep_is_planned(void **state)
{
    int64_t planned[2], kept[2], dim[4];
    (void)state;
    Engine *e = open_fixture("t2v-0", 0);
    const BackendOptions o = backend_options(engine_backend(e));
    ShotSpec s = engine_config(e)->defaults;
    PromptEmbeds p = {memory_get((size_t)engine_config(e)->text.d_model, sizeof(float)), 1,
                      engine_config(e)->text.d_model};
    for (int euler = 0; euler < 2; euler++) {
        EnginePlan plan;
        Denoise *d;
        snprintf(s.scheduler, sizeof s.scheduler, euler ? "euler" : "unipc");
        assert_int_equal(engine_plan(engine_config(e), &o, &s, INT64_MAX, &plan).err, OK);
        planned[euler] = plan.denoise.work;
        kept[euler] = -(int64_t)backend_kept_bytes(engine_backend(e));
        assert_int_equal(denoise_begin(e, &s, &p, &p, NULL, NULL, &d).err, OK);
        denoise_dims(d, dim);
        kept[euler] += (int64_t)backend_kept_bytes(engine_backend(e));
        denoise_end(&d);
    }
    const int64_t latent = dim[0] * dim[1] * dim[2] * dim[3] * (int64_t)sizeof(float);
    assert_int_equal(kept[1], 3 * latent); /* itself, and a velocity for each branch */
    assert_int_equal(kept[0] - kept[1], 4 * latent);
    assert_int_equal(planned[0] - planned[1], 4 * latent);
    prompt_embeds_free(&p);
    engine_close(&e);
}

/* The plan leaves out what each thread takes for itself: it may be below, by a part that shrinks as the shot grows. */
static void plan_and_take(DType compute)
{
    const BackendOptions asked = {.kind = BACKEND_CPU, .compute = compute, .threads = 1};
    Engine *e = open_as("t2v-0", &asked);
    const BackendOptions o = backend_options(engine_backend(e));
    ShotSpec s = engine_config(e)->defaults;
    EnginePlan plan;
    PromptEmbeds p = {0};
    Denoise *d;
    s.width = 256;
    s.height = 192;
    s.frames = 13;
    s.steps = 1;
    s.guidance = 3;
    Status status = engine_plan(engine_config(e), &o, &s, INT64_MAX, &plan);
    if (failed(status)) fail_msg("%s", status.message);
    p = (PromptEmbeds){memory_get(512 * (size_t)engine_config(e)->text.d_model, sizeof(float)), 512,
                       engine_config(e)->text.d_model};
    assert_int_equal(denoise_begin(e, &s, &p, &p, NULL, NULL, &d).err, OK);
    assert_int_equal(denoise_step(d).err, OK);
    near("denoising", plan.denoise.weights + plan.denoise.work, (int64_t)backend_peak_bytes(engine_backend(e)));
    denoise_end(&d);
    prompt_embeds_free(&p);
    engine_close(&e);
    e = open_as("t2v-0", &asked);
    int64_t dim[4];
    engine_latent_dims(engine_config(e), &s, dim);
    float *latents = memory_get((size_t)(dim[0] * dim[1] * dim[2] * dim[3]), sizeof *latents);
    Decode *decode;
    const float *frames;
    int n;
    assert_int_equal(decode_begin(e, latents, dim, NULL, &decode).err, OK);
    do assert_int_equal(decode_next(decode, &frames, &n).err, OK);
    while (n);
    near("decoding", plan.decode.weights + plan.decode.work, (int64_t)backend_peak_bytes(engine_backend(e)));
    decode_end(&decode);
    free(latents);
    engine_close(&e);
}

static void what_is_planned_is_taken(void **state)
{
    (void)state;
    plan_and_take(F32);
}

/* The autoencoder is fp32 beside a bf16 transformer, in the plan as in the engine. */
static void what_is_planned_in_bf16_is_taken(void **state)
{
    (void)state;
    plan_and_take(BF16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoded_tiles_are_the_frame),          cmocka_unit_test(encoded_tiles_are_the_frame),
        cmocka_unit_test(decoding_does_not_grow_with_the_clip), cmocka_unit_test(what_is_planned_is_taken),
        cmocka_unit_test(what_is_planned_in_bf16_is_taken),     cmocka_unit_test(what_steps_keep_is_planned)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
