/* list_columns.h - what the delivery list adds to the customer's own columns, in its order. A customer's column of one of these names
 * would be there twice, and programs that read tables by name would see one of them only: it is a fault. */
#ifndef REELWRIGHT_LIST_COLUMNS_H
#define REELWRIGHT_LIST_COLUMNS_H

#include <stdbool.h>

enum { LIST_COLUMNS = 22, LIST_FIRST_COLUMNS = 14 /* those of the first version: a list that has them is one */ };
extern const char *const list_column[LIST_COLUMNS];
bool list_columns_has(const char *name);

/* A spreadsheet would compute this cell, whoever wrote it ("CSV injection"): names of columns, too. The list has an apostrophe before it, which
 * spreadsheets take for "this is text", and before one that begins with such an apostrophe already, so that reading it back gives the same text
 * (but for control characters: the list has "?" for each other than tabs and ends of lines). A signed number and a telephone number are none. */
bool list_is_formula(const char *text);
/* What the list's writer was given: without its apostrophe. */
char *list_plain(char *text);

#endif
