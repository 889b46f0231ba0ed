#include "handed.h"

#include "coordinator/ledger/sql.h"

Status handed_note(Ledger *l, const char *way, const char *key, const char *clip_id, const char *document)
{
    return ledger_sql_run(l,
                          "INSERT INTO handed(way, key, clip_id, state, document) VALUES(?1, ?2, ?3, 'taken', ?4)"
                          " ON CONFLICT(way, key) DO UPDATE SET clip_id = ?3, state = 'taken', document = ?4",
                          "tttt", way, key, clip_id, document);
}

Status handed_note_meant(Ledger *l, const char *way, const char *key, const char *clip_id, const char *document)
{
    TRY(handed_note_missed(l, way, key,
                           true)); /* an earlier process meant it, too, and did not say what became of it */
    return ledger_sql_run(l,
                          "INSERT INTO handed(way, key, clip_id, state, document) VALUES(?1, ?2, ?3, 'meant', ?4)"
                          " ON CONFLICT(way, key) DO NOTHING",
                          "tttt", way, key, clip_id, document);
}

Status handed_note_missed(Ledger *l, const char *way, const char *key, bool unknown)
{
    if (unknown)
        return ledger_sql_run(l, "UPDATE handed SET state = 'perhaps' WHERE way = ?1 AND key = ?2 AND state = 'meant'",
                              "tt", way, key);
    return ledger_sql_run(l, "DELETE FROM handed WHERE way = ?1 AND key = ?2 AND state = 'meant'", "tt", way, key);
}

Status handed_take_back(Ledger *l, const char *clip_id)
{
    return ledger_sql_run(
        l, "UPDATE handed SET state = 'owed' WHERE clip_id = ?1 AND state IN ('taken', 'meant', 'perhaps')", "t",
        clip_id);
}

static Status give(Query q, HandedSink sink)
{
    while (ledger_sql_next(&q)) {
        const HandedRow r = {ledger_sql_int(&q, 0),  ledger_sql_text(&q, 1), ledger_sql_text(&q, 2),
                             ledger_sql_text(&q, 3), ledger_sql_text(&q, 4), ledger_sql_int(&q, 5),
                             ledger_sql_text(&q, 6)};
        Status status = sink.row(sink.self, &r);
        if (failed(status)) return ledger_sql_end(&q), status;
    }
    return q.status;
}

#define HANDED_COLUMNS                                                                                                 \
    "SELECT id, clip_id, key, json_remove(document, '$.untold'), state, json_extract(document, '$.untold.tries'),"     \
    " json_extract(document, '$.untold.reason') FROM handed WHERE "

Status handed_read_owed(Ledger *l, const char *way, int64_t after, int most, HandedSink sink)
{
    return give(ledger_sql_query(l, HANDED_COLUMNS "way = ?1 AND state = 'owed' AND id > ?2 ORDER BY id LIMIT ?3",
                                 "tii", way, after, (int64_t)most),
                sink);
}

Status handed_read_open(Ledger *l, const char *way, HandedSink sink)
{
    return give(ledger_sql_query(l, HANDED_COLUMNS "way = ?1 AND state <> 'taken' ORDER BY id", "t", way), sink);
}

Status handed_count_owed(Ledger *l, const char *way, const char *other, int64_t *clips)
{
    return ledger_sql_number(l, clips,
                             "SELECT count(DISTINCT clip_id) FROM handed WHERE state = 'owed' AND way IN (?1, ?2)",
                             "tt", way, other);
}

/* After an erasure a line says only that somebody was told. What was handed over and what was answered is removed, because an address may
 * hold the customer's name. */
#define FORGET "key = 'told-' || id, document = '{}'"

Status handed_note_told(Ledger *l, int64_t id)
{
    TRY(ledger_sql_run(
        l, "UPDATE handed SET state = 'withdrawn', document = json_remove(document, '$.untold') WHERE id = ?1", "i",
        id));
    return ledger_sql_run(l,
                          "UPDATE handed SET " FORGET " WHERE id = ?1 AND EXISTS(SELECT 1 FROM clips WHERE "
                          "clips.clip_id = handed.clip_id AND state = 'erased')",
                          "i", id);
}

Status handed_note_untold(Ledger *l, int64_t id, int64_t tries, const char *reason)
{
    return ledger_sql_run(l,
                          "UPDATE handed SET document = json_set(document, '$.untold', json_object('tries', ?2, "
                          "'reason', ?3)) WHERE id = ?1",
                          "iit", id, tries, reason);
}

Status handed_count_withdrawn(Ledger *l, const char *clip_id, int64_t *keys)
{
    return ledger_sql_number(
        l, keys, "SELECT count(DISTINCT key) FROM handed WHERE clip_id = ?1 AND state = 'withdrawn'", "t", clip_id);
}

Status handed_erase(Ledger *l, const char *clip_id, const char *tombstone)
{
    TRY(ledger_sql_run(l, "DELETE FROM handed WHERE clip_id = ?1 AND state NOT IN ('owed', 'withdrawn')", "t",
                       clip_id));
    TRY(ledger_sql_run(l, "UPDATE handed SET " FORGET " WHERE clip_id = ?1 AND state = 'withdrawn'", "t", clip_id));
    TRY(ledger_sql_run(l,
                       "UPDATE handed SET clip_id = ?2, document = json_remove(document, '$.files', '$.page', "
                       "'$.captions', '$.variant', '$.untold') WHERE clip_id = ?1",
                       "tt", clip_id, tombstone));
    return ledger_sql_run(l, "UPDATE revocations SET clip_id = ?2, reason = '', file = '' WHERE clip_id = ?1", "tt",
                          clip_id, tombstone);
}

/* ---- revocations ---- */

Status handed_note_revocation(Ledger *l, int64_t clip, const char *reason)
{
    return ledger_sql_run(l,
                          "INSERT INTO revocations(clip_id, revoked_s, reason, was, file, sha256) SELECT clip_id, ?2, "
                          "?3, state, ifnull(file, ''), ifnull(sha256, '') FROM clips WHERE clip = ?1",
                          "idt", clip, l->now_s, reason);
}

Status handed_note_return(Ledger *l, int64_t clip)
{
    return ledger_sql_run(l,
                          "UPDATE revocations SET delivered_again_s = ?2 WHERE delivered_again_s IS NULL AND "
                          "clip_id = (SELECT clip_id FROM clips WHERE clip = ?1)",
                          "id", clip, l->now_s);
}

Status handed_read_revocations(Ledger *l, RevocationSink sink)
{
    Query q = ledger_sql_query(
        l,
        "SELECT r.clip_id, r.reason, r.was, r.file, r.sha256, ifnull(c.state, 'removed'), r.revoked_s,"
        " ifnull(r.delivered_again_s, 0) FROM revocations r LEFT JOIN clips c ON c.clip_id = r.clip_id ORDER BY r.id",
        "");
    while (ledger_sql_next(&q)) {
        const RevocationRow r = {ledger_sql_text(&q, 0), ledger_sql_text(&q, 1), ledger_sql_text(&q, 2),
                                 ledger_sql_text(&q, 3), ledger_sql_text(&q, 4), ledger_sql_text(&q, 5),
                                 ledger_sql_real(&q, 6), ledger_sql_real(&q, 7)};
        Status status = sink.row(sink.self, &r);
        if (failed(status)) return ledger_sql_end(&q), status;
    }
    return q.status;
}
