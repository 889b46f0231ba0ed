/* record_page.h - a record as a page: what a clip's time goes into, how leases differ, the nights; beside another record where there is one. */
#ifndef REELWRIGHT_RECORD_PAGE_H
#define REELWRIGHT_RECORD_PAGE_H

#include "coordinator/plan/record.h"

typedef struct {
    const char *name; /* shown; the file it was read from */
    const Record *record;
} NamedRecord;

/* One file, without scripts and without others. count: 1 or 2. */
Status record_page_write(const NamedRecord *records, int count, const char *path);

#endif
