/* Rows that differ in digits alone are looked at together, and told as if each had been looked at by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/finish_spec.h"
#include "worker/finish/finish_look.h"

enum { DIGITS = 10 };

static void add_line(void *self, int64_t i, const char *member, const char *message)
{
    char **lines = self, *more = text_format("%s%lld %s: %s\n", *lines, (long long)i, member, message);
    free(*lines);
    *lines = more;
}

static void nothing_is_left(void *self, int64_t texts, int64_t voices)
{
    (void)self;
    fail_msg("%lld texts and %lld voices are left", (long long)texts, (long long)voices);
}

/* What is said of rows whose text is four times one of these digits, at this size, which may not shrink. with: what JSON has between the quotes
 * and the text. */
static char *look(const char *digits, double size, const char *with)
{
    const Rendition r = {.name = "tall", .kind = "video", .width = 540, .height = 960};
    char *campaign = finish_spec_text(json_pack("{s:o}", "renditions", finish_spec_renditions(&r, 1))),
         *lines = text_copy(""), *row[DIGITS];
    FinishLookJob job = {.campaign = campaign, .clip = (const char *const *)row, .shot_s = 4, .self = &lines};
    job.found = add_line;
    job.left = nothing_is_left;
    for (; digits[job.count]; job.count++) {
        const char d = digits[job.count];
        row[job.count] = text_format("{\"overlays\":[{\"place\":\"centre\",\"style\":{\"box\":\"none\",\"least\":1,"
                                     "\"max_lines\":1,\"size\":%g},\"text\":\"%s%c%c%c%c\"}]}",
                                     size, with, d, d, d, d);
    }
    assert_string_equal(finish_look(&job).message, "");
    for (int64_t i = 0; i < job.count; i++) free(row[i]);
    free(campaign);
    return lines;
}

/* The least size at which this digit does not fit. */
static double size_beyond(const char *digit)
{
    double fits = 0.05, beyond = 0.9;
    while (beyond - fits > 0.002) {
        const double size = (fits + beyond) / 2;
        char *lines = look(digit, size, "\\u2068");
        *(*lines ? &beyond : &fits) = size;
        free(lines);
    }
    return beyond;
}

static void one_digit_is_too_wide(void **state)
{
    (void)state;
    assert_int_equal(setenv("XDG_CACHE_HOME", "test_finish_look.d", 1), 0);
    const double size = size_beyond("4");
    char *together = look("1471", size, "\u2068"),
         *alone = look("1471", size, "\\u2068"); /* an escape: no row stands for others */
    assert_string_equal(together, alone);
    assert_true(strncmp(together, "1 overlays[0]", 13) == 0); /* the first is a 1, and fits */
    assert_non_null(strstr(together, "the text does not fit"));
    assert_null(strstr(together, "3 overlays[0]"));
    free(together);
    free(alone);
    together = look("0123456789", 0.1, "\u2068");
    assert_string_equal(together, "");
    free(together);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_digit_is_too_wide)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
