/* The command line of a verb: types, ranges, and messages that say what was expected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/options.h"

static struct {
    bool quiet;
    const char *out;
    OptionTexts many;
    int frames, kind;
    double guidance;
    uint64_t seed;
} got;

static const Option table[] = {
    {"quiet", OPTION_FLAG, &got.quiet, .help = "less"},
    {"out", OPTION_TEXT, &got.out, .value = "DIR", .required = true, .help = "where"},
    {"many", OPTION_TEXTS, &got.many, .value = "X", .help = "several"},
    {"frames", OPTION_INT, &got.frames, .value = "N", .min = 1, .max = 100, .help = "count"},
    {"guidance", OPTION_REAL, &got.guidance, .value = "G", .min = 0, .max = 10, .help = "scale"},
    {"seed", OPTION_SEED, &got.seed, .value = "N", .help = "seed"},
    {"kind", OPTION_CHOICE, &got.kind, .value = "fp32|bf16", .help = "type"},
};
static const Usage usage = {.verb = "try",
                            .arguments = "[FILE] --out DIR",
                            .about = "Tries.",
                            .option = table,
                            .option_count = sizeof table / sizeof *table,
                            .max_arguments = 1};

/* words: split at spaces */
static Status read_words(const char *words, int *first)
{
    static char text[256];
    static char *argv[32];
    int argc = 0;
    snprintf(text, sizeof text, "try %s", words);
    for (char *save, *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) argv[argc++] = w;
    argv[argc] = NULL;
    memset(&got, 0, sizeof got);
    got.frames = -7;
    return options_read(&usage, argc, argv, first);
}

static void reads_every_type(void **state)
{
    (void)state;
    int first;
    Status s =
        read_words("--out=d --quiet --many a --many b --frames 30 --guidance 4.5 file --seed 18446744073709551615 "
                   "--kind bf16",
                   &first);
    assert_string_equal(s.message, "");
    assert_string_equal(got.out, "d");
    assert_true(got.quiet);
    assert_int_equal(got.many.count, 2);
    assert_string_equal(got.many.text[1], "b");
    assert_int_equal(got.frames, 30);
    assert_true(got.guidance == 4.5);
    assert_true(got.seed == UINT64_MAX);
    assert_int_equal(got.kind, 1);
    assert_true(first > 0);
}

static void keeps_defaults(void **state)
{
    (void)state;
    int first;
    assert_int_equal(read_words("--out d", &first).err, OK);
    assert_int_equal(got.frames, -7);
    assert_int_equal(first, 3);
}

static void says_what_was_expected(void **state)
{
    static const struct {
        const char *words, *message;
    } row[] = {
        {"--out d --frames 30x", "--frames 30x: expected a whole number"},
        {"--out d --frames 0", "--frames 0: expected 1 to 100"},
        {"--out d --frames 99999999999999999999", "--frames 99999999999999999999: expected 1 to 100"},
        {"--out d --guidance nan", "--guidance nan: expected a number"},
        {"--out d --guidance 11", "--guidance 11: expected 0 to 10"},
        {"--out d --guidance 1e999", "--guidance 1e999: expected a number"},
        {"--out d --seed -1", "--seed -1: expected a whole number, 0 to 18446744073709551615"},
        {"--out d --seed 18446744073709551616", "--seed 18446744073709551616: expected a whole number, 0 to "
                                                "18446744073709551615"},
        {"--out d --kind fp", "--kind fp: expected fp32|bf16"},
        {"--out d --framse 3", "--framse: unknown option; did you mean --frames?"},
        {"--out d --zebra", "--zebra: unknown option; `reelwright try --help` lists them"},
        {"--out d -x", "-x: unknown option; `reelwright try --help` lists them"},
        {"--out d --frames", "--frames: expected a value, --frames N"},
        {"--out d --quiet=1", "--quiet: takes no value"},
        {"--frames 3", "--out is missing: reelwright try [FILE] --out DIR"},
        {"--out d a b", "unexpected \"b\": reelwright try [FILE] --out DIR"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        int first;
        Status s = read_words(row[i].words, &first);
        assert_int_equal(s.err, ERR_INPUT);
        assert_string_equal(s.message, row[i].message);
    }
}

static void finds_the_nearest_word(void **state)
{
    static const char *const list[] = {"render", "review", "run"};
    (void)state;
    assert_string_equal(options_nearest("redner", list, 3), "render");
    assert_string_equal(options_nearest("rnu", list, 3), "run");
    assert_null(options_nearest("elephant", list, 3));
    assert_null(options_nearest("", list, 0));
}

static void help_is_no_failure(void **state)
{
    (void)state;
    int first;
    assert_int_equal(read_words("--help", &first).err, OK);
    assert_int_equal(first, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_type),       cmocka_unit_test(keeps_defaults),
        cmocka_unit_test(says_what_was_expected), cmocka_unit_test(finds_the_nearest_word),
        cmocka_unit_test(help_is_no_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
