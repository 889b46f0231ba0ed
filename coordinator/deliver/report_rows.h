/* report_rows.h - the rows of the report: what it measures in a first pass over all clips, and a card, a line or a mark for each in the others. */
#ifndef REELWRIGHT_REPORT_ROWS_H
#define REELWRIGHT_REPORT_ROWS_H

#include <jansson.h>
#include <stdio.h>

#include "coordinator/deliver/arms.h"
#include "coordinator/ledger/view.h"

enum { REPORT_MOST_CARDS = 240, REPORT_MOST_ROWS = 5000 };

typedef struct {
    Ledger *ledger;
    const char *base;
    FILE *file;
    Snapshot now;
    json_t *columns;         /* the table's */
    unsigned char *has_card; /* [shot_end] */
    int64_t shot_end;        /* above all numbers of shots */
    int cards;
    int64_t rows, failures, waiting;
    size_t picture_bytes; /* embedded so far */
    double longest_s;     /* of a shot: the scale of the bars */
    double render_s;      /* sum over shots */
    double first_s, last_s;
    Arms arms;
} Report;

void report_put_duration(Report *r, double s);

/* Calls `row` with every clip. Some at a time: with a rollback journal the coordinator cannot commit while somebody reads. */
Status report_read_rows(Report *r, Status (*row)(void *self, const ClipRow *row));

/* For report_read_rows. Those that put lines of a table count them in r->rows, and stop at REPORT_MOST_ROWS. */
Status report_measure_row(void *self, const ClipRow *c); /* first: totals, and the scale of the bars */
Status report_put_failure(void *self, const ClipRow *c); /* of clips that failed or were refused */
Status report_put_waiting(void *self, const ClipRow *c); /* of those that wait for a decision */
Status report_put_card(void *self, const ClipRow *c);    /* the first clip of each shot, with its picture */
Status report_put_clip(void *self, const ClipRow *c);

#endif
