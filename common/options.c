#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

enum { FIRST_CODE = 256, HELP_CODE = 255, NEAR = 3, COLUMN = 30 };

/* Levenshtein's distance; words beyond 63 letters count as far. */
static int distance(const char *a, const char *b)
{
    int row[64];
    int n = (int)strlen(b);
    if (n > 63) return INT_MAX;
    for (int j = 0; j <= n; j++) row[j] = j;
    for (int i = 1; *a; a++, i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int best = diagonal + (*a != b[j - 1]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[n];
}

const char *options_nearest(const char *word, const char *const *list, int count)
{
    const char *best = NULL;
    int least = NEAR;
    for (int i = 0; i < count; i++)
        if (strcasecmp(word, list[i]) == 0) return list[i];
    for (int i = 0; i < count; i++) {
        int d = distance(word, list[i]);
        if (d < least && d < (int)strlen(list[i])) {
            least = d;
            best = list[i];
        }
    }
    return best;
}

static Status out_of_range(const Option *o, const char *text)
{
    return status_fail(ERR_INPUT, "--%s %s: expected %.15g to %.15g", o->name, text, o->min, o->max);
}

static Status set_int(const Option *o, const char *text)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (end == text || *end) return status_fail(ERR_INPUT, "--%s %s: expected a whole number", o->name, text);
    bool any = o->min == 0 && o->max == 0;
    if (errno || n < INT_MIN || n > INT_MAX || (!any && ((double)n < o->min || (double)n > o->max)))
        return any ? status_fail(ERR_INPUT, "--%s %s: expected %d to %d", o->name, text, INT_MIN, INT_MAX)
                   : out_of_range(o, text);
    *(int *)o->to = (int)n;
    return status_ok();
}

static Status set_real(const Option *o, const char *text)
{
    char *end;
    double x = strtod(text, &end);
    if (end == text || *end || !isfinite(x)) return status_fail(ERR_INPUT, "--%s %s: expected a number", o->name, text);
    if ((o->min != 0 || o->max != 0) && (x < o->min || x > o->max)) return out_of_range(o, text);
    *(double *)o->to = x;
    return status_ok();
}

static Status set_seed(const Option *o, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (end == text || *end || errno || strchr(text, '-'))
        return status_fail(ERR_INPUT, "--%s %s: expected a whole number, 0 to 18446744073709551615", o->name, text);
    *(uint64_t *)o->to = n;
    return status_ok();
}

static Status set_choice(const Option *o, const char *text)
{
    size_t length = strlen(text);
    int index = 0;
    for (const char *word = o->value; word; index++) {
        size_t n = strcspn(word, "|");
        if (n == length && memcmp(word, text, n) == 0) {
            *(int *)o->to = index;
            return status_ok();
        }
        word = word[n] ? word + n + 1 : NULL;
    }
    return status_fail(ERR_INPUT, "--%s %s: expected %s", o->name, text, o->value);
}

const char *options_choice(const char *words, int index, char out[OPTIONS_CHOICE_BYTES])
{
    for (; index > 0; index--) words = strchr(words, '|') + 1;
    snprintf(out, OPTIONS_CHOICE_BYTES, "%.*s", (int)strcspn(words, "|"), words);
    return out;
}

static Status add_text(const Option *o, const char *text)
{
    OptionTexts *list = o->to;
    if (list->count == OPTION_TEXTS_MAX)
        return status_fail(ERR_INPUT, "--%s %s: expected at most %d of them", o->name, text, OPTION_TEXTS_MAX);
    list->text[list->count++] = text;
    return status_ok();
}

static Status set_option(const Option *o, const char *text)
{
    switch (o->kind) {
    case OPTION_FLAG:
        *(bool *)o->to = true;
        return status_ok();
    case OPTION_TEXT:
        *(const char **)o->to = text;
        return status_ok();
    case OPTION_TEXTS:
        return add_text(o, text);
    case OPTION_INT:
        return set_int(o, text);
    case OPTION_REAL:
        return set_real(o, text);
    case OPTION_SEED:
        return set_seed(o, text);
    case OPTION_CHOICE:
        return set_choice(o, text);
    }
    abort();
}

static Status unknown_option(const Usage *u, const char *word)
{
    char name[64];
    const char *bare = word + strspn(word, "-");
    snprintf(name, sizeof name, "%.*s", (int)strcspn(bare, "="), bare);
    const char **list = memory_get((size_t)u->option_count + 1, sizeof *list);
    for (int i = 0; i < u->option_count; i++) list[i] = u->option[i].name;
    const char *near = options_nearest(name, list, u->option_count);
    free(list);
    if (near) return status_fail(ERR_INPUT, "%s: unknown option; did you mean --%s?", word, near);
    return status_fail(ERR_INPUT, "%s: unknown option; `reelwright %s --help` lists them", word, u->verb);
}

/* What getopt_long could not take: code is '?' or ':', optopt the option it was about. */
static Status refused(const Usage *u, int code, char **argv)
{
    if (optopt < FIRST_CODE) {
        const char letter[] = {'-', (char)optopt, 0};
        return unknown_option(u, optopt ? letter : argv[optind - 1]);
    }
    const Option *o = &u->option[optopt - FIRST_CODE];
    if (code == ':') return status_fail(ERR_INPUT, "--%s: expected a value, --%s %s", o->name, o->name, o->value);
    return status_fail(ERR_INPUT, "--%s: takes no value", o->name);
}

static Status check_arguments(const Usage *u, int argc, char **argv, const bool *given)
{
    for (int i = 0; i < u->option_count; i++)
        if (u->option[i].required && !given[i])
            return status_fail(ERR_INPUT, "--%s is missing: reelwright %s %s", u->option[i].name, u->verb,
                               u->arguments);
    if (argc - optind < u->min_arguments)
        return status_fail(ERR_INPUT, "expected: reelwright %s %s", u->verb, u->arguments);
    if (argc - optind > u->max_arguments)
        return status_fail(ERR_INPUT, "unexpected \"%s\": reelwright %s %s", argv[optind + u->max_arguments], u->verb,
                           u->arguments);
    return status_ok();
}

/* Prints the words of text, with the cursor at the column where the help of options stands, and breaks lines. */
static void print_help(const char *text)
{
    enum { START = COLUMN + 4, END = 100 };
    int column = START;
    for (const char *gap = ""; *text; gap = " ") {
        int word = (int)strcspn(text, " ");
        if (*gap && column + 1 + word > END) {
            printf("\n%*s", START, "");
            column = START;
            gap = "";
        }
        column += printf("%s%.*s", gap, word, text);
        text += word;
        text += strspn(text, " ");
    }
    printf("\n");
}

/* On stdout. */
static void show_help(const Usage *u)
{
    printf("usage: reelwright %s %s\n%s\n\n", u->verb, u->arguments, u->about);
    char left[256] = "";
    for (int i = 0; i < u->option_count; i++) {
        const Option *o = &u->option[i];
        size_t n = strlen(left);
        snprintf(left + n, sizeof left - n, "%s--%s%s%s", n ? ", " : "", o->name, o->value ? " " : "",
                 o->value ? o->value : "");
        if (!o->help) continue;
        if (strlen(left) > COLUMN)
            printf("  %s\n  %*s  ", left, COLUMN, "");
        else
            printf("  %-*s  ", COLUMN, left);
        print_help(o->help);
        left[0] = 0;
    }
    printf("  %-*s  %s\n", COLUMN, "--help", "this page");
}

Status options_read(const Usage *u, int argc, char **argv, int *first)
{
    Status status = status_ok();
    int count = u->option_count;
    struct option *known = memory_get((size_t)count + 2, sizeof *known);
    bool *given = memory_get((size_t)count, sizeof *given);
    for (int i = 0; i < count; i++)
        known[i] =
            (struct option){u->option[i].name, u->option[i].kind == OPTION_FLAG ? no_argument : required_argument, NULL,
                            FIRST_CODE + i};
    known[count] = (struct option){"help", no_argument, NULL, HELP_CODE};
    opterr = 0;
    optind = 0; /* glibc: forget an earlier scan */
    for (int code; !failed(status) && (code = getopt_long(argc, argv, ":", known, NULL)) != -1;) {
        if (code == HELP_CODE) {
            show_help(u);
            *first = -1;
            goto out;
        }
        if (code < FIRST_CODE) {
            status = refused(u, code, argv);
        } else {
            given[code - FIRST_CODE] = true;
            status = set_option(&u->option[code - FIRST_CODE], optarg);
        }
    }
    if (!failed(status)) status = check_arguments(u, argc, argv, given);
    *first = optind;
out:
    free(given);
    free(known);
    return status;
}
