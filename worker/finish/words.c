#include "words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/json_member.h"

enum { MAX_WORDS = 2000 };

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static int letters_in(const char *text)
{
    int n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xC0) != 0x80 && !is_space(*text);
    return n;
}

/* U+2066 .. U+2069, which keep an inserted value's direction to itself, are no part of a word. */
static char *copy_word(const char *from, size_t bytes)
{
    char *word = memory_get(bytes + 1, 1), *to = word;
    for (size_t i = 0; i < bytes; i++) {
        bool mark = i + 2 < bytes && strncmp(from + i, "\xE2\x81", 2) == 0 && (unsigned char)from[i + 2] >= 0xA6 &&
                    (unsigned char)from[i + 2] <= 0xA9;
        if (mark)
            i += 2;
        else
            *to++ = from[i];
    }
    return word;
}

static void split(Voice *v, const char *text)
{
    while (*text && v->word_count < MAX_WORDS) {
        size_t n = 0;
        while (is_space(*text)) text++;
        while (text[n] && !is_space(text[n])) n++;
        if (!n) break;
        v->word = memory_resize(v->word, (size_t)v->word_count + 1, sizeof *v->word);
        char *word = copy_word(text, n);
        if (*word)
            v->word[v->word_count++] = (VoiceWord){0, 0, word};
        else
            free(word);
        text += n;
    }
}

typedef struct { /* moments of the engine's words, by the share of letters spoken before */
    int count;
    double share[MAX_WORDS + 1], at_s[MAX_WORDS + 1];
} Course;

static bool read_course(const json_t *reported, double end_s, Course *c)
{
    size_t i;
    json_t *word;
    double letters = 0, last = 0;
    c->count = 0;
    json_array_foreach(reported, i, word)
    {
        const char *text = json_string_value(json_object_get(word, "text"));
        double at = member_number(word, "t0", -1);
        if (!text || !isfinite(at) || at < last || at > end_s + 1 || c->count == MAX_WORDS) continue;
        c->share[c->count] = letters;
        c->at_s[c->count++] = last = at;
        letters += letters_in(text);
    }
    if (c->count == 0 || letters <= 0) return false;
    for (int k = 0; k < c->count; k++) c->share[k] /= letters;
    c->share[c->count] = 1;
    c->at_s[c->count] = fmax(end_s, last);
    return true;
}

static double moment_at(const Course *c, double share)
{
    int k = 0;
    while (k + 1 < c->count && c->share[k + 1] <= share + 1e-9) k++;
    double width = c->share[k + 1] - c->share[k];
    double part = width > 0 ? fmax(0, share - c->share[k]) / width : 0;
    return c->at_s[k] + (c->at_s[k + 1] - c->at_s[k]) * fmin(1, part);
}

void words_set(Voice *v, const char *text, const json_t *reported)
{
    double end_s = sound_seconds(&v->sound), letters = 0, so_far = 0;
    Course *c = memory_get(1, sizeof *c);
    split(v, text);
    if (!read_course(reported, end_s, c)) *c = (Course){.count = 1, .share = {0, 1}, .at_s = {0, end_s}};
    for (int i = 0; i < v->word_count; i++) letters += letters_in(v->word[i].text);
    bool alike = c->count == v->word_count; /* then each is one of the engine's */
    for (int i = 0; i < v->word_count; i++) {
        v->word[i].from_s = alike ? c->at_s[i] : moment_at(c, so_far / letters);
        so_far += letters_in(v->word[i].text);
    }
    for (int i = 0; i < v->word_count; i++) v->word[i].to_s = i + 1 < v->word_count ? v->word[i + 1].from_s : end_s;
    free(c);
}

/* The character that an entity stands for, and its length; 0 where there is none. */
static char entity_at(const char *text, size_t *bytes)
{
    static const struct {
        const char *name;
        char is;
    } entity[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}};
    for (size_t i = 0; i < sizeof entity / sizeof *entity; i++) {
        *bytes = strlen(entity[i].name);
        if (strncmp(text, entity[i].name, *bytes) == 0) return entity[i].is;
    }
    *bytes = 1;
    return 0;
}

char *words_of_ssml(const char *ssml)
{
    char *out = memory_get(strlen(ssml) + 1, 1), *to = out;
    bool inside = false;
    for (const char *p = ssml; *p;) {
        size_t n = 1;
        char entity = inside ? 0 : entity_at(p, &n);
        if (*p == '<') inside = true;
        if (!inside) *to++ = entity ? entity : *p;
        if (*p == '>') inside = false;
        p += n;
    }
    return out;
}
