/* db.c - the file: its tables, its journal, and its transactions. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/file.h"
#include "common/provoke.h"
#include "coordinator/ledger/counts.h"
#include "coordinator/ledger/running.h"

enum { FORMAT = 5, APPLICATION = 0x5257474c /* "RWGL", seen by file(1) */, BUSY_MS = 10000 };

static const char schema[] =
    "CREATE TABLE campaign(one INTEGER PRIMARY KEY CHECK(one = 1), name TEXT NOT NULL, fingerprint TEXT NOT NULL,"
    "  file TEXT NOT NULL, model_folder TEXT NOT NULL, model_hash TEXT NOT NULL, columns TEXT NOT NULL,"
    "  finish TEXT NOT NULL, checkpoint_every INTEGER NOT NULL, epoch INTEGER NOT NULL DEFAULT 0,"
    "  control INTEGER NOT NULL DEFAULT 0, created_s REAL NOT NULL, settings TEXT NOT NULL, priority INTEGER NOT NULL,"
    "  deadline_s REAL NOT NULL, pilot TEXT NOT NULL, pilot_end INTEGER NOT NULL,"
    "  part INTEGER NOT NULL, parts INTEGER NOT NULL, detail TEXT NOT NULL);"
    /* rows that left the table, and what is to be deleted of them and of clips that were replaced: update.h */
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
    /* what becomes of a shot is apart from what it is: each update writes its row anew, and reads it first */
    /* spec: shot_to_json */
    "CREATE TABLE specs(shot INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, spec TEXT NOT NULL);"
    "CREATE TABLE shots(shot INTEGER PRIMARY KEY, state TEXT NOT NULL, reason TEXT, step INTEGER NOT NULL DEFAULT 0,"
    "  retried INTEGER NOT NULL DEFAULT 0, clips INTEGER NOT NULL);"
    "CREATE TABLE clips(clip INTEGER PRIMARY KEY, clip_id TEXT NOT NULL UNIQUE, stem TEXT NOT NULL UNIQUE, shot "
    "INTEGER,"
    "  state TEXT NOT NULL, reason TEXT, customer TEXT NOT NULL, file TEXT, thumbnail TEXT, sheet TEXT, sha256 TEXT,"
    "  duration_s REAL, width INTEGER, height INTEGER, lease INTEGER, reviewer TEXT, decided_s REAL, finish TEXT, "
    "result TEXT);"
    "CREATE TABLE leases(lease INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, shot INTEGER NOT NULL,"
    "  worker TEXT NOT NULL, clips INTEGER NOT NULL, given_s REAL NOT NULL, ended_s REAL, outcome TEXT NOT NULL, "
    "reason TEXT,"
    "  retry INTEGER NOT NULL, steps_done INTEGER, steps_resumed INTEGER, text_s REAL, denoise_s REAL, decode_s REAL,"
    "  finish_s REAL);"
    "CREATE TABLE workers(epoch INTEGER, rank INTEGER, host TEXT, pid INTEGER, threads INTEGER, state TEXT, stage TEXT,"
    "  clip TEXT, clips INTEGER, lease INTEGER, shot INTEGER, done INTEGER, total INTEGER, finished INTEGER, heard_s "
    "REAL,"
    "  PRIMARY KEY(epoch, rank)) WITHOUT ROWID;"
    "CREATE TABLE requests(id INTEGER PRIMARY KEY AUTOINCREMENT, verb TEXT NOT NULL, clip_id TEXT NOT NULL, "
    "filter TEXT NOT NULL,"
    "  number INTEGER NOT NULL, asked_s REAL NOT NULL, taken_s REAL);"
    "CREATE INDEX clips_by_shot ON clips(shot);"
    "CREATE INDEX clips_failed ON clips(shot) WHERE state = 'failed';"
    "CREATE INDEX leases_by_shot ON leases(shot);"
    "CREATE INDEX requests_open ON requests(id) WHERE taken_s IS NULL;";

/* ---- opening ---- */

static Status run_text(Ledger *l, const char *sql, const char *what)
{
    return sqlite3_exec(l->db, sql, NULL, NULL, NULL) == SQLITE_OK ? status_ok() : ledger_sql_fail(l, what);
}

static Status make_tables(Ledger *l)
{
    char *sql = text_format("BEGIN IMMEDIATE; PRAGMA application_id = %d; PRAGMA user_version = %d; %s COMMIT;",
                            APPLICATION, FORMAT, schema);
    Status status = run_text(l, sql, "cannot make the ledger");
    free(sql);
    return status;
}

/* A file that is empty gets its tables; any other must be a ledger of this version. */
static Status check_format(Ledger *l, LedgerMode mode)
{
    int64_t application, format, tables;
    Status status = ledger_sql_number(l, &application, "PRAGMA application_id", "");
    if (failed(status)) return status_fail(ERR_INPUT, "%s: expected a ledger: %s", l->file, sqlite3_errmsg(l->db));
    TRY(ledger_sql_number(l, &format, "PRAGMA user_version", ""));
    TRY(ledger_sql_number(l, &tables, "SELECT count(*) FROM sqlite_schema", ""));
    if (mode == LEDGER_WRITE && tables == 0 && application == 0) return make_tables(l);
    if (application != APPLICATION)
        return status_fail(ERR_INPUT, "%s: not a ledger of reelwright; expected an empty folder or a campaign's",
                           l->file);
    if (format != FORMAT)
        return status_fail(ERR_INPUT,
                           "%s: a ledger of format %d, expected %d; finish it with the version that began it, or give "
                           "another --out",
                           l->file, (int)format, FORMAT);
    return status_ok();
}

/* Several machines may see this folder: shared memory, which WAL needs, is then not shared by all who open the ledger. */
static bool is_on_network(const char *folder)
{
    static const uint32_t kind[] = {
        0x6969 /* NFS */,        0x0bd00bd0 /* Lustre */, 0x47504653 /* GPFS */, 0x19830326 /* BeeGFS */,
        0x00c36400 /* CephFS */, 0xff534d42 /* CIFS */,   0xfe534d42 /* SMB */,  0x65735546 /* FUSE */};
    struct statfs fs;
    if (statfs(folder, &fs) != 0) return false;
    for (size_t i = 0; i < sizeof kind / sizeof *kind; i++)
        if ((uint32_t)fs.f_type == kind[i]) return true;
    return false;
}

/* The rollback journal needs file locks only; a commit waits for readers and takes longer. */
static Status set_journal(Ledger *l)
{
    const char *wanted = getenv("REELWRIGHT_JOURNAL"); /* "wal" or "rollback": where the kind of file system misleads */
    bool rollback = wanted && *wanted ? strcmp(wanted, "rollback") == 0 : is_on_network(l->folder);
    TRY(run_text(l, rollback ? "PRAGMA journal_mode = TRUNCATE" : "PRAGMA journal_mode = WAL",
                 "cannot set its journal"));
    return run_text(l,
                    "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4096;"
                    "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -65536;",
                    "cannot use its journal");
}

Status ledger_open(const char *folder, LedgerMode mode, Ledger **out)
{
    Ledger *l = memory_get(1, sizeof *l);
    Status status = status_ok();
    char *absolute = realpath(folder, NULL);
    if (!absolute) {
        free(l);
        return status_errno(ERR_INPUT, "%s: expected a campaign folder", folder);
    }
    l->clips_open = INT64_MAX;
    l->folder = absolute;
    l->file = path_join(absolute, "ledger.db");
    if (mode == LEDGER_READ && !file_exists(l->file))
        TRY_OUT(
            status_fail(ERR_INPUT, "%s: no ledger there; expected a campaign folder made by `reelwright run`", folder));
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS,
                   0); /* nobody asks, and it takes a lock at every allocation; once is enough */
    int flags = mode == LEDGER_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    if (sqlite3_open_v2(l->file, &l->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        TRY_OUT(status_fail(ERR_INPUT, "cannot open %s: %s", l->file, l->db ? sqlite3_errmsg(l->db) : "out of memory"));
    sqlite3_busy_timeout(l->db, BUSY_MS);
    sqlite3_extended_result_codes(l->db, 1);
    TRY_OUT(check_format(l, mode));
    struct stat st;
    if (stat(l->file, &st) == 0) l->device = st.st_dev, l->inode = st.st_ino;
    if (mode == LEDGER_WRITE) TRY_OUT(set_journal(l));
out:
    if (failed(status)) ledger_close(&l);
    *out = l;
    return status;
}

void ledger_close(Ledger **l)
{
    if (!*l) return;
    ledger_rollback(*l);
    for (int i = 0; i < LEDGER_STATEMENTS; i++) sqlite3_finalize((*l)->statement[i].statement);
    sqlite3_close((*l)->db);
    lease_clear(&(*l)->campaign);
    ledger_running_clear(*l);
    free((*l)->folder);
    free((*l)->file);
    free(*l);
    *l = NULL;
}

/* SQLite does it when the last connection that may write is closed, which a run's last reader is not. */
void ledger_settle(const char *folder)
{
    Ledger *l = NULL;
    if (!failed(ledger_open(folder, LEDGER_WRITE, &l)))
        sqlite3_exec(l->db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
    ledger_close(&l);
}

const char *ledger_folder(const Ledger *l) { return l->folder; }

Status ledger_check_place(const Ledger *l)
{
    struct stat st;
    if (stat(l->file, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode) return status_ok();
    return status_fail(
        ERR_FATAL,
        "%s: the campaign's folder or its ledger was moved away or removed while the run went on; put it "
        "back, then run the same command again",
        l->file);
}

int64_t ledger_epoch(const Ledger *l) { return l->epoch; }

/* ---- transactions ---- */

Status ledger_db_begin(Ledger *l, double now_s)
{
    TRY(ledger_sql_run(l, "BEGIN IMMEDIATE", ""));
    ledger_state_begin(l);
    l->in_round = true;
    l->now_s = now_s;
    return status_ok();
}

/* Where the tests let a coordinator die: each kind of change, before it is durable and after. */
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
    Status status = ledger_state_write(l);
    if (!failed(status)) status = provoke_changes(l, "before");
    if (!failed(status)) status = ledger_sql_run(l, "COMMIT", "");
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
    l->in_round = false;
}

Status ledger_db_read_text(Query q, const char *none, char **text)
{
    *text = text_copy(ledger_sql_next(&q) ? ledger_sql_text(&q, 0) : none);
    ledger_sql_end(&q);
    return q.status;
}

Status ledger_read_columns(Ledger *l, char **json)
{
    return ledger_db_read_text(ledger_sql_query(l, "SELECT columns FROM campaign", ""), "[]", json);
}
