/* deliver.h - what the customer gets: approved clips, copied and verified, and a list with one line per row, always.
 *
 * DIR/delivery.csv is the list; its paths are relative to DIR. DIR/delivery/ holds copies of the approved clips under the
 * same relative paths and the same list beside them, so that folder can be handed over as it is. */
#ifndef REELWRIGHT_DELIVER_H
#define REELWRIGHT_DELIVER_H

#include "coordinator/ledger/view.h"

/* The list to `file`: the customer's columns in the customer's order, then the ones of DESIGN section 3. RFC 4180 quoting. */
Status deliver_write_list(Ledger *l, const char *file);

typedef struct {
    int64_t delivered, bytes; /* this time */
} Delivery;
/* Copies every approved clip (and its other renditions and thumbnail), comparing the hash while copying, and marks it as
 * delivered; those delivered before are left alone when they are still there. The ledger has its epoch. ERR_CLIP names the
 * clips whose file does not have the hash that the ledger recorded; the others are delivered nevertheless. */
Status deliver_clips(Ledger *l, Delivery *out);

#endif
