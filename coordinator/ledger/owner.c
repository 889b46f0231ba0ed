#include "owner.h"

#include "coordinator/ledger/sql.h"

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
    TRY(ledger_sql_run(l, "BEGIN IMMEDIATE", ""));
    l->in_round = true;
    l->changes = 0;
    l->now_s = now_s;
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
