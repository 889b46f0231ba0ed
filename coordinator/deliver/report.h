/* report.h - DIR/report/index.html: the night on one page, for the person who opens it in the morning. Self-contained (no
 * script, no request), readable on a phone; every text of a customer or a model is escaped. */
#ifndef REELWRIGHT_REPORT_H
#define REELWRIGHT_REPORT_H

#include "coordinator/ledger/view.h"

Status report_write(Ledger *l);

#endif
