#include "customers.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/options.h"
#include "coordinator/campaign/customers_text.h"
#include "coordinator/campaign/list_columns.h"
#include "coordinator/campaign/lookup.h"

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
    return strcmp(name, "id") == 0 ? c->id_column : -1;
}

bool customers_is_listed(const Customers *c, int column)
{
    return !list_columns_has(c->column[column]) && !(c->first_variant && column >= c->first_variant);
}

int customers_add_column(Customers *c, const char *name)
{
    const size_t before = (size_t)c->column_count, after = before + 1;
    c->column = memory_resize(c->column, after, sizeof *c->column);
    c->column[before] = customers_keep(c, name, strlen(name));
    c->value = reallocarray(c->value, (size_t)c->row_room * after, sizeof *c->value);
    if (c->row_room && !c->value) abort();
    for (size_t row = (size_t)c->row_count; row-- > 0;) {
        memmove(&c->value[row * after], &c->value[row * before], before * sizeof *c->value);
        c->value[row * after + before] = (char *)"";
    }
    return c->column_count++;
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

/* ---- columns ---- */

static void clean_names(Customers *c, Place header, Faults *faults)
{
    for (int i = 0; i < c->column_count; i++) {
        char *name = customers_keep(c, c->column[i], strlen(c->column[i]));
        const unsigned gone = customers_text_trim(name);
        const Place place = {header.file, header.line, name};
        if (gone == 0xa0 || gone == 0x202f)
            faults_warn(faults, place, "", "there is a no-break space (U+%04X) in the column's name; read without it",
                        gone);
        else if (gone)
            faults_warn(faults, place, "",
                        "there is an invisible character (U+%04X) in the column's name; read without it", gone);
        c->column[i] = name;
    }
}

/* Which column may be meant by "id": "ID", "ContactID", "Contact ID", "customer_id"; -1: none. */
static int likely_id(const Customers *c)
{
    for (int i = 0; i < c->column_count; i++)
        if (strcasecmp(c->column[i], "id") == 0) return i;
    for (int i = 0; i < c->column_count; i++) {
        const size_t n = strlen(c->column[i]);
        const char *end = c->column[i] + (n > 2 ? n - 2 : 0);
        const bool begins = n > 2 && (strchr(" _-.", end[-1]) || (end[0] == 'I' && islower((unsigned char)end[-1])));
        if (begins && strcasecmp(end, "id") == 0) return i;
    }
    return -1;
}

/* "a", "b" and 12 more; free() it. */
static char *list_names(const Customers *c)
{
    enum { NAMES = 8 };
    char *all = text_copy("");
    for (int i = 0; i < c->column_count && i < NAMES; i++) {
        char *more = text_format("%s%s%s", all, i ? ", " : "", quoted(c->column[i]).text);
        free(all);
        all = more;
    }
    if (c->column_count <= NAMES) return all;
    char *more = text_format("%s and %d more", all, c->column_count - NAMES);
    free(all);
    return more;
}

static void find_id(Customers *c, Place header, const CustomersOptions *o, Faults *faults)
{
    const char *wanted = o && o->id ? o->id : "id", *near = NULL;
    c->id_column = customers_column(c, wanted);
    if (c->id_column >= 0) return;
    const int likely = o && o->id ? -1 : likely_id(c);
    if (o && o->id) near = options_nearest(wanted, (const char *const *)c->column, c->column_count);
    const Place place = {header.file, header.line, wanted};
    char *names = list_names(c);
    if (likely >= 0)
        faults_add(
            faults, place,
            "missing; did you mean %s? Then say `id: %s` in the campaign, or call the column id; the table has %s",
            quoted(c->column[likely]).text, c->column[likely], names);
    else if (near)
        faults_add(faults, place, "missing, but the campaign says `id: %s`; did you mean %s? The table has %s", wanted,
                   quoted(near).text, names);
    else
        faults_add(
            faults, place,
            "missing; expected a column \"%s\" that tells the customers apart, or `id: COLUMN` in the campaign; the "
            "table has %s",
            wanted, names);
    free(names);
}

void customers_check_columns(Customers *c, Place header, const CustomersOptions *o, Faults *faults)
{
    clean_names(c, header, faults);
    for (int i = 0; i < c->column_count; i++) {
        int first = 0;
        while (strcmp(c->column[first], c->column[i]) != 0) first++;
        if (!*c->column[i])
            faults_add(faults, header, "column %d has no name", i + 1);
        else if (first < i)
            faults_add(faults, (Place){header.file, header.line, c->column[i]},
                       "names columns %d and %d; expected a name of its own for each", first + 1, i + 1);
    }
    find_id(c, header, o, faults);
}

/* Rows become narrower in their place; names and values are again what they were before the list. */
static void drop_listed(Customers *c)
{
    int kept = 0;
    char **to = c->value;
    for (int64_t row = 0; row < c->row_count; row++)
        for (int i = 0; i < c->column_count; i++)
            if (customers_is_listed(c, i)) *to++ = list_plain(c->value[row * c->column_count + i]);
    for (int i = 0; i < c->column_count; i++)
        if (customers_is_listed(c, i)) c->column[kept++] = list_plain(c->column[i]);
    c->column_count = kept;
}

/* What our own list adds is no customer's: last month's list may be the next table. A single column of such a name is one. */
static void check_listed(Customers *c, Place header, const CustomersOptions *o, Faults *faults)
{
    int count = 0;
    char *names = text_copy("");
    for (int i = 0; i < c->column_count; i++) {
        if (customers_is_listed(c, i) || (o && o->seed_is_column && strcmp(c->column[i], "seed") == 0)) continue;
        char *more = text_format("%s%s%s", names, count ? ", " : "", c->column[i]);
        free(names);
        names = more;
        count++;
    }
    int all = 0;
    for (int i = 0; i < LIST_FIRST_COLUMNS; i++) all += customers_column(c, list_column[i]) >= 0;
    const bool id_stays = c->id_column >= 0 && customers_is_listed(c, c->id_column);
    if (all == LIST_FIRST_COLUMNS && id_stays) {
        char *id = list_plain(c->column[c->id_column]);
        drop_listed(c);
        for (int i = 0; i < c->column_count; i++)
            if (c->column[i] == id) c->id_column = i;
        faults_warn(faults, header, "", "this is a delivery list; its columns from clip_id to decided_at are left out");
    } else if (count > 0) {
        faults_add(faults, header,
                   "%s: called like columns of the delivery list, where they would be twice; give %s another name",
                   names, count == 1 ? "it" : "them");
    }
    free(names);
}

static void check_id(const Customers *c, int64_t row, Place place, Faults *faults)
{
    const char *id = customers_value(c, row, c->id_column);
    if (!*id) faults_add(faults, place, "empty; every customer needs one");
    if (strlen(id) > CUSTOMERS_MAX_ID_BYTES)
        faults_add(faults, place, "%zu bytes long, expected at most %d", strlen(id), CUSTOMERS_MAX_ID_BYTES);
    if (!foreign_is_safe(id))
        faults_add(faults, place, "%s holds a line break or another control character", quoted(id).text);
}

/* The row before this one that has its id; -1: none. */
static int64_t same_id(const Customers *c, const Lookup *known, uint64_t hash, const char *id)
{
    size_t at = 0;
    for (int64_t row; (row = lookup_next(known, hash, &at)) >= 0;)
        if (strcmp(customers_value(c, row, c->id_column), id) == 0) return row;
    return -1;
}

static void check_ids(const Customers *c, const char *file, Faults *faults)
{
    Lookup known = {0};
    for (int64_t row = 0; row < c->row_count && c->id_column >= 0; row++) {
        const char *id = customers_value(c, row, c->id_column);
        const size_t bytes = strlen(id);
        const Place place = {file, c->line[row], c->column[c->id_column]};
        check_id(c, row, place, faults);
        if (!bytes) continue;
        const uint64_t hash = lookup_hash(lookup_start(), id, bytes);
        const int64_t first = same_id(c, &known, hash, id);
        if (first >= 0)
            faults_add(faults, place, "duplicate %s (first in line %d); ids must be unique", quoted(id).text,
                       c->line[first]);
        else
            lookup_add(&known, hash, row);
    }
    lookup_clear(&known);
}

/* ---- what spreadsheets did to values ---- */

/* "1.23457E+12": a long number as Excel shows it, and writes it. */
static bool is_shortened(const char *text)
{
    const size_t whole = strspn(text, "0123456789"),
                 part = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") + 1 : 0;
    const char *rest = text + whole + part;
    return whole == 1 && strncmp(rest, "E+", 2) == 0 && strspn(rest + 2, "0123456789") == strlen(rest + 2) && rest[2];
}

/* What a formula or an export writes in the place of nothing. */
static bool is_placeholder(const char *text)
{
    static const char *const word[] = {"#N/A",   "#NV",     "#REF!",   "#NAME?", "#VALUE!",
                                       "#WERT!", "#BEZUG!", "#DIV/0!", "#NUM!",  "#ZAHL!",
                                       "#NULL!", "NULL",    "null",    "NaN",    "undefined"};
    if (!strchr("#NnuN", *text) || !*text) return false;
    for (size_t i = 0; i < sizeof word / sizeof *word; i++)
        if (strcmp(word[i], text) == 0) return true;
    return false;
}

/* One warning for each column, at its first row. */
static void warn_of_values(const Customers *c, const char *file, bool (*is_odd)(const char *), int column,
                           const char *what, Faults *faults)
{
    int64_t first = -1, count = 0;
    for (int64_t row = 0; row < c->row_count; row++) {
        if (!is_odd(customers_value(c, row, column))) continue;
        if (count++ == 0) first = row;
    }
    if (count == 0) return;
    char more[48] = "";
    if (count > 1) snprintf(more, sizeof more, ", and so in %" PRId64 " more rows", count - 1);
    faults_warn(faults, (Place){file, c->line[first], c->column[column]},
                c->id_column >= 0 ? customers_value(c, first, c->id_column) : "", "%s %s%s",
                quoted(customers_value(c, first, column)).text, what, more);
}

void customers_finish(Customers *c, Place header, const CustomersOptions *o, Faults *faults)
{
    check_listed(c, header, o, faults);
    check_ids(c, header.file, faults);
    if (c->id_column >= 0)
        warn_of_values(c, header.file, is_shortened, c->id_column,
                       "looks like a number that a spreadsheet shortened; format the column as text", faults);
    for (int i = 0; i < c->column_count; i++)
        warn_of_values(c, header.file, is_placeholder, i,
                       "looks like a formula's error or an export's empty value, and is text here", faults);
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
