#include "erase.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/file.h"
#include "coordinator/ledger/counts.h"
#include "coordinator/ledger/sql.h"
#include "coordinator/ledger/steer.h"
#include "coordinator/ledger/update.h"

enum { SHORTEST_WORD = 3 };

void erased_clear(Erased *e)
{
    for (int i = 0; i < e->word_count; i++) free(e->word[i]);
    free(e->word);
    free(e->clip_id);
    free(e->stem);
    free(e->prompt);
    free(e->key);
    *e = (Erased){0};
}

static Status run_text(Ledger *l, const char *sql, const char *what)
{
    return sqlite3_exec(l->db, sql, NULL, NULL, NULL) == SQLITE_OK ? status_ok() : ledger_sql_fail(l, what);
}

typedef struct {
    int64_t shot;
    ClipState state;
    json_t *cells;
} Row;

static Status read_row(Ledger *l, const char *clip_id, Row *row, Erased *out)
{
    Query q = ledger_sql_query(
        l, "SELECT clip, ifnull(shot, -1), state, stem, customer, sha256 FROM clips WHERE clip_id = ?1", "t", clip_id);
    if (!ledger_sql_next(&q))
        return failed(q.status) ? q.status
                                : status_fail(ERR_INPUT, "%s: no customer \"%.80s\"; the ids are those of the table",
                                              l->folder, clip_id);
    out->clip = ledger_sql_int(&q, 0);
    row->shot = ledger_sql_int(&q, 1);
    Status status = ledger_state_parse_clip(l, ledger_sql_text(&q, 2), &row->state);
    out->stem = text_copy(ledger_sql_text(&q, 3));
    row->cells = json_loads(ledger_sql_text(&q, 4), 0, NULL);
    snprintf(out->sha256, sizeof out->sha256, "%s", ledger_sql_text(&q, 5));
    out->clip_id = text_copy(clip_id);
    out->prompt = text_copy("");
    out->key = text_copy("");
    ledger_sql_end(&q);
    return status;
}

/* How many rows have each cell. Counted once for a connection, for an expiry erases thousands of rows, and kept by take_out_words. */
static Status count_words(Ledger *l)
{
    int64_t there;
    TRY(ledger_sql_number(l, &there, "SELECT count(*) FROM temp.sqlite_schema WHERE name = 'words'", ""));
    if (there) return status_ok();
    TRY(run_text(l, "CREATE TEMP TABLE words(value TEXT PRIMARY KEY, clips INTEGER NOT NULL) WITHOUT ROWID",
                 "cannot count what rows say"));
    return run_text(l,
                    "INSERT INTO words SELECT value, count(DISTINCT clip) FROM clips, json_each(clips.customer)"
                    " WHERE length(value) > 0 GROUP BY value",
                    "cannot count what rows say");
}

/* Cells that other rows have too say nothing about this customer: they are not searched for. */
static Status find_words(Ledger *l, const Row *row, Erased *out)
{
    size_t i;
    json_t *item;
    TRY(count_words(l));
    out->word = memory_get(json_array_size(row->cells) + 1, sizeof *out->word);
    json_array_foreach(row->cells, i, item)
    {
        const char *text = json_string_value(item);
        int64_t clips;
        if (!text || strlen(text) < SHORTEST_WORD) continue;
        TRY(ledger_sql_number(l, &clips, "SELECT clips FROM words WHERE value = ?1", "t", text));
        if (clips <= 1) out->word[out->word_count++] = text_copy(text);
    }
    return status_ok();
}

/* The row is erased, or as good as that: its cells no longer count for the others. */
static Status take_out_words(Ledger *l, const Row *row)
{
    char *cells = json_dumps(row->cells, JSON_COMPACT);
    Status status = ledger_sql_run(
        l, "UPDATE words SET clips = clips - 1 WHERE value IN (SELECT value FROM json_each(?1))", "t", cells);
    free(cells);
    return status;
}

/* What only this clip's shot says. */
static Status read_shot(Ledger *l, int64_t shot, Erased *out)
{
    Query q = ledger_sql_query(l, "SELECT json_extract(spec, '$.prompt'), key FROM specs WHERE shot = ?1", "i", shot);
    if (ledger_sql_next(&q)) {
        free(out->prompt);
        free(out->key);
        out->prompt = text_copy(ledger_sql_text(&q, 0));
        out->key = text_copy(ledger_sql_text(&q, 1));
    }
    ledger_sql_end(&q);
    return q.status;
}

/* A shot that no other clip shares is removed: its spec holds the prompt. */
static Status erase_shot(Ledger *l, int64_t shot, Erased *out)
{
    int64_t others;
    if (shot < 0) return status_ok();
    TRY(ledger_sql_number(l, &others, "SELECT count(*) FROM clips WHERE shot = ?1", "i", shot));
    if (others) {
        TRY(ledger_sql_run(l, "UPDATE shots SET clips = clips - 1 WHERE shot = ?1", "i", shot));
        return ledger_follow_clips(l, shot);
    }
    TRY(read_shot(l, shot, out));
    return ledger_drop_shot(l, shot);
}

static char *empty_cells(const Row *row)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(row->cells); i++) json_array_append_new(list, json_string(""));
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    if (!text) abort();
    return text;
}

/* The tombstone: the row's place in the table and when it was erased, nothing else. */
static Status write_tombstone(Ledger *l, const Row *row, const Erased *e)
{
    char *cells = empty_cells(row), *name = text_format("erased-%lld", (long long)e->clip);
    Status status = ledger_sql_run(
        l,
        "UPDATE clips SET clip_id = ?1, stem = ?1, shot = NULL, reason = NULL, customer = ?2, file = NULL,"
        " thumbnail = NULL, sheet = NULL, duration_s = NULL, width = NULL, height = NULL, lease = NULL,"
        " reviewer = NULL, decided_s = ?3, finish = NULL, result = NULL WHERE clip = ?4",
        "ttdi", name, cells, l->now_s, e->clip);
    free(name);
    free(cells);
    return status;
}

/* Requests, workers' lines and tombstones of updates name clips by their ids. A request that is still open is deleted: without the name
 * it would be one for the whole campaign. */
static Status erase_mentions(Ledger *l, const Erased *e)
{
    TRY(ledger_sql_run(l, "DELETE FROM requests WHERE taken_s IS NULL AND clip_id = ?1", "t", e->clip_id));
    TRY(ledger_sql_run(l, "UPDATE requests SET clip_id = '', filter = '', reason = '' WHERE clip_id = ?1", "t",
                       e->clip_id));
    for (int i = 0; i < e->word_count; i++) {
        TRY(ledger_sql_run(l, "DELETE FROM requests WHERE taken_s IS NULL AND instr(filter, ?1)", "t", e->word[i]));
        TRY(ledger_sql_run(l, "UPDATE requests SET filter = '' WHERE instr(filter, ?1)", "t", e->word[i]));
    }
    TRY(ledger_sql_run(l, "UPDATE decisions SET reason = '' WHERE clip = ?1", "i", e->clip));
    TRY(ledger_sql_run(l, "UPDATE workers SET clip = '' WHERE clip = ?1", "t", e->clip_id));
    TRY(ledger_sql_run(l, "UPDATE leases SET reason = NULL WHERE instr(reason, ?1)", "t", e->clip_id));
    return ledger_sql_run(l, "DELETE FROM removed WHERE clip_id = ?1", "t", e->clip_id);
}

static Status find_row(Ledger *l, const char *clip_id, Row *row, Erased *out)
{
    *out = (Erased){0};
    TRY(read_row(l, clip_id, row, out));
    if (row->state == CLIP_ERASED) return status_fail(ERR_INPUT, "%s: \"%.80s\" is erased already", l->folder, clip_id);
    return find_words(l, row, out);
}

Status ledger_look_to_erase(Ledger *l, const char *clip_id, Erased *out)
{
    Row row = {0};
    int64_t sharers = 0;
    Status status = find_row(l, clip_id, &row, out);
    if (!failed(status)) status = take_out_words(l, &row);
    if (!failed(status) && row.shot >= 0)
        status = ledger_sql_number(l, &sharers, "SELECT count(*) FROM clips WHERE shot = ?1", "i", row.shot);
    if (!failed(status) && sharers == 1) status = read_shot(l, row.shot, out);
    json_decref(row.cells);
    return status;
}

Status ledger_erase(Ledger *l, const char *clip_id, Erased *out)
{
    Row row = {0};
    Status status = find_row(l, clip_id, &row, out);
    TRY_OUT(status);
    TRY_OUT(take_out_words(l, &row));
    TRY_OUT(ledger_state_move_clip(l, out->clip, EV_ERASE));
    TRY_OUT(write_tombstone(l, &row, out));
    TRY_OUT(erase_shot(l, row.shot, out));
    TRY_OUT(erase_mentions(l, out));
    status = ledger_leave(l, LEAVING_ROW, out->stem);
out:
    json_decref(row.cells);
    return status;
}

Status ledger_compact(Ledger *l)
{
    TRY(run_text(l, "VACUUM", "cannot take what was erased out of the ledger's free pages"));
    return run_text(l, "PRAGMA wal_checkpoint(TRUNCATE)", "cannot empty the ledger's journal");
}

Status ledger_find_expired(Ledger *l, double before_s, char ***id, int64_t *count)
{
    int64_t room = 0;
    *id = NULL;
    *count = 0;
    Query q = ledger_sql_query(l,
                               "SELECT clip_id FROM clips WHERE state <> 'erased' AND coalesce(decided_s, (SELECT "
                               "created_s FROM campaign)) < ?1 AND state NOT IN "
                               "('planned', 'waiting', 'finishing', 'paused')",
                               "d", before_s);
    while (ledger_sql_next(&q)) {
        if (*count == room) *id = memory_resize(*id, (size_t)(room = 2 * room + 64), sizeof **id);
        (*id)[(*count)++] = text_copy(ledger_sql_text(&q, 0));
    }
    return q.status;
}
