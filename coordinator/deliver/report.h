/* report.h - BASE/report/index.html: the night on one page, for the person who opens it in the morning: what waits for a decision,
 * what failed and why, the clips with a search, then how the night went. Self-contained (style and script stand in it, report/),
 * readable on a phone; every text of a customer or a model is escaped. A contact sheet plays its clip, which stays a file beside the
 * page. */
#ifndef REELWRIGHT_REPORT_H
#define REELWRIGHT_REPORT_H

#include "coordinator/ledger/view.h"

/* base: the folder that the page is for, DIR or DIR/delivery; its links and pictures are of that folder. */
Status report_write(Ledger *l, const char *base);

#endif
