/* open.c - opening the ledger: made whole or not at all, its journal decided once, repaired after a kill, and readable where nothing can be
 * written. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/moment.h"
#include "coordinator/ledger/alike.h"
#include "coordinator/ledger/running.h"

enum {
    LOCK_READ_MS = 30000,  /* the patience of a reader; a writer's is endless */
    LOCK_TELL_MS = 10000,  /* after so long the user is told */
    LOCK_AGAIN_MS = 30000, /* and again: before the launcher calls its coordinator silent (mpirun.h) */
    LOCK_SAME_MS = 2000,   /* two waits with less than this between them are one */
    LOCK_LOOK_MS = 20
};

/* ---- somebody else has it ---- */

/* SQLite calls this while another process holds the lock that it needs: a writer waits for another writer, and with a rollback journal a
 * commit waits for every reader. 1: try again; 0: the statement fails with SQLITE_BUSY (ledger_is_locked). */
static int wait_for_lock(void *self, int times)
{
    Ledger *l = self;
    const int64_t now_ms = moment_ms();
    if (times == 0) l->lock.began_ms = now_ms;
    if (times == 0 && now_ms - l->lock.looked_ms > LOCK_SAME_MS) {
        l->lock.since_ms = now_ms;
        l->lock.tell_ms = now_ms + LOCK_TELL_MS;
    }
    l->lock.looked_ms = now_ms;
    if (now_ms >= l->lock.tell_ms) {
        log_line(LOG_WARNING, "%s: another process has held it for %lld s (`fuser -v` names it); waiting", l->file,
                 (long long)(now_ms - l->lock.since_ms) / 1000);
        l->lock.tell_ms = now_ms + LOCK_AGAIN_MS;
    }
    if (l->lock.patience_ms >= 0 && now_ms - l->lock.began_ms >= l->lock.patience_ms) return 0;
    if (now_ms - l->lock.since_ms > LOCK_TELL_MS && moment_stops() > 0) return 0;
    moment_sleep_ms(LOCK_LOOK_MS);
    return 1;
}

void ledger_set_patience(Ledger *l, int64_t ms) { l->lock.patience_ms = ms; }

/* ---- one connection ---- */

static void disconnect(Ledger *l)
{
    for (int i = 0; i < LEDGER_STATEMENTS; i++) {
        sqlite3_finalize(l->statement[i].statement);
        l->statement[i].statement = NULL;
        l->statement[i].sql = NULL;
    }
    sqlite3_close(l->db);
    l->db = NULL;
}

static Status connect_to(Ledger *l, const char *name, int flags)
{
    disconnect(l);
    if (sqlite3_open_v2(name, &l->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return status_fail(ERR_INPUT, "cannot open %s: %s", l->file, l->db ? sqlite3_errmsg(l->db) : "out of memory");
    sqlite3_busy_handler(l->db, wait_for_lock, l);
    sqlite3_extended_result_codes(l->db, 1);
    return status_ok();
}

static Status check_file(const char *file)
{
    struct stat st;
    if (stat(file, &st) != 0) return status_errno(ERR_INPUT, "%s", file);
    return S_ISREG(st.st_mode) ? status_ok() : status_fail(ERR_INPUT, "%s: expected a file", file);
}

/* Puts the name of the file before what SQLite says of a file that is no database; other messages have the name already. */
static Status check_format(Ledger *l, bool *empty)
{
    Status status = ledger_db_check_format(l, empty);
    int code = l->db ? sqlite3_errcode(l->db) & 0xff : SQLITE_OK;
    if (failed(status) && code == SQLITE_NOTADB)
        return status_fail(ERR_INPUT, "%s: expected a ledger: %s", l->file, sqlite3_errmsg(l->db));
    if (failed(status) && code == SQLITE_CORRUPT) status.err = ERR_INPUT;
    return status;
}

/* ---- making it ---- */

/* A WAL needs memory that all who open the ledger share. On a network file system they may be on several machines. */
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

/* REELWRIGHT_JOURNAL=wal or rollback, for folders where the kind of file system misleads. */
static bool is_asked_for(const char *journal)
{
    const char *wanted = getenv("REELWRIGHT_JOURNAL");
    return wanted && strcmp(wanted, journal) == 0;
}

static bool keeps_wal(Ledger *l)
{
    char *mode = NULL;
    Status status = ledger_db_read_text(ledger_sql_query(l, "PRAGMA journal_mode", ""), "", &mode);
    bool wal = !failed(status) && strcmp(mode, "wal") == 0;
    free(mode);
    return wal;
}

/* The process that makes the ledger chooses the journal; the file says which, so everybody who opens it later uses the same, on the file
 * server's own disk as over NFS. A rollback journal needs file locks only, but a commit waits for readers and takes longer. A ledger with
 * a WAL that is opened over a network gets a rollback journal for good; SQLite refuses that while another process has it open. */
static Status set_journal(Ledger *l, bool fresh)
{
    bool wal = fresh || keeps_wal(l);
    if (is_asked_for("wal"))
        wal = true;
    else if (is_asked_for("rollback") || is_on_network(l->folder))
        wal = false;
    TRY(ledger_db_exec(l, wal ? "PRAGMA journal_mode = WAL" : "PRAGMA journal_mode = TRUNCATE",
                       "cannot set its journal"));
    return ledger_db_exec(l,
                          "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4096;"
                          "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -65536;",
                          "cannot use its journal");
}

static void remove_draft(const char *draft)
{
    static const char *const ending[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++) {
        char *name = text_format("%s%s", draft, ending[i]);
        unlink(name);
        free(name);
    }
}

static Status fill_draft(Ledger *l, const char *draft)
{
    int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600); /* SQLite gives its journals the same mode */
    if (fd < 0) return status_errno(ERR_INPUT, "cannot write %s", l->file);
    close(fd);
    Status status = connect_to(l, draft, SQLITE_OPEN_READWRITE);
    if (!failed(status)) status = set_journal(l, true);
    if (!failed(status)) status = ledger_db_make_tables(l);
    disconnect(l); /* closing the last connection moves the WAL into the file */
    return status;
}

/* The ledger is made under another name and then gets its own: nobody ever sees one without tables. When another process has made one
 * meanwhile, that one is used. */
static Status make_file(Ledger *l)
{
    char *draft = file_draft(l->file);
    Status status = fill_draft(l, draft);
    if (!failed(status)) status = file_publish_new(draft, l->file);
    remove_draft(draft);
    free(draft);
    return status;
}

static Status open_to_write(Ledger *l)
{
    bool empty;
    if (!file_exists(l->file)) TRY(make_file(l));
    TRY(check_file(l->file));
    TRY(connect_to(l, l->file, SQLITE_OPEN_READWRITE));
    TRY(check_format(l, &empty));
    if (empty) TRY(ledger_db_make_tables(l));
    return set_journal(l, empty);
}

/* ---- reading it ---- */

/* Opening the file for writing takes back what a killed writer left half-done; a reader cannot do that. */
static void repair(Ledger *l)
{
    int64_t n;
    if (!failed(connect_to(l, l->file, SQLITE_OPEN_READWRITE)))
        ledger_sql_number(l, &n, "SELECT count(*) FROM sqlite_schema", "");
    disconnect(l);
}

static bool has_bytes(const char *file, const char *ending)
{
    char *name = text_format("%s%s", file, ending);
    struct stat st;
    bool bytes = stat(name, &st) == 0 && st.st_size > 0;
    free(name);
    return bytes;
}

/* "file:/path?immutable=1": SQLite then looks for no journal, takes no lock and writes nothing. */
static char *immutable_name(const char *file)
{
    char *name = NULL;
    size_t bytes;
    FILE *f = open_memstream(&name, &bytes);
    if (!f) abort();
    fputs("file:", f);
    for (const unsigned char *p = (const unsigned char *)file; *p; p++)
        fprintf(f, strchr("?#%", *p) || *p < ' ' ? "%%%02x" : "%c", *p);
    fputs("?immutable=1", f);
    fclose(f);
    return name;
}

/* Opens a ledger in a folder that this process may not write to. Its journal is empty, so the file alone is the ledger. */
static Status open_settled(Ledger *l, bool *empty)
{
    char *name = immutable_name(l->file);
    Status status = connect_to(l, name, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
    if (!failed(status)) status = check_format(l, empty);
    free(name);
    return status;
}

Status ledger_cut(const char *folder)
{
    return status_fail(
        ERR_INPUT,
        "%s/ledger.db: the ledger is empty beside a campaign's files: it was cut. Put a whole copy of it "
        "back, or run the campaign with another --out",
        folder);
}

/* A job notes its events behind the plan. */
static Status no_campaign(const Ledger *l, const char *folder)
{
    char *events = path_join(folder, "events.jsonl");
    const bool planned = file_exists(events);
    free(events);
    if (planned) return ledger_cut(folder);
    return status_fail(ERR_INPUT, "%s: no campaign in it yet: the run that began it was ended too soon; run it again",
                       l->file);
}

static Status open_to_read(Ledger *l, const char *folder)
{
    bool empty = false;
    if (!file_exists(l->file))
        return status_fail(ERR_INPUT, "%s: no ledger there; expected a campaign folder made by `reelwright run`",
                           folder);
    TRY(check_file(l->file));
    Status status = connect_to(l, l->file, SQLITE_OPEN_READONLY);
    if (!failed(status)) status = check_format(l, &empty);
    int code = l->db ? sqlite3_errcode(l->db) & 0xff : SQLITE_CANTOPEN;
    if (failed(status) && (code == SQLITE_READONLY || code == SQLITE_CANTOPEN || code == SQLITE_IOERR)) {
        repair(l);
        status = connect_to(l, l->file, SQLITE_OPEN_READONLY);
        if (!failed(status)) status = check_format(l, &empty);
        if (failed(status) && access(l->file, R_OK) == 0 && !has_bytes(l->file, "-wal") &&
            !has_bytes(l->file, "-journal"))
            status = open_settled(l, &empty);
    }
    TRY(status);
    return empty ? no_campaign(l, folder) : status_ok();
}

Status ledger_open(const char *folder, LedgerMode mode, Ledger **out)
{
    Ledger *l = memory_get(1, sizeof *l);
    struct stat st;
    char *absolute = realpath(folder, NULL);
    *out = NULL;
    if (!absolute) {
        free(l);
        return errno == ENOENT
                   ? status_fail(ERR_INPUT, "%s: no such folder; expected a campaign folder made by `reelwright run`",
                                 folder)
                   : status_errno(ERR_INPUT, "%s: expected a campaign folder", folder);
    }
    l->pilot_only = 0;
    l->folder = absolute;
    l->file = path_join(absolute, "ledger.db");
    l->reads = mode == LEDGER_READ;
    l->lock.patience_ms = l->reads ? LOCK_READ_MS : -1;
    l->lock.looked_ms = INT64_MIN / 2;
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* statistics that nobody reads take a lock at every allocation */
    Status status = l->reads ? open_to_read(l, folder) : open_to_write(l);
    if (!failed(status) && stat(l->file, &st) == 0) l->device = st.st_dev, l->inode = st.st_ino;
    if (failed(status)) ledger_close(&l);
    *out = l;
    return status;
}

void ledger_close(Ledger **l)
{
    if (!*l) return;
    ledger_rollback(*l);
    disconnect(*l);
    lease_clear(&(*l)->campaign);
    ledger_running_clear(*l);
    ledger_masters_clear(*l);
    ledger_alike_free(&(*l)->alike);
    free((*l)->folder);
    free((*l)->file);
    free(*l);
    *l = NULL;
}

/* SQLite empties the WAL when its last connection for writing is closed; a run may end with a reader. */
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
