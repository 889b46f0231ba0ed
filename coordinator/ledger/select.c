#include "select.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/file.h"
#include "coordinator/ledger/counts.h"
#include "coordinator/ledger/view.h"

enum { ITS_STATE = -1, ITS_GATE = -2 /* one that holds it */ };

/* ---- a filter: [["$[2]","=","beach"],["state","!=","failed"]], all of which must hold ---- */

typedef struct {
    int column; /* of the customer's row, or one of these */
    bool differs;
    char *value; /* of a column as JSON, "\"beach\"": so the plan wrote it; else the state's name */
    size_t bytes;
} Condition;

typedef struct {
    Condition *condition;
    int count;
} Filter;

static void clear_filter(Filter *f)
{
    for (int i = 0; i < f->count; i++) free(f->condition[i].value);
    free(f->condition);
    *f = (Filter){0};
}

static bool read_condition(const json_t *item, Condition *c)
{
    const char *path, *compare;
    json_t *value;
    char rest;
    if (json_unpack((json_t *)(uintptr_t)item, "[s,s,o]", &path, &compare, &value) != 0 || !json_is_string(value))
        return false;
    c->differs = strcmp(compare, "!=") == 0;
    c->column = strcmp(path, "gate") == 0 ? ITS_GATE : ITS_STATE;
    if (strcmp(path, "state") == 0 || c->column == ITS_GATE)
        c->value = text_copy(json_string_value(value));
    else if (sscanf(path, "$[%d]%c", &c->column, &rest) == 1 && c->column >= 0)
        c->value = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY); /* as row_json in plan.c */
    if (!c->value) return false;
    c->bytes = strlen(c->value);
    return true;
}

static Status read_filter(const Ledger *l, const char *text, Filter *f)
{
    *f = (Filter){0};
    if (!text || !*text) return status_ok();
    json_t *list = json_loads(text, 0, NULL), *item;
    size_t i;
    bool good = json_is_array(list);
    f->condition = memory_get(json_array_size(list) + 1, sizeof *f->condition);
    json_array_foreach(list, i, item)
    {
        good = good && read_condition(item, &f->condition[i]);
        f->count++;
    }
    json_decref(list);
    if (good) return status_ok();
    clear_filter(f);
    return status_fail(ERR_FATAL, "%s: damaged filter of a request: %.100s", l->file, text);
}

/* Past the text that begins at p with its quotation mark; NULL: it does not end. */
static const char *skip_text(const char *p)
{
    for (p++; *p && *p != '"'; p++)
        if (*p == '\\' && p[1]) p++;
    return *p ? p + 1 : NULL;
}

/* The row is ["k1","Zoë",...]: texts only, without spaces between them. What is not there is empty. */
static bool has_value(const char *row, const Condition *c)
{
    const char *p = *row == '[' ? row + 1 : "", *end;
    for (int i = 0; *p == '"' && (end = skip_text(p)) != NULL; i++) {
        if (i == c->column) return (size_t)(end - p) == c->bytes && memcmp(p, c->value, c->bytes) == 0;
        p = *end == ',' ? end + 1 : "";
    }
    return c->bytes == strlen("\"\"");
}

static bool is_held_by(Ledger *l, int64_t clip, const char *gate)
{
    int64_t n = 0;
    Status status = ledger_sql_number(l, &n,
                                      "SELECT count(*) FROM clips, json_each(clips.result, '$.held_by') g WHERE clip ="
                                      " ?1 AND json_valid(clips.result) AND g.value = ?2",
                                      "it", clip, gate);
    return !failed(status) && n > 0;
}

static bool meets(Ledger *l, const Filter *f, int64_t clip, const char *state, const char *row)
{
    for (int i = 0; i < f->count; i++) {
        const Condition *c = &f->condition[i];
        bool same = c->column == ITS_STATE  ? strcmp(state, c->value) == 0
                    : c->column == ITS_GATE ? is_held_by(l, clip, c->value)
                                            : has_value(row, c);
        if (same == c->differs) return false;
    }
    return true;
}

/* ---- the clips ---- */

/* One clip, or all. */
static Status find_range(Ledger *l, const LedgerRequest *r, int64_t *first, int64_t *last)
{
    *first = 0;
    *last = INT64_MAX;
    if (!r->clip_id || !*r->clip_id) return status_ok();
    TRY(ledger_sql_number(l, first, "SELECT ifnull((SELECT clip FROM clips WHERE clip_id = ?1), -1)", "t", r->clip_id));
    *last = *first; /* -1: no such clip, nothing is meant */
    return status_ok();
}

Status ledger_select_read(Ledger *l, const LedgerRequest *r, SelectFrom of, SelectSink sink)
{
    static const char *const sql[] = {
        [SELECT_FROM_ALL] = "SELECT clip, ifnull(shot, -1), ifnull(lease, 0), state, customer FROM clips"
                            " WHERE clip BETWEEN ?1 AND ?2",
        [SELECT_FROM_FAILED] = "SELECT clip, ifnull(shot, -1), ifnull(lease, 0), state, customer, NOT EXISTS(SELECT 1"
                               " FROM leases f WHERE f.clip = clips.clip AND f.outcome IN ('failed', 'lost') AND"
                               " f.retry = clips.retried) FROM clips"
                               " INDEXED BY clips_failed WHERE state = 'failed' AND clip BETWEEN ?1 AND ?2",
        [SELECT_FROM_RUNNING] = "SELECT c.clip, c.shot, c.lease, c.state, c.customer"
                                " FROM leases l CROSS JOIN clips c ON c.clip = l.clip"
                                " WHERE l.outcome = 'running' AND c.lease = l.lease AND"
                                " c.state = 'finishing' AND c.clip BETWEEN ?1 AND ?2"};
    Filter f;
    int64_t first, last;
    TRY(find_range(l, r, &first, &last));
    TRY(read_filter(l, r->filter, &f));
    Status status = status_ok();
    Query q = ledger_sql_query(l, sql[of], "ii", first, last);
    while (!failed(status) && ledger_sql_next(&q)) {
        const char *state = ledger_sql_text(&q, 3);
        if (!meets(l, &f, ledger_sql_int(&q, 0), state, f.count ? ledger_sql_text(&q, 4) : "")) continue;
        SelectedClip c = {ledger_sql_int(&q, 0), ledger_sql_int(&q, 1), ledger_sql_int(&q, 2), CLIP_PLANNED, false};
        c.by_shot = of == SELECT_FROM_FAILED && ledger_sql_int(&q, 5) != 0;
        status = ledger_state_parse_clip(l, state, &c.state);
        if (!failed(status)) sink.clip(sink.self, &c);
    }
    ledger_sql_end(&q);
    clear_filter(&f);
    return failed(status) ? status : q.status;
}

Status ledger_read_made(Ledger *l, const char *filter, MadeSink sink)
{
    Filter f;
    TRY(read_filter(l, filter, &f));
    Status status = status_ok();
    Query q = ledger_sql_query(
        l,
        "SELECT clip, clip_id, state, customer, file, thumbnail, ifnull(sha256, ''), ifnull(result, ''), reviewer,"
        " reason, pilot, stem FROM clips WHERE file IS NOT NULL ORDER BY state <> 'held', state <> 'in review', clip",
        "");
    while (!failed(status) && ledger_sql_next(&q)) {
        const MadeClip c = {.clip_id = ledger_sql_text(&q, 1),
                            .state = ledger_sql_text(&q, 2),
                            .customer = ledger_sql_text(&q, 3),
                            .file = ledger_sql_text(&q, 4),
                            .thumbnail = ledger_sql_text(&q, 5),
                            .sha256 = ledger_sql_text(&q, 6),
                            .result = ledger_sql_text(&q, 7),
                            .reviewer = ledger_sql_text(&q, 8),
                            .reason = ledger_sql_text(&q, 9),
                            .pilot = ledger_sql_int(&q, 10) != 0,
                            .stem = ledger_sql_text(&q, 11)};
        if (meets(l, &f, ledger_sql_int(&q, 0), c.state, c.customer)) status = sink.clip(sink.self, &c);
    }
    ledger_sql_end(&q);
    clear_filter(&f);
    return failed(status) ? status : q.status;
}

void ledger_select_add(SelectedClips *list, const SelectedClip *c)
{
    if (list->count == list->room) {
        list->room = 2 * list->room + 64;
        list->clip = memory_resize(list->clip, (size_t)list->room, sizeof *list->clip);
    }
    list->clip[list->count++] = *c;
}

/* ---- a filter from the command line ---- */

static int find_column(const json_t *columns, const char *name, size_t length)
{
    size_t i;
    json_t *item;
    json_array_foreach(columns, i, item)
    {
        const char *text = json_string_value(item);
        if (text && strlen(text) == length && memcmp(text, name, length) == 0) return (int)i;
    }
    return -1;
}

static Status no_column(const json_t *columns, const char *name, size_t length)
{
    char list[400] = "state, gate";
    size_t i;
    json_t *item;
    json_array_foreach(columns, i, item)
    {
        size_t n = strlen(list);
        if (n > sizeof list - 100) break;
        snprintf(list + n, sizeof list - n, ", %.60s", json_string_value(item));
    }
    return status_fail(ERR_INPUT, "--where %.*s: no such column; expected one of %s", (int)(length > 60 ? 60 : length),
                       name, list);
}

static Status no_state(const char *name)
{
    char list[256] = "";
    for (int i = 0; i < CLIP_STATES; i++) {
        size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", ledger_clip_state_name((ClipState)i));
    }
    return status_fail(ERR_INPUT, "--where state: \"%.40s\" is none; expected %s", name, list);
}

/* "clip.state", or "state" where no column is called so. */
static bool is_own(const char *where, size_t length, int column, const char *own)
{
    const char *name = strchr(own, '.') + 1;
    return (length == strlen(own) && memcmp(where, own, length) == 0) ||
           (column < 0 && length == strlen(name) && memcmp(where, name, length) == 0);
}

static Status add_condition(json_t *filter, const json_t *columns, const char *where)
{
    size_t length = strcspn(where, "=");
    bool differs = length > 0 && where[length] && where[length - 1] == '!';
    size_t name = differs ? length - 1 : length;
    if (!where[length] || name == 0)
        return status_fail(ERR_INPUT, "--where %.60s: expected COLUMN=VALUE or COLUMN!=VALUE", where);
    const char *value = where + length + 1;
    int column = find_column(columns, where, name);
    const bool own = is_own(where, name, column, "clip.state"), gate = is_own(where, name, column, "clip.gate");
    char path[32] = "";
    ClipState state;
    if (!own && !gate && column < 0) return no_column(columns, where, name);
    if (own && !ledger_find_clip_state(value, &state)) return no_state(value);
    if (own || gate)
        snprintf(path, sizeof path, "%s", own ? "state" : "gate");
    else
        snprintf(path, sizeof path, "$[%d]", column);
    json_t *condition = json_pack("[s,s,s]", path, differs ? "!=" : "=", value);
    if (!condition) return status_fail(ERR_INPUT, "--where %.60s: not UTF-8", where);
    json_array_append_new(filter, condition);
    return status_ok();
}

Status ledger_make_filter(Ledger *l, const char *const *where, int count, char **json)
{
    char *text = NULL;
    json_t *filter = json_array();
    *json = NULL;
    Status status = ledger_read_columns(l, &text);
    json_t *columns = failed(status) ? NULL : json_loads(text, 0, NULL);
    for (int i = 0; i < count && !failed(status); i++) status = add_condition(filter, columns, where[i]);
    if (!failed(status)) *json = count ? json_dumps(filter, JSON_COMPACT) : text_copy("");
    json_decref(columns);
    json_decref(filter);
    free(text);
    return status;
}
