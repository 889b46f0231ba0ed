/* customers.h - the customers table, CSV or JSON Lines, as it stands in the file: every value is UTF-8 text.
 *
 * CSV is RFC 4180: comma, double quotes (doubled inside), LF, CRLF or CR, line breaks inside quotes. The first row names the columns.
 * What spreadsheets and CRMs make of it is read, too, where it means one thing only, and a warning says what was assumed: semicolons,
 * tabs or bars instead of commas (also said by a first line "sep=;"), UTF-16, characters in a column's name that nobody sees, empty
 * columns at the end, rows of empty values. JSON Lines is one object per line, or a list of objects; the columns are all members that
 * any object has, a member that is missing or null is empty, numbers and booleans become text. Line numbers are those of the file; a
 * row's is that of its first line.
 *
 * A delivery list is a table as well: its own columns (list_columns.h) are left out when all of them are there.
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
    int64_t row_room;  /* rows that value and line have room for */
    int first_variant; /* columns from here on are variants', not the customer's; 0: there are none */
    bool bom;          /* the file began with a byte order mark: so does the list */
    Texts *text;       /* owns names and values */
} Customers;

typedef struct {          /* what the campaign says of its table */
    const char *id;       /* the column that tells the customers apart; NULL: "id" */
    const char *encoding; /* as iconv names it; NULL: found out */
    bool seed_is_column;  /* `seed: "{{seed}}"`: the list's own column of that name holds the same */
} CustomersOptions;

/* Reads `file` (.jsonl, .ndjson: JSON Lines; else CSV) and adds whatever is wrong with it to `faults`; the rows that
 * were understood are there even so. customers_free(out) in every case. */
void customers_read(const char *file, const CustomersOptions *o, Faults *faults, Customers *out);
/* The same from memory; `file` is the name for messages. */
void customers_parse_csv(const char *file, const char *data, size_t bytes, const CustomersOptions *o, Faults *faults,
                         Customers *out);
void customers_parse_jsonl(const char *file, const char *data, size_t bytes, const CustomersOptions *o, Faults *faults,
                           Customers *out);
void customers_free(Customers *c);

/* -1: there is none. "id" is also the column that the campaign names with `id:`, where none is called so. */
int customers_column(const Customers *c, const char *name);
/* The column has a place in the list: it is not one of those that the list writes itself (seed_is_column). */
bool customers_is_listed(const Customers *c, int column);
static inline const char *customers_value(const Customers *c, int64_t row, int column)
{
    return c->value[row * c->column_count + column];
}

/* For the two readers. */
char *customers_keep(Customers *c, const char *text, size_t bytes); /* a copy that lives as long as the table */
/* One more row, whose values are NULL and yours to set; NULL and a fault when the table is too large. */
char **customers_new_row(Customers *c, Place place, Faults *faults);
/* The names of all columns are there: cleans them, complains about empty, repeated and missing ones. */
void customers_check_columns(Customers *c, Place header, const CustomersOptions *o, Faults *faults);
/* All rows are there: takes out the list's own columns, checks the ids. */
void customers_finish(Customers *c, Place header, const CustomersOptions *o, Faults *faults);
/* One more column, empty in all rows that are there. */
int customers_add_column(Customers *c, const char *name);
/* Where in data the first byte stands that is not UTF-8, or is 0; -1: nowhere. */
int64_t customers_bad_byte(const char *data, size_t bytes);

#endif
