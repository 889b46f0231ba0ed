/* status_page.h - the campaigns of a run as a page for a browser: nothing on it can be pressed, no script, every text escaped. */
#ifndef REELWRIGHT_STATUS_PAGE_H
#define REELWRIGHT_STATUS_PAGE_H

#include <stdio.h>

#include "coordinator/ledger/view.h"

enum { STATUS_PAGE_REFRESH_S = 5 };
extern const char status_page_style[]; /* a file of its own, so that the page needs no inline style */

typedef struct {
    const char *folder;
    Snapshot now;
    char *failures; /* what failed and why; "" nothing */
} StatusPart;

void status_page_write(FILE *f, const StatusPart *part, int count, double now_s);

#endif
