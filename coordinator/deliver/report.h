/* report.h - BASE/report/index.html: the night on one page, for the person who opens it in the morning. Self-contained (no
 * request; a script of a line that searches), readable on a phone; every text of a customer or a model is escaped. */
#ifndef REELWRIGHT_REPORT_H
#define REELWRIGHT_REPORT_H

#include "coordinator/ledger/view.h"

/* base: the folder that the page is for, DIR or DIR/delivery; its links and pictures are of that folder. */
Status report_write(Ledger *l, const char *base);

#endif
