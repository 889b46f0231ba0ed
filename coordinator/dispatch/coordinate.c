#include "coordinate.h"

#include <unistd.h>

#include "common/host.h"
#include "common/log.h"
#include "common/moment.h"
#include "coordinator/dispatch/dispatch.h"
#include "coordinator/ledger/owner.h"
#include "coordinator/watch/progress.h"

enum { WAIT_MS = 100, SHOW_MS = 1000, LATE_MS = 30000 };

static const char *outcome_name(DispatchEnd end)
{
    static const char *const name[] = {
        [DISPATCH_WORKING] = "working",       [DISPATCH_DONE] = "done",          [DISPATCH_STOPPED] = "stopped",
        [DISPATCH_NO_WORKERS] = "no workers", [DISPATCH_STUCK] = "stuck",        [DISPATCH_CANCELLED] = "cancelled",
        [DISPATCH_WAITING] = "waiting",       [DISPATCH_TOO_MANY] = "max fails", [DISPATCH_REPLACE] = "workers lost"};
    return name[end];
}

static Status end_status(const Dispatch *d)
{
    static const ErrClass class[] = {[DISPATCH_WORKING] = ERR_FATAL, [DISPATCH_DONE] = OK,
                                     [DISPATCH_STOPPED] = ERR_STOP,  [DISPATCH_NO_WORKERS] = ERR_RETRY,
                                     [DISPATCH_STUCK] = ERR_FATAL,   [DISPATCH_CANCELLED] = ERR_STOP,
                                     [DISPATCH_WAITING] = ERR_FATAL, [DISPATCH_TOO_MANY] = ERR_FATAL,
                                     [DISPATCH_REPLACE] = ERR_STOP};
    ErrClass err = class[dispatch_end(d)];
    return err == OK ? status_ok() : status_fail(err, "%s", dispatch_reason(d));
}

static Status show(Ledger *l, ProgressView *view, int64_t *shown_ms)
{
    Snapshot s;
    if (moment_ms() - *shown_ms < SHOW_MS) return status_ok();
    *shown_ms = moment_ms();
    Status status = ledger_read_snapshot(l, &s);
    if (failed(status)) return ledger_is_locked(status) ? status_ok() : status;
    progress_view_show(view, &s, moment_wall_s());
    snapshot_clear(&s);
    return status_ok();
}

/* Writes the event deadline.at_risk, once, when the deadline will be missed at the speed so far. */
static Status look_at_deadline(Ledger *l, Events *events, int64_t *looked_ms)
{
    Snapshot s;
    if (moment_ms() - *looked_ms < LATE_MS) return status_ok();
    *looked_ms = moment_ms();
    Status status = ledger_read_snapshot(l, &s);
    if (failed(status)) return ledger_is_locked(status) ? status_ok() : status;
    double late_s = snapshot_late_s(&s, moment_wall_s());
    if (late_s > 0) {
        events_add(events, moment_wall_s(), "deadline.at_risk", "{s:f,s:I,s:f}", "late_s", late_s, "left", s.left,
                   "deadline_s", s.deadline_s);
        *looked_ms = INT64_MAX;
    }
    if (s.deadline_s <= 0) *looked_ms = INT64_MAX;
    snapshot_clear(&s);
    return status_ok();
}

static Status dispatch_until_the_end(Dispatch *d, Ledger *l, Events *events, const CoordinateOptions *o)
{
    ProgressView view;
    int64_t shown_ms = moment_ms(), looked_ms = shown_ms;
    progress_view_open(&view, o->quiet);
    while (dispatch_going(d)) {
        if (moment_stops() > 0) dispatch_stop(d);
        TRY(dispatch_round(d, moment_ms(), WAIT_MS));
        if (o->show) TRY(show(l, &view, &shown_ms));
        TRY(look_at_deadline(l, events, &looked_ms));
    }
    return status_ok();
}

static Status write_end(Ledger *l, Events *events, DispatchEnd end, const char *reason)
{
    double now_s = moment_wall_s();
    ledger_set_patience(l, -1);
    TRY(ledger_end_epoch(l, outcome_name(end), now_s));
    events_add(events, now_s, "job.ended", "{s:I,s:s,s:s}", "epoch", ledger_epoch(l), "outcome", outcome_name(end),
               "reason", reason);
    return events_flush(events);
}

static Status take_settings(Ledger *l, const Snapshot *s, DispatchOptions *o)
{
    Settings settings;
    TRY(ledger_read_settings(l, &settings));
    for (int i = 0; i < STAGE_COUNT; i++) o->limit_ms[i] = (int64_t)settings.limit_s[i] * 1000;
    o->keep_masters = settings.keep_masters;
    o->most_failed = max_fails_of(&settings.max_fails, s->clips - s->refused);
    settings_clear(&settings);
    return status_ok();
}

Status coordinate(const char *folder, Link *link, const CoordinateOptions *o, bool *clean)
{
    Ledger *l = NULL;
    Events *events = NULL;
    Dispatch *d = NULL;
    Snapshot s = {0};
    char host[HOST_BYTES] = "";
    DispatchOptions options = {.start_s = moment_wall_s(),
                               .start_ms = moment_ms(),
                               .step_limit_ms = (int64_t)o->step_limit_s * 1000,
                               .grace_ms = (int64_t)o->grace_s * 1000,
                               .group_size = o->group_size,
                               .replace = o->replace,
                               .wait_ms = o->wait_s < 0 ? -1 : (int64_t)o->wait_s * 1000};
    Status status = status_ok();
    *clean = false;
    host_name(host);
    TRY_OUT(ledger_open(folder, LEDGER_WRITE, &l));
    ledger_join_launch(l, o->launch);
    TRY_OUT(ledger_begin_epoch(l, host, (int)getpid(), options.start_s));
    TRY_OUT(ledger_read_snapshot(l, &s));
    TRY_OUT(take_settings(l, &s, &options));
    TRY_OUT(events_open(folder, s.name, &events));
    events_add(events, options.start_s, "job.started", "{s:I,s:s,s:i,s:i,s:I,s:I}", "epoch", ledger_epoch(l), "host",
               host, "pid", (int)getpid(), "workers", link->count - 1, "clips", s.clips, "left", s.left);
    TRY_OUT(dispatch_open(l, link, events, &options, &d));
    TRY_OUT(dispatch_until_the_end(d, l, events, o));
    *clean = dispatch_clean(d);
    TRY_OUT(write_end(l, events, dispatch_end(d), dispatch_reason(d)));
    status = end_status(d);
out:
    dispatch_close(&d);
    events_close(&events);
    ledger_close(&l);
    snapshot_clear(&s);
    return status;
}
