#include "conclude.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/host.h"
#include "common/log.h"
#include "common/moment.h"
#include "common/plural.h"
#include "common/shell.h"
#include "coordinator/deliver/deliver.h"
#include "coordinator/deliver/diversity.h"
#include "coordinator/deliver/earlier.h"
#include "coordinator/deliver/list.h"
#include "coordinator/deliver/lots.h"
#include "coordinator/deliver/report.h"
#include "coordinator/deliver/requests.h"
#include "coordinator/deliver/sweep.h"
#include "coordinator/deliver/withdraw.h"
#include "coordinator/ledger/lock.h"
#include "coordinator/ledger/owner.h"
#include "coordinator/watch/events.h"
#include "coordinator/watch/progress.h"
#include "coordinator/watch/suggest.h"

static Status write_list(Ledger *l, const char *folder)
{
    char *file = path_join(folder, "delivery.csv");
    Status status = deliver_write_list(l, file);
    free(file);
    return status;
}

/* Also one that is there from before the campaign changed: it names customers who may have been erased since. */
static Status write_handovers(Ledger *l, const char *folder)
{
    Settings settings = {0};
    Status status = ledger_read_settings(l, &settings);
    char *uploads = path_join(folder, "uploads.csv"), *webhooks = path_join(folder, "webhooks.csv");
    if (!failed(status) && (settings.delivery.upload || file_exists(uploads)))
        status = deliver_write_uploads(l, uploads);
    if (!failed(status) && (settings.delivery.webhook || file_exists(webhooks)))
        status = deliver_write_webhooks(l, webhooks);
    settings_clear(&settings);
    free(uploads);
    free(webhooks);
    return status;
}

static Status tell_of_delivery(const char *folder, const Delivery *done)
{
    Events *events = NULL;
    Ledger *l = NULL;
    Snapshot s = {0};
    double now_s = moment_wall_s();
    if (done->delivered + done->restored + done->lost == 0) return status_ok();
    Status status = ledger_open(folder, LEDGER_READ, &l);
    if (!failed(status)) status = ledger_read_snapshot(l, &s);
    if (!failed(status)) status = events_open(folder, s.name, &events);
    if (!failed(status)) {
        events_add(events, now_s, "campaign.delivered", "{s:I,s:I,s:I,s:I}", "clips", done->delivered, "bytes",
                   done->bytes, "restored", done->restored, "lost", done->lost);
        status = events_flush(events);
    }
    events_close(&events);
    ledger_close(&l);
    snapshot_clear(&s);
    return status;
}

/* Delivers what is approved. That takes an epoch when something is to be written; the campaign is complete, so no coordinator works that
 * the new epoch could fence. */
static Status deliver(const char *folder, int64_t launch, DeliverOptions how, Delivery *done)
{
    Ledger *l = NULL;
    char host[HOST_BYTES] = "", *why = NULL;
    *done = (Delivery){0};
    host_name(host);
    TRY(ledger_open(folder, LEDGER_WRITE, &l));
    ledger_join_launch(l, launch);
    how.host = host;
    Status status = deliver_clips(l, &how, done);
    why = text_copy(status.message);
    if (ledger_epoch(l) > 0) {
        Status ended = ledger_end_epoch(l, failed(status) ? "not delivered" : "done", moment_wall_s());
        if (!failed(status) || status.err == ERR_CLIP) {
            if (failed(ended)) status = ended;
        }
    }
    ledger_close(&l);
    if (!failed(status) || status.err == ERR_CLIP) {
        Status told = tell_of_delivery(folder, done);
        status = failed(told) ? told : failed(status) ? status_fail(ERR_CLIP, "%s", why) : status_ok();
    }
    free(why);
    return status;
}

/* Makes a file in delivery/ readable for all, because that folder is handed over. */
static void open_page(const char *delivery, const char *name)
{
    char *page = path_join(delivery, name), *folder = path_folder(page);
    if (chmod(page, 0644) != 0 || chmod(folder, 0755) != 0)
        log_line(LOG_WARNING, "%s: its mode cannot be changed", page);
    free(page);
    free(folder);
}

/* Notes what the clips look like in the index that the campaign names, for the campaigns that come after it. */
static Status publish_looks(Ledger *l)
{
    char *text = NULL;
    TRY(ledger_read_finish(l, &text));
    json_t *finish = text ? json_loads(text, 0, NULL) : NULL;
    const char *index = json_string_value(json_object_get(finish, "looks"));
    Status status = index ? diversity_publish(l, index) : status_ok();
    json_decref(finish);
    free(text);
    return status;
}

/* Lists and report: in the campaign's folder, and beside the delivered clips, for that folder is handed over as it is. What goes wrong
 * with one does not keep the others from being written. */
Status conclude_pages(const char *folder)
{
    Ledger *l = NULL;
    Snapshot s = {0};
    char *delivery = path_join(folder, "delivery"), *why = NULL;
    Status status = ledger_open(folder, LEDGER_READ, &l);
    if (!failed(status)) status = ledger_read_snapshot(l, &s);
    if (failed(status)) why = text_copy(status.message);
    char *listed = path_join(delivery, "delivery.csv"); /* also where everything that was delivered is gone again */
    const bool delivered = s.clip_count[CLIP_DELIVERED] > 0 || file_exists(listed);
    free(listed);
    for (int i = 0; i < 4 && l && (i < 2 || delivered); i++) {
        Status one = i % 2 == 0 ? write_list(l, i < 2 ? folder : delivery) : report_write(l, i < 2 ? folder : delivery);
        if (i >= 2 && !failed(one)) open_page(delivery, i == 2 ? "delivery.csv" : "report/index.html");
        if (failed(one) && !why) why = text_copy(one.message), status = one;
    }
    if (l && !why) status = withdraw_write_list(l, folder);
    if (l && !why && !failed(status)) status = publish_looks(l);
    if (l && !why && !failed(status)) status = write_handovers(l, folder);
    if (why) status = status_fail(status.err, "%s", why);
    ledger_close(&l);
    snapshot_clear(&s);
    free(delivery);
    free(why);
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

static Status verdict(const Snapshot *s, const char *folder, bool quiet)
{
    if (!quiet) {
        char *line = progress_line(s, moment_wall_s());
        log_line(LOG_INFO, "%s", line);
        if (s->part.count > 1)
            log_line(LOG_INFO, "part %d of %d is complete; `reelwright merge` delivers when all are", s->part.number,
                     s->part.count);
        else if (s->clip_count[CLIP_DELIVERED] > 0)
            log_line(LOG_INFO, "clips in %s/delivery, list in %s/delivery.csv, report in %s/report/index.html", folder,
                     folder, folder);
        else
            log_line(LOG_INFO, "nothing is delivered; list in %s/delivery.csv, report in %s/report/index.html", folder,
                     folder);
        free(line);
    }
    if (s->undecided > 0 && !quiet) {
        char *command = shell_suggest("review list", folder, NULL);
        log_line(LOG_INFO, "%lld clip%s for a person's word: %s", (long long)s->undecided,
                 s->undecided == 1 ? " waits" : "s wait", command);
        free(command);
    }
    if (s->failed == 0) return status_ok();
    return status_fail(ERR_CLIP, "%lld of %lld clip%s failed; %s/report/index.html says why", (long long)s->failed,
                       (long long)(s->clips - s->refused), plural_s(s->clips - s->refused), folder);
}

/* Writes the last event of a run. When a run waits, or too much failed in it, the coordinator has written that event already. */
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

/* The message of an ERR_CLIP of deliver_clips, with the command that goes on behind it. */
static Status undelivered(const Snapshot *s, const char *folder, const Delivery *done, const char *why)
{
    char *text = text_copy(why),
         *command = done->lost ? suggest_run(s, folder) : shell_suggest("deliver", folder, NULL);
    Status status =
        status_fail(ERR_CLIP, done->lost ? "%s; `%s` makes what is missing again" : "%s; `%s` hands over those alone",
                    text, command);
    free(text);
    free(command);
    return status;
}

/* All of the sample are made and decided before any clip is delivered. */
static bool waits_for_sample(const Snapshot *s) { return s->by_sample && (s->undecided > 0 || s->left > 0); }

static bool can_deliver(const Snapshot *s)
{
    if (waits_for_sample(s)) return false;
    return s->left == 0 && s->part.count <= 1 && s->clip_count[CLIP_APPROVED] + s->clip_count[CLIP_DELIVERED] > 0;
}

Status conclude_files(const char *folder, int64_t launch, int64_t *lost)
{
    Snapshot s = {0};
    Delivery done = {0};
    *lost = 0;
    TRY(read_now(folder, &s));
    Status status =
        can_deliver(&s) ? deliver(folder, launch, (DeliverOptions){.files_only = true}, &done) : status_ok();
    snapshot_clear(&s);
    *lost = done.lost;
    return status.err == ERR_CLIP ? status_ok() : status;
}

/* The status of the whole run: a failure so far, else a failure of the files, else failed clips. */
static Status settle_end(const Snapshot *s, const char *folder, Status so_far, const char *why, Status files,
                         bool quiet)
{
    if (failed(so_far)) {
        if (failed(files)) log_line(LOG_WARNING, "%s", files.message);
        return status_fail(so_far.err, "%s", why);
    }
    if (failed(files)) return files;
    return s->left == 0 ? verdict(s, folder, quiet) : status_ok();
}

/* Does what follows from the decisions that the run took up: notes the lot, deletes earlier versions. */
static Status close_reviews(const char *folder)
{
    Ledger *l = NULL;
    TRY(ledger_open(folder, LEDGER_READ, &l));
    Status status = lots_note(l);
    if (!failed(status)) status = earlier_sweep(l);
    ledger_close(&l);
    return status;
}

Status conclude(const char *folder, int64_t launch, Status so_far, bool quiet)
{
    Snapshot s = {0};
    Delivery done = {0};
    char *why = text_copy(so_far.message), *text; /* the text of so_far may be overwritten by what follows */
    Status status = withdraw_revoked(folder, launch, NULL);
    if (!failed(status)) status = close_reviews(folder);
    if (!failed(status)) status = read_now(folder, &s);
    const bool known = !failed(status), whole = known && can_deliver(&s), complete = known && s.left == 0;
    if (whole) status = deliver(folder, launch, (DeliverOptions){0}, &done);
    if (status.err == ERR_CLIP) status = undelivered(&s, folder, &done, status.message);
    if (known) { /* whatever became of the files, everybody's line is in the list */
        text = text_copy(status.message);
        Status pages = conclude_pages(folder);
        status = failed(status) ? status_fail(status.err, "%s", text) : pages;
        free(text);
        text = text_copy(status.message);
        snapshot_clear(&s);
        if (failed(read_now(folder, &s))) s = (Snapshot){0};
        status.message = "";
        if (failed(status)) status = status_fail(status.err, "%s", text);
        free(text);
    }
    if (whole && done.lost == 0) sweep_drafts(folder);
    if (complete) sweep_shared(folder);
    ledger_settle(folder);
    status = settle_end(&s, folder, so_far, why, status, quiet);
    free(why);
    why = text_copy(status.message);
    if (failed(tell_of_end(folder, &s, status))) log_line(LOG_WARNING, "%s: cannot write the last event", folder);
    if (failed(status)) status = status_fail(status.err, "%s", why);
    snapshot_clear(&s);
    free(why);
    return status;
}

static void print_sample(const Snapshot *s, const char *folder)
{
    const int64_t waiting = s->undecided > 0 ? s->undecided : s->left;
    char *command = s->undecided > 0 ? shell_suggest("review list", folder, NULL) : suggest_run(s, folder);
    foreign_print(stdout, "nothing new is delivered before the sample is decided: %lld clip%s %s; `%s`\n",
                  (long long)waiting, plural_s(waiting),
                  s->undecided == 1  ? "waits for a decision"
                  : s->undecided > 1 ? "wait for a decision"
                  : s->left == 1     ? "is still to be made"
                                     : "are still to be made",
                  command);
    free(command);
}

static Status deliver_now(const char *folder, const Snapshot *s)
{
    Delivery done = {0};
    const DeliverOptions how = {.thorough = true, .nothing_new = waits_for_sample(s)};
    Status status = deliver(folder, 0, how, &done), pages;
    char *why = text_copy(status.message);
    if (how.nothing_new) print_sample(s, folder);
    if (done.withheld > 0)
        foreign_print(stdout, "%lld clip%s not delivered, because of deliver.suppress: the list says which\n",
                      (long long)done.withheld, done.withheld == 1 ? " is" : "s are");
    if (done.restored > 0)
        foreign_print(stdout, "%lld clip%s missing in delivery/ or damaged there: restored\n", (long long)done.restored,
                      done.restored == 1 ? " was" : "s were");
    if (!failed(status) || status.err == ERR_CLIP) {
        pages = conclude_pages(folder);
        status = failed(pages) ? pages : failed(status) ? undelivered(s, folder, &done, why) : status_ok();
    }
    free(why);
    return status;
}

Status conclude_delivery(const char *folder)
{
    Snapshot s = {0}, now = {0};
    Ledger *l = NULL;
    int lock = -1;
    TRY(ledger_open_whole(folder, &l));
    ledger_close(&l);
    TRY(read_now(folder, &s));
    if (s.part.count > 1) {
        snapshot_clear(&s);
        return status_fail(ERR_INPUT, "%s: a part of a campaign; expected the whole: `reelwright merge` makes it",
                           folder);
    }
    Status status = lock_take(folder, false, &lock); /* delivering takes an epoch: a run that goes on would be fenced */
    if (!failed(status)) status = requests_take(folder, 0);
    if (!failed(status)) status = withdraw_revoked(folder, 0, NULL);
    snapshot_clear(&s);
    if (!failed(status)) status = read_now(folder, &s); /* what people decided may have changed it */
    if (!failed(status)) status = deliver_now(folder, &s);
    if (!failed(status)) status = read_now(folder, &now);
    if (!failed(status))
        foreign_print(stdout, "%lld clip%s in %s/delivery, list in %s/delivery.csv\n",
                      (long long)now.clip_count[CLIP_DELIVERED], plural_s(now.clip_count[CLIP_DELIVERED]), folder,
                      folder);
    lock_release(&lock);
    snapshot_clear(&s);
    snapshot_clear(&now);
    return status;
}

Status conclude_withdrawal(const char *folder, int64_t *told)
{
    Delivery done = {0};
    Status status = deliver(folder, 0, (DeliverOptions){.tell_only = true}, &done);
    *told = done.withdrawn;
    return status.err == ERR_CLIP ? undelivered(NULL, folder, &done, status.message) : status;
}
