/* CSV through libcsv. libcsv knows no lines, so the file is fed to it line by line: whatever it reports while it has
 * a line in hand ends there. After a misplaced quote it starts afresh with the line after the one on which the
 * broken row began, so that one forgotten quote costs one row and not the rest of the file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <csv.h>

#include "common/file.h"
#include "coordinator/campaign/customers.h"

typedef struct {
    const char *file, *data;
    size_t bytes, at; /* at: where the line begins that is read next */
    int line;         /* number of the line that is being read */
    Faults *faults;
    Customers *c;
    struct csv_parser csv;

    bool header_done, row_open, stop;
    bool bad_told;   /* the row's first bad byte is reported */
    int row_line;    /* where the row begins */
    size_t row_next; /* where the line after the row's first line begins */
    int64_t bad_at;  /* in the file: the row's first byte that is not UTF-8, or -1 */
    int field_count; /* seen of this row */
    char **row;      /* its values: room for CUSTOMERS_MAX_COLUMNS */
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
                   (long long)at + 1, (long long)r->bad_at + 1, (unsigned char)text[at]);
    else
        faults_add(r->faults, place, "byte %lld of the value (byte %lld of the file) is 0; expected UTF-8 text",
                   (long long)at + 1, (long long)r->bad_at + 1);
}

static void take_field(void *text, size_t bytes, void *self)
{
    Reader *r = self;
    if (r->bad_at >= 0 && !r->bad_told) check_encoding(r, text ? text : "", bytes);
    if (r->field_count < CUSTOMERS_MAX_COLUMNS)
        r->row[r->field_count] = bytes ? customers_keep(r->c, text, bytes) : (char *)"";
    r->field_count++;
}

static void trim(char *name)
{
    size_t skip = strspn(name, " \t"), n = strlen(name + skip);
    while (n > 0 && strchr(" \t", name[skip + n - 1])) n--;
    memmove(name, name + skip, n);
    if (*name) name[n] = 0;
}

static void take_header(Reader *r)
{
    Customers *c = r->c;
    Place place = {r->file, r->row_line, NULL};
    r->header_done = true;
    if (r->field_count > CUSTOMERS_MAX_COLUMNS) {
        faults_add(r->faults, place, "%d columns, expected at most %d", r->field_count, CUSTOMERS_MAX_COLUMNS);
        r->stop = true;
        return;
    }
    c->column_count = r->field_count;
    c->column = memory_get((size_t)c->column_count, sizeof *c->column);
    memcpy(c->column, r->row, (size_t)c->column_count * sizeof *c->column);
    for (int i = 0; i < c->column_count; i++) trim(c->column[i]);
    customers_check_columns(c, place, r->faults);
}

static void take_row(int end, void *self)
{
    (void)end;
    Reader *r = self;
    Customers *c = r->c;
    Place place = {r->file, r->row_line, NULL};
    if (!r->header_done) {
        take_header(r);
    } else if (r->field_count < c->column_count) {
        place.field = c->column[r->field_count];
        faults_add(r->faults, place, "missing: the row has %d of %d values", r->field_count, c->column_count);
    } else if (r->field_count > c->column_count) {
        faults_add(r->faults, place, "%d values, expected %d (%s to %s); a value with a comma needs quotes around it",
                   r->field_count, c->column_count, c->column[0], c->column[c->column_count - 1]);
    } else if (r->bad_at < 0) {
        char **row = customers_new_row(c, place, r->faults);
        r->stop = !row;
        if (row) memcpy(row, r->row, (size_t)c->column_count * sizeof *row);
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
            "text after the closing quote (in line %d); expected a comma or the end of the line, and quotes inside of "
            "a value doubled",
            r->line);
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

void customers_parse_csv(const char *file, const char *data, size_t bytes, Faults *faults, Customers *out)
{
    *out = (Customers){.id_column = -1};
    Place place = {file, 0, NULL};
    int64_t faults_before = faults_count(faults);
    Reader r = {.file = file, .data = data, .bytes = bytes, .faults = faults, .c = out};
    if (bytes >= 2 && (memcmp(data, "\xff\xfe", 2) == 0 || memcmp(data, "\xfe\xff", 2) == 0)) {
        faults_add(faults, place, "UTF-16 text; save the file as UTF-8");
        return;
    }
    if (bytes >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) r.at = 3;
    r.row = memory_get(CUSTOMERS_MAX_COLUMNS, sizeof *r.row);
    start_parser(&r);
    while (!r.stop && r.at < bytes) {
        read_line(&r);
        if (r.at < bytes || r.stop) continue;
        if (csv_fini(&r.csv, take_field, take_row, &r) != 0)
            take_broken_row(&r, true); /* goes back: there may be more */
    }
    csv_free(&r.csv);
    free(r.row);
    if (!r.header_done && !r.stop)
        faults_add(faults, place, "empty; expected a first row that names the columns, and a row for each customer");
    else if (out->row_count == 0 && faults_count(faults) == faults_before)
        faults_add(faults, place, "0 customers; expected a row for each below the one that names the columns");
    customers_check_ids(out, file, faults);
}
