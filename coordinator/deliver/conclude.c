#include "conclude.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/host.h"
#include "common/log.h"
#include "common/moment.h"
#include "coordinator/deliver/deliver.h"
#include "coordinator/deliver/report.h"
#include "coordinator/ledger/claim.h"
#include "coordinator/ledger/lock.h"
#include "coordinator/ledger/owner.h"
#include "coordinator/watch/events.h"
#include "coordinator/watch/progress.h"

static Status write_list(Ledger *l, const char *folder)
{
    char *file = path_join(folder, "delivery.csv");
    Status status = deliver_write_list(l, file);
    free(file);
    return status;
}

/* With review none, delivering belongs to the run. It writes states, so it takes an epoch; only a complete campaign comes
 * here, so it takes none from a coordinator that still works. */
static Status deliver(const char *folder, const Snapshot *s)
{
    Ledger *l = NULL;
    Events *events = NULL;
    Delivery done;
    char host[HOST_BYTES] = "";
    Status status = status_ok(), result;
    TRY_OUT(ledger_open(folder, LEDGER_WRITE, &l));
    host_name(host);
    ledger_join_launch(l, claim_inherited());
    TRY_OUT(ledger_begin_epoch(l, host, (int)getpid(), moment_wall_s()));
    result = deliver_clips(l, &done);
    if (failed(result)) log_line(LOG_ERROR, "%s", result.message);
    TRY_OUT(ledger_end_epoch(l, failed(result) ? "not delivered" : "done", moment_wall_s()));
    TRY_OUT(failed(result) ? status_fail(result.err, "not everything was delivered") : status_ok());
    TRY_OUT(events_open(folder, s->name, &events));
    events_add(events, moment_wall_s(), "campaign.delivered", "{s:I,s:I}", "clips", done.delivered, "bytes",
               done.bytes);
    TRY_OUT(events_flush(events));
out:
    events_close(&events);
    ledger_close(&l);
    return status;
}

/* The list beside the delivered clips is written here too, not where they are delivered: a run that ended in between has none. */
static Status write_pages(const char *folder, Snapshot *s)
{
    Ledger *l = NULL;
    char *delivery = path_join(folder, "delivery");
    Status status = status_ok();
    TRY_OUT(ledger_open(folder, LEDGER_READ, &l));
    TRY_OUT(write_list(l, folder));
    TRY_OUT(report_write(l));
    snapshot_clear(s);
    TRY_OUT(ledger_read_snapshot(l, s));
    if (s->clip_count[CLIP_DELIVERED] > 0) TRY_OUT(write_list(l, delivery));
out:
    ledger_close(&l);
    free(delivery);
    return status;
}

static Status read_now(const char *folder, Snapshot *s)
{
    Ledger *l = NULL;
    TRY(ledger_open(folder, LEDGER_READ, &l));
    Status status = ledger_read_snapshot(l, s);
    if (!failed(status) && s->left == 0) status = ledger_check_counts(l); /* "complete" rests on the rows */
    ledger_close(&l);
    return status;
}

/* What killed processes left half-written. Only in a complete campaign, where nobody writes any more. */
static void sweep_drafts(const char *folder)
{
    static const char *const place[] = {"", "clips", "latents", "report", "delivery", "delivery/clips"};
    for (size_t i = 0; i < sizeof place / sizeof *place; i++) {
        char *inside = *place[i] ? path_join(folder, place[i]) : text_copy(folder);
        DIR *dir = opendir(inside);
        for (struct dirent *e; dir && (e = readdir(dir));)
            if (strstr(e->d_name, ".draft.")) unlinkat(dirfd(dir), e->d_name, 0);
        if (dir) closedir(dir);
        free(inside);
    }
}

static Status verdict(const Snapshot *s, const char *folder, bool quiet)
{
    if (!quiet) {
        char *line = progress_line(s, moment_wall_s());
        log_line(LOG_INFO, "%s", line);
        if (s->part.count > 1)
            log_line(LOG_INFO, "part %d of %d is complete; `reelwright merge` delivers when all are", s->part.number,
                     s->part.count);
        else
            log_line(LOG_INFO, "clips in %s/delivery, list in %s/delivery.csv, report in %s/report/index.html", folder,
                     folder, folder);
        free(line);
    }
    if (s->failed == 0) return status_ok();
    return status_fail(ERR_CLIP, "%lld of %lld clips failed; %s/report/index.html says why", (long long)s->failed,
                       (long long)(s->clips - s->refused), folder);
}

/* The last event of a run. Of a run that waits, or in which too much failed, the coordinator has told already. */
static Status tell_of_end(const char *folder, const Snapshot *s, Status how)
{
    Events *events = NULL;
    if (!s->name) return status_ok(); /* the ledger could not be read: nothing is known that could be told */
    if (failed(how) && (strcmp(s->outcome, "waiting") == 0 || strcmp(s->outcome, "max fails") == 0)) return status_ok();
    const char *event = how.err == OK || how.err == ERR_CLIP ? "run.finished"
                        : how.err == ERR_STOP                ? "run.stopped"
                                                             : "run.stuck";
    TRY(events_open(folder, s->name, &events));
    events_add(events, moment_wall_s(), event, "{s:I,s:I,s:I,s:I,s:I,s:I,s:s}", "clips", s->clips, "finished",
               s->finished, "failed", s->failed, "refused", s->refused, "cancelled", s->cancelled, "left", s->left,
               "reason", how.message);
    Status status = events_flush(events);
    events_close(&events);
    return status;
}

Status conclude(const char *folder, Status so_far, bool quiet)
{
    Snapshot s = {0};
    char *why = text_copy(so_far.message); /* the text of so_far may be overwritten by what follows */
    Status status = read_now(folder, &s);
    bool complete = !failed(status) && s.left == 0,
         whole = s.part.count <= 1; /* of a part the rest is left to `merge` */
    if (complete && whole && s.clip_count[CLIP_APPROVED] > 0) status = deliver(folder, &s);
    if (!failed(status)) status = write_pages(folder, &s);
    if (complete && whole) sweep_drafts(folder);
    ledger_settle(folder);
    if (failed(so_far)) {
        if (failed(status)) log_line(LOG_WARNING, "%s", status.message);
        status = status_fail(so_far.err, "%s", why);
    } else if (!failed(status) && complete) {
        status = verdict(&s, folder, quiet);
    }
    free(why);
    why = text_copy(status.message);
    if (failed(tell_of_end(folder, &s, status))) log_line(LOG_WARNING, "%s: cannot write the last event", folder);
    if (failed(status)) status = status_fail(status.err, "%s", why);
    snapshot_clear(&s);
    free(why);
    return status;
}

Status conclude_delivery(const char *folder)
{
    Snapshot s = {0};
    int lock = -1;
    TRY(read_now(folder, &s));
    if (s.part.count > 1) {
        snapshot_clear(&s);
        return status_fail(ERR_INPUT, "%s: a part of a campaign; expected the whole: `reelwright merge` makes it",
                           folder);
    }
    Status status = lock_take(folder, false, &lock); /* delivering takes an epoch: a run that goes on would be fenced */
    if (!failed(status)) status = deliver(folder, &s);
    if (!failed(status)) status = write_pages(folder, &s);
    if (!failed(status))
        foreign_print(stdout, "%lld clips in %s/delivery, list in %s/delivery.csv\n",
                      (long long)s.clip_count[CLIP_DELIVERED], folder, folder);
    lock_release(&lock);
    snapshot_clear(&s);
    return status;
}
