/* run_prepare.c - what `run` does before anything starts. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/host.h"
#include "common/log.h"
#include "common/moment.h"
#include "coordinator/campaign/campaign.h"
#include "coordinator/deliver/conclude.h"
#include "coordinator/deliver/sweep.h"
#include "coordinator/launch/run_inside.h"
#include "coordinator/ledger/owner.h"
#include "coordinator/ledger/steer.h"
#include "coordinator/ledger/update.h"
#include "coordinator/watch/events.h"

enum { LEAST_FREE_BYTES = 16 << 20 };

/* A ledger of another campaign must be recognised before anything is written, so it is opened for reading first. */
static Status check_folder(const char *folder)
{
    int parts;
    TRY(part_count(folder, &parts));
    if (parts > 0)
        return status_fail(ERR_INPUT,
                           "%s: its campaign is divided into %d parts; expected --part I/%d, or `reelwright merge`",
                           folder, parts, parts);
    char *ledger = path_join(folder, "ledger.db");
    Status status = status_ok();
    if (file_exists(folder) && !file_is_folder(folder))
        status = status_fail(ERR_INPUT, "%s: expected a folder", folder);
    else if (file_exists(ledger)) {
        Ledger *l = NULL;
        status = ledger_open(folder, LEDGER_READ, &l);
        ledger_close(&l);
    }
    free(ledger);
    return status;
}

static Status open_part(const RunOptions *o, Campaign *c)
{
    if (o->update)
        return status_fail(ERR_INPUT,
                           "--update: expected none with --part; merge the parts first, then update the whole");
    if (c->settings.pilot > 0)
        return status_fail(ERR_INPUT,
                           "%s: pilot: %d: expected none with --part; a pilot is one run's, of the whole campaign",
                           c->file, c->settings.pilot);
    c->part = o->part;
    return part_open(o->whole, o->part);
}

Status run_prepare(const RunOptions *o, const char *campaign, const char *folder, Campaign **changed)
{
    Campaign *c = NULL;
    bool pending = false;
    *changed = NULL;
    Ledger *l = NULL;
    Status status = status_ok();
    TRY_OUT(campaign_load(campaign, &c));
    campaign_tell_warnings(c);
    if (o->max_fails && !max_fails_parse(o->max_fails, &c->settings.max_fails))
        TRY_OUT(status_fail(ERR_INPUT, "--max-fails %.40s: expected a number of clips, 20, or a share of them, 5%%",
                            o->max_fails));
    if (o->whole) TRY_OUT(open_part(o, c));
    TRY_OUT(check_folder(folder));
    TRY_OUT(file_make_folders(folder));
    TRY_OUT(file_check_space(folder, LEAST_FREE_BYTES));
    TRY_OUT(ledger_open(folder, LEDGER_WRITE, &l));
    TRY_OUT(ledger_take_plan(l, c, o->update, moment_wall_s(), &pending));
    if (pending) *changed = c, c = NULL;
out:
    ledger_close(&l);
    campaign_free(&c);
    if (status.err == ERR_FATAL || status.err == ERR_NODE) status.err = ERR_INPUT;
    return status;
}

static Status tell_of_update(const Campaign *c, const char *folder, const Changes *x)
{
    Events *events = NULL;
    char *summary = changes_summary(x);
    log_line(LOG_INFO, "%s: %s", folder, summary);
    free(summary);
    TRY(events_open(folder, c->name, &events));
    events_add(events, moment_wall_s(), "campaign.updated", "{s:I,s:I,s:I,s:I,s:I}", "added", x->added_count, "removed",
               x->removed_count, "listed", x->follows[FOLLOWS_LIST], "finished_again", x->follows[FOLLOWS_FINISH],
               "rendered_again", x->follows[FOLLOWS_RENDER]);
    Status status = events_flush(events);
    events_close(&events);
    return status;
}

Status run_update(const Campaign *c, const char *folder, int64_t launch)
{
    Ledger *l = NULL;
    Changes changes = {0};
    char host[HOST_BYTES] = "";
    Status status = status_ok();
    host_name(host);
    TRY_OUT(ledger_open(folder, LEDGER_WRITE, &l));
    ledger_join_launch(l, launch);
    TRY_OUT(ledger_begin_epoch(l, host, (int)getpid(), moment_wall_s()));
    TRY_OUT(ledger_begin(l, moment_wall_s()));
    TRY_OUT(changes_find(l, c, &changes));
    TRY_OUT(ledger_update(l, c, &changes));
    TRY_OUT(ledger_commit(l));
    TRY_OUT(ledger_end_epoch(l, "updated", moment_wall_s()));
    ledger_close(&l);
    TRY_OUT(tell_of_update(c, folder, &changes));
    TRY_OUT(sweep_leavings(folder, launch));
out:
    if (l && failed(status)) {
        char *why = text_copy(status.message);
        ledger_rollback(l);
        status = status_fail(status.err, "%s", why);
        free(why);
    }
    ledger_close(&l);
    changes_clear(&changes);
    return status;
}

Status run_take_requests(const char *folder, int64_t launch)
{
    Ledger *l = NULL;
    LedgerRequest r = {0};
    int64_t changed = 0;
    char host[HOST_BYTES] = "";
    Status status = status_ok();
    host_name(host);
    TRY_OUT(ledger_open(folder, LEDGER_WRITE, &l));
    ledger_join_launch(l, launch);
    TRY_OUT(ledger_next_request(l, &r));
    if (r.id == 0) goto out;
    TRY_OUT(ledger_begin_epoch(l, host, (int)getpid(), moment_wall_s()));
    TRY_OUT(ledger_begin(l, moment_wall_s()));
    while (r.id) {
        TRY_OUT(ledger_apply_request(l, &r, &changed));
        ledger_request_clear(&r);
        TRY_OUT(ledger_next_request(l, &r));
    }
    TRY_OUT(ledger_commit(l));
    TRY_OUT(ledger_end_epoch(l, "requests", moment_wall_s()));
out:
    ledger_request_clear(&r);
    ledger_close(&l);
    return status;
}

/* What was replaced goes once the new is there, whatever else happened. */
static Status sweep_after(const char *folder, int64_t launch, Status so_far)
{
    char *why = text_copy(so_far.message);
    Status swept = sweep_leavings(folder, launch);
    if (failed(swept)) log_line(LOG_WARNING, "%s", swept.message);
    Status status = failed(so_far) ? status_fail(so_far.err, "%s", why) : status_ok();
    free(why);
    return status;
}

Status run_conclude(const char *folder, const Claim *claim, Status so_far, bool quiet)
{
    char *why = text_copy(so_far.message);
    Status status = claim_check(folder, claim);
    if (!failed(status))
        status = sweep_after(folder, claim->launch,
                             conclude(folder, claim->launch, status_fail(so_far.err, "%s", why), quiet));
    else if (failed(so_far))
        status = status_fail(so_far.err, "%s", why);
    free(why);
    return status;
}

Status run_start_notify(const char *folder, Notify **out)
{
    Ledger *l = NULL;
    Settings settings = {0};
    *out = NULL;
    TRY(ledger_open(folder, LEDGER_READ, &l));
    Status status = ledger_read_settings(l, &settings);
    ledger_close(&l);
    if (!failed(status)) status = notify_start(folder, &settings.notify, out);
    settings_clear(&settings);
    return status;
}

int run_count_cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? n : 1;
}
