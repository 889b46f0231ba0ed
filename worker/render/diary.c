#include "diary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/log.h"
#include "common/moment.h"

enum { MOST_BYTES = 64 << 10, SAY_MS = 30000 /* within a stage, how often */, CLIPS_NAMED = 5 };

void diary_begin(Diary *d, const Lease *l, const char *who)
{
    memset(d, 0, sizeof *d);
    char *path = text_format("%s/logs/%s.log", l->campaign_folder, l->key);
    Status status = logbook_open(path, MOST_BYTES, &d->book);
    free(path);
    if (failed(status)) log_line(LOG_WARNING, "no log of this shot: %s", status.message);
    char names[512] = "";
    for (int i = 0; i < l->clip_count && i < CLIPS_NAMED; i++) {
        size_t n = strlen(names);
        snprintf(names + n, sizeof names - n, "%s%.80s", i ? ", " : "", l->clip[i].clip_id);
    }
    logbook_line(d->book, "lease %lld, %s: %d steps, %d clips: %s%s", (long long)l->lease, who, l->shot.steps,
                 l->clip_count, names, l->clip_count > CLIPS_NAMED ? ", ..." : "");
    log_copy_to(d->book);
}

void diary_progress(Diary *d, const char *stage, int done, int total)
{
    int64_t now_ms = moment_ms();
    bool same = strcmp(stage, d->stage) == 0;
    if (same && now_ms - d->said_ms < SAY_MS && done != total) return;
    snprintf(d->stage, sizeof d->stage, "%s", stage);
    d->said_ms = now_ms;
    logbook_line(d->book, "%s %d of %d", stage, done, total);
}

void diary_end(Diary *d, const LeaseResult *r)
{
    log_copy_to(NULL);
    if (r->err == OK)
        logbook_line(
            d->book,
            "done: %d steps, %d from a checkpoint; text %.2f s, denoising %.2f s, decoding %.2f s, finishing %.2f s",
            r->steps_done, r->steps_resumed, r->encode_text_s, r->denoise_s, r->decode_s, r->finish_s);
    else
        logbook_line(d->book, "ended after %d steps (%d from a checkpoint), %s: %s", r->steps_done, r->steps_resumed,
                     status_class_name((ErrClass)r->err), r->reason);
    logbook_close(&d->book);
}
