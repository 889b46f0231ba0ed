#include "merge.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/plural.h"
#include "coordinator/ledger/sql.h"
#include "coordinator/ledger/view.h"

static Status run_all(Ledger *l, const char *sql)
{
    return sqlite3_exec(l->db, sql, NULL, NULL, NULL) == SQLITE_OK ? status_ok() : ledger_sql_fail(l, "cannot merge");
}

typedef struct {
    char fingerprint[HASH_TEXT]; /* "": none seen yet */
    int64_t clips, shots;
} Sum;

static Status check_campaign(Sum *sum, const Snapshot *s, const char *folder)
{
    if (!*sum->fingerprint) memcpy(sum->fingerprint, s->fingerprint, HASH_TEXT);
    if (strcmp(sum->fingerprint, s->fingerprint) == 0) return status_ok();
    return status_fail(ERR_INPUT, "%s: a part of another campaign (fingerprint %.12s, expected %.12s)", folder,
                       s->fingerprint, sum->fingerprint);
}

static Status add_part(Sum *sum, const char *folder, int number, int count)
{
    Ledger *l = NULL;
    Snapshot s = {0};
    Status status = status_ok();
    TRY_OUT(ledger_open(folder, LEDGER_READ, &l));
    TRY_OUT(ledger_read_snapshot(l, &s));
    if (s.part.number != number || s.part.count != count)
        TRY_OUT(status_fail(ERR_INPUT, "%s: holds part %d of %d, expected %d of %d", folder, s.part.number,
                            s.part.count, number, count));
    TRY_OUT(check_campaign(sum, &s, folder));
    TRY_OUT(ledger_check_counts(l));
    sum->clips += s.clips;
    sum->shots += s.shots;
out:
    ledger_close(&l);
    snapshot_clear(&s);
    return status;
}

static Status add_parts(Sum *sum, char *const *part, int count)
{
    *sum = (Sum){0};
    for (int i = 0; i < count; i++) TRY(add_part(sum, part[i], i + 1, count));
    return status_ok();
}

static Status check_whole(Ledger *l, Sum *sum)
{
    Snapshot s = {0};
    Status status = ledger_check_counts(l);
    if (!failed(status)) status = ledger_read_snapshot(l, &s);
    if (!failed(status)) status = check_campaign(sum, &s, ledger_folder(l));
    if (!failed(status) && (s.clips != sum->clips || s.shots != sum->shots))
        status =
            status_fail(ERR_FATAL,
                        "%s: holds %lld row%s and %lld shot%s, its parts %lld and %lld; nothing is removed. Move this "
                        "ledger away and merge again",
                        l->file, (long long)s.clips, plural_s(s.clips), (long long)s.shots, plural_s(s.shots),
                        (long long)sum->clips, (long long)sum->shots);
    snapshot_clear(&s);
    return status;
}

/* The part is attached as `part`; numbers are moved apart so that nothing collides. The tables of one format have the same
 * columns (ledger_open has compared the formats). */
static Status take_rows(Ledger *l, int number, int count)
{
    char *sql = text_format(
        "BEGIN IMMEDIATE;"
        "INSERT OR IGNORE INTO campaign SELECT * FROM part.campaign;"
        "INSERT INTO specs SELECT * FROM part.specs;"
        "INSERT INTO shots SELECT * FROM part.shots;"
        "INSERT INTO clips SELECT * FROM part.clips;"
        "UPDATE clips SET lease = lease * %1$d + %2$d WHERE clip IN (SELECT clip FROM part.clips);"
        "UPDATE shots SET lease = lease * %1$d + %2$d WHERE shot IN (SELECT shot FROM part.shots);"
        "CREATE TEMP TABLE moved_leases AS SELECT * FROM part.leases;"
        "UPDATE moved_leases SET lease = lease * %1$d + %2$d, epoch = epoch * %1$d + %2$d;"
        "INSERT INTO leases SELECT * FROM moved_leases; DROP TABLE moved_leases;"
        "CREATE TEMP TABLE moved_epochs AS SELECT * FROM part.epochs;"
        "UPDATE moved_epochs SET epoch = epoch * %1$d + %2$d;"
        "INSERT INTO epochs SELECT * FROM moved_epochs; DROP TABLE moved_epochs;"
        "CREATE TEMP TABLE moved_launches AS SELECT * FROM part.launches;"
        "UPDATE moved_launches SET launch = launch * %1$d + %2$d;"
        "INSERT INTO launches SELECT * FROM moved_launches; DROP TABLE moved_launches;"
        "INSERT INTO decisions(id, clip, verb, reviewer, reason, sha256, decided_s) SELECT id * %1$d + %2$d, clip,"
        "  verb, reviewer, reason, sha256, decided_s FROM part.decisions;"
        "INSERT OR IGNORE INTO removed SELECT * FROM part.removed;"
        "INSERT OR IGNORE INTO leavings SELECT * FROM part.leavings;"
        "INSERT INTO revocations(clip_id, revoked_s, reason, was, file, sha256, delivered_again_s)"
        "  SELECT clip_id, revoked_s, reason, was, file, sha256, delivered_again_s FROM part.revocations ORDER BY id;"
        "INSERT OR IGNORE INTO lot SELECT * FROM part.lot;"
        /* open requests for clips of a part; those for a part as a whole end with it */
        "INSERT INTO requests(verb, clip_id, filter, number, asked_s, reviewer, reason, seen)"
        "  SELECT verb, clip_id, filter, number, asked_s, reviewer, reason, seen FROM part.requests"
        "  WHERE taken_s IS NULL AND (clip_id <> '' OR filter <> '') ORDER BY id;"
        "INSERT INTO counts SELECT * FROM part.counts WHERE true"
        "  ON CONFLICT(what, state) DO UPDATE SET n = n + excluded.n;"
        "UPDATE campaign SET part = 1, parts = 1, created_s = min(created_s, (SELECT created_s FROM part.campaign)),"
        "  epoch = (SELECT ifnull(max(epoch), 0) FROM epochs);"
        "COMMIT;",
        count, number - 1);
    Status status = run_all(l, sql);
    if (failed(status)) sqlite3_exec(l->db, "ROLLBACK", NULL, NULL, NULL);
    free(sql);
    return status;
}

static Status take_part(Ledger *l, const char *folder, int number, int count)
{
    char *file = path_join(folder, "ledger.db");
    Status status = ledger_sql_run(l, "ATTACH ?1 AS part", "t", file);
    if (!failed(status)) {
        status = status_at(take_rows(l, number, count), "%s", file);
        sqlite3_exec(l->db, "DETACH part", NULL, NULL, NULL);
    }
    free(file);
    return status;
}

Status ledger_merge(const char *folder, char *const *part, int count)
{
    Ledger *l = NULL;
    Sum sum;
    Status status = status_ok();
    TRY(add_parts(&sum, part, count));
    TRY_OUT(ledger_open(folder, LEDGER_WRITE, &l));
    for (int i = 0; i < count; i++) TRY_OUT(take_part(l, part[i], i + 1, count));
    TRY_OUT(check_whole(l, &sum));
out:
    ledger_close(&l);
    return status;
}

Status ledger_check_merged(const char *folder, char *const *part, int count)
{
    Ledger *l = NULL;
    Sum sum;
    TRY(add_parts(&sum, part, count));
    TRY(ledger_open(folder, LEDGER_READ, &l));
    Status status = check_whole(l, &sum);
    ledger_close(&l);
    return status;
}
