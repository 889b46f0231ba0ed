#include "owner.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/host.h"
#include "common/moment.h"
#include "coordinator/ledger/counts.h"
#include "coordinator/ledger/review.h"
#include "coordinator/ledger/running.h"
#include "coordinator/ledger/steer.h"

/* ---- launches ---- */

void ledger_join_launch(Ledger *l, int64_t launch) { l->launch = launch; }

Status ledger_check_launch(Ledger *l)
{
    if (l->launch == 0) return status_ok();
    Status status = status_ok();
    Query q = ledger_sql_query(l,
                               "SELECT launch, host, pid, job, attempt FROM launches WHERE launch > ?1"
                               " ORDER BY launch DESC LIMIT 1",
                               "i", l->launch);
    if (ledger_sql_next(&q))
        status = status_fail(ERR_FATAL,
                             "%s: fenced: process %d on %s took this campaign over (launch %d%s%s); this is launch %d",
                             l->file, (int)ledger_sql_int(&q, 2), ledger_sql_text(&q, 1), (int)ledger_sql_int(&q, 0),
                             *ledger_sql_text(&q, 3) ? ", job " : "", ledger_sql_text(&q, 3), (int)l->launch);
    ledger_sql_end(&q);
    return failed(q.status) ? q.status : status;
}

static Status latest_attempt(Ledger *l, const char *job, int64_t *attempt)
{
    return ledger_sql_number(l, attempt, "SELECT ifnull(max(attempt), -1) FROM launches WHERE job = ?1 AND job <> ''",
                             "t", job);
}

static Status insert_launch(Ledger *l, const Launcher *who, int64_t *launch)
{
    int64_t attempt;
    TRY(latest_attempt(l, who->job, &attempt));
    if (attempt > who->attempt)
        return status_fail(ERR_FATAL, "%s: fenced: attempt %d of job %s has begun, and this is attempt %d: it ends",
                           l->file, (int)attempt, who->job, who->attempt);
    TRY(ledger_sql_number(l, launch, "SELECT ifnull(max(launch), 0) + 1 FROM launches", ""));
    return ledger_sql_run(l, "INSERT INTO launches VALUES(?1, ?2, ?3, ?4, ?5, ?6)", "ititid", *launch, who->host,
                          (int64_t)who->pid, who->job, (int64_t)who->attempt, l->now_s);
}

Status ledger_begin_launch(Ledger *l, const Launcher *who, double now_s, int64_t *launch)
{
    TRY(ledger_db_begin(l, now_s));
    Status status = insert_launch(l, who, launch);
    if (!failed(status)) status = ledger_commit(l);
    if (failed(status)) return ledger_rollback(l), status;
    l->launch = *launch;
    return status_ok();
}

Status ledger_is_successor(Ledger *l, const Launcher *who, bool *yes)
{
    int64_t n;
    TRY(ledger_sql_number(l, &n,
                          "SELECT count(*) FROM launches WHERE job = ?1 AND job <> '' AND attempt < ?2"
                          " AND launch = (SELECT max(launch) FROM launches)",
                          "ti", who->job, (int64_t)who->attempt));
    *yes = n > 0;
    return status_ok();
}

/* ---- epochs ---- */

/* Within BEGIN IMMEDIATE nobody else can take an epoch or the campaign, so the comparison holds until the commit. */
static Status check_epoch(Ledger *l)
{
    int64_t epoch;
    TRY(ledger_check_launch(l));
    TRY(ledger_sql_number(l, &epoch, "SELECT epoch FROM campaign", ""));
    if (epoch == l->epoch && epoch > 0) return status_ok();
    return status_fail(ERR_FATAL, "%s: fenced: epoch %lld writes it now, this is epoch %lld", l->file, (long long)epoch,
                       (long long)l->epoch);
}

Status ledger_begin(Ledger *l, double now_s)
{
    TRY(ledger_db_begin(l, now_s));
    Status status = check_epoch(l);
    if (failed(status)) ledger_rollback(l);
    return status;
}

static Status take_back(Ledger *l)
{
    TRY(ledger_state_take_back(l));
    TRY(ledger_sql_run(l, "UPDATE leases SET outcome = 'abandoned', ended_s = ?1 WHERE outcome = 'running'", "d",
                       l->now_s));
    return ledger_sql_run(
        l, "UPDATE epochs SET ended_s = heard_s, outcome = 'died' WHERE ended_s IS NULL AND epoch < ?1", "i", l->epoch);
}

Status ledger_begin_epoch(Ledger *l, const char *host, int pid, double now_s)
{
    Status status = status_ok();
    TRY(ledger_db_begin(l, now_s));
    memset(&l->pace, 0, sizeof l->pace);
    l->kept = l->pace;
    ledger_running_clear(l);
    l->changes = 1u << CHANGE_EPOCH;
    TRY_OUT(ledger_check_launch(l));
    lease_clear(&l->campaign); /* the model may have moved since it was read */
    TRY_OUT(ledger_sql_number(l, &l->epoch, "SELECT epoch + 1 FROM campaign", ""));
    if (l->epoch == 0) TRY_OUT(status_fail(ERR_INPUT, "%s: no campaign in this ledger", l->file));
    TRY_OUT(ledger_sql_run(l, "UPDATE campaign SET epoch = ?1", "i", l->epoch));
    TRY_OUT(ledger_sql_run(l, "INSERT INTO epochs(epoch, host, pid, started_s, heard_s) VALUES(?1, ?2, ?3, ?4, ?4)",
                           "itid", l->epoch, host, (int64_t)pid, now_s));
    TRY_OUT(take_back(l));
    TRY_OUT(ledger_look_at_pilot(l));
    TRY_OUT(ledger_review_read(l));
    TRY_OUT(ledger_masters_read(l));
    return ledger_commit(l);
out:
    ledger_rollback(l);
    return status;
}

Status ledger_end_epoch(Ledger *l, const char *outcome, double now_s)
{
    TRY(ledger_begin(l, now_s));
    l->changes |= 1u << CHANGE_CLOSE;
    Status status = ledger_sql_run(l, "UPDATE epochs SET ended_s = ?1, heard_s = ?1, outcome = ?2 WHERE epoch = ?3",
                                   "dti", now_s, outcome, l->epoch);
    if (!failed(status)) return ledger_commit(l);
    ledger_rollback(l);
    return status;
}

/* ---- changes by others than the coordinator ---- */

static Status amend(Ledger *l, const char *outcome, LedgerBody *body, void *self)
{
    char host[HOST_BYTES] = "";
    host_name(host);
    TRY(ledger_begin_epoch(l, host, (int)getpid(), moment_wall_s()));
    TRY(ledger_begin(l, moment_wall_s()));
    TRY(body(l, self));
    TRY(ledger_commit(l));
    return ledger_end_epoch(l, outcome, moment_wall_s());
}

Status ledger_amend(Ledger *l, const char *outcome, LedgerBody *body, void *self)
{
    Status status = amend(l, outcome, body, self);
    if (!failed(status)) return status;
    char *why = text_copy(status.message); /* kept: the rollback may replace it */
    ledger_rollback(l);
    status = status_fail(status.err, "%s", why);
    free(why);
    return status;
}

Status ledger_amend_folder(const char *folder, int64_t launch, const char *outcome, LedgerBody *body, void *self)
{
    Ledger *l = NULL;
    TRY(ledger_open(folder, LEDGER_WRITE, &l));
    ledger_join_launch(l, launch);
    Status status = ledger_amend(l, outcome, body, self);
    ledger_close(&l);
    return status;
}
