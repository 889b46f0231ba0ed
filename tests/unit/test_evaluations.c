/* test_evaluations.c - what the steps of a shot ask of the transformer, counted by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/evaluations.h"

static const SchedulerConfig unipc = {.train_steps = 1000,
                                      .order = 2,
                                      .lower_order_final = true,
                                      .predict_x0 = true,
                                      .bh2 = true,
                                      .final_sigma_zero = true};

static void count_is(const ModelConfig *c, const ShotSpec *s, int whole, int own)
{
    int found_whole, found_own;
    assert_int_equal(evaluations_of_shot(c, s, &found_whole, &found_own).err, OK);
    assert_int_equal(found_whole, whole);
    assert_int_equal(found_own, own);
}

static void counted_by_hand(void **state)
{
    (void)state;
    ModelConfig c = {.scheduler = unipc};
    ShotSpec s = {.steps = 8, .guidance = 5, .flow_shift = 1, .scheduler = "euler", .sigmas = "distilled"};
    count_is(&c, &s, 16, 16);
    s.guidance = 1; /* without the negative branch */
    count_is(&c, &s, 8, 8);
    s.guidance = 5;
    s.guided_from = 1, s.guided_to = 0.5; /* sigmas 1, 7/8, ..., 1/8: five of them */
    count_is(&c, &s, 13, 13);
    s.guided_from = s.guided_to = 0;
    s.reused_steps = (char *)(uintptr_t) "2,3,5";
    count_is(&c, &s, 10, 10);
    s.trunk_steps = 3; /* the shot's first own step is computed: of 3, 4, 5, 6, 7 only 5 is reused, of 0, 1, 2 only 2 */
    count_is(&c, &s, 12, 8);
    s.trunk_steps = 0;
    c.boundary_ratio = 0.6; /* timesteps 1000, 875, 750, 625 | 500, ...: nothing changes for 2, 3 and 5 */
    count_is(&c, &s, 10, 10);
    s.reused_steps = (char *)(uintptr_t) "4,5"; /* 4 begins with the other transformer */
    count_is(&c, &s, 14, 14);
    s.reused_steps = NULL;
    s.steps = 0;
    count_is(&c, &s, 0, 0);
}

/* A step that takes both branches again cannot reuse what only one has kept. */
static void guidance_that_begins(void **state)
{
    (void)state;
    const ModelConfig c = {.scheduler = unipc};
    ShotSpec s = {.steps = 8, .guidance = 5, .flow_shift = 1, .scheduler = "euler", .sigmas = "distilled"};
    s.guided_from = 0.8, s.guided_to = 0; /* from the third step on */
    s.reused_steps = (char *)(uintptr_t) "2,3";
    count_is(&c, &s, 2 + 2 * 6 - 2, 2 + 2 * 6 - 2);
    s.reused_steps = (char *)(uintptr_t) "3,2";
    int whole, own;
    assert_int_equal(evaluations_of_shot(&c, &s, &whole, &own).err, ERR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(counted_by_hand), cmocka_unit_test(guidance_that_begins)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
