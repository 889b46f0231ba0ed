/* Every fixture on every back end, from prompt text and seed alone, within the tolerances of fixtures/README.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "common/file.h"
#include "tests/parity/parity.h"

static const char *const fixtures[] = {"t2v-0"};

/* fp32: what the references require (the same run in float64 differs from float32 by 5e-7, 5e-6, 2e-6, 2e-6).
 * STAGE_INSIDE is looser than its outputs because its first rows are small. */
static const double fp32_most[STAGES] = {0, 1e-5, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4};

static void check(const char *fixture, const BackendOptions *o, int resume_at, const double most[STAGES])
{
    char *folder = text_format("%s/%s", FIXTURES, fixture);
    ParityReport r;
    Status status = parity_run(folder, o, resume_at, false, &r);
    if (failed(status)) fail_msg("%s: %s", fixture, status.message);
    for (int i = 0; i < STAGES; i++) {
        print_message("%s: %-8s %.2e (%s)\n", fixture, parity_stage_name[i], r.worst[i], r.worst_name[i]);
        if (!(r.worst[i] <= most[i]))
            fail_msg("%s: %s differs by %g, expected at most %g", fixture, r.worst_name[i], r.worst[i], most[i]);
    }
    if (r.missing)
        fail_msg("%s: %d recorded tensors were not produced, such as %s", fixture, r.missing, r.missing_name);
    free(folder);
}

static void on_ref(void **state)
{
    const BackendOptions o = {.kind = BACKEND_REF};
    (void)state;
    for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures; i++) check(fixtures[i], &o, 0, fp32_most);
}

static void on_cpu(void **state)
{
    const BackendOptions o = {.kind = BACKEND_CPU};
    (void)state;
    for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures; i++) check(fixtures[i], &o, 0, fp32_most);
}

static void resumed(void **state)
{
    const BackendOptions o = {.kind = BACKEND_CPU};
    (void)state;
    check("t2v-0", &o, 2, fp32_most);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(on_ref), cmocka_unit_test(on_cpu), cmocka_unit_test(resumed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
