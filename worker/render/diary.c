#include "diary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/log.h"
#include "common/moment.h"
#include "common/plural.h"

enum { MOST_BYTES = 64 << 10, SAY_MS = 30000 /* within a stage, how often */ };

void diary_begin(Diary *d, const Lease *l, const char *who)
{
    memset(d, 0, sizeof *d);
    char *path = text_format("%s/logs/%s.log", l->campaign_folder, l->key);
    Status status = logbook_open(path, MOST_BYTES, &d->book);
    free(path);
    if (failed(status)) log_line(LOG_WARNING, "no log of this shot: %s", status.message);
    const int steps = l->shot.steps * shot_rounds(&l->shot);
    if (l->kind == LEASE_FINISH)
        logbook_line(d->book, "lease %lld, %s: finish of %.80s", (long long)l->lease, who, l->clip_id);
    else
        logbook_line(d->book, "lease %lld, %s: render of %d step%s for %.80s%s", (long long)l->lease, who, steps,
                     plural_s(steps), l->clip_id, l->clip_count > 1 ? " and others" : "");
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
    log_copy_over(d->book);
    if (r->err == OK && r->kind == LEASE_FINISH)
        logbook_line(d->book, "finished %.80s in %.2f s: %s", r->clip.clip_id, r->finish_s, r->clip.file);
    else if (r->err == OK)
        logbook_line(
            d->book,
            "rendered: %d step%s, %d from a checkpoint; text %.2f s, denoising %.2f s, decoding %.2f s, a master "
            "of %lld bytes",
            r->steps_done, plural_s(r->steps_done), r->steps_resumed, r->encode_text_s, r->denoise_s, r->decode_s,
            (long long)r->master.bytes);
    else
        logbook_line(d->book, "ended after %d step%s (%d from a checkpoint), %s: %s", r->steps_done,
                     plural_s(r->steps_done), r->steps_resumed, status_class_name((ErrClass)r->err), r->reason);
    logbook_close(&d->book);
}
