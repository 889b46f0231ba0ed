#include "customers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>
#define uthash_fatal(message) abort()
#include <uthash.h>

#include "common/file.h"

char *customers_keep(Customers *c, const char *text, size_t bytes)
{
    if (!c->text) c->text = texts_new();
    return texts_keep(c->text, text, bytes);
}

void customers_free(Customers *c)
{
    texts_free(&c->text);
    free(c->column);
    free(c->value);
    free(c->line);
    *c = (Customers){0};
}

int customers_column(const Customers *c, const char *name)
{
    for (int i = 0; i < c->column_count; i++)
        if (strcmp(c->column[i], name) == 0) return i;
    return -1;
}

char **customers_new_row(Customers *c, Place place, Faults *faults)
{
    size_t width = (size_t)c->column_count;
    if ((c->row_count + 1) * c->column_count > CUSTOMERS_MAX_VALUES) {
        faults_add(faults, (Place){place.file, place.line, NULL},
                   "more than %d values before this row; split the campaign", CUSTOMERS_MAX_VALUES);
        return NULL;
    }
    if (c->row_count == c->row_room) {
        c->row_room = c->row_room ? 2 * c->row_room : 64;
        size_t rows = (size_t)c->row_room;
        c->value = reallocarray(c->value, rows * width, sizeof *c->value);
        c->line = reallocarray(c->line, rows, sizeof *c->line);
        if (!c->value || !c->line) abort();
    }
    c->line[c->row_count] = place.line;
    char **row = &c->value[(size_t)c->row_count++ * width];
    memset(row, 0, width * sizeof *row);
    return row;
}

void customers_check_columns(Customers *c, Place header, Faults *faults)
{
    for (int i = 0; i < c->column_count; i++) {
        if (!*c->column[i]) faults_add(faults, header, "column %d has no name", i + 1);
        int first = customers_column(c, c->column[i]);
        if (first < i && *c->column[i])
            faults_add(faults, (Place){header.file, header.line, c->column[i]},
                       "names columns %d and %d; expected a name of its own for each", first + 1, i + 1);
    }
    c->id_column = customers_column(c, "id");
    if (c->id_column >= 0) return;
    const char *only = c->column_count == 1 ? c->column[0] : "";
    if (strchr(only, ';') || strchr(only, '\t'))
        faults_add(faults, header, "one column, %s: expected commas between the names, not %s", quoted(only).text,
                   strchr(only, ';') ? "semicolons" : "tabs");
    else
        faults_add(faults, (Place){header.file, header.line, "id"},
                   "missing; expected a column \"id\" that tells the customers apart");
}

typedef struct {
    int64_t row;
    UT_hash_handle hh;
} IdEntry;

static void check_id(const Customers *c, int64_t row, Place place, Faults *faults)
{
    const char *id = customers_value(c, row, c->id_column);
    if (!*id) faults_add(faults, place, "empty; every customer needs one");
    if (strlen(id) > CUSTOMERS_MAX_ID_BYTES)
        faults_add(faults, place, "%zu bytes long, expected at most %d", strlen(id), CUSTOMERS_MAX_ID_BYTES);
    for (const char *p = id; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f) {
            faults_add(faults, place, "%s holds a line break or another control character", quoted(id).text);
            break;
        }
}

void customers_check_ids(const Customers *c, const char *file, Faults *faults)
{
    if (c->id_column < 0) return;
    IdEntry *entry = memory_get((size_t)c->row_count, sizeof *entry), *known = NULL;
    for (int64_t row = 0; row < c->row_count; row++) {
        const char *id = customers_value(c, row, c->id_column);
        size_t bytes = strlen(id);
        Place place = {file, c->line[row], "id"};
        check_id(c, row, place, faults);
        if (!bytes) continue;
        IdEntry *first;
        HASH_FIND(hh, known, id, bytes, first);
        entry[row].row = row;
        if (first)
            faults_add(faults, place, "duplicate %s (first in line %d); ids must be unique", quoted(id).text,
                       c->line[first->row]);
        else
            HASH_ADD_KEYPTR(hh, known, id, bytes, &entry[row]);
    }
    HASH_CLEAR(hh, known);
    free(entry);
}

int64_t customers_bad_byte(const char *data, size_t bytes)
{
    const unsigned char *p = (const unsigned char *)data;
    for (size_t i = 0; i < bytes;) {
        utf8proc_int32_t letter;
        if (p[i] > 0 && p[i] < 0x80) {
            i++;
            continue;
        }
        utf8proc_ssize_t n = p[i] ? utf8proc_iterate(p + i, (utf8proc_ssize_t)(bytes - i), &letter) : -1;
        if (n < 1) return (int64_t)i;
        i += (size_t)n;
    }
    return -1;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

void customers_read(const char *file, Faults *faults, Customers *out)
{
    *out = (Customers){.id_column = -1};
    char *data;
    size_t bytes;
    Status s = file_is_folder(file) ? status_fail(ERR_INPUT, "%s is a folder, expected a CSV or JSON Lines file", file)
                                    : file_read(file, CUSTOMERS_MAX_BYTES, &data, &bytes);
    if (failed(s)) {
        faults_add(faults, (Place){file, 0, NULL}, "%s", s.message);
        return;
    }
    if (ends_with(file, ".jsonl") || ends_with(file, ".ndjson"))
        customers_parse_jsonl(file, data, bytes, faults, out);
    else
        customers_parse_csv(file, data, bytes, faults, out);
    free(data);
}
