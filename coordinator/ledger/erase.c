#include "erase.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/file.h"
#include "coordinator/ledger/counts.h"
#include "coordinator/ledger/handed.h"
#include "coordinator/ledger/sql.h"
#include "coordinator/ledger/steer.h"
#include "coordinator/ledger/update.h"

enum { SHORTEST_WORD = 3 };
static const char begun[] = "is being erased"; /* the reason of such a row */

void erased_clear(Erased *e)
{
    for (int i = 0; i < e->word_count; i++) free(e->word[i]);
    free(e->word);
    free(e->clip_id);
    free(e->stem);
    free(e->prompt);
    free(e->negative);
    free(e->key);
    *e = (Erased){0};
}

static Status run_text(Ledger *l, const char *sql, const char *what)
{
    return sqlite3_exec(l->db, sql, NULL, NULL, NULL) == SQLITE_OK ? status_ok() : ledger_sql_fail(l, what);
}

Status ledger_erase_knows(Ledger *l, const char *clip_id, bool *yes)
{
    int64_t n = 0;
    Status status = ledger_sql_number(l, &n,
                                      "SELECT (SELECT count(*) FROM clips WHERE clip_id = ?1) + (SELECT count(*) FROM "
                                      "removed WHERE clip_id = ?1)",
                                      "t", clip_id);
    *yes = n > 0;
    return status;
}

typedef struct {
    int64_t shot;
    ClipState state;
    bool begun; /* an erasure that did not come to its end */
    json_t *cells;
} Row;

/* A row that left the table gets one again that is being erased, so that what is left of it goes as of any other row. Its file names were
 * noted for deletion when it left; a stem that another row has by now is that row's. */
static Status bring_back(Ledger *l, const char *clip_id, bool *removed)
{
    char first[STEM_BYTES], second[STEM_BYTES];
    int64_t gone, taken = 0;
    stem_from_id(clip_id, first);
    stem_mark(clip_id, second);
    Status status = ledger_sql_number(l, &gone,
                                      "SELECT count(*) FROM removed WHERE clip_id = ?1 AND NOT EXISTS(SELECT 1 FROM "
                                      "clips WHERE clip_id = ?1)",
                                      "t", clip_id);
    if (!failed(status))
        status = ledger_sql_number(l, &taken, "SELECT count(*) FROM clips WHERE stem = ?1 COLLATE NOCASE", "t", first);
    *removed = !failed(status) && gone;
    if (*removed)
        status = ledger_sql_run(l,
                                "INSERT INTO clips(clip, clip_id, stem, state, reason, customer, sha256) SELECT"
                                " 1 + max(ifnull((SELECT max(clip) FROM clips), -1),"
                                " ifnull((SELECT max(clip) FROM leases), -1),"
                                " ifnull((SELECT max(clip) FROM decisions), -1)), clip_id, ?2, 'erased', ?3,"
                                " (SELECT json_group_array('') FROM campaign, json_each(campaign.columns)), sha256"
                                " FROM removed WHERE clip_id = ?1",
                                "ttt", clip_id, taken ? second : first, begun);
    if (!failed(status) && *removed) ledger_state_add_clips(l, CLIP_ERASED, 1);
    return status;
}

static Status read_row(Ledger *l, const char *clip_id, Row *row, Erased *out)
{
    Query q = ledger_sql_query(l,
                               "SELECT clip, ifnull(shot, -1), state, stem, customer, sha256, ifnull(reason, '') FROM "
                               "clips WHERE clip_id = ?1",
                               "t", clip_id);
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
    row->begun = row->state == CLIP_ERASED && strcmp(ledger_sql_text(&q, 6), begun) == 0;
    out->clip_id = text_copy(clip_id);
    stem_mark(clip_id, out->other_stem);
    out->prompt = text_copy("");
    out->negative = text_copy("");
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

/* Takes the cells of an erased row out of the counts. */
static Status take_out_words(Ledger *l, const Row *row)
{
    char *cells = json_dumps(row->cells, JSON_COMPACT);
    Status status = ledger_sql_run(
        l, "UPDATE words SET clips = clips - 1 WHERE value IN (SELECT value FROM json_each(?1))", "t", cells);
    free(cells);
    return status;
}

/* If no other row than erased ones has the shot, the shot will be deleted, too, because it holds the prompt: notes its key and its texts. */
static Status find_shot(Ledger *l, int64_t shot, Erased *out)
{
    int64_t others;
    if (shot < 0) return status_ok();
    TRY(ledger_sql_number(l, &others,
                          "SELECT count(*) FROM clips WHERE shot = ?1 AND clip <> ?2 AND +state <> 'erased'", "ii",
                          shot, out->clip));
    if (others) return status_ok();
    Query q = ledger_sql_query(
        l, "SELECT json_extract(spec, '$.prompt'), json_extract(spec, '$.negative'), key FROM specs WHERE shot = ?1",
        "i", shot);
    if (ledger_sql_next(&q)) {
        free(out->prompt);
        free(out->negative);
        free(out->key);
        out->prompt = text_copy(ledger_sql_text(&q, 0));
        out->negative = text_copy(ledger_sql_text(&q, 1));
        out->key = text_copy(ledger_sql_text(&q, 2));
        ledger_sql_end(&q);
    }
    int64_t same; /* most campaigns have one negative for all */
    TRY(ledger_sql_number(
        l, &same, "SELECT EXISTS(SELECT 1 FROM specs WHERE shot <> ?1 AND json_extract(spec, '$.negative') = ?2)", "it",
        shot, out->negative));
    if (same) out->negative[0] = 0;
    return status_ok();
}

Status ledger_erase_begin(Ledger *l, const char *clip_id, bool take_back, Erased *out)
{
    Row row = {0};
    bool removed = false;
    *out = (Erased){0};
    Status status = status_ok();
    TRY_OUT(bring_back(l, clip_id, &removed));
    TRY_OUT(read_row(l, clip_id, &row, out));
    out->removed = removed;
    if (row.state == CLIP_ERASED && !row.begun)
        TRY_OUT(status_fail(ERR_INPUT, "%s: \"%.80s\" is a tombstone", l->folder, clip_id));
    TRY_OUT(find_words(l, &row, out));
    TRY_OUT(take_out_words(l, &row));
    TRY_OUT(find_shot(l, row.shot, out));
    out->again = row.begun;
    if (row.begun) goto out;
    TRY_OUT(ledger_sql_run(l, "UPDATE clips SET result = NULL WHERE clip = ?1", "i", out->clip));
    if (take_back) TRY_OUT(handed_take_back(l, clip_id));
    TRY_OUT(ledger_state_move_clip(l, out->clip, EV_ERASE));
    TRY_OUT(ledger_sql_run(l, "UPDATE clips SET reason = ?1 WHERE clip = ?2", "ti", begun, out->clip));
    status = ledger_leave(l, LEAVING_ROW, out->stem);
out:
    json_decref(row.cells);
    return status;
}

/* ---- the end of it ---- */

static char *empty_cells(const Row *row)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(row->cells); i++) json_array_append_new(list, json_string(""));
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    if (!text) abort();
    return text;
}

/* Somebody's id may be "erased-3". */
static Status find_name(Ledger *l, int64_t clip, char **name)
{
    int64_t taken = 1;
    for (int i = 0; taken; i++) {
        free(*name);
        *name = i ? text_format("erased-%lld-%d", (long long)clip, i) : text_format("erased-%lld", (long long)clip);
        TRY(ledger_sql_number(l, &taken, "SELECT count(*) FROM clips WHERE clip_id = ?1 OR stem = ?1", "t", *name));
    }
    return status_ok();
}

/* Writes the tombstone: the row's place in the table, and when it was erased. */
static Status write_tombstone(Ledger *l, const Row *row, const Erased *e)
{
    char *cells = empty_cells(row), *name = NULL;
    Status status = find_name(l, e->clip, &name);
    if (!failed(status))
        status = ledger_sql_run(
            l,
            "UPDATE clips SET clip_id = ?1, stem = ?1, shot = NULL, reason = NULL, customer = ?2, file = NULL,"
            " thumbnail = NULL, sheet = NULL, duration_s = NULL, width = NULL, height = NULL, lease = NULL,"
            " reviewer = NULL, decided_s = ?3, finish = NULL, seed = NULL, result = NULL WHERE clip = ?4",
            "ttdi", name, cells, l->now_s, e->clip);
    if (!failed(status)) status = handed_erase(l, e->clip_id, name);
    free(name);
    free(cells);
    return status;
}

static Status leave_shot(Ledger *l, int64_t shot, const Erased *e)
{
    if (shot < 0) return status_ok();
    if (*e->key) return ledger_drop_shot(l, shot);
    TRY(ledger_sql_run(l, "UPDATE shots SET clips = clips - 1 WHERE shot = ?1", "i", shot));
    return ledger_follow_clips(l, shot);
}

/* Takes the customer's id and cells out of reasons and requests. An open request is deleted: without its filter it would mean the whole
 * campaign. */
static Status erase_quotes(Ledger *l, const char *word)
{
    TRY(ledger_sql_run(l, "DELETE FROM requests WHERE taken_s IS NULL AND instr(filter, ?1)", "t", word));
    TRY(ledger_sql_run(l, "UPDATE requests SET filter = '' WHERE instr(filter, ?1)", "t", word));
    TRY(ledger_sql_run(l, "UPDATE requests SET reason = '[erased]' WHERE instr(reason, ?1)", "t", word));
    TRY(ledger_sql_run(l, "UPDATE decisions SET reason = '[erased]' WHERE instr(reason, ?1)", "t", word));
    TRY(ledger_sql_run(l, "UPDATE shots SET reason = '[erased]' WHERE instr(reason, ?1)", "t", word));
    TRY(ledger_sql_run(l, "UPDATE clips SET reason = '[erased]' WHERE instr(reason, ?1)", "t", word));
    return ledger_sql_run(l, "UPDATE leases SET reason = '[erased]' WHERE instr(reason, ?1)", "t", word);
}

/* Requests, workers' lines, reviewers' words and tombstones of updates name clips by their ids. */
static Status erase_mentions(Ledger *l, const Erased *e)
{
    TRY(ledger_sql_run(l, "DELETE FROM requests WHERE taken_s IS NULL AND clip_id = ?1", "t", e->clip_id));
    TRY(ledger_sql_run(l, "UPDATE requests SET clip_id = '', filter = '', reason = '' WHERE clip_id = ?1", "t",
                       e->clip_id));
    TRY(ledger_sql_run(l, "UPDATE decisions SET reason = '' WHERE clip = ?1", "i", e->clip));
    TRY(ledger_sql_run(l, "DELETE FROM replaced WHERE clip = ?1", "i", e->clip));
    TRY(ledger_sql_run(l, "UPDATE leases SET reason = NULL WHERE clip = ?1", "i", e->clip));
    TRY(ledger_sql_run(l, "UPDATE workers SET clip = '' WHERE clip = ?1", "t", e->clip_id));
    TRY(ledger_sql_run(l, "DELETE FROM removed WHERE clip_id = ?1", "t", e->clip_id));
    for (int i = 0; i < e->word_count; i++) TRY(erase_quotes(l, e->word[i]));
    return erase_quotes(l, e->clip_id);
}

Status ledger_erase_end(Ledger *l, const Erased *e)
{
    Row row = {0};
    Erased now = {0};
    Status status = read_row(l, e->clip_id, &row, &now);
    TRY_OUT(status);
    if (!row.begun) TRY_OUT(status_fail(ERR_FATAL, "%s: the erasure of a row was not begun", l->folder));
    TRY_OUT(erase_mentions(l, e)); /* before the row, whose own reason is one of them */
    TRY_OUT(write_tombstone(l, &row, e));
    status = leave_shot(l, row.shot, e);
out:
    erased_clear(&now);
    json_decref(row.cells);
    return status;
}

Status ledger_compact(Ledger *l)
{
    TRY(run_text(l, "VACUUM", "cannot take what was erased out of the ledger's free pages"));
    return run_text(l, "PRAGMA wal_checkpoint(TRUNCATE)", "cannot empty the ledger's journal");
}

static Status take_ids(Query q, char ***id, int64_t *count)
{
    int64_t room = 0;
    *id = NULL;
    *count = 0;
    while (ledger_sql_next(&q)) {
        if (*count == room) *id = memory_resize(*id, (size_t)(room = 2 * room + 64), sizeof **id);
        (*id)[(*count)++] = text_copy(ledger_sql_text(&q, 0));
    }
    return q.status;
}

Status ledger_find_expired(Ledger *l, double before_s, char ***id, int64_t *count)
{
    return take_ids(ledger_sql_query(l,
                                     "SELECT clip_id FROM clips WHERE (state <> 'erased' OR reason = ?2) AND"
                                     " coalesce(decided_s, (SELECT created_s FROM campaign)) < ?1 AND"
                                     " state NOT IN ('planned', 'waiting', 'finishing', 'paused')"
                                     " UNION SELECT clip_id FROM removed WHERE removed_s < ?1 AND"
                                     " clip_id NOT IN (SELECT clip_id FROM clips)", /* it came back */
                                     "dt", before_s, begun),
                    id, count);
}

Status ledger_find_shown(Ledger *l, const char *cameo, char ***id, int64_t *count)
{
    return take_ids(ledger_sql_query(l,
                                     "SELECT clip_id FROM clips WHERE (state <> 'erased' OR reason = ?2) AND"
                                     " json_extract(nullif(finish, ''), '$.cameo.id') = ?1",
                                     "tt", cameo, begun),
                    id, count);
}
