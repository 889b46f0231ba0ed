/* A render that is stopped anywhere and gone on with ends bit for bit where an undisturbed one does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/log.h"
#include "worker/render/checkpoint.h"
#include "worker/render/render.h"

enum { STEPS = 5 };
static const char path[] = "test_render.h5", model_folder[] = SOURCE_DIR "/tests/parity/fixtures/t2v-0/model";
static Engine *engine;
static ShotSpec shot;
static char key[HASH_TEXT], model_hash[HASH_TEXT];
static RenderedLatents undisturbed;

static Status stop_before(void *self, const char *stage, int done, int total)
{
    (void)total;
    return strcmp(stage, "denoise") == 0 && done == *(int *)self ? status_fail(ERR_STOP, "told to stop") : status_ok();
}

static RenderJob job(const char *checkpoint, int *stop)
{
    return (RenderJob){.shot = &shot,
                       .key = key,
                       .model_hash = model_hash,
                       .checkpoint = checkpoint,
                       .resume = true,
                       .progress = {stop ? stop_before : NULL, stop}};
}

static void assert_same_latents(const RenderedLatents *r)
{
    size_t bytes = (size_t)(r->dim[0] * r->dim[1] * r->dim[2] * r->dim[3]) * sizeof(float);
    assert_memory_equal(r->dim, undisturbed.dim, sizeof r->dim);
    assert_memory_equal(r->latents, undisturbed.latents, bytes);
}

static void resumes_from_every_step(void **state)
{
    (void)state;
    for (int stop = 0; stop < STEPS; stop++) {
        RenderedLatents r;
        unlink(path);
        RenderJob first = job(path, &stop), second = job(path, NULL);
        assert_int_equal(render_latents(engine, &first, &r).err, ERR_STOP);
        assert_null(r.latents);
        assert_int_equal(r.steps_done, stop);
        assert_int_equal(file_exists(path), stop > 0);
        assert_string_equal(render_latents(engine, &second, &r).message, "");
        assert_int_equal(r.steps_resumed, stop);
        assert_int_equal(r.steps_done, STEPS - stop);
        assert_same_latents(&r);
        render_latents_free(&r);
    }
}

/* One step at a time, as if every attempt was preempted. */
static void resumes_again_and_again(void **state)
{
    (void)state;
    RenderedLatents r;
    unlink(path);
    for (int stop = 1; stop <= STEPS; stop++) {
        RenderJob j = job(path, &stop);
        assert_int_equal(render_latents(engine, &j, &r).err, stop < STEPS ? ERR_STOP : OK);
        assert_int_equal(r.steps_resumed, stop - 1);
        assert_int_equal(r.steps_done, 1);
    }
    assert_same_latents(&r);
    render_latents_free(&r);
}

static void a_finished_shot_is_only_read(void **state)
{
    (void)state;
    RenderedLatents r;
    unlink(path);
    RenderJob j = job(path, NULL);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(render_latents(engine, &j, &r).message, "");
        assert_int_equal(r.steps_resumed, i ? STEPS : 0);
        assert_same_latents(&r);
        render_latents_free(&r);
    }
}

/* Whatever cannot be used is not used: damaged, another shot's, not a checkpoint at all. */
static void starts_again_when_the_checkpoint_is_no_good(void **state)
{
    (void)state;
    RenderedLatents r;
    Checkpoint c;
    RenderJob j = job(path, NULL);
    char *bytes;
    size_t n;
    log_set_level(LOG_ERROR); /* the warnings are expected */
    for (int kind = 0; kind < 3; kind++) {
        int stop = 2;
        RenderJob first = job(path, &stop);
        unlink(path);
        assert_int_equal(render_latents(engine, &first, &r).err, ERR_STOP);
        assert_int_equal(file_read(path, 1 << 24, &bytes, &n).err, OK);
        bytes[n / 2] ^= 1;
        if (kind == 0) assert_int_equal(file_replace(path, bytes, n).err, OK);
        if (kind == 1) assert_int_equal(file_replace(path, bytes, n / 2).err, OK);
        free(bytes);
        if (kind == 2) {
            assert_int_equal(checkpoint_read(path, NULL, &c).err, OK);
            c.owner.seed++;
            assert_int_equal(checkpoint_write(path, &c).err, OK);
            checkpoint_clear(&c);
        }
        assert_string_equal(render_latents(engine, &j, &r).message, "");
        assert_int_equal(r.steps_resumed, 0);
        assert_same_latents(&r);
        render_latents_free(&r);
    }
    log_set_level(LOG_INFO);
}

static void refuses_a_checkpoint_that_cannot_be_written(void **state)
{
    (void)state;
    RenderedLatents r;
    RenderJob j = job("no/such/folder/x.h5", NULL);
    j.checkpoint_every = 1;
    assert_int_equal(render_latents(engine, &j, &r).err, ERR_NODE);
    assert_int_equal(r.steps_done, 1);
    assert_null(r.latents);
}

/* ---- shared first steps ---- */

enum { TRUNK = 2 };
static const char shared[] = "test_render.shared";

static ShotSpec variant_of(const char *prompt)
{
    ShotSpec s = shot;
    s.prompt = (char *)(uintptr_t)prompt;
    s.trunk_prompt = (char *)(uintptr_t) "a cat";
    s.trunk_steps = TRUNK;
    return s;
}

static void empty_shared(void) { assert_int_equal(system("rm -rf test_render.shared"), 0); }

static RenderJob trunk_job(const ShotSpec *s, const char *folder, int *stop)
{
    RenderJob j = job(NULL, stop);
    j.shot = s;
    j.shared_folder = folder;
    return j;
}

static void render_variant(const char *prompt, const char *folder, RenderedLatents *out)
{
    const ShotSpec s = variant_of(prompt);
    const RenderJob j = trunk_job(&s, folder, NULL);
    assert_string_equal(render_latents(engine, &j, out).message, "");
}

static void assert_equal_latents(const RenderedLatents *a, const RenderedLatents *b)
{
    assert_memory_equal(a->latents, b->latents,
                        (size_t)(a->dim[0] * a->dim[1] * a->dim[2] * a->dim[3]) * sizeof(float));
}

/* The trunk is computed once; who finds it makes the bytes that it would make alone. */
static void shares_a_trunk(void **state)
{
    (void)state;
    RenderedLatents alone, first, second;
    empty_shared();
    render_variant("a red cat", NULL, &alone);
    assert_int_equal(alone.steps_done, STEPS);
    assert_memory_not_equal(alone.latents, undisturbed.latents, 64);
    render_variant("a grey cat", shared, &first);
    assert_int_equal(first.steps_done, STEPS);
    assert_int_equal(first.steps_resumed, 0);
    render_variant("a red cat", shared, &second);
    assert_int_equal(second.steps_done, STEPS - TRUNK);
    assert_int_equal(second.steps_resumed, TRUNK);
    assert_equal_latents(&second, &alone);
    assert_memory_not_equal(first.latents, second.latents, 64);
    render_latents_free(&alone);
    render_latents_free(&first);
    render_latents_free(&second);
}

/* Killed at any step, of the trunk or of the shot, with a checkpoint of the shot's own: the same bytes. */
static void a_stopped_trunk_is_gone_on_with(void **state)
{
    (void)state;
    RenderedLatents alone, r;
    const ShotSpec s = variant_of("a red cat");
    render_variant("a red cat", NULL, &alone);
    for (int stop = 1; stop < STEPS; stop++) {
        empty_shared();
        unlink(path);
        RenderJob first = trunk_job(&s, shared, &stop), second = trunk_job(&s, shared, NULL);
        first.checkpoint = second.checkpoint = path;
        assert_int_equal(render_latents(engine, &first, &r).err, ERR_STOP);
        assert_int_equal(r.steps_done, stop);
        assert_string_equal(render_latents(engine, &second, &r).message, "");
        assert_int_equal(r.steps_done + r.steps_resumed, STEPS);
        assert_int_equal(r.steps_resumed, stop);
        assert_equal_latents(&r, &alone);
        render_latents_free(&r);
    }
    render_latents_free(&alone);
}

static void a_damaged_trunk_is_computed_again(void **state)
{
    (void)state;
    RenderedLatents alone, r;
    char *bytes;
    size_t n;
    log_set_level(LOG_ERROR); /* the warnings are expected */
    empty_shared();
    render_variant("a red cat", shared, &alone);
    assert_int_equal(system("cp test_render.shared/*.trunk test_render.h5"), 0);
    assert_int_equal(file_read(path, 1 << 24, &bytes, &n).err, OK);
    bytes[n / 2] ^= 1;
    assert_int_equal(file_replace(path, bytes, n).err, OK);
    assert_int_equal(system("f=$(ls test_render.shared/*.trunk) && cp test_render.h5 \"$f\""), 0);
    render_variant("a red cat", shared, &r);
    assert_int_equal(r.steps_done, STEPS);
    assert_equal_latents(&r, &alone);
    render_latents_free(&r);
    render_variant("a red cat", shared, &r); /* the damaged one was replaced */
    assert_int_equal(r.steps_resumed, TRUNK);
    render_latents_free(&r);
    render_latents_free(&alone);
    log_set_level(LOG_INFO);
    free(bytes);
}

/* A folder that cannot be made costs the sharing, not the shot. */
static void renders_without_a_folder_to_share(void **state)
{
    (void)state;
    RenderedLatents alone, r;
    log_set_level(LOG_ERROR);
    render_variant("a red cat", NULL, &alone);
    render_variant("a red cat", "/proc/no/such", &r);
    assert_equal_latents(&r, &alone);
    render_latents_free(&r);
    render_latents_free(&alone);
    log_set_level(LOG_INFO);
}

/* ---- guidance at some noise levels ---- */

static void guides_where_it_is_told_to(void **state)
{
    (void)state;
    RenderedLatents r, again;
    ShotSpec s = shot;
    RenderJob j = job(NULL, NULL);
    j.shot = &s;
    s.guided_from = 1;
    s.guided_to = 0;
    assert_string_equal(render_latents(engine, &j, &r).message, "");
    assert_same_latents(&r);
    render_latents_free(&r);
    s.guided_to = 0.7; /* sigma falls from 1: the first steps alone */
    assert_string_equal(render_latents(engine, &j, &r).message, "");
    assert_memory_not_equal(r.latents, undisturbed.latents, 64);
    for (int stop = 1; stop < STEPS; stop++) {
        unlink(path);
        RenderJob first = job(path, &stop), second = job(path, NULL);
        first.shot = second.shot = &s;
        assert_int_equal(render_latents(engine, &first, &again).err, ERR_STOP);
        assert_string_equal(render_latents(engine, &second, &again).message, "");
        assert_equal_latents(&again, &r);
        render_latents_free(&again);
    }
    render_latents_free(&r);
    s.guided_from = 0.7; /* nothing is left of it */
    assert_int_equal(render_latents(engine, &j, &r).err, ERR_INPUT);
}

/* ---- steps that reuse what was computed ---- */

/* A stop waits for a step that can be gone on from; a checkpoint at each step skips those that cannot. */
static void reuses_what_was_computed(void **state)
{
    (void)state;
    static const int rests_at[STEPS + 1] = {0, 3, 3, 3, 5, 5}; /* where a stop before each step comes to lie */
    RenderedLatents r, again;
    ShotSpec s = shot;
    s.reused_steps = (char *)(uintptr_t) "1,2,4";
    RenderJob j = job(NULL, NULL);
    j.shot = &s;
    assert_string_equal(render_latents(engine, &j, &r).message, "");
    assert_memory_not_equal(r.latents, undisturbed.latents, 64);
    for (int every = 0; every < 2; every++)
        for (int stop = 1; stop < STEPS; stop++) {
            unlink(path);
            RenderJob first = job(path, &stop), second = job(path, NULL);
            first.shot = second.shot = &s;
            first.checkpoint_every = every;
            assert_int_equal(render_latents(engine, &first, &again).err, ERR_STOP);
            assert_int_equal(again.steps_done, rests_at[stop]);
            assert_string_equal(render_latents(engine, &second, &again).message, "");
            assert_int_equal(again.steps_resumed, rests_at[stop]);
            assert_equal_latents(&again, &r);
            render_latents_free(&again);
        }
    s.trunk_steps = TRUNK; /* its first step after the trunk is its own, whatever the list says */
    s.trunk_prompt = (char *)(uintptr_t) "a cat";
    empty_shared();
    j.shared_folder = shared;
    assert_string_equal(render_latents(engine, &j, &again).message, "");
    render_latents_free(&r);
    assert_string_equal(render_latents(engine, &j, &r).message, "");
    assert_int_equal(r.steps_resumed, TRUNK);
    assert_equal_latents(&again, &r);
    render_latents_free(&again);
    render_latents_free(&r);
}

static void refuses_steps_that_are_none(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "0", "5", "2,1", "1,,2", "1;2", "a", "1,", "-1", "99999999999999999999"};
    RenderedLatents r;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ShotSpec s = shot;
        s.reused_steps = (char *)(uintptr_t)bad[i];
        RenderJob j = job(NULL, NULL);
        j.shot = &s;
        const Status status = render_latents(engine, &j, &r);
        assert_int_equal(status.err, ERR_INPUT);
        assert_non_null(strstr(status.message, "expected steps from 1 to 4 that rise"));
    }
}

static int count_frames;

static Status count_put(void *self, const float *frames, int n, int height, int width)
{
    (void)self;
    for (int64_t i = 0; i < (int64_t)n * height * width * 3; i++) assert_true(frames[i] >= 0 && frames[i] <= 1);
    assert_int_equal(height, shot.height);
    assert_int_equal(width, shot.width);
    count_frames += n;
    return status_ok();
}

static void decodes_every_frame(void **state)
{
    (void)state;
    count_frames = 0;
    assert_string_equal(render_decode(engine, &undisturbed, NULL, (Progress){0}, (FrameSink){count_put, NULL}).message,
                        "");
    assert_int_equal(count_frames, shot.frames);
}

static int open_all(void **state)
{
    (void)state;
    const BackendOptions o = {.kind = BACKEND_CPU, .compute = F32, .threads = 1};
    Status s = model_config_hash(model_folder, model_hash);
    if (!failed(s)) s = engine_open(model_folder, &o, &engine);
    if (failed(s)) {
        print_error("%s\n", s.message);
        return 1;
    }
    shot = (ShotSpec){.prompt = text_copy("a red cat"),
                      .negative = text_copy("grey"),
                      .seed = 3,
                      .width = 48,
                      .height = 32,
                      .frames = 9,
                      .fps = 8,
                      .steps = STEPS,
                      .guidance = 4,
                      .flow_shift = 3,
                      .scheduler = "unipc"};
    shot_key(&shot, model_hash, key);
    RenderJob j = job(NULL, NULL);
    return failed(render_latents(engine, &j, &undisturbed));
}

static int close_all(void **state)
{
    (void)state;
    render_latents_free(&undisturbed);
    engine_close(&engine);
    shot_clear(&shot);
    unlink(path);
    empty_shared();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resumes_from_every_step),
        cmocka_unit_test(resumes_again_and_again),
        cmocka_unit_test(a_finished_shot_is_only_read),
        cmocka_unit_test(starts_again_when_the_checkpoint_is_no_good),
        cmocka_unit_test(refuses_a_checkpoint_that_cannot_be_written),
        cmocka_unit_test(shares_a_trunk),
        cmocka_unit_test(a_stopped_trunk_is_gone_on_with),
        cmocka_unit_test(a_damaged_trunk_is_computed_again),
        cmocka_unit_test(renders_without_a_folder_to_share),
        cmocka_unit_test(guides_where_it_is_told_to),
        cmocka_unit_test(reuses_what_was_computed),
        cmocka_unit_test(refuses_steps_that_are_none),
        cmocka_unit_test(decodes_every_frame),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
