/* JSON Lines through jansson: each line is an object. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/file.h"
#include "coordinator/campaign/customers.h"

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

static bool take_columns(Customers *c, json_t *object, Place place, Faults *faults)
{
    const char *key;
    json_t *value;
    size_t count = json_object_size(object);
    if (count == 0 || count > CUSTOMERS_MAX_COLUMNS) {
        faults_add(faults, place, "%zu members, expected 1 to %d: the first object names the columns", count,
                   CUSTOMERS_MAX_COLUMNS);
        return false;
    }
    c->column = memory_get(count, sizeof *c->column);
    json_object_foreach(object, key, value) /* in the order of the file */
        c->column[c->column_count++] = customers_keep(c, key, strlen(key));
    customers_check_columns(c, place, faults);
    return true;
}

static bool take_row(Customers *c, json_t *object, Place place, Faults *faults)
{
    const char *key;
    json_t *value;
    char **row = customers_new_row(c, place, faults);
    if (!row) return false;
    for (int i = 0; i < c->column_count; i++) row[i] = (char *)"";
    json_object_foreach(object, key, value)
    {
        int column = customers_column(c, key);
        char *text = text_of(value);
        place.field = key;
        if (column < 0)
            faults_add(faults, place, "not among the columns, which the first object names");
        else if (!text)
            faults_add(faults, place, "%s, expected text, a number, true, false or null",
                       json_is_array(value) ? "a list" : "an object");
        else
            row[column] = *text ? customers_keep(c, text, strlen(text)) : (char *)"";
        free(text);
    }
    return true;
}

/* One line; false: do not read on. */
static bool take_line(Customers *c, const char *text, size_t bytes, Place place, size_t offset, Faults *faults)
{
    int64_t bad = customers_bad_byte(text, bytes);
    if (bad >= 0) {
        faults_add(faults, place, "byte %lld of the line (byte %zu of the file, 0x%02x) is not UTF-8 text",
                   (long long)bad + 1, offset + (size_t)bad + 1, (unsigned char)text[bad]);
        return true;
    }
    json_error_t error;
    json_t *object = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    bool go_on = true;
    if (!object)
        faults_add(faults, place, "column %d: %s; expected one JSON object per line", error.column, error.text);
    else if (!json_is_object(object))
        faults_add(faults, place, "a list, expected one JSON object per line");
    else if (!c->column)
        go_on = take_columns(c, object, place, faults);
    if (go_on && json_is_object(object)) go_on = take_row(c, object, place, faults);
    json_decref(object);
    return go_on;
}

void customers_parse_jsonl(const char *file, const char *data, size_t bytes, Faults *faults, Customers *out)
{
    *out = (Customers){.id_column = -1};
    Place place = {file, 0, NULL};
    int64_t faults_before = faults_count(faults);
    size_t at = bytes >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    bool go_on = true;
    while (go_on && at < bytes) {
        const char *text = data + at, *end = memchr(text, '\n', bytes - at);
        size_t n = end ? (size_t)(end - text) : bytes - at, blank = 0;
        place.line++;
        while (blank < n && strchr(" \t\r", text[blank] ? text[blank] : 'x')) blank++;
        if (blank < n) go_on = take_line(out, text, n, place, at, faults);
        at += n + 1;
    }
    place.line = 0;
    if (out->row_count == 0 && faults_count(faults) == faults_before)
        faults_add(faults, place, "0 customers; expected a JSON object on a line for each");
    customers_check_ids(out, file, faults);
}
