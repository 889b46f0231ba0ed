/* test_spill.c - bytes put aside come back, and nothing of them is left in the folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/spill.h"

static const char folder[] = "test_spill.dir";

static void what_is_put_comes_back(void **state)
{
    char a[1000], b[1000];
    Spill *s;
    (void)state;
    mkdir(folder, 0700);
    assert_int_equal(setenv("TMPDIR", folder, 1), 0);
    assert_int_equal(spill_open(&s).err, OK);
    for (size_t i = 0; i < sizeof a; i++) a[i] = (char)(i * 7);
    assert_int_equal(spill_put(s, (int64_t)5 << 30, a, sizeof a).err, OK); /* beyond 32 bits */
    assert_int_equal(spill_put(s, 0, a + 500, 500).err, OK);
    assert_int_equal(spill_get(s, (int64_t)5 << 30, b, sizeof b).err, OK);
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(spill_get(s, 0, b, 500).err, OK);
    assert_memory_equal(a + 500, b, 500);
    assert_int_equal(spill_get(s, ((int64_t)5 << 30) + 1, b, sizeof b).err, ERR_NODE); /* ends early */
    assert_int_equal(rmdir(folder), 0);                                                /* empty, though it is open */
    spill_close(&s);
    assert_null(s);
    spill_close(&s);
}

static void a_missing_folder_is_named(void **state)
{
    Spill *s;
    (void)state;
    assert_int_equal(setenv("TMPDIR", "no-such-folder", 1), 0);
    Status status = spill_open(&s);
    assert_int_equal(status.err, ERR_NODE);
    assert_non_null(strstr(status.message, "no-such-folder"));
    assert_null(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_put_comes_back),
                                       cmocka_unit_test(a_missing_folder_is_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
