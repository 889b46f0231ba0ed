/* test_calibrate.c - which steps may be left out is measured: nothing at a bound of nothing, more at a larger one, and the file says it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/log.h"
#include "worker/verbs/verbs.h"

enum { SHOTS = 2 };
static const char file[] = "test_calibrate.json", model[] = SOURCE_DIR "/tests/parity/fixtures/t2v-0/model";

static ShotSpec shot_of(char *prompt)
{
    static char grey[] = "grey";
    return (ShotSpec){.prompt = prompt,
                      .negative = grey,
                      .seed = 3,
                      .width = 48,
                      .height = 32,
                      .frames = 9,
                      .fps = 8,
                      .steps = 8,
                      .guidance = 4,
                      .flow_shift = 3,
                      .scheduler = "unipc"};
}

static json_t *measure(double bound)
{
    static char red[] = "a red cat", blue[] = "a blue dog";
    const ShotSpec shot[SHOTS] = {shot_of(red), shot_of(blue)};
    const CalibrateOptions o = {.model_folder = model,
                                .model_hash = "00",
                                .output = file,
                                .bound = bound,
                                .backend = WORK_CPU,
                                .dtype = WORK_FP32,
                                .threads = 1};
    const Status status = calibrate(shot, SHOTS, &o);
    if (failed(status)) fail_msg("%s", status.message);
    json_t *j = json_load_file(file, 0, NULL);
    assert_non_null(j);
    assert_int_equal(json_integer_value(json_object_get(j, "steps")), 8);
    assert_int_equal(json_integer_value(json_object_get(j, "prompts")), SHOTS);
    assert_int_equal(json_array_size(json_object_get(j, "change")), 7);
    assert_true(json_number_value(json_object_get(j, "difference")) <= bound);
    return j;
}

static void keeps_to_the_bound(void **state)
{
    (void)state;
    json_t *none = measure(0), *all = measure(1);
    ShotSpec s = shot_of(NULL);
    bool reused[8];
    assert_string_equal(json_string_value(json_object_get(none, "reused_steps")), "");
    s.reused_steps = (char *)(uintptr_t)json_string_value(json_object_get(all, "reused_steps"));
    assert_true(strlen(s.reused_steps) > 0);
    assert_string_equal(shot_read_reused(&s, reused).message, "");
    assert_false(reused[0] || reused[7]); /* never the first, never the last */
    assert_true(json_number_value(json_object_get(all, "difference")) > 0);
    json_decref(none);
    json_decref(all);
    unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_to_the_bound)};
    log_set_level(LOG_WARNING);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
