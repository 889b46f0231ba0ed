/* record_page.h - a record as a page: what a clip's time goes into, how leases differ, scaling, roofline, memory, the nights; beside another record
 * where there is one, and among earlier ones of the same work. */
#ifndef REELWRIGHT_RECORD_PAGE_H
#define REELWRIGHT_RECORD_PAGE_H

#include "coordinator/plan/record.h"

typedef struct {
    const char *name; /* shown; the file it was read from */
    const Record *record;
} NamedRecord;

/* One file, without scripts and without others. The last record is what the page is about; it is compared with the one before it, and all of
 * the same work are its history. */
Status record_page_write(const NamedRecord *records, int count, const char *path);

#endif
