/* JSON Lines through jansson: each line is an object. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/file.h"
#include "coordinator/campaign/customers.h"
#include "coordinator/campaign/customers_text.h"

/* A number or boolean as text, the shortest that reads back as the same number; NULL for an object or a list. free()
 * it. */
static char *text_of(const json_t *value)
{
    if (json_is_string(value)) return text_copy(json_string_value(value));
    if (json_is_null(value)) return text_copy("");
    if (json_is_array(value) || json_is_object(value)) return NULL;
    char *text = NULL;
    for (size_t digits = 15; digits <= 17; digits++) {
        free(text);
        text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
        if (!text) abort();
        if (!json_is_real(value) || strtod(text, NULL) == json_real_value(value)) break;
    }
    return text;
}

typedef struct {
    const char *file;
    const CustomersOptions *options;
    Faults *faults;
    Customers *c;
    bool in_list; /* the file is a list of objects */
    int first_line;
    size_t offset; /* in the file, of the text */
} Reader;

static Place place_at(const Reader *r, int line) { return (Place){r->file, line, NULL}; }

static bool take_columns(Reader *r, json_t *object, int line)
{
    const char *key;
    json_t *value;
    Customers *c = r->c;
    size_t count = json_object_size(object);
    if (count == 0 || count > CUSTOMERS_MAX_COLUMNS) {
        faults_add(r->faults, place_at(r, line), "%zu members, expected 1 to %d: they name the columns", count,
                   CUSTOMERS_MAX_COLUMNS);
        return false;
    }
    c->column = memory_get(count, sizeof *c->column);
    json_object_foreach(object, key, value) /* in the order of the file */
        c->column[c->column_count++] = customers_keep(c, key, strlen(key));
    r->first_line = line;
    return true;
}

/* Programs leave out what is empty, so a later object may have members that the first one has not. */
static int find_column(Reader *r, const char *key, Place place, char ***row)
{
    Customers *c = r->c;
    for (int i = 0; i < c->column_count; i++)
        if (strcmp(c->column[i], key) == 0) return i;
    if (c->column_count == CUSTOMERS_MAX_COLUMNS) {
        faults_add(r->faults, place, "more than %d different members before it", CUSTOMERS_MAX_COLUMNS);
        return -1;
    }
    const int column = customers_add_column(c, key);
    *row = &c->value[(size_t)(c->row_count - 1) * (size_t)c->column_count];
    return column;
}

static bool take_row(Reader *r, json_t *object, int line)
{
    const char *key;
    json_t *value;
    Customers *c = r->c;
    Place place = place_at(r, line);
    char **row = customers_new_row(c, place, r->faults);
    if (!row) return false;
    for (int i = 0; i < c->column_count; i++) row[i] = (char *)"";
    json_object_foreach(object, key, value)
    {
        place.field = key;
        const int column = find_column(r, key, place, &row);
        char *text = text_of(value);
        if (column >= 0 && !text)
            faults_add(r->faults, place, "%s, expected text, a number, true, false or null",
                       json_is_array(value) ? "a list" : "an object");
        else if (column >= 0)
            row[column] = *text ? customers_keep(c, text, strlen(text)) : (char *)"";
        free(text);
    }
    return true;
}

/* One object; false: do not read on. */
static bool take_object(Reader *r, const char *text, size_t bytes, size_t at, int line)
{
    const Place place = place_at(r, line);
    const char *expected = r->in_list ? "one JSON object for each customer" : "one JSON object per line";
    int64_t bad = customers_bad_byte(text, bytes);
    if (bad >= 0) {
        faults_add(r->faults, place, "byte %lld of the line (byte %zu of the file, 0x%02x) is not UTF-8 text",
                   (long long)bad + 1, r->offset + at + (size_t)bad + 1, (unsigned char)text[bad]);
        return true;
    }
    json_error_t error;
    json_t *object = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    bool go_on = true;
    if (!object)
        faults_add(r->faults, place, "column %d: %s; expected %s", error.column, error.text, expected);
    else if (!json_is_object(object))
        faults_add(r->faults, place, "a list, expected %s", expected);
    else if (!r->c->column)
        go_on = take_columns(r, object, line);
    if (go_on && json_is_object(object)) go_on = take_row(r, object, line);
    json_decref(object);
    return go_on;
}

static void read_lines(Reader *r, const char *data, size_t bytes)
{
    int line = 0;
    bool go_on = true;
    for (size_t at = 0; go_on && at < bytes;) {
        const char *text = data + at, *end = memchr(text, '\n', bytes - at);
        size_t n = end ? (size_t)(end - text) : bytes - at, blank = 0;
        line++;
        while (blank < n && strchr(" \t\r", text[blank] ? text[blank] : 'x')) blank++;
        if (blank < n) go_on = take_object(r, text, n, at, line);
        at += n + 1;
    }
}

/* ---- objects over several lines, as editors and jq write them ---- */

/* From an opening brace to the one that closes it, with both; 0: none does. */
static size_t object_bytes(const char *p, size_t n)
{
    int depth = 0;
    bool in_text = false;
    for (size_t i = 0; i < n; i++) {
        if (in_text) {
            i += p[i] == '\\';
            in_text = i >= n || p[i] != '"';
        } else if (p[i] == '"') {
            in_text = true;
        } else if (p[i] == '{' || p[i] == '[') {
            depth++;
        } else if ((p[i] == '}' || p[i] == ']') && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

static void read_list(Reader *r, const char *data, size_t bytes)
{
    int line = 1;
    bool go_on = true;
    r->in_list = true;
    for (size_t at = 0; go_on && at < bytes;) {
        if (data[at] != '{') {
            const bool between = data[at] && strchr("[], \t\r\n", data[at]);
            if (!between)
                faults_add(r->faults, place_at(r, line), "byte %zu of the file (0x%02x): expected an object, {...}",
                           r->offset + at + 1, (unsigned char)data[at]);
            go_on = between;
            line += data[at++] == '\n';
            continue;
        }
        const size_t n = object_bytes(data + at, bytes - at);
        if (n == 0) faults_add(r->faults, place_at(r, line), "the object that begins here is never closed");
        go_on = n > 0 && take_object(r, data + at, n, at, line);
        for (const char *p = data + at; p < data + at + n; p++) line += *p == '\n';
        at += n;
    }
}

/* A list, or a first line that is a brace alone. */
static bool is_list(const char *data, size_t bytes)
{
    size_t at = 0;
    while (at < bytes && data[at] && strchr(" \t\r\n", data[at])) at++;
    if (at < bytes && data[at] == '[') {
        for (at++; at < bytes && data[at] && strchr(" \t\r\n", data[at]);) at++;
        return at == bytes || data[at] == '{' || data[at] == ']';
    }
    if (at == bytes || data[at] != '{') return false;
    for (at++; at < bytes && (data[at] == ' ' || data[at] == '\t' || data[at] == '\r');) at++;
    return at < bytes && data[at] == '\n';
}

void customers_parse_jsonl(const char *file, const char *data, size_t bytes, const CustomersOptions *o, Faults *faults,
                           Customers *out)
{
    *out = (Customers){.id_column = -1};
    int64_t faults_before = faults_count(faults);
    CustomersText text;
    if (!customers_text_open(file, data, bytes, o ? o->encoding : NULL, faults, &text)) return;
    Reader r = {.file = file, .options = o, .faults = faults, .c = out, .offset = text.before};
    out->bom = text.bom;
    if (is_list(text.data, text.bytes))
        read_list(&r, text.data, text.bytes);
    else
        read_lines(&r, text.data, text.bytes);
    if (out->row_count == 0 && faults_count(faults) == faults_before)
        faults_add(faults, place_at(&r, 0), "0 customers; expected a JSON object on a line for each");
    if (out->column) customers_check_columns(out, place_at(&r, r.first_line), o, faults);
    customers_finish(out, place_at(&r, r.first_line), o, faults);
    customers_text_clear(&text);
}
