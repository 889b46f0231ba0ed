/* scrub.h - takes one customer's data out of the text files of a campaign's folder: events and logs. */
#ifndef REELWRIGHT_SCRUB_H
#define REELWRIGHT_SCRUB_H

#include "coordinator/ledger/erase.h"

/* In DIR/events.*jsonl*, DIR/run.*log* and DIR/logs/: the customer's id and file names become the tombstone's name, their words and their
 * prompt "[erased]". Each file is replaced whole. */
Status scrub_folder(const char *folder, const Erased *e);

#endif
