#include "foreign.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/file.h"

size_t foreign_letter(const char *text, size_t bytes, uint32_t *letter)
{
    const unsigned char *p = (const unsigned char *)text;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* a longer form than needed is none */
    if (bytes == 0) return 0;
    const size_t n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    if (n == 0 || n > bytes) return 0;
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0;
    *letter = c;
    return n;
}

int foreign_columns(uint32_t letter)
{
    static const struct {
        uint32_t first, last;
        int columns;
    } range[] = {{0x300, 0x36f, 0},     {0x483, 0x489, 0},     {0x591, 0x5bd, 0},     {0x610, 0x61a, 0},
                 {0x64b, 0x65f, 0},     {0x900, 0x902, 0},     {0x93c, 0x93c, 0},     {0x941, 0x948, 0},
                 {0xe31, 0xe31, 0},     {0xe34, 0xe3a, 0},     {0xe47, 0xe4e, 0},     {0x1100, 0x115f, 2},
                 {0x1160, 0x11ff, 0},   {0x1ab0, 0x1aff, 0},   {0x1dc0, 0x1dff, 0},   {0x200b, 0x200f, 0},
                 {0x20d0, 0x20ff, 0},   {0x2e80, 0x303e, 2},   {0x3041, 0x33ff, 2},   {0x3400, 0x4dbf, 2},
                 {0x4e00, 0xa4cf, 2},   {0xac00, 0xd7a3, 2},   {0xf900, 0xfaff, 2},   {0xfe00, 0xfe0f, 0},
                 {0xfe20, 0xfe2f, 0},   {0xfe30, 0xfe6f, 2},   {0xff00, 0xff60, 2},   {0xffe0, 0xffe6, 2},
                 {0x1f300, 0x1f64f, 2}, {0x1f680, 0x1f6ff, 2}, {0x1f900, 0x1f9ff, 2}, {0x20000, 0x3fffd, 2}};
    for (size_t i = 0; i < sizeof range / sizeof *range && letter >= range[i].first; i++)
        if (letter <= range[i].last) return range[i].columns;
    return 1;
}

int foreign_gap(const char *text, int columns)
{
    for (size_t left = strlen(text), n; left && columns > 0; text += n, left -= n) {
        uint32_t letter = 0;
        n = foreign_letter(text, left, &letter);
        columns -= n ? foreign_columns(letter) : 1; /* a byte that is no UTF-8 is shown as "?" */
        if (n == 0) n = 1;
    }
    return columns > 0 ? columns : 0;
}

size_t foreign_control(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) return 2;
    return p[0] == 0x7f || (p[0] && p[0] < ' ' && !strchr("\t\r\n", p[0])) ? 1 : 0;
}

static bool is_harmful(uint32_t c)
{
    return c < ' ' || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* `ours`: the same text, formatted with another byte for our own line breaks, so that those differ in the two. NULL: none of them is ours.
 * Returns the new length. */
static size_t clean(char *text, size_t bytes, const char *ours)
{
    size_t to = 0;
    for (size_t at = 0; at < bytes;) {
        uint32_t c;
        const size_t n = foreign_letter(text + at, bytes - at, &c);
        if (ours && ours[at] != text[at]) {
            text[to++] = '\n'; /* the two markers differ where fmt has a line break */
            at++;
        } else if (n == 0 || is_harmful(c)) {
            text[to++] = n == 1 && c == '\t' ? ' ' : '?';
            at += n ? n : 1;
        } else {
            memmove(text + to, text + at, n);
            to += n;
            at += n;
        }
    }
    text[to] = 0;
    return to;
}

bool foreign_is_line(const char *text)
{
    size_t left = strlen(text);
    for (uint32_t c; left > 0;) {
        const size_t n = foreign_letter(text, left, &c);
        if (n == 0 || c < ' ' || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029) return false;
        text += n;
        left -= n;
    }
    return true;
}

bool foreign_is_safe(const char *text)
{
    size_t left = strlen(text);
    for (uint32_t c; left > 0;) {
        const size_t n = foreign_letter(text, left, &c);
        if (n == 0 || is_harmful(c)) return false;
        text += n;
        left -= n;
    }
    return true;
}

void foreign_clean(char *text) { clean(text, strlen(text), NULL); }

char *foreign_copy(const char *text)
{
    char *copy = text_copy(text);
    foreign_clean(copy);
    return copy;
}

char *foreign_utf8(const char *text)
{
    char *copy = text_copy(text);
    size_t left = strlen(copy);
    for (char *p = copy; left > 0;) {
        uint32_t c;
        const size_t n = foreign_letter(p, left, &c);
        if (n == 0) *p = '?';
        p += n ? n : 1;
        left -= n ? n : 1;
    }
    return copy;
}

/* fmt with another byte in the place of its line breaks. */
static void mark(char *to, size_t room, const char *fmt, char marker)
{
    size_t n = strnlen(fmt, room - 1);
    for (size_t i = 0; i < n; i++) to[i] = fmt[i] == '\n' ? marker : fmt[i];
    to[n] = 0;
}

/* Of a text that was cut: without the beginning of a character whose rest is missing. */
static size_t whole_letters(const char *text, size_t bytes)
{
    size_t at = bytes;
    uint32_t c;
    while (at > 0 && bytes - at < 3 && ((unsigned char)text[at - 1] & 0xc0) == 0x80) at--;
    const bool begins = at > 0 && (unsigned char)text[at - 1] >= 0xc0;
    return begins && foreign_letter(text + at - 1, bytes - at + 1, &c) == 0 ? at - 1 : bytes;
}

enum { FORMAT_BYTES = 2048, TEXT_BYTES = 32 << 10 };

/* Formatted twice, with two different bytes for its own line breaks: where the two texts differ, the break is ours, whatever the
 * arguments hold. */
size_t foreign_vformat(char *to, size_t room, const char *fmt, va_list args)
{
    char first[FORMAT_BYTES], second[FORMAT_BYTES], other[TEXT_BYTES];
    va_list again;
    const bool breaks = strchr(fmt, '\n') && strlen(fmt) < FORMAT_BYTES;
    if (room == 0) return 0;
    if (breaks && room > TEXT_BYTES) room = TEXT_BYTES;
    if (breaks) {
        mark(first, sizeof first, fmt, '\1');
        mark(second, sizeof second, fmt, '\2');
        va_copy(again, args);
        vsnprintf(other, room, second, again);
        va_end(again);
        fmt = first;
    }
    const int n = vsnprintf(to, room, fmt, args);
    if (n < 0) to[0] = 0;
    const size_t bytes = n < 0 ? 0 : (size_t)n < room ? (size_t)n : whole_letters(to, room - 1);
    return clean(to, bytes, breaks ? other : NULL);
}

void foreign_print(FILE *to, const char *fmt, ...)
{
    char text[TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    const size_t n = foreign_vformat(text, sizeof text, fmt, args);
    va_end(args);
    fwrite(text, 1, n, to);
}

bool foreign_print_json(FILE *to, const json_t *document, size_t flags)
{
    char *text = json_dumps(document, flags);
    size_t left = text ? strlen(text) : 0;
    for (const char *p = text; left > 0;) {
        uint32_t c;
        const size_t n = foreign_letter(p, left, &c), bytes = n ? n : 1;
        if (n && c >= 0x7f && is_harmful(c))
            fprintf(to, "\\u%04X", (unsigned)c);
        else
            fwrite(p, 1, bytes, to);
        p += bytes;
        left -= bytes;
    }
    const bool whole = text && fputc('\n', to) != EOF && fflush(to) == 0;
    free(text);
    return whole;
}
