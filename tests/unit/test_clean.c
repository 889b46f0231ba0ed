/* test_clean.c - prompts cleaned as the Wan pipelines clean them: the recorded cases, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/file.h"
#include "engine/text/clean.h"

static void check(const char *text, const char *expected)
{
    char *cleaned = NULL;
    Status status = clean_prompt(text, &cleaned);
    if (failed(status)) fail_msg("\"%s\": %s", text, status.message);
    assert_string_equal(cleaned, expected);
    free(cleaned);
}

static void test_recorded(void **state)
{
    (void)state;
    const char *path = getenv("REELWRIGHT_TEXT_CASES");
    FILE *f = fopen(path ? path : SOURCE_DIR "/tests/parity/fixtures/text/cases.jsonl", "r");
    assert_non_null(f);
    char *line = NULL;
    size_t room = 0;
    int count = 0;
    while (getline(&line, &room, f) > 0) {
        json_t *one = json_loads(line, 0, NULL);
        assert_non_null(one);
        check(json_string_value(json_object_get(one, "text")), json_string_value(json_object_get(one, "cleaned")));
        json_decref(one);
        count++;
    }
    free(line);
    fclose(f);
    assert_true(count > 0);
}

static void test_plain(void **state)
{
    (void)state;
    check("", "");
    check(" \t\n\xc2\xa0 ", "");
    check("a  red\ncat ", "a red cat");
    check("voil\xc3\x83\xc2\xa0", "voil\xc3\xa0");        /* UTF-8 read as Latin-1 */
    check("\xe2\x80\x9cso\xe2\x80\x9d", "\"so\"");        /* curly quotes */
    check("&amp;amp;lt;", "<");                           /* once by ftfy, twice by the pipeline */
    check("<i> &NTILDE;", "<i> &NTILDE;");                /* after "<" ftfy leaves references alone */
    check("&NTILDE;", "\xc3\x91");                        /* before, it knows more than HTML does */
    check("cafe\xcc\x81", "caf\xc3\xa9");                 /* composed */
    check("\x1b[31mred\x1b[0m", "red");                   /* a terminal's colours */
    check("\xef\xbc\xa6\xef\xbd\x95\xef\xbd\x8c", "Ful"); /* full width */
}

static void check_refused(const char *text, const char *expected)
{
    char *cleaned = NULL;
    Status status = clean_prompt(text, &cleaned);
    assert_int_equal(status.err, ERR_INPUT);
    assert_string_equal(status.message, expected);
    assert_null(cleaned);
}

static void test_refused(void **state)
{
    (void)state;
    check_refused("ab\xff", "the text is not UTF-8: byte 2 is 0xff");
    check_refused("\xc3", "the text is not UTF-8: byte 0 is 0xc3");
    check_refused("x\xed\xa0\x80", "the text is not UTF-8: byte 1 is 0xed");    /* half a surrogate pair */
    check_refused("xy\xc0\x80", "the text is not UTF-8: byte 2 is 0xc0");       /* longer than needed */
    check_refused("\xf4\x90\x80\x80", "the text is not UTF-8: byte 0 is 0xf4"); /* beyond U+10FFFF */
}

/* A long line of what looks broken takes a moment, not minutes. */
static void test_long(void **state)
{
    (void)state;
    enum { PIECES = 20000 };
    char *text = memory_get(PIECES, 8), *cleaned = NULL;
    for (int i = 0; i < PIECES; i++)
        memcpy(text + 7 * i, i % 2 ? "\xc3\x83\xc2\xa9 a&" : "\xe2\x82\xac\xe2\x84\xa2 ", 7);
    Status status = clean_prompt(text, &cleaned);
    assert_false(failed(status));
    free(cleaned);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
