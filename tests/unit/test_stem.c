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

static void takes(Stems *s, const char *id, const char *expected) { assert_string_equal(stems_take(s, id), expected); }

static void marked(const char *id, const char *base, char out[STEM_BYTES])
{
    char digest[HASH_TEXT];
    hash_bytes(id, strlen(id), digest);
    snprintf(out, STEM_BYTES, "%s-%.8s", base, digest);
}

static void test_unique(void **state)
{
    (void)state;
    Texts *text = texts_new();
    Stems *s = stems_new(text);
    char anna[STEM_BYTES], land[STEM_BYTES], other[STEM_BYTES], second[STEM_BYTES + 4];
    takes(s, "anna", "anna");
    marked("Anna", "Anna", anna); /* the same file where case does not count */
    takes(s, "Anna", anna);
    takes(s, "田中", "__");
    marked("中田", "__", land);
    takes(s, "中田", land);
    marked("anna!", "anna_", other);
    takes(s, other, other); /* someone has the name already that another id would get */
    takes(s, "anna_", "anna_");
    snprintf(second, sizeof second, "%s-2", other);
    takes(s, "anna!", second);
    stems_note(s, "Berta");
    marked("berta", "berta", land);
    takes(s, "berta", land);
    stems_free(&s);
    texts_free(&text);
    assert_null(s);
}

static void test_long_ids(void **state)
{
    (void)state;
    enum { COUNT = 50 };
    Texts *text = texts_new();
    Stems *s = stems_new(text);
    const char *stem[COUNT];
    char id[256];
    for (int i = 0; i < COUNT; i++) {
        snprintf(id, sizeof id, "%0190d%d", 0, i);
        stem[i] = stems_take(s, id);
        assert_in_range(strlen(stem[i]), 80, 100);
        for (int k = 0; k < i; k++) assert_string_not_equal(stem[i], stem[k]);
    }
    stems_free(&s);
    texts_free(&text);
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
