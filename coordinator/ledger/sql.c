#include "sql.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>

bool ledger_is_locked(Status s) { return s.err == ERR_RETRY && s.error == EBUSY; }

Status ledger_sql_damaged(const Ledger *l, ErrClass err, const char *found)
{
    return status_fail(
        err,
        "%s: the ledger is damaged (%s). Put a whole copy of the file back and remove ledger.db-wal and "
        "ledger.db-shm, or run the campaign with another --out; the clips and lists here stay as they are",
        l->file ? l->file : "ledger.db", found);
}

Status ledger_sql_fail(Ledger *l, const char *what)
{
    const char *name = l->file ? l->file : "ledger";
    const int code = l->db ? sqlite3_errcode(l->db) & 0xff : SQLITE_NOMEM;
    if (code == SQLITE_BUSY && (l->committing || !l->in_round)) {
        Status status = status_fail(ERR_RETRY, "%s: %s: another process holds it (`fuser -v` names it)", name, what);
        status.error = EBUSY;
        return status;
    }
    if (code == SQLITE_CORRUPT) return ledger_sql_damaged(l, ERR_FATAL, sqlite3_errmsg(l->db));
    return status_fail(ERR_FATAL, "%s: %s: %s", name, what, l->db ? sqlite3_errmsg(l->db) : "out of memory");
}

static Status find_statement(Ledger *l, const char *sql, sqlite3_stmt **out)
{
    size_t at = ((uintptr_t)sql >> 3) % LEDGER_STATEMENTS, looked = 0;
    for (; l->statement[at].sql; at = (at + 1) % LEDGER_STATEMENTS) {
        if (l->statement[at].sql == sql) return *out = l->statement[at].statement, status_ok();
        if (++looked == LEDGER_STATEMENTS / 2) return status_fail(ERR_FATAL, "%s: too many statements", l->file);
    }
    if (sqlite3_prepare_v3(l->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) != SQLITE_OK)
        return ledger_sql_fail(l, "cannot read or write");
    l->statement[at].sql = sql;
    l->statement[at].statement = *out;
    return status_ok();
}

/* life: SQLITE_STATIC when the texts outlive the statement's run, else SQLITE_TRANSIENT: SQLite makes copies. */
static Status bind_values(Ledger *l, sqlite3_stmt *s, sqlite3_destructor_type life, const char *types, va_list args)
{
    int code = SQLITE_OK;
    for (int i = 1; *types && code == SQLITE_OK; types++, i++) {
        if (*types == 'i') {
            code = sqlite3_bind_int64(s, i, va_arg(args, int64_t));
        } else if (*types == 'd') {
            double value = va_arg(args, double);
            code = sqlite3_bind_double(s, i, isfinite(value) ? value : 0);
        } else {
            code = sqlite3_bind_text(s, i, va_arg(args, const char *), -1, life);
        }
    }
    return code == SQLITE_OK ? status_ok() : ledger_sql_fail(l, "cannot bind a value");
}

Status ledger_sql_run(Ledger *l, const char *sql, const char *types, ...)
{
    sqlite3_stmt *s = NULL;
    va_list args;
    TRY(find_statement(l, sql, &s));
    va_start(args, types);
    Status status = bind_values(l, s, SQLITE_STATIC, types, args);
    va_end(args);
    if (!failed(status)) {
        int code;
        while ((code = sqlite3_step(s)) == SQLITE_ROW) continue;
        if (code != SQLITE_DONE) status = ledger_sql_fail(l, "cannot write");
    }
    sqlite3_reset(s);
    return status;
}

static Query start_query(Ledger *l, const char *sql, const char *types, va_list args)
{
    Query q = {.ledger = l, .status = status_ok()};
    q.status = find_statement(l, sql, &q.statement);
    if (!failed(q.status)) q.status = bind_values(l, q.statement, SQLITE_TRANSIENT, types, args);
    return q;
}

Query ledger_sql_query(Ledger *l, const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    Query q = start_query(l, sql, types, args);
    va_end(args);
    return q;
}

void ledger_sql_end(Query *q)
{
    if (q->statement) sqlite3_reset(q->statement);
    q->statement = NULL;
}

bool ledger_sql_next(Query *q)
{
    if (failed(q->status) || !q->statement) return false;
    int code = sqlite3_step(q->statement);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) q->status = ledger_sql_fail(q->ledger, "cannot read");
    ledger_sql_end(q);
    return false;
}

int64_t ledger_sql_int(const Query *q, int column) { return sqlite3_column_int64(q->statement, column); }
double ledger_sql_real(const Query *q, int column) { return sqlite3_column_double(q->statement, column); }

const char *ledger_sql_text(const Query *q, int column)
{
    const unsigned char *text = sqlite3_column_text(q->statement, column);
    return text ? (const char *)text : "";
}

Status ledger_sql_number(Ledger *l, int64_t *value, const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    Query q = start_query(l, sql, types, args);
    va_end(args);
    *value = 0;
    if (ledger_sql_next(&q)) *value = ledger_sql_int(&q, 0);
    ledger_sql_end(&q);
    return q.status;
}
