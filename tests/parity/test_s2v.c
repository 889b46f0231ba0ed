/* A speaking transformer on every back end beside what diffsynth computed, and the file of its numbers damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "common/file.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(on_ref), cmocka_unit_test(on_cpu), cmocka_unit_test(in_bf16),
                                       cmocka_unit_test(chains_clips)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
