/* test_stem.c - file names made of ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/hash.h"
#include "coordinator/campaign/stem.h"

static void becomes(const char *id, const char *expected)
{
    char stem[STEM_BYTES];
    stem_from_id(id, stem);
    assert_string_equal(stem, expected);
}

static void test_safe(void **state)
{
    (void)state;
    becomes("anna", "anna");
    becomes("Kunde-0042_b", "Kunde-0042_b");
    becomes("Jürgen Müller", "Jurgen_Muller");
    becomes("Łucja Straße Søren", "Lucja_Strasse_Soren");
    becomes("anna.preview", "anna_preview");
    becomes("../../etc/passwd", "______etc_passwd");
    becomes("-rf", "_rf");
    becomes("a\nb\x1b[0m", "a_b__0m");
    becomes("田中", "__");
    becomes("", "_");
    becomes("CON", "CON_");
    becomes("com7", "com7_");
    becomes("com", "com");
    becomes("lpt12", "lpt12");
    becomes("\xff\xfe", "__");
    char id[300] = "", stem[STEM_BYTES];
    memset(id, 'x', sizeof id - 1);
    stem_from_id(id, stem);
    assert_int_equal(strlen(stem), 80);
}

static void takes(Stems *s, const char *id, const char *expected)
{
    char stem[STEM_BYTES];
    stems_take(s, id, stem);
    assert_string_equal(stem, expected);
}

static void marked(const char *id, const char *base, char out[STEM_BYTES])
{
    char digest[HASH_TEXT];
    hash_bytes(id, strlen(id), digest);
    snprintf(out, STEM_BYTES, "%s-%.8s", base, digest);
}

static void test_unique(void **state)
{
    (void)state;
    Stems *s = stems_new(8);
    char expected[STEM_BYTES];
    takes(s, "anna", "anna");
    marked("Anna", "Anna", expected); /* the same file where case does not count */
    takes(s, "Anna", expected);
    takes(s, "田中", "__");
    marked("中田", "__", expected);
    takes(s, "中田", expected);
    marked("anna!", "anna_", expected);
    takes(s, expected, expected); /* someone has the name already that another id would get */
    takes(s, "anna_", "anna_");
    char second[STEM_BYTES + 4];
    snprintf(second, sizeof second, "%s-2", expected);
    takes(s, "anna!", second);
    stems_free(&s);
    assert_null(s);
}

static void test_long_ids(void **state)
{
    (void)state;
    enum { COUNT = 50 };
    Stems *s = stems_new(COUNT);
    char stem[COUNT][STEM_BYTES], id[256];
    for (int i = 0; i < COUNT; i++) {
        snprintf(id, sizeof id, "%0190d%d", 0, i);
        stems_take(s, id, stem[i]);
        assert_in_range(strlen(stem[i]), 80, 100);
        for (int k = 0; k < i; k++) assert_string_not_equal(stem[i], stem[k]);
    }
    stems_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safe),
        cmocka_unit_test(test_unique),
        cmocka_unit_test(test_long_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
