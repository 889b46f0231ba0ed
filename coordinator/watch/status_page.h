/* status_page.h - the campaigns of a run as a page for a browser; every text escaped, its script and style are files of their own.
 *
 * Everybody who may look sees numbers, workers, and which clips failed why. Who came in by the printed address also sees the clips
 * that were finished last, with links to the files, the report and the list, and has buttons to pause, to resume, to approve the
 * pilot and to try failed clips again. */
#ifndef REELWRIGHT_STATUS_PAGE_H
#define REELWRIGHT_STATUS_PAGE_H

#include <stddef.h>
#include <stdio.h>

#include "coordinator/ledger/view.h"
#include "coordinator/watch/serve_text.h"

enum { STATUS_PAGE_REFRESH_S = 5, STATUS_PAGE_CLIPS = 24 };

extern const ServeText status_page_text[];

typedef struct { /* owns its texts */
    char *id, *state, *reason, *file, *thumbnail, *key;
} StatusClip;

typedef struct {
    const char *folder; /* borrowed */
    int number;         /* of the campaign, as addresses and buttons name it */
    Snapshot now;
    StatusClip latest[STATUS_PAGE_CLIPS], failed[STATUS_PAGE_CLIPS];
    int latest_count, failed_count;
} StatusPart;

/* ERR_*: the ledger cannot be read now. status_part_clear after success. */
Status status_part_read(const char *folder, int number, StatusPart *out);
void status_part_clear(StatusPart *p);

/* secret: of a page that was let in; NULL: of one that was not, and `how_in` says how one gets in. */
void status_page_write(FILE *f, const StatusPart *part, int count, const char *secret, const char *how_in,
                       double now_s);

#endif
