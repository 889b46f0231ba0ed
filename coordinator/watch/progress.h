/* progress.h - the campaign as it stands, as text: the same for `run`, which repeats it, and `status`, which says it once. */
#ifndef REELWRIGHT_PROGRESS_H
#define REELWRIGHT_PROGRESS_H

#include "coordinator/ledger/view.h"

/* "postcards: 7 of 12 clips, 240 clips/h, 1:15 left" ; free() it */
char *progress_line(const Snapshot *s, double now_s);
/* That line with a bar, one on who renders and who finishes, and one line per worker, each at most `width` columns; at most `height`
 * lines. free() it. */
char *progress_page(const Snapshot *s, double now_s, int width, int height);

/* On a terminal the page is drawn over the last one once a second; elsewhere a line appears when a clip is done, and
 * every half minute. quiet: nothing. */
typedef struct {
    bool terminal, quiet;
    int lines; /* of the page that stands on the terminal */
    int64_t last_finished;
    double last_s;
} ProgressView;

void progress_view_open(ProgressView *v, bool quiet);
void progress_view_show(ProgressView *v, const Snapshot *s, double now_s);
void progress_view_clear(ProgressView *v); /* before another line is written to stderr */

#endif
