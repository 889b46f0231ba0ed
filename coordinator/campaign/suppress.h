/* suppress.h - `deliver: {suppress: FILE}`: who gets nothing, whatever was made for them.
 *
 * One entry a line; of a table the first column counts. An entry is a row's id, an e-mail address, a value of one of the columns that
 * `suppress_by` names, or the SHA-256 of one of these (64 hexadecimal digits of the value without spaces around it, in lower case), as
 * advertisers exchange them. Case and spaces around do not count. A row is meant by its id, by each of its cells that holds an @, and by its
 * cells of those columns. */
#ifndef REELWRIGHT_SUPPRESS_H
#define REELWRIGHT_SUPPRESS_H

#include <stdbool.h>

#include "common/status.h"

typedef struct Suppress Suppress;

enum { SUPPRESS_MAX_BYTES = 1 << 28 };

/* by: names of columns [by_count]. ERR_INPUT: the file cannot be read. */
Status suppress_read(const char *file, const char *const *by, int by_count, Suppress **out);
void suppress_free(Suppress **s);
/* The line of the file that means this row, cells beside their columns [count]; 0: none does. NULL means nobody. */
int suppress_line(const Suppress *s, const char *id, const char *const *column, const char *const *cell, int count);
/* "not delivered: it is in suppressed.csv, line 3"; free() it. */
char *suppress_reason(const Suppress *s, int line);

#endif
