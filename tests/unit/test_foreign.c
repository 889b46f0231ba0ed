/* Text of others on its way to people: what could steer a terminal or forge a line is gone, all else stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/foreign.h"
#include "common/html.h"
#include "common/shell.h"
#include "common/status.h"

static void expect(const char *text, const char *shown)
{
    char *copy = foreign_copy(text);
    assert_string_equal(copy, shown);
    assert_int_equal(foreign_is_safe(text), strcmp(text, shown) == 0);
    free(copy);
}

static void cleans(void **state)
{
    (void)state;
    expect("plain, \xc3\xbc \xe4\xb8\xad \xf0\x9f\x8e\x88 \xe2\x80\x8d",
           "plain, \xc3\xbc \xe4\xb8\xad \xf0\x9f\x8e\x88 \xe2\x80\x8d");
    expect("\033]0;owned\007\033[31mred", "?]0;owned??[31mred");
    expect("a\nreelwright: error: forged\r\x7f", "a?reelwright: error: forged??");
    expect("a\tb", "a b");
    expect("\xc2\x9b"
           "31m",
           "?31m"); /* U+009B, a CSI of one character */
    expect("\xe2\x80\xae gpj.exe \xe2\x81\xa6\xd8\x9c\xe2\x80\x8f",
           "? gpj.exe ???");                  /* U+202E, U+2066, U+061C, U+200F */
    expect("\xe2\x80\xa8\xe2\x80\xa9", "??"); /* line and paragraph separator */
    expect("\xff\xc3(\xed\xa0\x80\xc0\xaf\xf4\x90\x80\x80",
           "\x3f?(\x3f????????"); /* no UTF-8: a surrogate, overlong, too large */
    expect("cut \xe4\xb8", "cut ??");
    expect("", "");
}

static void fills_columns(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int gap; /* to 10 columns */
    } row[] = {{"", 10},
               {"k1", 8},
               {"J\xc3\xbcrgen", 4},
               {"Ju\xcc\x88rgen", 4},
               {"\xe6\x9d\x8e\xe9\x9b\xb7", 6},
               {"\xea\xb9\x80", 8},
               {"\xf0\x9f\x8e\x88 1", 6},
               {"1234567890", 0},
               {"12345678901", 0},
               {"\xff\xff", 8}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) assert_int_equal(foreign_gap(row[i].text, 10), row[i].gap);
}

static void json_text_keeps_the_rest(void **state)
{
    (void)state;
    char *text = foreign_utf8("a\x1b\xff\xc3\xbc");
    assert_string_equal(text, "a\x1b?\xc3\xbc");
    free(text);
}

static size_t format(char *to, size_t room, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    size_t n = foreign_vformat(to, room, fmt, args);
    va_end(args);
    return n;
}

static void breaks_of_the_format_stay(void **state)
{
    (void)state;
    char text[64];
    assert_int_equal(format(text, sizeof text, "one %s\ntwo %d\n", "\1\n\2\033", 7), 15);
    assert_string_equal(text, "one ????\ntwo 7\n");
    format(text, 8, "%s", "abcdef\xc3\xbc"); /* cut before the character that does not fit whole */
    assert_string_equal(text, "abcdef");
    format(text, 9, "%s", "abcdef\xc3\xbc");
    assert_string_equal(text, "abcdef\xc3\xbc");
}

static void a_status_is_one_line(void **state)
{
    (void)state;
    Status s = status_fail(ERR_INPUT, "tensor \"%s\"", "a\nreelwright: error: \033[2J");
    assert_string_equal(s.message, "tensor \"a?reelwright: error: ?[2J\"");
    s = status_at(s, "%s", "fi\nle");
    assert_string_equal(s.message, "fi?le: tensor \"a?reelwright: error: ?[2J\"");
    s = status_at(status_lines(ERR_INPUT, "two\nlines"), "%s", "x");
    assert_string_equal(s.message, "x: two\nlines");
}

static void pages_have_no_control_characters(void **state)
{
    (void)state;
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    html_put(f, "a\033[2J<b>\a\x7f\xc2\x9b"
                "1;\xc2\xa0\xc3\xa4\t\n");
    fclose(f);
    assert_string_equal(text, "a?[2J&lt;b&gt;???1;\xc2\xa0\xc3\xa4\t\n");
    free(text);
}

static void json_for_people_has_no_control_characters(void **state)
{
    (void)state;
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    json_t *o = json_pack("{s:s}", "name\xe2\x80\xae",
                          "a\033\x7f\xc2\x9b"
                          "1m \xc3\xa4\n");
    assert_true(foreign_print_json(f, o, JSON_COMPACT));
    json_decref(o);
    fclose(f);
    assert_string_equal(text, "{\"name\\u202E\":\"a\\u001B\\u007F\\u009B1m \xc3\xa4\\n\"}\n");
    free(text);
}

static void names_are_one_line(void **state)
{
    (void)state;
    static const char *const good[] = {"", "Zo\xc3\xab", "\xe2\x80\x8f\xd7\x93\xd7\xa0\xd7\x94"},
                             *const bad[] = {"a\nb", "a\033[2J", "\xff", "\xc2\x9b", "a\x7f", "\xe2\x80\xa8"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(foreign_is_line(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(foreign_is_line(bad[i]));
}

static void expect_command(const char *folder, const char *clip, const char *command)
{
    char *text = shell_suggest("resume", folder, clip);
    assert_string_equal(text, command);
    free(text);
}

static void commands_can_be_pasted(void **state)
{
    (void)state;
    expect_command("out", "a1", "reelwright resume out a1");
    expect_command("o $(touch x)", NULL, "reelwright resume 'o $(touch x)'");
    expect_command("out", "it's", "reelwright resume out 'it'\\''s'");
    expect_command("out", "-x", "reelwright resume -- out -x");
    expect_command("out", "", "reelwright resume out ''");
    expect_command("o\033[2J'\xff", NULL, "reelwright resume $'o\\033[2J\\047\\377'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cleans),
        cmocka_unit_test(fills_columns),
        cmocka_unit_test(json_text_keeps_the_rest),
        cmocka_unit_test(breaks_of_the_format_stay),
        cmocka_unit_test(a_status_is_one_line),
        cmocka_unit_test(pages_have_no_control_characters),
        cmocka_unit_test(json_for_people_has_no_control_characters),
        cmocka_unit_test(names_are_one_line),
        cmocka_unit_test(commands_can_be_pasted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
