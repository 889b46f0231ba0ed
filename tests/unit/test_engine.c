/* test_engine.c - the engine's parts come and go without a trace: what was dropped to make room gives the same again. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/parts.h"

static const char fixture[] = SOURCE_DIR "/tests/parity/fixtures/t2v-0/model";

static Engine *open_fixture(void)
{
    const BackendOptions o = {.kind = BACKEND_CPU};
    Engine *e;
    Status status = engine_open(fixture, &o, &e);
    if (failed(status)) fail_msg("%s", status.message);
    return e;
}

static ShotSpec small_shot(const Engine *e)
{
    ShotSpec s = engine_config(e)->defaults;
    s.width = s.height = 32;
    s.frames = 5;
    s.steps = 3;
    s.guidance = 1;
    return s;
}

static void text_encoder_comes_back(void **state)
{
    (void)state;
    Engine *e = open_fixture();
    PromptEmbeds a, b;
    assert_int_equal(engine_encode(e, "A small red cat", "prompt", NULL, &a).err, OK);
    engine_drop(e, PART_TEXT);
    assert_int_equal(engine_encode(e, "A small red cat", "prompt", NULL, &b).err, OK);
    assert_int_equal(a.count, b.count);
    assert_memory_equal(a.rows, b.rows, (size_t)a.count * (size_t)a.dim * sizeof(float));
    prompt_embeds_free(&a);
    prompt_embeds_free(&b);
    engine_close(&e);
    assert_null(e);
}

/* Runs the shot; drops the transformer before step `drop` (-1: never). */
static void run(Engine *e, int drop, float *latents)
{
    const ShotSpec s = small_shot(e);
    PromptEmbeds p;
    Denoise *d;
    assert_int_equal(engine_encode(e, "A small red cat", "prompt", NULL, &p).err, OK);
    assert_int_equal(denoise_begin(e, &s, &p, NULL, NULL, NULL, &d).err, OK);
    for (int i = 0; i < s.steps; i++) {
        if (i == drop) engine_drop(e, PART_DIT);
        assert_int_equal(denoise_step(d).err, OK);
    }
    assert_int_equal(denoise_result(d, latents).err, OK);
    denoise_end(&d);
    prompt_embeds_free(&p);
}

static void transformer_comes_back_within_a_shot(void **state)
{
    (void)state;
    Engine *e = open_fixture();
    const ShotSpec s = small_shot(e);
    int64_t dim[4];
    engine_latent_dims(engine_config(e), &s, dim);
    const size_t bytes = (size_t)(dim[0] * dim[1] * dim[2] * dim[3]) * sizeof(float);
    float *a = malloc(bytes), *b = malloc(bytes);
    run(e, -1, a);
    run(e, 2, b);
    assert_memory_equal(a, b, bytes);
    free(a);
    free(b);
    engine_close(&e);
}

static void conditions_are_checked(void **state)
{
    (void)state;
    Engine *e = open_fixture();
    const ShotSpec s = small_shot(e);
    const uint8_t rgb[3] = {1, 2, 3};
    const Picture picture = {1, 1, rgb};
    const Conditions image = {.image = &picture}, reference = {.reference = &picture, .references = 1};
    PromptEmbeds p;
    Denoise *d;
    assert_int_equal(engine_encode(e, "", "prompt", NULL, &p).err, OK);
    assert_int_equal(p.count, 1); /* </s> alone */
    Status status = denoise_begin_with(e, &s, &p, NULL, &image, NULL, NULL, &d);
    assert_true(status.err == ERR_INPUT && strstr(status.message, "takes none"));
    status = denoise_begin_with(e, &s, &p, NULL, &reference, NULL, NULL, &d);
    assert_true(status.err == ERR_INPUT && strstr(status.message, "takes none"));
    DenoiseState state_of_other = {.step = 2, .solver_count = 1};
    assert_int_equal(denoise_begin(e, &s, &p, NULL, NULL, NULL, &d).err, OK);
    assert_int_equal(denoise_restore(d, &state_of_other).err, ERR_INPUT);
    denoise_end(&d);
    prompt_embeds_free(&p);
    engine_close(&e);
}

/* Whole, and in tiles: 16-bit pixels of what is no number would be any. */
static void refuses_pixels_that_are_no_numbers(void **state)
{
    (void)state;
    for (int tiled = 0; tiled < 2; tiled++) {
        const BackendOptions o = {.kind = BACKEND_CPU, .threads = 1, .memory_bytes = tiled ? 1 : 0};
        const int64_t dim[4] = {16, 2, 4, 4};
        float latents[16 * 2 * 4 * 4] = {0};
        const float *frames;
        Engine *e;
        Decode *d;
        int n = 1;
        assert_int_equal(engine_open(fixture, &o, &e).err, OK);
        assert_int_equal(decode_begin(e, latents, dim, NULL, &d).err, OK);
        while (n) assert_int_equal(decode_next(d, &frames, &n).err, OK);
        decode_end(&d);
        latents[5] = NAN;
        assert_int_equal(decode_begin(e, latents, dim, NULL, &d).err, OK);
        Status status = decode_next(d, &frames, &n);
        if (!failed(status)) status = decode_next(d, &frames, &n);
        assert_int_equal(status.err, ERR_CLIP);
        assert_non_null(strstr(status.message, "no numbers"));
        decode_end(&d);
        engine_close(&e);
    }
}

/* Frames that no memory holds are a machine's failure, not the process's end. */
static void refuses_what_no_memory_holds(void **state)
{
    (void)state;
    Engine *e = open_fixture();
    const int64_t dim[4] = {16, (int64_t)1 << 30, (int64_t)1 << 10, (int64_t)1 << 10};
    const float latent = 0;
    Decode *d;
    Status status = decode_begin(e, &latent, dim, NULL, &d);
    assert_int_equal(status.err, ERR_NODE);
    assert_non_null(strstr(status.message, "out of memory"));
    assert_null(d);
    engine_close(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_encoder_comes_back), cmocka_unit_test(transformer_comes_back_within_a_shot),
        cmocka_unit_test(conditions_are_checked), cmocka_unit_test(refuses_pixels_that_are_no_numbers),
        cmocka_unit_test(refuses_what_no_memory_holds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
