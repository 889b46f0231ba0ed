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
    Lookup known;
} Alike;

/* The row's kind; alike->count is one more afterwards where it is the first of its kind. */
int64_t alike_kind(Alike *a, int64_t row);
/* A list (NULL at first) with a number for each kind, longer where there are more kinds than *room: the new ones are `fill`. The caller's. */
int64_t *alike_resize(const Alike *a, int64_t *list, int64_t *room, int64_t fill);
void alike_clear(Alike *a);

#endif
