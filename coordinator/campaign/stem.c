#include "stem.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <utf8proc.h>

#include "common/file.h"
#include "common/hash.h"
#include "coordinator/campaign/lookup.h"

enum { BASE_BYTES = 80, MARK_DIGITS = 8 };

struct Stems {
    const char **stem;
    int64_t count, room;
    Lookup taken; /* by the stem in lower case */
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

Stems *stems_new(Texts *text)
{
    Stems *s = memory_get(1, sizeof *s);
    s->text = text;
    return s;
}

void stems_free(Stems **s)
{
    if (!*s) return;
    lookup_clear(&(*s)->taken);
    free((*s)->stem);
    free(*s);
    *s = NULL;
}

static uint64_t folded_hash(const char *stem)
{
    char folded[STEM_BYTES];
    size_t n = 0;
    for (; stem[n]; n++) folded[n] = (char)(stem[n] >= 'A' && stem[n] <= 'Z' ? stem[n] - 'A' + 'a' : stem[n]);
    return lookup_hash(lookup_start(), folded, n);
}

/* hash: the stem's folded_hash. */
static bool is_taken(const Stems *s, const char *stem, uint64_t hash)
{
    size_t at = 0;
    for (int64_t i; (i = lookup_next(&s->taken, hash, &at)) >= 0;)
        if (strcasecmp(s->stem[i], stem) == 0) return true;
    return false;
}

static void add_stem(Stems *s, const char *kept, uint64_t hash)
{
    if (s->count == s->room) {
        s->room = 2 * s->room + 64;
        s->stem = memory_resize(s->stem, (size_t)s->room, sizeof *s->stem);
    }
    s->stem[s->count] = kept;
    lookup_add(&s->taken, hash, s->count++);
}

void stems_note(Stems *s, const char *stem)
{
    const size_t bytes = strlen(stem);
    if (bytes >= STEM_BYTES) abort();
    const uint64_t hash = folded_hash(stem);
    if (!is_taken(s, stem, hash)) add_stem(s, texts_keep(s->text, stem, bytes), hash);
}

void stem_mark(const char *id, char stem[STEM_BYTES])
{
    char base[STEM_BYTES], mark[HASH_TEXT];
    stem_from_id(id, base);
    hash_bytes(id, strlen(id), mark);
    snprintf(stem, STEM_BYTES, "%.*s-%.*s", BASE_BYTES, base, MARK_DIGITS, mark);
}

const char *stems_take(Stems *s, const char *id)
{
    char stem[STEM_BYTES];
    stem_from_id(id, stem);
    uint64_t hash = folded_hash(stem);
    if (is_taken(s, stem, hash)) {
        char marked[STEM_BYTES];
        stem_mark(id, marked);
        memcpy(stem, marked, sizeof marked);
        hash = folded_hash(stem);
        for (int i = 2; is_taken(s, stem, hash); i++, hash = folded_hash(stem))
            snprintf(stem, STEM_BYTES, "%.*s-%d", BASE_BYTES + 1 + MARK_DIGITS, marked, i);
    }
    const char *kept = strcmp(stem, id) == 0 ? id : texts_keep(s->text, stem, strlen(stem));
    add_stem(s, kept, hash);
    return kept;
}
