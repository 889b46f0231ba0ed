#include "clean_text.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "clean_tables.h"
#include "common/file.h"

void clean_text_free(CleanText *t)
{
    free(t->at);
    *t = (CleanText){0};
}

static void make_room(CleanText *t, size_t more)
{
    if (t->length + more <= t->room) return;
    size_t room = 2 * (t->length + more) + 16;
    uint32_t *at = memory_get(room, sizeof *at);
    if (t->length) memcpy(at, t->at, t->length * sizeof *at);
    free(t->at);
    t->at = at;
    t->room = room;
}

void clean_text_push(CleanText *t, uint32_t c)
{
    make_room(t, 1);
    t->at[t->length++] = c;
}

void clean_text_append(CleanText *t, const uint32_t *at, size_t length)
{
    if (length == 0) return;
    make_room(t, length);
    memcpy(t->at + t->length, at, length * sizeof *at);
    t->length += length;
}

void clean_text_append_utf8(CleanText *t, const char *utf8)
{
    const uint8_t *bytes = (const uint8_t *)utf8;
    for (size_t left = strlen(utf8), used; left > 0; left -= used, bytes += used) {
        uint32_t c = 0;
        used = clean_text_decode(bytes, left, &c);
        if (used == 0) return;
        clean_text_push(t, c);
    }
}

bool clean_text_equal(const CleanText *a, const CleanText *b)
{
    return a->length == b->length && (a->length == 0 || memcmp(a->at, b->at, a->length * sizeof *a->at) == 0);
}

void clean_text_move(CleanText *to, CleanText *from)
{
    free(to->at);
    *to = *from;
    *from = (CleanText){0};
}

uint64_t clean_text_kind(uint32_t c)
{
    if (c > ' ' && c < 0x7f) return c >= '0' && c <= '9' ? CLEAN_DIGIT : 0; /* most text, for speed */
    size_t low = 0, high = clean_tables_kind_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c > clean_tables_kind[middle].last) {
            low = middle + 1;
        } else if (c < clean_tables_kind[middle].first) {
            high = middle;
        } else {
            return clean_tables_kind[middle].mask;
        }
    }
    return 0;
}

size_t clean_text_decode(const uint8_t *bytes, size_t n, uint32_t *c)
{
    uint8_t first = bytes[0];
    if (first < 0x80) {
        *c = first;
        return 1;
    }
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || length > n) return 0;
    uint32_t value = first & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) return 0;
        value = value << 6 | (bytes[i] & 0x3fu);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return 0;
    *c = value;
    return length;
}

size_t clean_text_encode(uint32_t c, uint8_t bytes[4])
{
    if (c < 0x80) {
        bytes[0] = (uint8_t)c;
        return 1;
    }
    size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, c >>= 6) bytes[i] = (uint8_t)(0x80 | (c & 0x3f));
    bytes[0] = (uint8_t)((0xf00u >> length) | c);
    return length;
}

Status clean_text_from_utf8(const char *utf8, CleanText *t)
{
    *t = (CleanText){0};
    size_t length = strlen(utf8);
    for (size_t at = 0, used; at < length; at += used) {
        uint32_t c = 0;
        used = clean_text_decode((const uint8_t *)utf8 + at, length - at, &c);
        if (used == 0) {
            clean_text_free(t);
            return status_fail(ERR_INPUT, "the text is not UTF-8: byte %zu is 0x%02x", at, (unsigned)(uint8_t)utf8[at]);
        }
        clean_text_push(t, c);
    }
    return status_ok();
}

char *clean_text_to_utf8(const CleanText *t)
{
    char *out = memory_get(4 * t->length + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < t->length; i++) n += clean_text_encode(t->at[i], (uint8_t *)out + n);
    out[n] = 0;
    return out;
}

static Status compose_run(const uint32_t *at, size_t length, CleanText *out)
{
    CleanText run = {.at = (uint32_t *)at, .length = length}; /* borrowed, only read */
    uint8_t *composed = NULL;
    uint8_t *bytes = memory_get(4 * length + 1, 1);
    utf8proc_ssize_t n = 0;
    for (size_t i = 0; i < run.length; i++) n += (utf8proc_ssize_t)clean_text_encode(run.at[i], bytes + n);
    n = utf8proc_map(bytes, n, &composed, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    free(bytes);
    if (n < 0) return status_fail(ERR_NODE, "normalising text: %s", utf8proc_errmsg(n));
    for (size_t left = (size_t)n, used, from = 0; left > 0; left -= used, from += used) {
        uint32_t c = 0xfffd;
        used = clean_text_decode(composed + from, left, &c);
        clean_text_push(out, c);
        if (used == 0) break;
    }
    free(composed);
    return status_ok();
}

/* utf8proc may know a newer Unicode; a character that version 14 does not have separates, and stays as it is. */
Status clean_text_compose(CleanText *t)
{
    size_t first = 0;
    while (first < t->length && t->at[first] < 0x300) first++;
    if (first == t->length) return status_ok();
    CleanText out = {0};
    for (size_t from = 0; from < t->length;) {
        size_t end = from;
        while (end < t->length && !(clean_text_kind(t->at[end]) & CLEAN_UNASSIGNED)) end++;
        Status status = end > from ? compose_run(t->at + from, end - from, &out) : status_ok();
        if (failed(status)) {
            clean_text_free(&out);
            return status;
        }
        if (end < t->length) clean_text_push(&out, t->at[end++]);
        from = end;
    }
    clean_text_move(t, &out);
    return status_ok();
}
