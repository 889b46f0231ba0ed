/* test_machine.c - what this machine has, and what keeps mpirun from starting on it. */
#include "farm_fixture.h"

#include <sys/resource.h>

#include "coordinator/launch/machine.h"

static void obstacle_is(const char *part)
{
    char *why = machine_obstacle();
    if (!part && why) fail_msg("unexpected: %s", why);
    if (part && (!why || !strstr(why, part))) fail_msg("no \"%s\" in: %s", part, why ? why : "nothing");
    free(why);
}

static void test_obstacles(void **state)
{
    struct rlimit before, low;
    (void)state;
    obstacle_is(NULL);
    assert_int_equal(setenv("TMPDIR", "/nowhere", 1), 0);
    obstacle_is("/nowhere, where it keeps its session, cannot be written (TMPDIR names another folder)");
    assert_int_equal(setenv("TMPDIR", "/proc", 1), 0);
    obstacle_is("/proc, where it keeps its session");
    assert_int_equal(unsetenv("TMPDIR"), 0);
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    low = before;
    low.rlim_cur = (rlim_t)3000 << 20;
    assert_int_equal(setrlimit(RLIMIT_AS, &low), 0);
    obstacle_is("a limit of 3000 MB of address space (ulimit -v); it needs at least 4096");
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    low.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    obstacle_is("a limit of 64 open files (ulimit -n)");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    obstacle_is(NULL);
}

static void test_gpus(void **state)
{
    (void)state;
    assert_int_equal(setenv("CUDA_VISIBLE_DEVICES", "0,3,5", 1), 0);
    assert_int_equal(machine_gpus(), 3);
    assert_int_equal(setenv("CUDA_VISIBLE_DEVICES", "", 1), 0); /* hidden, whatever there is */
    assert_int_equal(machine_gpus(), 0);
    assert_int_equal(setenv("CUDA_VISIBLE_DEVICES", "-1", 1), 0);
    assert_int_equal(machine_gpus(), 0);
    assert_int_equal(unsetenv("CUDA_VISIBLE_DEVICES"), 0);
    assert_int_equal(setenv("SLURM_GPUS_ON_NODE", "2", 1), 0);
    assert_int_equal(machine_gpus(), 2);
    assert_int_equal(unsetenv("SLURM_GPUS_ON_NODE"), 0);
    assert_true(machine_cores() > 0);
}

int main(void)
{
    const struct CMUnitTest test[] = {cmocka_unit_test(test_obstacles), cmocka_unit_test(test_gpus)};
    return cmocka_run_group_tests(test, NULL, NULL);
}
