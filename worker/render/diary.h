/* diary.h - what happened to a shot, for people: DIR/logs/KEY.log, one file for all attempts at it, of bounded size. Of its clips
 * the names of the first are in it, of its prompt nothing. `reelwright explain DIR CLIP` shows its end. */
#ifndef REELWRIGHT_DIARY_H
#define REELWRIGHT_DIARY_H

#include "common/clip.h"
#include "common/logbook.h"

typedef struct {
    Logbook *book; /* NULL: it cannot be written; that is said once, and fails nothing */
    char stage[16];
    int64_t said_ms;
} Diary;

/* From here on the log lines of this process go into it, too. who: "worker 2 (host, process 17)". */
void diary_begin(Diary *d, const Lease *l, const char *who);
void diary_progress(Diary *d, const char *stage, int done, int total);
void diary_end(Diary *d, const LeaseResult *r);

#endif
