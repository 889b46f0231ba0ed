/* timeline.h - what each worker did when, as a part of the report's page: from the leases that the ledger has. */
#ifndef REELWRIGHT_TIMELINE_H
#define REELWRIGHT_TIMELINE_H

#include <stdio.h>

#include "coordinator/ledger/view.h"

/* A chart (SVG) and a line on how busy the devices were between their first and their last step; and one on the steps that were shared or left out,
 * where any were. Nothing where no lease has ended. */
Status timeline_write(Ledger *l, FILE *to);

#endif
