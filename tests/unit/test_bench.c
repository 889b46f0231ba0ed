/* test_bench.c - a slow node is named, MLPerf's rules that were broken are said, a file system is measured and left as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "coordinator/plan/disk.h"
#include "worker/verbs/bench_ranks.h"
#include "worker/verbs/bench_rules.h"

static void a_slow_node_is_named(void **state)
{
    (void)state;
    BenchRank rank[] = {
        {"node2", 1.3, 10, 2, 5}, {"node2", 1.25, 10, 3, 5}, {"node1", 1.1, 10, 1, 10}, {"node1", 1, 10, 0, 10}};
    const BenchRanks r = {4, rank};
    json_t *j = json_object();
    bench_ranks_json(&r, j);
    const json_t *slow = json_object_get(j, "slow");
    assert_int_equal(json_array_size(slow), 1);
    assert_string_equal(json_string_value(json_array_get(slow, 0)), "node2");
    assert_int_equal(json_array_size(json_object_get(j, "ranks")), 4);
    assert_float_equal(bench_ranks_rate(&r), 3, 1e-9);
    json_decref(j);
}

static size_t broken(const BenchRequest *r, const BenchResult *b, const char *what)
{
    json_t *list = bench_rules_broken(r, b), *one;
    bool found = !what;
    size_t i;
    json_array_foreach(list, i, one) found |= what && strcmp(json_string_value(one), what) == 0;
    const size_t count = json_array_size(list);
    json_decref(list);
    if (!found) fail_msg("not said: %s", what);
    return count;
}

static void broken_rules_are_said(void **state)
{
    (void)state;
    BenchRequest r = {.shape = BENCH_MLPERF, .backend.kind = BACKEND_CPU};
    bench_rules_complete(&r);
    assert_int_equal(r.layers, 1); /* a part */
    BenchResult b = {.layers = 1, .count = 3, .all_s = 30};
    assert_int_equal(broken(&r, &b, "3 samples, expected at least 248"), 6);
    broken(&r, &b, "1 layer of each network, expected all 40");
    broken(&r, &b, "latents of 1x18x32, expected 21x90x160: 81 frames of 720x1280");
    r = (BenchRequest){.shape = BENCH_MLPERF, .backend.kind = BACKEND_CUDA};
    bench_rules_complete(&r);
    assert_int_equal(r.layers, 0); /* all */
    assert_int_equal(r.steps, 20);
    b = (BenchResult){.layers = 40, .count = 248, .all_s = 7000};
    assert_int_equal(
        broken(&r, &b, "one transformer stands for both: the same products, half of the memory for weights"), 2);
    r.shape = BENCH_1_3B;
    assert_int_equal(broken(&r, &b, NULL), 1); /* random weights */
}

static void a_file_system_is_measured(void **state)
{
    (void)state;
    char folder[] = "test_bench_XXXXXX";
    json_t *j = NULL;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(disk_measure(folder, &j).err, OK);
    static const char *const key[] = {"write_mb_s", "fsync_p50_ms", "fsync_p99_ms", "files_per_s"};
    for (size_t i = 0; i < sizeof key / sizeof *key; i++)
        assert_true(json_number_value(json_object_get(j, key[i])) > 0);
    json_decref(j);
    assert_int_equal(rmdir(folder), 0); /* nothing is left in it */
    assert_int_equal(disk_measure(folder, &j).err, ERR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_slow_node_is_named), cmocka_unit_test(broken_rules_are_said),
                                       cmocka_unit_test(a_file_system_is_measured)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
