/* A speaking transformer on every back end beside what diffsynth computed, and the file of its numbers damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/chain.h"
#include "common/file.h"
#include "engine/speech/speech_parts.h"
#include "tests/parity/s2v.h"

static const char *const fixtures[] = {"two-heads", "four-heads"};

static void check(const BackendOptions *o, double most_velocity, double most_inside)
{
    for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures; i++) {
        char *folder = text_format("%s/s2v/%s", FIXTURES, fixtures[i]);
        S2vReport r;
        Status status = s2v_compare(folder, o, NULL, NULL, &r);
        if (failed(status)) fail_msg("%s: %s", fixtures[i], status.message);
        print_message("%s: velocity %.2e, inside %.2e; hearing or not is %.2f of it\n", fixtures[i], r.velocity,
                      r.inside, r.sound);
        if (!(r.velocity <= most_velocity) || !(r.inside <= most_inside))
            fail_msg("%s: %s differs by more than is allowed", fixtures[i], r.where);
        assert_int_equal(r.compared, i == 0 ? 4 + 6 : 4); /* with four blocks, after two of which it hears */
        assert_true(r.sound > 0.01);
        free(folder);
    }
}

static void on_ref(void **state)
{
    (void)state;
    check(&(BackendOptions){.kind = BACKEND_REF}, 1e-4, 1e-4);
}

static void on_cpu(void **state)
{
    (void)state;
    check(&(BackendOptions){.kind = BACKEND_CPU}, 1e-4, 1e-4);
}

static void in_bf16(void **state)
{
    (void)state;
    check(&(BackendOptions){.kind = BACKEND_CPU, .compute = BF16}, 2e-2, 2e-2);
}

/* ---- two clips in a chain ---- */

static const char model[] = FIXTURES "/s2v/two-heads/model", chain[] = FIXTURES "/s2v/chain";

enum { EVERY_STEP = -1 };

static uint64_t chained(const BackendOptions *o, int resume_at)
{
    S2vChainReport r;
    Status status = s2v_chain(model, chain, &(ParityRun){.backend = *o, .resume_at = resume_at}, &r);
    if (failed(status)) fail_msg("%s", status.message);
    print_message("resumed at %d: model %.2e, latents %.2e, video %.2e\n", resume_at, r.model, r.latents, r.video);
    if (!(r.model <= 1e-4) || !(r.latents <= 1e-4) || !(r.video <= 1e-4)) fail_msg("%s differs", r.where);
    assert_int_equal(r.compared, 4 * 3 + 5); /* steps of two clips; frames */
    assert_int_equal(r.steps, 4);
    return r.sum;
}

static void chains_clips(void **state)
{
    (void)state;
    if (getenv("REELWRIGHT_LONG")) chained(&(BackendOptions){.kind = BACKEND_REF}, 0); /* 50 times as long */
    const BackendOptions o = {.kind = BACKEND_CPU};
    /* taken up anew inside the first clip, between the two, inside the second, and after all: to the same bytes */
    assert_true(chained(&o, EVERY_STEP) == chained(&o, 0));
}

/* ---- a knock, and which frame that is shown hears it ---- */

enum { KNOCK_SAMPLES = 4 * SPEECH_RATE, KNOCK_FRAMES = 64, KNOCK_LASTS = 48 * SPEECH_RATE / 1000 };

typedef struct {
    Engine *engine;
    ShotSpec shot;
    PromptEmbeds prompt, negative;
    float *sound;
    double *heard; /* of the first layer: [width][CHAIN_CLIP_FRAMES] */
    int64_t width;
} Knocking;

static void take_hidden(void *self, const char *name, const char *dtype, const void *data, int ndim, const int64_t *dim)
{
    Knocking *c = self;
    (void)dtype, (void)ndim;
    if (strcmp(name, "speech.hidden.0") != 0) return;
    c->width = dim[1];
    c->heard = memory_get((size_t)dim[1] * CHAIN_CLIP_FRAMES, sizeof *c->heard);
    speech_pick(data, dim[0], 1, 1, dim[1], c->heard);
}

/* What a shot hears of noise with a knock at so many seconds (below 0: without): [width][CHAIN_CLIP_FRAMES], free() it. */
static double *hear(Knocking *c, double knock_s)
{
    static const uint8_t grey[64 * 64 * 3] = {0};
    const Picture face = {64, 64, grey};
    const Conditions given = {.image = &face, .sound = c->sound, .sound_samples = KNOCK_SAMPLES};
    const Trace trace = {take_hidden, c, false};
    uint32_t noise = 1;
    Denoise *d = NULL;
    for (int i = 0; i < KNOCK_SAMPLES; i++) {
        noise = noise * 1664525 + 1013904223;
        c->sound[i] = ((float)(noise >> 8) / (1 << 24) - 0.5f) / 10;
        const double from = i - knock_s * SPEECH_RATE;
        if (knock_s >= 0 && from >= 0 && from < KNOCK_LASTS) c->sound[i] += i % 2 ? 0.1f : -0.1f;
    }
    Status status = denoise_begin_with(c->engine, &c->shot, &c->prompt, &c->negative, &given, NULL, &trace, &d);
    if (failed(status)) fail_msg("%s", status.message);
    denoise_end(&d);
    return c->heard;
}

/* The frame of the clip that hears it best. */
static int loudest(const Knocking *c, const double *with, const double *without)
{
    double most = 0;
    int at = -1;
    for (int i = 0; i < CHAIN_CLIP_FRAMES; i++) {
        double sum = 0;
        for (int k = 0; k < c->width; k++) {
            const double more = with[k * CHAIN_CLIP_FRAMES + i] - without[k * CHAIN_CLIP_FRAMES + i];
            sum += more * more;
        }
        if (sum > most) most = sum, at = i;
    }
    return at;
}

/* The first CHAIN_DROPPED frames that are made are not shown, and yet what sounds while a frame is shown is heard for that frame. */
static void hears_what_is_shown(void **state)
{
    (void)state;
    static const int shown[] = {0, 1, 2, 7, 13, 30, 45, 60};
    Knocking c = {.sound = memory_get(KNOCK_SAMPLES, sizeof(float))};
    assert_int_equal(
        engine_open_group(model, &(BackendOptions){.kind = BACKEND_CPU}, coll_self(), NULL, NULL, &c.engine).err, OK);
    shot_copy(&c.shot, &engine_config(c.engine)->defaults);
    c.shot.width = c.shot.height = 64;
    c.shot.frames = KNOCK_FRAMES;
    assert_int_equal(engine_encode(c.engine, "a", "prompt", NULL, &c.prompt).err, OK);
    assert_int_equal(engine_encode(c.engine, "", "negative", NULL, &c.negative).err, OK);
    double *without = hear(&c, -1);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        double *with = hear(&c, (double)shown[i] / CHAIN_FPS);
        const int frame = loudest(&c, with, without) - CHAIN_DROPPED;
        print_message("a knock at %.4f s: heard for the frame shown at %.4f s\n", (double)shown[i] / CHAIN_FPS,
                      (double)frame / CHAIN_FPS);
        assert_int_equal(frame, shown[i]);
        free(with);
    }
    free(without);
    prompt_embeds_free(&c.prompt);
    prompt_embeds_free(&c.negative);
    shot_clear(&c.shot);
    engine_close(&c.engine);
    free(c.sound);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(on_ref), cmocka_unit_test(on_cpu), cmocka_unit_test(in_bf16),
                                       cmocka_unit_test(chains_clips), cmocka_unit_test(hears_what_is_shown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
