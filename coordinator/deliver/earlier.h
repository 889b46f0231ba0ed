/* earlier.h - DIR/earlier: the files of clips that are rendered again, so that a reviewer can lay the new one over the old one. They
 * stay until the new one is decided about, and are no part of what is delivered. */
#ifndef REELWRIGHT_EARLIER_H
#define REELWRIGHT_EARLIER_H

#include "coordinator/ledger/ledger.h"

/* Before it is asked for again: its video as it is now. Of a clip without one: nothing. */
Status earlier_keep(Ledger *l, const char *clip_id);
/* Removes those whose clips are decided about. */
Status earlier_sweep(Ledger *l);

#endif
