#include "stem.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <utf8proc.h>
#define uthash_fatal(message) abort()
#include <uthash.h>

#include "common/file.h"
#include "common/hash.h"
#include "coordinator/campaign/texts.h"

enum { BASE_BYTES = 80, MARK_DIGITS = 8 };

typedef struct {
    UT_hash_handle hh; /* its key is the stem in lower case */
} Entry;

struct Stems {
    int64_t count, most;
    Entry *entry, *taken;
    Texts *text;
};

/* Names that Windows keeps for devices, whatever ending follows them. */
static bool is_device(const char *stem)
{
    static const char *const name[] = {"con", "prn", "aux", "nul"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        if (strcasecmp(stem, name[i]) == 0) return true;
    return (strncasecmp(stem, "com", 3) == 0 || strncasecmp(stem, "lpt", 3) == 0) && isdigit((unsigned char)stem[3]) &&
           !stem[4];
}

static bool is_safe(int32_t letter)
{
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9') ||
           letter == '-' || letter == '_';
}

/* Latin letters that Unicode does not decompose, as they are written where a keyboard lacks them. */
static const char *plain_letters(int32_t letter)
{
    static const struct {
        int32_t letter;
        const char *plain;
    } row[] = {{0xdf, "ss"}, {0xc6, "AE"}, {0xe6, "ae"}, {0xd8, "O"},  {0xf8, "o"},   {0xd0, "D"},
               {0xf0, "d"},  {0xde, "Th"}, {0xfe, "th"}, {0x110, "D"}, {0x111, "d"},  {0x126, "H"},
               {0x127, "h"}, {0x131, "i"}, {0x141, "L"}, {0x142, "l"}, {0x152, "OE"}, {0x153, "oe"}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (row[i].letter == letter) return row[i].plain;
    return NULL;
}

void stem_from_id(const char *id, char stem[STEM_BYTES])
{
    utf8proc_uint8_t *plain =
        NULL; /* without accents; NULL when the id has none or is no UTF-8: its bytes are taken then */
    bool ascii = true;
    for (const char *p = id; *p; p++) ascii = ascii && (unsigned char)*p < 0x80;
    if (!ascii)
        utf8proc_map((const utf8proc_uint8_t *)id, 0, &plain,
                     UTF8PROC_NULLTERM | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_STRIPMARK);
    const utf8proc_uint8_t *p = plain ? plain : (const utf8proc_uint8_t *)id;
    int n = 0;
    while (*p && n < BASE_BYTES) {
        utf8proc_int32_t letter = *p;
        utf8proc_ssize_t bytes = plain ? utf8proc_iterate(p, -1, &letter) : 1;
        p += bytes > 0 ? bytes : 1;
        const char *letters = plain_letters(letter);
        if (plain && letters) {
            while (*letters && n < BASE_BYTES) stem[n++] = *letters++;
            continue;
        }
        bool safe = is_safe(letter) && !(n == 0 && letter == '-'); /* a leading - looks like an option */
        stem[n++] = safe ? (char)letter : '_';
    }
    if (n == 0) stem[n++] = '_';
    stem[n] = 0;
    if (is_device(stem)) memcpy(stem + n, "_", 2);
    free(plain);
}

Stems *stems_new(int64_t most)
{
    Stems *s = memory_get(1, sizeof *s);
    s->most = most;
    s->entry = memory_get((size_t)most, sizeof *s->entry);
    s->text = texts_new();
    return s;
}

void stems_free(Stems **s)
{
    if (!*s) return;
    HASH_CLEAR(hh, (*s)->taken);
    free((*s)->entry);
    texts_free(&(*s)->text);
    free(*s);
    *s = NULL;
}

static bool is_taken(const Stems *s, const char *stem, char folded[STEM_BYTES])
{
    Entry *other;
    size_t n = strlen(stem);
    for (size_t i = 0; i <= n; i++) folded[i] = (char)tolower((unsigned char)stem[i]);
    HASH_FIND(hh, s->taken, folded, n, other);
    return other;
}

static void keep_stem(Stems *s, const char *folded)
{
    Entry *e = &s->entry[s->count++];
    size_t n = strlen(folded);
    HASH_ADD_KEYPTR(hh, s->taken, texts_keep(s->text, folded, n), n, e);
}

void stems_note(Stems *s, const char *stem)
{
    char folded[STEM_BYTES];
    if (s->count == s->most || strlen(stem) >= STEM_BYTES) abort();
    if (!is_taken(s, stem, folded)) keep_stem(s, folded);
}

void stem_mark(const char *id, char stem[STEM_BYTES])
{
    char base[STEM_BYTES], mark[HASH_TEXT];
    stem_from_id(id, base);
    hash_bytes(id, strlen(id), mark);
    snprintf(stem, STEM_BYTES, "%.*s-%.*s", BASE_BYTES, base, MARK_DIGITS, mark);
}

void stems_take(Stems *s, const char *id, char stem[STEM_BYTES])
{
    char folded[STEM_BYTES];
    if (s->count == s->most) abort();
    stem_from_id(id, stem);
    if (is_taken(s, stem, folded)) {
        char marked[STEM_BYTES];
        stem_mark(id, marked);
        memcpy(stem, marked, sizeof marked);
        for (int i = 2; is_taken(s, stem, folded); i++)
            snprintf(stem, STEM_BYTES, "%.*s-%d", BASE_BYTES + 1 + MARK_DIGITS, marked, i);
    }
    keep_stem(s, folded);
}
