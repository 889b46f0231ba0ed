/* run_prepare.c - what `run` does before anything starts. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/moment.h"
#include "coordinator/campaign/campaign.h"
#include "coordinator/deliver/conclude.h"
#include "coordinator/deliver/lots.h"
#include "coordinator/deliver/returned.h"
#include "coordinator/deliver/sweep.h"
#include "coordinator/launch/folder.h"
#include "coordinator/launch/run_inside.h"
#include "coordinator/ledger/owner.h"
#include "coordinator/ledger/steer.h"
#include "coordinator/ledger/update.h"
#include "coordinator/watch/audit.h"
#include "coordinator/watch/events.h"

enum { LEAST_FREE_BYTES = 16 << 20 };

/* Options of the command line replace what the campaign file says. */
static Status take_options(const RunOptions *o, Settings *s)
{
    double when;
    if (o->max_fails && !max_fails_parse(o->max_fails, &s->max_fails))
        return status_fail(ERR_INPUT, "--max-fails %.40s: expected a number of clips, 20, or a share of them, 5%%",
                           o->max_fails);
    if (!o->deadline) return status_ok();
    if (strlen(o->deadline) >= DEADLINE_BYTES || !deadline_parse(o->deadline, moment_wall_s(), &when))
        return status_fail(ERR_INPUT, "--deadline %.40s: expected a time of day, 06:00, or \"2026-01-31 06:00\"",
                           o->deadline);
    snprintf(s->deadline, sizeof s->deadline, "%s", o->deadline);
    return status_ok();
}

/* A full disk or a damaged ledger that is found before anything starts is the user's to mend, like any input. */
static Status not_started(Status s)
{
    if (s.err == ERR_FATAL || s.err == ERR_NODE) s.err = ERR_INPUT;
    return s;
}

Status run_load(const RunOptions *o, const char *campaign, const char *folder, Campaign **out)
{
    Campaign *c = NULL;
    Status status = status_ok();
    TRY_OUT(campaign_load(campaign, &c));
    campaign_tell_warnings(c);
    TRY_OUT(not_started(returned_refuse(folder, c)));
    TRY_OUT(take_options(o, &c->settings));
    if (o->whole && o->update)
        TRY_OUT(status_fail(ERR_INPUT,
                            "--update: expected none with --part; merge the parts first, then update the whole"));
    if (o->whole && c->settings.pilot > 0)
        TRY_OUT(status_fail(ERR_INPUT,
                            "%s: pilot: %d: expected none with --part; a pilot is one run's, of the whole campaign",
                            c->file, c->settings.pilot));
    if (o->whole) c->part = o->part;
    if (o->whole)
        TRY_OUT(not_started(folder_check(o->whole, c, o->part.count, false)));
    else
        TRY_OUT(not_started(folder_check(folder, c, 1, o->update)));
    if (o->whole) TRY_OUT(not_started(folder_check_ledger(folder, c, false)));
out:
    if (failed(status)) campaign_free(&c);
    *out = c;
    return status;
}

/* The folder will hold customers' data, so others may not read it. Only before the first run: what its owner allows later stays allowed. */
static Status make_private(const char *folder)
{
    char *ledger = path_join(folder, "ledger.db");
    bool first = !file_exists(ledger);
    free(ledger);
    if (!first || chmod(folder, 0700) == 0 || errno == EPERM) return status_ok();
    return status_errno(ERR_INPUT, "chmod %s", folder);
}

static Status make_folder(const RunOptions *o, const char *folder)
{
    if (o->whole) TRY(part_open(o->whole, o->part));
    TRY(file_make_folders(folder));
    TRY(make_private(o->whole ? o->whole : folder));
    return file_check_space(folder, LEAST_FREE_BYTES);
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

typedef struct {
    const Campaign *campaign;
    Changes changes;
} Update;

static Status take_changes(Ledger *l, void *self)
{
    Update *u = self;
    TRY(changes_find(l, u->campaign, &u->changes));
    return ledger_update(l, u->campaign, &u->changes);
}

/* Takes a changed campaign into its folder. The claim is held. */
static Status update(const Campaign *c, const char *folder, int64_t launch)
{
    Update u = {.campaign = c};
    Status status = ledger_amend_folder(folder, launch, "updated", take_changes, &u);
    if (!failed(status)) status = tell_of_update(c, folder, &u.changes);
    if (!failed(status)) status = sweep_leavings(folder, launch);
    changes_clear(&u.changes);
    return status;
}

/* Writes the rows that get no clip into the record, once, when the plan is made. */
static Status note_refusals(const Campaign *c, const char *folder)
{
    Audit *a = NULL;
    char *path = path_join(folder, "audit.jsonl");
    bool any = false, there = file_exists(path);
    free(path);
    for (int64_t i = 0; i < c->clip_count && !any; i++) any = c->clip[i].refusal != NULL;
    if (there || !any) return status_ok();
    TRY(audit_open(folder, &a));
    for (int64_t i = 0; i < c->clip_count; i++)
        if (c->clip[i].refusal) audit_add(a, "refusal", c->clip[i].clip_id, NULL);
    Status status = audit_flush(a, moment_wall_s());
    audit_close(&a);
    return status;
}

Status run_begin(const RunOptions *o, const Campaign *c, const char *folder, Claim *claim)
{
    Ledger *l = NULL;
    bool pending = false;
    Status status = make_folder(o, folder);
    if (!failed(status)) status = ledger_open(folder, LEDGER_WRITE, &l);
    if (!failed(status)) status = ledger_check_pages(l);
    if (failed(status)) {
        ledger_close(&l);
        return not_started(status);
    }
    status = claim_take(folder, o->take_over, claim);
    if (!failed(status)) {
        ledger_join_launch(l, claim->launch);
        status = not_started(ledger_take_plan(l, c, o->update, moment_wall_s(), &pending));
        if (!failed(status)) status = not_started(note_refusals(c, folder));
        if (!failed(status)) status = not_started(audit_catch_up(l, moment_wall_s()));
    }
    ledger_close(&l);
    if (!failed(status) && pending) status = update(c, folder, claim->launch);
    if (!failed(status)) status = not_started(lots_begin(folder, claim->launch));
    if (failed(status)) claim_release(claim);
    return status;
}

/* What was replaced is deleted once the new is there, whatever else happened. Of two failures the first one is the run's. */
static Status sweep_after(const char *folder, int64_t launch, Status so_far)
{
    char *why = text_copy(so_far.message);
    Status status = sweep_leavings(folder, launch);
    if (failed(so_far)) {
        if (failed(status)) log_line(LOG_WARNING, "%s", status.message);
        status = status_fail(so_far.err, "%s", why);
    }
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
