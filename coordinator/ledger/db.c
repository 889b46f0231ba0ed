/* db.c - what is in the file: its tables and its transactions. open.c opens it. */
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/provoke.h"
#include "coordinator/ledger/counts.h"
#include "coordinator/ledger/lock.h"
#include "coordinator/ledger/running.h"

enum { FORMAT = 9, APPLICATION = 0x5257474c /* "RWGL", seen by file(1) */ };

static const char schema[] =
    "CREATE TABLE campaign(one INTEGER PRIMARY KEY CHECK(one = 1), name TEXT NOT NULL, fingerprint TEXT NOT NULL,"
    "  file TEXT NOT NULL, model_folder TEXT NOT NULL, model_hash TEXT NOT NULL, columns TEXT NOT NULL,"
    "  finish TEXT NOT NULL, checkpoint_every INTEGER NOT NULL, epoch INTEGER NOT NULL DEFAULT 0,"
    "  control INTEGER NOT NULL DEFAULT 0, created_s REAL NOT NULL, settings TEXT NOT NULL, priority INTEGER NOT NULL,"
    "  deadline_s REAL NOT NULL, pilot TEXT NOT NULL,"
    "  part INTEGER NOT NULL, parts INTEGER NOT NULL, detail TEXT NOT NULL);"
    /* rows that left the table, and what is to be deleted of them and of clips that were replaced: update.h */
    /* clips as they were before somebody asked for them again: reseed.h */
    "CREATE TABLE replaced(clip INTEGER PRIMARY KEY, new_shot INTEGER NOT NULL, asked_s REAL NOT NULL, shot INTEGER,"
    "  seed INTEGER, file TEXT, thumbnail TEXT, sheet TEXT, sha256 TEXT, duration_s REAL, width INTEGER, height "
    "INTEGER,"
    "  lease INTEGER, result TEXT);"
    /* what uploads and webhooks took, and what was revoked since: handed.h */
    "CREATE TABLE handed(id INTEGER PRIMARY KEY, way TEXT NOT NULL, key TEXT NOT NULL, clip_id TEXT NOT NULL,"
    "  state TEXT NOT NULL, document TEXT NOT NULL, UNIQUE(way, key));"
    "CREATE INDEX handed_by_clip ON handed(clip_id);"
    "CREATE INDEX handed_owed ON handed(way) WHERE state = 'owed';"
    "CREATE TABLE revocations(id INTEGER PRIMARY KEY, clip_id TEXT NOT NULL, revoked_s REAL NOT NULL, reason TEXT NOT "
    "NULL,"
    "  was TEXT NOT NULL, file TEXT NOT NULL, sha256 TEXT NOT NULL, delivered_again_s REAL);"
    "CREATE INDEX revocations_by_clip ON revocations(clip_id);"
    "CREATE TABLE removed(clip_id TEXT PRIMARY KEY, state TEXT NOT NULL, sha256 TEXT, removed_s REAL NOT NULL);"
    "CREATE TABLE leavings(kind TEXT NOT NULL, name TEXT NOT NULL, since_s REAL NOT NULL, PRIMARY KEY(kind, name)) "
    "WITHOUT ROWID;"
    "CREATE TABLE epochs(epoch INTEGER PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, started_s REAL NOT NULL,"
    "  heard_s REAL NOT NULL, ended_s REAL, outcome TEXT, finished INTEGER NOT NULL DEFAULT 0, first_s REAL, last_s "
    "REAL);"
    "CREATE TABLE counts(what TEXT NOT NULL, state TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY(what, state)) "
    "WITHOUT ROWID;"
    "CREATE TABLE launches(launch INTEGER PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, job TEXT NOT NULL,"
    "  attempt INTEGER NOT NULL, started_s REAL NOT NULL);"
    /* two tables: SQLite reads and writes a whole row at each update, and a shot's state changes often, its long spec never */
    /* spec: shot_to_json */
    "CREATE TABLE specs(shot INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, spec TEXT NOT NULL);"
    "CREATE TABLE shots(shot INTEGER PRIMARY KEY, state TEXT NOT NULL, reason TEXT, step INTEGER NOT NULL DEFAULT 0,"
    "  retried INTEGER NOT NULL DEFAULT 0, clips INTEGER NOT NULL, master_bytes INTEGER, master_sha256 TEXT, lease "
    "INTEGER);"
    "CREATE TABLE clips(clip INTEGER PRIMARY KEY, clip_id TEXT NOT NULL UNIQUE, stem TEXT NOT NULL UNIQUE, shot "
    "INTEGER,"
    "  state TEXT NOT NULL, reason TEXT, customer TEXT NOT NULL, file TEXT, thumbnail TEXT, sheet TEXT, sha256 TEXT,"
    "  duration_s REAL, width INTEGER, height INTEGER, lease INTEGER, reviewer TEXT, decided_s REAL, finish TEXT, "
    "result TEXT,"
    "  retried INTEGER NOT NULL DEFAULT 0, pilot INTEGER NOT NULL DEFAULT 0, seed INTEGER);"
    /* seed: of a clip that was asked for again with another one than the campaign says; else NULL */
    /* leases.clip is NULL for a render. shots.lease is the render that made the master, clips.lease the clip's last finish */
    "CREATE TABLE leases(lease INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, shot INTEGER NOT NULL, clip INTEGER,"
    "  worker TEXT NOT NULL, clips INTEGER NOT NULL, given_s REAL NOT NULL, ended_s REAL, outcome TEXT NOT NULL, "
    "reason TEXT,"
    "  retry INTEGER NOT NULL, steps_done INTEGER, steps_resumed INTEGER, text_s REAL, denoise_s REAL, decode_s REAL,"
    "  finish_s REAL, figures TEXT);" /* figures: JSON, worker/render/figures.h; NULL: none */
    "CREATE TABLE workers(epoch INTEGER, rank INTEGER, host TEXT, pid INTEGER, threads INTEGER, state TEXT, stage TEXT,"
    "  clip TEXT, clips INTEGER, lease INTEGER, shot INTEGER, done INTEGER, total INTEGER, finished INTEGER, heard_s "
    "REAL, takes INTEGER, kind INTEGER, renders INTEGER,"
    "  PRIMARY KEY(epoch, rank)) WITHOUT ROWID;"
    "CREATE TABLE requests(id INTEGER PRIMARY KEY AUTOINCREMENT, verb TEXT NOT NULL, clip_id TEXT NOT NULL, "
    "filter TEXT NOT NULL,"
    "  number INTEGER NOT NULL, asked_s REAL NOT NULL, taken_s REAL, reviewer TEXT NOT NULL DEFAULT '', reason TEXT "
    "NOT NULL DEFAULT '', seen TEXT NOT NULL DEFAULT '', outcome TEXT, changed INTEGER);"
    /* each decision of a reviewer about a clip; sha256: of the file that this reviewer saw */
    "CREATE TABLE decisions(id INTEGER PRIMARY KEY, clip INTEGER NOT NULL, verb TEXT NOT NULL, reviewer TEXT NOT NULL,"
    "  reason TEXT NOT NULL, sha256 TEXT NOT NULL, decided_s REAL NOT NULL);"
    "CREATE INDEX decisions_by_clip ON decisions(clip);"
    /* how strictly the lot of a series is inspected (lot.h) */
    "CREATE TABLE lot(one INTEGER PRIMARY KEY CHECK(one = 1), severity TEXT NOT NULL);"
    "CREATE INDEX clips_by_shot ON clips(shot);"
    "CREATE INDEX clips_pilot ON clips(clip) WHERE pilot = 1;"
    "CREATE INDEX clips_failed ON clips(shot) WHERE state = 'failed';"
    /* only the few leases that are searched for by shot or clip are in an index: one of all leases would be written at every lease */
    "CREATE INDEX leases_bad_shot ON leases(shot) WHERE outcome IN ('failed', 'lost');"
    "CREATE INDEX leases_bad_clip ON leases(clip) WHERE outcome IN ('failed', 'lost');"
    "CREATE INDEX leases_abandoned ON leases(shot) WHERE outcome = 'abandoned';"
    "CREATE INDEX requests_open ON requests(id) WHERE taken_s IS NULL;";

/* ---- tables ---- */

Status ledger_db_exec(Ledger *l, const char *sql, const char *what)
{
    return sqlite3_exec(l->db, sql, NULL, NULL, NULL) == SQLITE_OK ? status_ok() : ledger_sql_fail(l, what);
}

Status ledger_db_make_tables(Ledger *l)
{
    char *sql = text_format("BEGIN IMMEDIATE; PRAGMA application_id = %d; PRAGMA user_version = %d; %s COMMIT;",
                            APPLICATION, FORMAT, schema);
    Status status = ledger_db_exec(l, sql, "cannot make the ledger");
    free(sql);
    return status;
}

Status ledger_db_check_format(Ledger *l, bool *empty)
{
    int64_t application, format, tables;
    TRY(ledger_sql_number(l, &application, "PRAGMA application_id", ""));
    TRY(ledger_sql_number(l, &format, "PRAGMA user_version", ""));
    TRY(ledger_sql_number(l, &tables, "SELECT count(*) FROM sqlite_schema", ""));
    *empty = tables == 0 && application == 0;
    if (*empty) return status_ok();
    if (application != APPLICATION)
        return status_fail(ERR_INPUT, "%s: not a ledger of reelwright; expected an empty folder or a campaign's",
                           l->file);
    if (format != FORMAT)
        return status_fail(ERR_INPUT,
                           "%s: another version of reelwright made it (format %d, this version reads %d): use that "
                           "version for this folder; a new run can have another --out",
                           l->file, (int)format, FORMAT);
    return status_ok();
}

Status ledger_check_pages(Ledger *l)
{
    char *found = NULL;
    Status status = ledger_db_read_text(ledger_sql_query(l, "PRAGMA quick_check(1)", ""), "ok", &found);
    if (!failed(status) && strcmp(found, "ok") != 0) {
        const char *page = strchr(found, '\n'); /* the line before names the database, of which there is one */
        status = ledger_sql_damaged(l, ERR_INPUT, page ? page + 1 : found);
    }
    if ((sqlite3_errcode(l->db) & 0xff) == SQLITE_CORRUPT) status.err = ERR_INPUT;
    free(found);
    return status;
}

Status ledger_open_whole(const char *folder, Ledger **out)
{
    TRY(ledger_open(folder, LEDGER_READ, out));
    Status status = ledger_check_pages(*out);
    if (failed(status)) ledger_close(out);
    return status;
}

Status ledger_open_shown(const char *folder, Ledger **out)
{
    return lock_is_held(folder) ? ledger_open(folder, LEDGER_READ, out) : ledger_open_whole(folder, out);
}

int64_t ledger_epoch(const Ledger *l) { return l->epoch; }

/* ---- transactions ---- */

Status ledger_db_begin(Ledger *l, double now_s)
{
    TRY(ledger_sql_run(l, "BEGIN IMMEDIATE", ""));
    ledger_state_begin(l);
    l->in_round = true;
    l->committing = false;
    l->now_s = now_s;
    return status_ok();
}

/* Tests kill the coordinator here, before and after the commit of each kind of change (common/provoke.h). */
static Status provoke_changes(const Ledger *l, const char *when)
{
    static const char *const other[] = {"plan", "epoch", "close", "request"}; /* LedgerChange */
    for (int i = 0; i < CHANGE_COUNT; i++) {
        if (!(l->changes >> i & 1)) continue;
        TRY(provoke_at(when, i < EV_COUNT ? ledger_event_name((LedgerEvent)i) : other[i - EV_COUNT], l->epoch));
    }
    return status_ok();
}

Status ledger_commit(Ledger *l)
{
    Status status = l->committing ? status_ok() : ledger_state_write(l);
    if (!failed(status) && !l->committing) status = provoke_changes(l, "before");
    if (!failed(status)) {
        l->committing = true;
        status = ledger_sql_run(l, "COMMIT", "");
    }
    if (ledger_is_locked(status)) return status;
    l->committing = false;
    if (failed(status)) {
        char *why = text_copy(status.message);
        ledger_rollback(l);
        status = status_fail(ERR_FATAL, "%s", why);
        free(why);
    }
    l->in_round = false;
    return failed(status) ? status : provoke_changes(l, "after");
}

void ledger_rollback(Ledger *l)
{
    if (l->in_round && l->db && !sqlite3_get_autocommit(l->db)) sqlite3_exec(l->db, "ROLLBACK", NULL, NULL, NULL);
    if (l->in_round) {
        ledger_state_forget(l);
        ledger_running_clear(l);
    }
    l->in_round = l->committing = false;
}

Status ledger_db_read_text(Query q, const char *none, char **text)
{
    *text = text_copy(ledger_sql_next(&q) ? ledger_sql_text(&q, 0) : none);
    ledger_sql_end(&q);
    if (failed(q.status)) {
        free(*text);
        *text = NULL;
    }
    return q.status;
}

Status ledger_read_columns(Ledger *l, char **json)
{
    return ledger_db_read_text(ledger_sql_query(l, "SELECT columns FROM campaign", ""), "[]", json);
}
