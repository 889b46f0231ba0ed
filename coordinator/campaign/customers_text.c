#include "customers_text.h"

#include <ctype.h>
#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/plural.h"
#include "coordinator/campaign/customers.h"

static const char save_as[] = "save it as CSV UTF-8";

/* ---- what is no text ---- */

/* In any case of letters; bytes of 0 count. */
static bool begins_with(const char *data, size_t bytes, const char *magic, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (i >= bytes || tolower((unsigned char)data[i]) != tolower((unsigned char)magic[i])) return false;
    return true;
}

static const char *other_kind(const char *data, size_t bytes)
{
    static const struct {
        const char *magic;
        size_t length;
        const char *kind;
    } row[] = {{"PK\3\4", 4, "an Excel or OpenDocument workbook (or another ZIP file)"},
               {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8, "an old Excel workbook"},
               {"\x1f\x8b", 2, "a gzip file; unpack it"},
               {"%PDF", 4, "a PDF file"},
               {"\x89PNG", 4, "a PNG picture"},
               {"\xff\xd8\xff", 3, "a JPEG picture"},
               {"GIF8", 4, "a GIF picture"},
               {"II*\0", 4, "a TIFF picture"},
               {"MM\0*", 4, "a TIFF picture"},
               {"\0\0\0", 3, "a video or another file of bytes"},
               {"SQLite format 3", 15, "an SQLite database"},
               {"{\\rtf", 5, "an RTF document"},
               {"<html", 5, "a web page"},
               {"<!doctype", 9, "a web page"},
               {"<table", 6, "a web page (some programs call such a table .xls)"},
               {"<?xml", 5, "an XML file"}};
    while (bytes > 0 && strchr(" \t\r\n", *data) && *data) data++, bytes--;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (begins_with(data, bytes, row[i].magic, row[i].length)) return row[i].kind;
    return NULL;
}

/* ---- encodings ---- */

typedef struct {
    const char *name;
    size_t mark; /* bytes of the byte order mark, 0: there is none */
} Encoding;

/* The first characters of a table are ASCII nearly always, so that every other byte of UTF-16 is 0. */
static Encoding without_mark(const char *data, size_t bytes)
{
    size_t zeros[2] = {0, 0}, n = bytes < 256 ? bytes & ~(size_t)1 : 256;
    for (size_t i = 0; i < n; i++) zeros[i & 1] += data[i] == 0;
    if (n < 4) return (Encoding){NULL, 0};
    if (zeros[1] * 5 >= n && zeros[0] * 20 <= n) return (Encoding){"UTF-16LE", 0};
    if (zeros[0] * 5 >= n && zeros[1] * 20 <= n) return (Encoding){"UTF-16BE", 0};
    return (Encoding){NULL, 0};
}

static Encoding find_encoding(const char *data, size_t bytes)
{
    static const struct {
        const char *mark;
        size_t length;
        const char *name;
    } row[] = {{"\xff\xfe\0\0", 4, "UTF-32LE"},
               {"\0\0\xfe\xff", 4, "UTF-32BE"},
               {"\xff\xfe", 2, "UTF-16LE"},
               {"\xfe\xff", 2, "UTF-16BE"}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (bytes >= row[i].length && memcmp(data, row[i].mark, row[i].length) == 0)
            return (Encoding){row[i].name, row[i].length};
    return without_mark(data, bytes);
}

bool customers_text_knows(const char *encoding)
{
    iconv_t c = iconv_open("UTF-8", encoding);
    if (c == (iconv_t)-1) return false;
    iconv_close(c);
    return true;
}

static int line_at(const char *data, size_t at)
{
    int line = 1;
    for (size_t i = 0; i < at; i++) line += data[i] == '\n';
    return line;
}

/* To newly allocated UTF-8 with a 0 byte after it. *bad: where the first byte stands that means nothing in this encoding, and the
 * text ends before it; `bytes`: nowhere. NULL: no memory. */
static char *convert(const char *encoding, const char *data, size_t bytes, size_t *length, size_t *bad)
{
    iconv_t c = iconv_open("UTF-8", encoding);
    size_t room = bytes * 2 + 64, left = bytes;
    char *text = c == (iconv_t)-1 ? NULL : malloc(room + 1), *in = (char *)(uintptr_t)data;
    *length = 0;
    while (text && left > 0) {
        char *out = text + *length;
        size_t free_bytes = room - *length;
        const size_t code = iconv(c, &in, &left, &out, &free_bytes);
        *length = (size_t)(out - text);
        if (code != (size_t)-1 || errno != E2BIG) break;
        char *more = realloc(text, (room *= 2) + 1);
        if (!more) free(text);
        text = more;
    }
    if (text) text[*length] = 0;
    *bad = bytes - left;
    if (c != (iconv_t)-1) iconv_close(c);
    return text;
}

static bool take_converted(const char *file, Encoding e, const char *data, size_t bytes, Faults *faults,
                           CustomersText *out)
{
    size_t bad;
    out->owned = convert(e.name, data + e.mark, bytes - e.mark, &out->bytes, &bad);
    out->data = out->owned ? out->owned : "";
    out->bom = e.mark > 0;
    if (!out->owned)
        faults_add(faults, (Place){file, 0, NULL}, "no memory for it in %s", e.name);
    else if (bad < bytes - e.mark)
        faults_add(faults, (Place){file, line_at(out->data, out->bytes), NULL}, "byte %zu of the file is no %s text%s",
                   e.mark + bad + 1, e.name, bad + e.mark + 1 >= bytes ? ": the file is cut short" : "");
    return out->owned != NULL;
}

/* ---- one byte for each letter ---- */

typedef struct {
    size_t first;         /* the first byte that is not UTF-8 */
    int lines, last_line; /* that hold one; the last of them */
    bool utf8;            /* there are letters of several bytes, too: this is UTF-8, and damaged */
} Strangers;

static Strangers find_strangers(const char *data, size_t bytes)
{
    Strangers s = {.first = bytes};
    int line = 1;
    for (size_t i = 0; i < bytes;) {
        uint32_t letter;
        const size_t n = foreign_letter(data + i, bytes - i, &letter);
        line += data[i] == '\n';
        s.utf8 = s.utf8 || n > 1;
        if (n == 0) {
            if (s.first == bytes) s.first = i;
            s.lines += line != s.last_line;
            s.last_line = line;
        }
        i += n ? n : 1;
    }
    return s;
}

/* The word around a byte, as Windows-1252 reads it; free() it. */
static char *word_around(const char *data, size_t bytes, size_t at)
{
    static const char ends[] = ",;\t|\"\r\n";
    size_t from = at, to = at, length, bad;
    while (from > 0 && at - from < 20 && !strchr(ends, data[from - 1])) from--;
    while (to < bytes && to - at < 20 && !(data[to] && strchr(ends, data[to]))) to++;
    char *word = convert("WINDOWS-1252", data + from, to - from, &length, &bad);
    return word ? word : text_copy("");
}

/* Not one letter of several bytes, and several lines with bytes that are none: this is no damaged UTF-8. */
static void check_one_byte(const char *file, const char *data, size_t bytes, Faults *faults, CustomersText *out)
{
    const Strangers s = find_strangers(data, bytes);
    if (s.utf8 || s.lines < 2) return;
    char *word = word_around(data, bytes, s.first);
    faults_add(
        faults, (Place){file, line_at(data, s.first), NULL},
        "byte %zu of the file (0x%02x) is not UTF-8, and so in %d more line%s; as Windows-1252, Excel's \"CSV\", it "
        "would be %s: if that is right, say `encoding: windows-1252` in the campaign; else %s",
        out->before + s.first + 1, (unsigned char)data[s.first], s.lines - 1, plural_s(s.lines - 1), quoted(word).text,
        save_as);
    free(word);
    size_t bad;
    out->owned = convert("LATIN1", data, bytes, &out->bytes, &bad); /* read on, for what else is wrong */
    out->data = out->owned ? out->owned : "";
}

/* ---- all of it ---- */

bool customers_text_open(const char *file, const char *data, size_t bytes, const char *encoding, Faults *faults,
                         CustomersText *out)
{
    static const char mark[] = "\xef\xbb\xbf";
    const char *other = other_kind(data, bytes);
    *out = (CustomersText){.data = "", .bytes = 0};
    if (other) {
        faults_add(faults, (Place){file, 0, NULL}, "%s; expected text: %s", other, save_as);
        return false;
    }
    Encoding found = find_encoding(data, bytes);
    const bool marked = found.mark || (bytes >= 3 && memcmp(data, mark, 3) == 0); /* who says so itself is believed */
    const bool utf8 = encoding && (strcasecmp(encoding, "utf-8") == 0 || strcasecmp(encoding, "utf8") == 0);
    if (encoding && !marked) found = (Encoding){utf8 ? NULL : encoding, 0};
    if (found.name) return take_converted(file, found, data, bytes, faults, out);
    *out = (CustomersText){.data = data, .bytes = bytes};
    while (out->bytes >= 3 &&
           memcmp(out->data, mark, 3) == 0) { /* twice, where a program added it to a text that had it */
        out->data += 3;
        out->bytes -= 3;
        out->before += 3;
        out->bom = true;
    }
    check_one_byte(file, out->data, out->bytes, faults, out);
    return true;
}

void customers_text_clear(CustomersText *t)
{
    free(t->owned);
    *t = (CustomersText){0};
}

/* ---- names of columns ---- */

static bool has_no_width(uint32_t c)
{
    return c == 0xad || c == 0x180e || (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x2069) || c == 0xfeff || (c < ' ' && !strchr("\t\r\n", (int)c));
}

static bool is_space(uint32_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == 0xa0 || (c >= 0x2000 && c <= 0x200a) ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

unsigned customers_text_trim(char *name)
{
    size_t left = strlen(name);
    char *to = name;
    unsigned gone = 0;
    for (const char *p = name; left > 0;) {
        uint32_t c = 0;
        size_t n = foreign_letter(p, left, &c);
        if (n == 0) c = '?', n = 1; /* not UTF-8: told elsewhere */
        const bool space = is_space(c), none = has_no_width(c);
        if (!gone && c > 0x7f && (space || none)) gone = c;
        if (space && to > name && to[-1] != ' ') *to++ = ' ';
        if (!space && !none) {
            memmove(to, p, n);
            to += n;
        }
        p += n;
        left -= n;
    }
    if (to > name && to[-1] == ' ') to--;
    *to = 0;
    return gone;
}
