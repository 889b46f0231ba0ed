/* CSV through libcsv. libcsv knows no lines, so the file is fed to it line by line: whatever it reports while it has
 * a line in hand ends there. After a misplaced quote it starts afresh with the line after the one on which the
 * broken row began, so that one forgotten quote costs one row and not the rest of the file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <csv.h>

#include "common/file.h"
#include "common/plural.h"
#include "coordinator/campaign/customers.h"
#include "coordinator/campaign/customers_text.h"

typedef struct {
    const char *file, *data;
    size_t bytes, at; /* at: where the line begins that is read next */
    size_t before;    /* of the file, before data */
    int line;         /* number of the line that is being read */
    Faults *faults;
    Customers *c;
    const CustomersOptions *options;
    struct csv_parser csv;
    char delimiter;
    int64_t blank; /* rows without any value */

    bool header_done, row_open, stop;
    bool bad_told;                 /* the row's first bad byte is reported */
    int row_line;                  /* where the row begins */
    int header_line, header_count; /* of the first one: where it begins, names and empty ones at the end */
    size_t row_next;               /* where the line after the row's first line begins */
    int64_t bad_at;                /* in the file: the row's first byte that is not UTF-8, or -1 */
    int field_count;               /* seen of this row */
    char **row;                    /* its values: room for CUSTOMERS_MAX_COLUMNS */
} Reader;

static int no_space(unsigned char c)
{
    (void)c;
    return 0; /* spaces belong to the value: RFC 4180 */
}

static void begin_row(Reader *r)
{
    r->row_open = false;
    r->bad_told = false;
    r->bad_at = -1;
    r->field_count = 0;
}

static void start_parser(Reader *r)
{
    if (csv_init(&r->csv, CSV_STRICT | CSV_STRICT_FINI) != 0) abort();
    csv_set_space_func(&r->csv, no_space);
    csv_set_delim(&r->csv, (unsigned char)r->delimiter);
    begin_row(r);
}

static const char *column_name(const Reader *r, int field)
{
    return r->header_done && field < r->c->column_count ? r->c->column[field] : NULL;
}

/* The row has a byte that is not UTF-8: in this value? */
static void check_encoding(Reader *r, const char *text, size_t bytes)
{
    int64_t at = customers_bad_byte(text, bytes);
    if (at < 0) return;
    r->bad_told = true;
    char column[32];
    snprintf(column, sizeof column, "%d", r->field_count + 1);
    const char *name = column_name(r, r->field_count);
    Place place = {r->file, r->row_line, name ? name : column};
    if (text[at])
        faults_add(r->faults, place,
                   "byte %lld of the value (byte %lld of the file, 0x%02x) is not UTF-8; save the file as UTF-8",
                   (long long)at + 1, (long long)(r->before + (size_t)r->bad_at) + 1, (unsigned char)text[at]);
    else
        faults_add(r->faults, place, "byte %lld of the value (byte %lld of the file) is 0; expected UTF-8 text",
                   (long long)at + 1, (long long)(r->before + (size_t)r->bad_at) + 1);
}

static void take_field(void *text, size_t bytes, void *self)
{
    Reader *r = self;
    if (r->bad_at >= 0 && !r->bad_told) check_encoding(r, text ? text : "", bytes);
    if (r->field_count < CUSTOMERS_MAX_COLUMNS)
        r->row[r->field_count] = bytes ? customers_keep(r->c, text, bytes) : (char *)"";
    r->field_count++;
}

static const char *delimiter_name(char delimiter)
{
    return delimiter == ';' ? "semicolon" : delimiter == '\t' ? "tab" : delimiter == '|' ? "bar" : "comma";
}

static void take_header(Reader *r)
{
    Customers *c = r->c;
    Place place = {r->file, r->row_line, NULL};
    r->header_done = true;
    r->header_line = r->row_line;
    r->header_count = r->field_count;
    if (r->field_count > CUSTOMERS_MAX_COLUMNS) {
        faults_add(r->faults, place, "%d columns, expected at most %d", r->field_count, CUSTOMERS_MAX_COLUMNS);
        r->stop = true;
        return;
    }
    c->column_count = r->field_count; /* without those at the end that a spreadsheet adds */
    while (c->column_count > 1 && text_is_blank(r->row[c->column_count - 1])) c->column_count--;
    c->column = memory_get((size_t)c->column_count, sizeof *c->column);
    memcpy(c->column, r->row, (size_t)c->column_count * sizeof *c->column);
    customers_check_columns(c, place, r->options, r->faults);
    if (r->delimiter != ',')
        faults_warn(r->faults, place, "", "%ss instead of commas between the values; read so",
                    delimiter_name(r->delimiter));
}

/* How many values there are, without the empty ones at the end that have no column. */
static int count_values(const Reader *r)
{
    int n = r->field_count;
    while (n > r->c->column_count && n <= CUSTOMERS_MAX_COLUMNS && text_is_blank(r->row[n - 1])) n--;
    return n;
}

static bool has_no_value(const Reader *r)
{
    for (int i = 0; i < r->field_count && i < CUSTOMERS_MAX_COLUMNS; i++)
        if (!text_is_blank(r->row[i])) return false;
    return r->field_count > 1;
}

static void keep_row(Reader *r, Place place)
{
    Customers *c = r->c;
    char **row = customers_new_row(c, place, r->faults);
    r->stop = !row;
    if (row) memcpy(row, r->row, (size_t)c->column_count * sizeof *row);
}

static void take_row(int end, void *self)
{
    (void)end;
    Reader *r = self;
    Customers *c = r->c;
    Place place = {r->file, r->row_line, NULL};
    const int count = count_values(r);
    if (!r->header_done) {
        take_header(r);
    } else if (has_no_value(r)) {
        r->blank++;
    } else if (count < c->column_count) {
        place.field = c->column[count];
        faults_add(r->faults, place, "missing: the row has %d of %d value%s", count, c->column_count,
                   plural_s(c->column_count));
    } else if (count > c->column_count && count <= r->header_count) {
        faults_add(r->faults, place, "column %d has no name in line %d, but a value here, %s", count, r->header_line,
                   quoted(r->row[count - 1]).text);
    } else if (count > c->column_count) {
        faults_add(r->faults, place, "%d value%s, expected %d (%s to %s); a value with a %s needs quotes around it",
                   count, plural_s(count), c->column_count, c->column[0], c->column[c->column_count - 1],
                   delimiter_name(r->delimiter));
    } else if (r->bad_at < 0) {
        keep_row(r, place);
    }
    begin_row(r);
}

/* libcsv refused a quote, or the file ended inside of one. */
static void take_broken_row(Reader *r, bool ended)
{
    Place place = {r->file, r->row_line, column_name(r, r->field_count)};
    if (ended)
        faults_add(r->faults, place, "the quote that opens the value is never closed");
    else if (r->csv.quoted)
        faults_add(
            r->faults, place,
            "text after the closing quote (in line %d); expected a %s or the end of the line, and quotes inside of "
            "a value doubled",
            r->line, delimiter_name(r->delimiter));
    else
        faults_add(
            r->faults, place,
            "a quote within a value that does not begin with one; expected quotes around the whole value, without "
            "a space before them, and doubled inside of it");
    if (!r->header_done || faults_count(r->faults) >= FAULTS_SHOWN) r->stop = true;
    csv_free(&r->csv);
    r->line = r->row_line;
    r->at = r->row_next;
    start_parser(r);
}

/* Bytes of the line that begins at p, with its LF, CRLF or CR. */
static size_t line_bytes(const char *p, size_t rest)
{
    const char *lf = memchr(p, '\n', rest);
    size_t n = lf ? (size_t)(lf - p) + 1 : rest;
    const char *cr = memchr(p, '\r', n);
    if (cr && cr + 1 < p + rest && cr[1] != '\n') return (size_t)(cr - p) + 1;
    return n;
}

static void read_line(Reader *r)
{
    const char *p = r->data + r->at;
    size_t n = line_bytes(p, r->bytes - r->at);
    bool blank = *p == '\n' || *p == '\r';
    r->line++;
    if (!r->row_open && !blank) {
        r->row_open = true;
        r->row_line = r->line;
        r->row_next = r->at + n;
    }
    int64_t bad = customers_bad_byte(p, n);
    if (bad >= 0 && r->bad_at < 0) r->bad_at = (int64_t)r->at + bad;
    r->at += n;
    if (csv_parse(&r->csv, p, n, take_field, take_row, r) != n) take_broken_row(r, false);
}

/* ---- what separates the values ---- */

/* Excel's own word for it: a first line "sep=;". Returns that line's bytes, 0: there is none. */
static size_t read_sep(const char *p, size_t n, char *delimiter)
{
    const bool in_quotes = n > 0 && *p == '"';
    const size_t at = in_quotes, name = sizeof "sep=" - 1, least = at + name + 1 + at;
    if (n < least || strncasecmp(p + at, "sep=", name) != 0 || !strchr(",;\t|", p[at + name]) || !p[at + name])
        return 0;
    if (in_quotes && p[least - 1] != '"') return 0;
    const size_t line = line_bytes(p, n);
    for (size_t i = least; i < line; i++)
        if (p[i] != '\r' && p[i] != '\n') return 0;
    *delimiter = p[at + name];
    return line;
}

/* From a name to the next one: its bytes, up to the delimiter or the end of the line, quotes counted. */
static size_t name_bytes(const char *p, size_t n, char delimiter)
{
    bool in_quotes = false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '"') in_quotes = !in_quotes;
        if (!in_quotes && (p[i] == delimiter || p[i] == '\n' || p[i] == '\r')) return i;
    }
    return n;
}

/* How many names there are in the first row with this delimiter; *has_id: one of them is the id's. */
static int count_names(const char *p, size_t n, char delimiter, const char *id, bool *has_id)
{
    int count = 0;
    *has_id = false;
    for (bool more = true; more; count++) {
        const size_t bytes = name_bytes(p, n, delimiter);
        const bool in_quotes = bytes > 1 && *p == '"' && p[bytes - 1] == '"';
        char *name = text_format("%.*s", (int)(in_quotes ? bytes - 2 : bytes < 1000 ? bytes : 1000), p + in_quotes);
        customers_text_trim(name);
        *has_id = *has_id || strcasecmp(name, id) == 0;
        free(name);
        more = bytes < n && p[bytes] == delimiter;
        p += bytes + more;
        n -= bytes + more;
    }
    return count;
}

/* The comma, unless the first row says otherwise: another one makes a column of the id's name, or alone makes columns at all. */
static char find_delimiter(const char *p, size_t n, const CustomersOptions *o)
{
    static const char candidate[] = ",;\t|";
    char most = ',';
    int names = 0, commas = 0;
    while (n > 0 && (*p == '\n' || *p == '\r')) p++, n--;
    for (const char *d = candidate; *d; d++) {
        bool has_id;
        const int count = count_names(p, n, *d, o && o->id ? o->id : "id", &has_id);
        if (has_id && (count > 1 || *d == ',')) return *d;
        if (*d == ',') commas = count;
        if (*d != ',' && count > names) most = *d, names = count;
    }
    return commas == 1 && names > 1 ? most : ',';
}

/* ---- all of it ---- */

static void read_rows(Reader *r)
{
    r->row = memory_get(CUSTOMERS_MAX_COLUMNS, sizeof *r->row);
    start_parser(r);
    while (!r->stop && r->at < r->bytes) {
        read_line(r);
        if (r->at < r->bytes || r->stop) continue;
        if (csv_fini(&r->csv, take_field, take_row, r) != 0)
            take_broken_row(r, true); /* goes back: there may be more */
    }
    csv_free(&r->csv);
    free(r->row);
}

void customers_parse_csv(const char *file, const char *data, size_t bytes, const CustomersOptions *o, Faults *faults,
                         Customers *out)
{
    *out = (Customers){.id_column = -1};
    Place place = {file, 0, NULL};
    int64_t faults_before = faults_count(faults);
    CustomersText text;
    if (!customers_text_open(file, data, bytes, o ? o->encoding : NULL, faults, &text)) return;
    Reader r = {.file = file, .data = text.data, .bytes = text.bytes, .faults = faults, .c = out, .options = o};
    out->bom = text.bom;
    r.before = text.before;
    r.at = read_sep(r.data, r.bytes, &r.delimiter);
    if (r.at > 0)
        r.line = 1;
    else
        r.delimiter = find_delimiter(r.data, r.bytes, o);
    read_rows(&r);
    if (r.blank > 0)
        faults_warn(faults, place, "", "%lld row%s without any value: left out", (long long)r.blank, plural_s(r.blank));
    if (!r.header_done && !r.stop && faults_count(faults) == faults_before)
        faults_add(faults, place, "empty; expected a first row that names the columns, and a row for each customer");
    else if (out->row_count == 0 && faults_count(faults) == faults_before)
        faults_add(faults, place, "0 customers; expected a row for each below the one that names the columns");
    place.line = r.header_line;
    customers_finish(out, place, o, faults);
    customers_text_clear(&text);
}
