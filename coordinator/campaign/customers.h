/* customers.h - the customers table, CSV or JSON Lines, as it stands in the file: every value is UTF-8 text.
 *
 * CSV is RFC 4180: comma, double quotes (doubled inside), LF, CRLF or CR, line breaks inside quotes; a BOM is
 * skipped. The first row names the columns. JSON Lines is one object per line, the first object names the columns, a
 * member that is missing or null is empty, numbers and booleans become text. Line numbers are those of the file; a
 * row's is that of its first line.
 *
 * Memory: the values' bytes plus 8 bytes for each and 4 per row; a million rows of seven short values take 150 MB. */
#ifndef REELWRIGHT_CUSTOMERS_H
#define REELWRIGHT_CUSTOMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/campaign/faults.h"
#include "coordinator/campaign/texts.h"

enum {
    CUSTOMERS_MAX_COLUMNS = 1000,
    CUSTOMERS_MAX_ID_BYTES = 200,
    CUSTOMERS_MAX_VALUES = 1 << 27, /* rows times columns: 1 GiB of pointers */
    CUSTOMERS_MAX_BYTES = 1 << 30   /* of the file */
};

typedef struct {
    int column_count;
    char **column; /* names, in the customer's order */
    int64_t row_count;
    char **value; /* [row_count * column_count] */
    int *line;    /* [row_count] */
    int id_column;
    int64_t row_room; /* rows that value and line have room for */
    Texts *text;      /* owns names and values */
} Customers;

/* Reads `file` (.jsonl, .ndjson: JSON Lines; else CSV) and adds whatever is wrong with it to `faults`; the rows that
 * were understood are there even so. customers_free(out) in every case. */
void customers_read(const char *file, Faults *faults, Customers *out);
/* The same from memory; `file` is the name for messages. */
void customers_parse_csv(const char *file, const char *data, size_t bytes, Faults *faults, Customers *out);
void customers_parse_jsonl(const char *file, const char *data, size_t bytes, Faults *faults, Customers *out);
void customers_free(Customers *c);

int customers_column(const Customers *c, const char *name); /* -1: there is none */
static inline const char *customers_value(const Customers *c, int64_t row, int column)
{
    return c->value[row * c->column_count + column];
}

/* For the two readers. */
char *customers_keep(Customers *c, const char *text, size_t bytes); /* a copy that lives as long as the table */
/* One more row, whose values are NULL and yours to set; NULL and a fault when the table is too large. */
char **customers_new_row(Customers *c, Place place, Faults *faults);
/* The names of all columns are there: complains about empty, repeated and missing ones. */
void customers_check_columns(Customers *c, Place header, Faults *faults);
void customers_check_ids(const Customers *c, const char *file, Faults *faults);
/* Where in data the first byte stands that is not UTF-8, or is 0; -1: nowhere. */
int64_t customers_bad_byte(const char *data, size_t bytes);

#endif
