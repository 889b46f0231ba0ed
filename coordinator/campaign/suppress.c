#include "suppress.h"

#include <stdlib.h>
#include <string.h>

#define uthash_fatal(message) abort()
#include <uthash.h>

#include "common/file.h"
#include "common/hash.h"

typedef struct {
    UT_hash_handle hh;
    char *value;
    int line;
} Entry;

struct Suppress {
    char *file, **by;
    int by_count;
    Entry *entry;
    bool has_hashes;
};

/* Without spaces, quotes and the byte order mark around it, in lower case; in place. */
static char *normal(char *text)
{
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0) text += 3;
    text += strspn(text, " \t\"");
    size_t n = strlen(text);
    while (n && strchr(" \t\r\"", text[n - 1])) text[--n] = 0;
    for (char *c = text; *c; c++)
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c - 'A' + 'a');
    return text;
}

static void add_line(Suppress *s, char *text, int line)
{
    Entry *e;
    text[strcspn(text, ",;\t")] = 0;
    text = normal(text);
    if (!*text || *text == '#') return;
    HASH_FIND_STR(s->entry, text, e);
    if (e) return;
    e = memory_get(1, sizeof *e);
    e->value = text_copy(text);
    e->line = line;
    HASH_ADD_KEYPTR(hh, s->entry, e->value, strlen(e->value), e);
    s->has_hashes = s->has_hashes || strspn(text, "0123456789abcdef") == HASH_TEXT - 1;
}

Status suppress_read(const char *file, const char *const *by, int by_count, Suppress **out)
{
    char *text = NULL, *rest, *line;
    size_t bytes;
    *out = NULL;
    TRY(file_read(file, SUPPRESS_MAX_BYTES, &text, &bytes));
    if (memchr(text, 0, bytes)) {
        free(text);
        return status_fail(ERR_INPUT, "%s: no text in UTF-8, expected an id or an e-mail address a line", file);
    }
    Suppress *s = *out = memory_get(1, sizeof *s);
    s->file = text_copy(path_name(file));
    s->by = memory_get((size_t)by_count + 1, sizeof *s->by);
    for (; s->by_count < by_count; s->by_count++) s->by[s->by_count] = text_copy(by[s->by_count]);
    rest = text;
    for (int number = 1; (line = strsep(&rest, "\n")); number++) add_line(s, line, number);
    free(text);
    return status_ok();
}

void suppress_free(Suppress **suppress)
{
    Suppress *s = *suppress;
    Entry *e, *next;
    if (!s) return;
    HASH_ITER(hh, s->entry, e, next)
    {
        HASH_DEL(s->entry, e);
        free(e->value);
        free(e);
    }
    for (int i = 0; i < s->by_count; i++) free(s->by[i]);
    free(s->by);
    free(s->file);
    free(s);
    *suppress = NULL;
}

static int find(const Suppress *s, const char *value)
{
    char *copy = text_copy(value), *text = normal(copy), hash[HASH_TEXT];
    Entry *e = NULL;
    if (*text) HASH_FIND_STR(s->entry, text, e);
    if (!e && *text && s->has_hashes) {
        hash_bytes(text, strlen(text), hash);
        HASH_FIND_STR(s->entry, hash, e);
    }
    free(copy);
    return e ? e->line : 0;
}

static bool counts(const Suppress *s, const char *column, const char *cell)
{
    if (strchr(cell, '@')) return true;
    for (int i = 0; i < s->by_count; i++)
        if (strcmp(s->by[i], column) == 0) return true;
    return false;
}

int suppress_line(const Suppress *s, const char *id, const char *const *column, const char *const *cell, int count)
{
    if (!s) return 0;
    int line = find(s, id);
    for (int i = 0; i < count && !line; i++)
        if (cell[i] && counts(s, column[i], cell[i])) line = find(s, cell[i]);
    return line;
}

char *suppress_reason(const Suppress *s, int line)
{
    return text_format("not delivered: it is in %s, line %d", s->file, line);
}
