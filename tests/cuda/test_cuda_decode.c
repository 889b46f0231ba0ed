/* test_cuda_decode - the autoencoder on the CUDA back end without a device (see test_cuda_host.c): frames that are computed together are
 * those that are computed one by one, and a plan says what they take. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/file.h"
#include "engine/engine.h"
#include "engine/wan/tiles.h"
#include "kernels/cuda/cuda.h"

enum { FRAMES = 5, H = 1, W = 2, LATENT_CHANNELS = 48 /* the most */ };

static void ok(Status s)
{
    if (failed(s)) fail_msg("%s", s.message);
}

typedef struct {
    float *pixels;
    size_t count;
    int64_t taken, planned; /* bytes */
} Decoded;

static void decode_latents(Backend *be, Vae *v, const VaeConfig *c, VaePace pace, Decoded *d)
{
    VaeStream *s = vae_begin(v, pace);
    float z[LATENT_CHANNELS * FRAMES * H * W];
    const int64_t frame = H * W * c->z_dim;
    for (int64_t i = 0; i < FRAMES * frame; i++) z[i] = sinf((float)(i * i % 1009));
    for (int64_t f = 0, n = 1; f < FRAMES; f += n) {
        n = f ? pace.latents : 1;
        ArenaMark mark = backend_mark(be);
        Tensor y = vae_decode(s, backend_upload(be, z + f * frame, 4, (int64_t[]){n, H, W, c->z_dim}));
        backend_download(be, y, d->pixels + d->count);
        ok(backend_status(be));
        d->count += (size_t)tensor_count(y);
        backend_release(be, mark);
    }
    vae_end(&s);
}

static Decoded decode(const char *model, DType type, VaePace pace)
{
    const BackendOptions o = {.kind = BACKEND_CUDA, .compute = type, .exact = type};
    Decoded d = {0};
    Backend *be = NULL;
    ModelConfig *config;
    WeightSource *source;
    int64_t weights, work;
    char *folder = text_format("%s/vae", model);
    backend_register_cuda(&cuda_kernels);
    ok(backend_open(&o, &be));
    ok(model_config_read(model, &config));
    ok(weights_open(folder, "diffusion_pytorch_model", &source));
    const VaeConfig *c = &config->vae;
    Vae *v = vae_new(c, VAE_DECODER);
    ok(vae_load(v, source, be));
    d.pixels =
        memory_get((size_t)(FRAMES * c->scale_time * H * W * c->scale_space * c->scale_space * 3), sizeof *d.pixels);
    decode_latents(be, v, c, pace, &d);
    d.taken = (int64_t)backend_peak_bytes(be);
    vae_measure(c, VAE_DECODER, &o, pace, H, W, &weights, &work);
    d.planned = weights + work;
    vae_free(&v);
    weights_close(&source);
    model_config_free(&config);
    backend_close(&be);
    free(folder);
    return d;
}

/* Beside frames one by one: all together, and pieces that differ from stage to stage. */
static void check(const char *model, DType type)
{
    static const VaePace pace[] = {{1, 1}, {1 << 30, 4}, {10000, 4}, {4000, 2}};
    Decoded one = {0};
    for (size_t i = 0; i < sizeof pace / sizeof *pace; i++) {
        Decoded d = decode(model, type, pace[i]);
        if (i == 0) one = d;
        assert_int_equal(d.count, one.count);
        assert_memory_equal(d.pixels, one.pixels, d.count * sizeof *d.pixels);
        printf("pieces of %lld bytes, %d latent frames: planned %lld, taken %lld\n", (long long)pace[i].piece_bytes,
               pace[i].latents, (long long)d.planned, (long long)d.taken);
        assert_true(d.taken <= d.planned + d.planned / 50 && d.planned <= d.taken + d.taken / 10);
        if (i > 0) free(d.pixels);
    }
    free(one.pixels);
}

#define MODEL(name) SOURCE_DIR "/tests/parity/fixtures/" name "/model"

static void test_bf16(void **state)
{
    (void)state;
    check(MODEL("t2v-0"), BF16);
}

/* The stage's input goes around it, repeated up. */
static void test_residual(void **state)
{
    (void)state;
    check(MODEL("ti2v5b_i2v-0"), F32);
}

/* As a shot's frames come: of four latent frames at once, with much memory, or one. */
static size_t decode_shot(int64_t memory_bytes, int at_once, float *all)
{
    const BackendOptions o = {.kind = BACKEND_CUDA, .compute = BF16, .exact = BF16, .memory_bytes = memory_bytes};
    Engine *e;
    Decode *d;
    const float *frames;
    int n = 1;
    size_t count = 0;
    ok(engine_open(MODEL("t2v-0"), &o, &e));
    const VaeConfig *c = &engine_config(e)->vae;
    const int64_t dim[4] = {c->z_dim, FRAMES, H, W};
    const size_t frame = (size_t)(H * W * c->scale_space * c->scale_space * 3);
    float z[LATENT_CHANNELS * FRAMES * H * W];
    for (int64_t i = 0; i < dim[0] * dim[1] * dim[2] * dim[3]; i++) z[i] = sinf((float)(i * i % 1009));
    const Tiles t = tiles_choose(c, VAE_DECODER, &o, H, W, memory_bytes);
    assert_int_equal(tiles_count(&t), 1);
    assert_int_equal(t.pace.latents, at_once);
    ok(decode_begin(e, z, dim, NULL, &d));
    for (int call = 0; n > 0; call++) {
        ok(decode_next(d, &frames, &n));
        assert_int_equal(n, call == 0 ? 1 : call < FRAMES ? c->scale_time : 0);
        if (n > 0) memcpy(all + count, frames, (size_t)n * frame * sizeof *all);
        count += (size_t)n * frame;
    }
    decode_end(&d);
    engine_close(&e);
    return count;
}

static void test_shot(void **state)
{
    enum { MOST = (1 + 4 * (FRAMES - 1)) * H * W * 64 * 3, PLENTY = 1 << 30, SCARCE = 600 << 10 };
    static float many[MOST], one[MOST];
    (void)state;
    backend_register_cuda(&cuda_kernels);
    assert_int_equal(decode_shot(PLENTY, 4, many), MOST);
    assert_int_equal(decode_shot(SCARCE, 1, one), MOST);
    assert_memory_equal(many, one, sizeof one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bf16), cmocka_unit_test(test_residual),
                                       cmocka_unit_test(test_shot)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
