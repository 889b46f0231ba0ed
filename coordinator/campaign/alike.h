/* alike.h - rows that have the same values in some columns are of one kind: kinds are numbered in the order of their first rows, so that what
 * follows from those columns is found out once for each kind. */
#ifndef REELWRIGHT_CAMPAIGN_ALIKE_H
#define REELWRIGHT_CAMPAIGN_ALIKE_H

#include "coordinator/campaign/customers.h"
#include "coordinator/campaign/lookup.h"

typedef struct {
    const Customers *customers; /* borrowed */
    const int *column;          /* those that count, borrowed */
    int column_count;
    int64_t count, room; /* kinds */
    int64_t *first;      /* of each kind: its first row */
    int64_t *value;      /* of each kind: the caller's own number, `fill` at first */
    int64_t fill;
    Lookup known;
} Alike;

/* The row's kind; `first` and `value` may move; alike->count is one more afterwards where it is the first of its kind. */
int64_t alike_kind(Alike *a, int64_t row);
void alike_clear(Alike *a);

#endif
