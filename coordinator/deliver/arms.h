/* arms.h - what became of each arm of the campaign's variants: "cta=A" had so many rows, so many of them are made, delivered, failed. */
#ifndef REELWRIGHT_ARMS_H
#define REELWRIGHT_ARMS_H

#include "coordinator/ledger/view.h"

typedef struct { /* of one arm; rows is the sum of the others */
    char *name;  /* "cta=A" */
    int64_t rows, left, waiting, approved, delivered, failed, withheld;
    /* left: still to be made; waiting: for a person's word; failed: also refused; withheld: cancelled, rejected, revoked, erased */
} Arm;
typedef struct {
    int count;
    Arm *arm; /* by name */
} Arms;

void arms_add(Arms *a, const ClipRow *r);
void arms_clear(Arms *a);

#endif
