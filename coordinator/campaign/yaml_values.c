#include "yaml_values.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

/* "a|b|c" -> "a, b or c" */
static void describe_words(const char *words, char *out, size_t room)
{
    size_t n = 0;
    out[0] = 0;
    while (*words && n < room) {
        size_t length = strcspn(words, "|");
        const char *before = n == 0 ? "" : words[length] ? ", " : " or ";
        n += (size_t)snprintf(out + n, room - n, "%s%.*s", before, (int)length, words);
        words += length + (words[length] == '|');
    }
}

void yaml_describe_expected(const YamlField *f, char *out, size_t room)
{
    switch (f->type) {
    case YAML_TEXT:
        snprintf(out, room, "text");
        break;
    case YAML_INTEGER:
        snprintf(out, room, "%s%sa whole number from %.15g to %.15g", f->words ? f->words : "", f->words ? " or " : "",
                 f->min, f->max);
        break;
    case YAML_NUMBER:
        snprintf(out, room, "a number from %.15g to %.15g", f->min, f->max);
        break;
    case YAML_SIZE:
        snprintf(out, room, "WIDTHxHEIGHT, each from %.15g to %.15g", f->min, f->max);
        break;
    case YAML_SWITCH:
        snprintf(out, room, "true or false");
        break;
    case YAML_CHOICE:
        describe_words(f->words, out, room);
        break;
    case YAML_WORDS:
        snprintf(out, room, "a list of 1 to %d names, [a, b]", YAML_MAX_WORDS);
        break;
    case YAML_TABLES:
        snprintf(out, room, "a list of 1 to %d tables, [{%s: ...}]", YAML_MAX_TABLES, f->item->name);
        break;
    case YAML_PAIRS:
        snprintf(out, room, "a table of tables, {name: {A: text, B: text}}");
        break;
    }
    size_t n = strlen(out);
    if (f->unit && n < room) snprintf(out + n, room - n, " %s", f->unit);
}

static bool read_integer(const YamlField *f, const char *text, int *to)
{
    if (f->words && strcmp(text, f->words) == 0) {
        *to = 0;
        return true;
    }
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (!*text || *end || strchr(" \t\n", *text) || errno || (double)n < f->min || (double)n > f->max) return false;
    *to = (int)n;
    return true;
}

static bool read_number(const YamlField *f, const char *text, double *to)
{
    char *end;
    if (!*text || strspn(text, "+-.0123456789eE") != strlen(text)) return false; /* no hexadecimal, no nan */
    double x = strtod(text, &end);
    if (*end || !isfinite(x) || x < f->min || x > f->max) return false;
    *to = x;
    return true;
}

static bool read_size(const YamlField *f, const char *text, int to[2])
{
    const YamlField side = {.min = f->min, .max = f->max};
    const char *x = strchr(text, 'x');
    if (!x || x - text > 9) return false;
    char width[10] = "";
    memcpy(width, text, (size_t)(x - text));
    return read_integer(&side, width, &to[0]) && read_integer(&side, x + 1, &to[1]);
}

static bool read_choice(const YamlField *f, const char *text, char to[YAML_CHOICE_BYTES])
{
    size_t length = strlen(text);
    for (const char *word = f->words; *word;) {
        size_t n = strcspn(word, "|");
        if (n == length && memcmp(word, text, n) == 0) {
            snprintf(to, YAML_CHOICE_BYTES, "%s", text);
            return true;
        }
        word += n + (word[n] == '|');
    }
    return false;
}

bool yaml_read_value(const YamlField *f, const char *text, bool in_quotes, char *to)
{
    if (in_quotes && f->type != YAML_TEXT && f->type != YAML_CHOICE && f->type != YAML_SIZE) return false;
    switch (f->type) {
    case YAML_TEXT:
        *(char **)(void *)to = text_copy(text);
        return true;
    case YAML_INTEGER:
        return read_integer(f, text, (int *)(void *)to);
    case YAML_NUMBER:
        return read_number(f, text, (double *)(void *)to);
    case YAML_SIZE:
        return read_size(f, text, (int *)(void *)to);
    case YAML_SWITCH:
        *(bool *)(void *)to = strcmp(text, "true") == 0;
        return *(bool *)(void *)to || strcmp(text, "false") == 0;
    case YAML_CHOICE:
        return read_choice(f, text, to);
    case YAML_WORDS:
        *(YamlWords *)(void *)to = (YamlWords){.count = 1, .word = {text_copy(text)}};
        return true;
    case YAML_TABLES:
    case YAML_PAIRS:
        return strcmp(text, "none") == 0;
    }
    abort();
}
