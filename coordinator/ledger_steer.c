#include "ledger_steer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/file.h"
#include "coordinator/ledger_read.h"
#include "coordinator/ledger_state.h"

enum { NAMED = 3 }; /* clips of each reason, in a message */

const char *ledger_pilot_state_name(PilotState s)
{
    static const char *const name[] = {"none", "open", "approved", "rejected"};
    return name[s];
}

/* ---- which clips are meant ---- */

/* The clips of a request: ?1 .. ?2 is the range of their numbers (one clip, or all), ?3 the filter. */
#define MEANT                                                                                                          \
    " clip BETWEEN ?1 AND ?2 AND (?3 = '' OR NOT EXISTS(SELECT 1 FROM json_each(?3) f WHERE"                           \
    " ((CASE json_extract(f.value, '$[0]') WHEN 'state' THEN clips.state"                                              \
    "   ELSE ifnull(json_extract(clips.customer, json_extract(f.value, '$[0]')), '') END"                              \
    "  = json_extract(f.value, '$[2]')) <> (json_extract(f.value, '$[1]') = '='))))"

typedef struct {
    int64_t first, last;
    const char *filter;
} Meant;

static Status find_meant(Ledger *l, const LedgerRequest *r, Meant *out)
{
    *out = (Meant){0, INT64_MAX, r->filter ? r->filter : ""};
    if (!r->clip_id || !*r->clip_id) return status_ok();
    out->first = out->last = -1; /* no such clip: nothing is meant */
    Query q = ledger_sql_query(l, "SELECT clip FROM clips WHERE clip_id = ?1", "t", r->clip_id);
    if (ledger_sql_next(&q)) out->first = out->last = ledger_sql_int(&q, 0);
    ledger_sql_end(&q);
    return q.status;
}

static bool is_for_campaign(const LedgerRequest *r)
{
    return (!r->clip_id || !*r->clip_id) && (!r->filter || !*r->filter);
}

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
    char list[400] = "state";
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

static bool is_state(const char *name)
{
    for (int i = 0; i < CLIP_STATES; i++)
        if (strcmp(name, ledger_clip_state_name((ClipState)i)) == 0) return true;
    return false;
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

static Status add_condition(json_t *filter, const json_t *columns, const char *where)
{
    size_t length = strcspn(where, "=");
    bool differs = length > 0 && where[length] && where[length - 1] == '!';
    size_t name = differs ? length - 1 : length;
    if (!where[length] || name == 0)
        return status_fail(ERR_INPUT, "--where %.60s: expected COLUMN=VALUE or COLUMN!=VALUE", where);
    const char *value = where + length + 1;
    int column = find_column(columns, where, name);
    bool own = (column < 0 && name == 5 && memcmp(where, "state", 5) == 0) ||
               (name == 10 && memcmp(where, "clip.state", 10) == 0);
    char path[32] = "state";
    if (!own && column < 0) return no_column(columns, where, name);
    if (own && !is_state(value)) return no_state(value);
    if (!own) snprintf(path, sizeof path, "$[%d]", column);
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

/* ---- what a verb does to clips ---- */

static const struct {
    const char *verb;
    LedgerEvent event;
    ControlState control; /* when the whole campaign is meant */
} steering[] = {{"pause", EV_PAUSE, CONTROL_PAUSED},
                {"resume", EV_RESUME, CONTROL_NONE},
                {"cancel", EV_CANCEL, CONTROL_CANCELLED},
                {"retry", EV_RETRY, CONTROL_NONE}};
enum { STEERING_COUNT = (int)(sizeof steering / sizeof *steering) };

static int find_verb(const char *verb)
{
    for (int i = 0; i < STEERING_COUNT; i++)
        if (strcmp(steering[i].verb, verb) == 0) return i;
    return -1;
}

static bool may(ClipState from, LedgerEvent event, ClipState *to)
{
    return !failed(ledger_next_clip_state(from, event, to));
}

Status ledger_count_meant(Ledger *l, const LedgerRequest *r, int64_t *meant, int64_t *changed)
{
    Meant m;
    int verb = find_verb(r->verb);
    *meant = *changed = 0;
    TRY(find_meant(l, r, &m));
    Query q = ledger_sql_query(l, "SELECT state, count(*) FROM clips WHERE" MEANT " GROUP BY state", "iit", m.first,
                               m.last, m.filter);
    while (ledger_sql_next(&q)) {
        *meant += ledger_sql_int(&q, 1);
        for (int i = 0; i < CLIP_STATES && verb >= 0; i++) {
            ClipState to;
            bool in_work = (i == CLIP_WAITING || i == CLIP_FINISHING) && steering[verb].event == EV_CANCEL;
            if (strcmp(ledger_sql_text(&q, 0), ledger_clip_state_name((ClipState)i)) == 0 &&
                (in_work || may((ClipState)i, steering[verb].event, &to)))
                *changed += ledger_sql_int(&q, 1);
        }
    }
    return q.status;
}

static void note_moved(Ledger *l, ClipState from, ClipState to, int64_t *changed)
{
    int64_t count = sqlite3_changes64(l->db);
    ledger_state_add_clips(l, from, -count);
    ledger_state_add_clips(l, to, count);
    *changed += count;
}

static Status advance_meant(Ledger *l, const Meant *m, LedgerEvent event, const char *reason, int64_t *changed)
{
    for (int from = 0; from < CLIP_STATES; from++) {
        ClipState to;
        if (!may((ClipState)from, event, &to)) continue;
        TRY(ledger_sql_run(l, "UPDATE clips SET state = ?4, reason = ?6, decided_s = ?7 WHERE state = ?5 AND" MEANT,
                           "iittttd", m->first, m->last, m->filter, ledger_clip_state_name(to),
                           ledger_clip_state_name((ClipState)from), reason, l->now_s));
        note_moved(l, (ClipState)from, to, changed);
    }
    return status_ok();
}

/* What failed together (the clips of one shot, by one cause) is tried again together. */
static Status retry_meant(Ledger *l, const Meant *m, int64_t *changed)
{
    ClipState to;
    TRY(ledger_next_clip_state(CLIP_FAILED, EV_RETRY, &to));
    TRY(ledger_sql_run(l,
                       "UPDATE clips SET state = ?4, reason = NULL, decided_s = NULL WHERE state = 'failed' AND"
                       " shot IN (SELECT shot FROM clips WHERE state = 'failed' AND" MEANT ")",
                       "iitt", m->first, m->last, m->filter, ledger_clip_state_name(to)));
    note_moved(l, CLIP_FAILED, to, changed);
    return status_ok();
}

static Status note_shots(Ledger *l, ShotState from, ShotState to)
{
    int64_t count = sqlite3_changes64(l->db);
    ledger_state_add_shots(l, from, -count);
    ledger_state_add_shots(l, to, count);
    return status_ok();
}

/* Shots follow their clips: held when none may be made, planned when one may again. A failed shot that is wanted again begins
 * anew: its failures no longer count. Of one clip, only its own shot is looked at. */
static Status follow_clips(Ledger *l, const Meant *m)
{
    static const ShotState back[] = {SHOT_HELD, SHOT_RENDERED, SHOT_FAILED};
    ShotState to;
    int64_t first = 0, last = INT64_MAX;
    if (m->first == m->last) {
        TRY(ledger_sql_number(l, &first, "SELECT ifnull(shot, -1) FROM clips WHERE clip = ?1", "i", m->first));
        last = first;
    }
    TRY(ledger_next_shot_state(SHOT_PLANNED, EV_HOLD, &to));
    TRY(ledger_sql_run(l,
                       "UPDATE shots SET state = ?1 WHERE state = 'planned' AND shot BETWEEN ?2 AND ?3 AND NOT EXISTS("
                       "SELECT 1 FROM clips WHERE clips.shot = shots.shot AND clips.state = 'planned')",
                       "tii", ledger_shot_state_name(to), first, last));
    TRY(note_shots(l, SHOT_PLANNED, to));
    for (size_t i = 0; i < sizeof back / sizeof *back; i++) {
        TRY(ledger_next_shot_state(back[i], EV_RELEASE, &to));
        TRY(ledger_sql_run(l,
                           "UPDATE shots SET state = ?1, retried = retried + (?2 = 'failed'), reason = NULL"
                           " WHERE state = ?2 AND shot BETWEEN ?3 AND ?4 AND EXISTS("
                           "SELECT 1 FROM clips WHERE clips.shot = shots.shot AND clips.state = 'planned')",
                           "ttii", ledger_shot_state_name(to), ledger_shot_state_name(back[i]), first, last));
        TRY(note_shots(l, back[i], to));
    }
    return status_ok();
}

static Status steer_clips(Ledger *l, const LedgerRequest *r, LedgerEvent event, int64_t *changed)
{
    Meant m;
    TRY(find_meant(l, r, &m));
    if (event == EV_RETRY)
        TRY(retry_meant(l, &m, changed));
    else
        TRY(advance_meant(l, &m, event,
                          event == EV_CANCEL  ? "cancelled"
                          : event == EV_PAUSE ? "paused"
                                              : NULL,
                          changed));
    return *changed ? follow_clips(l, &m) : status_ok();
}

Status ledger_request_leases(Ledger *l, const LedgerRequest *r, int64_t **lease, int64_t *count)
{
    Meant m;
    int64_t room = 0;
    *lease = NULL;
    *count = 0;
    if (strcmp(r->verb, "cancel") != 0 || is_for_campaign(r)) return status_ok();
    TRY(find_meant(l, r, &m));
    TRY(ledger_sql_number(l, &room, "SELECT count(*) FROM leases WHERE outcome = 'running'", ""));
    *lease = memory_get((size_t)room + 1, sizeof **lease);
    Query q = ledger_sql_query(l, "SELECT DISTINCT lease FROM clips WHERE state IN ('waiting', 'finishing') AND" MEANT,
                               "iit", m.first, m.last, m.filter);
    while (*count < room && ledger_sql_next(&q)) (*lease)[(*count)++] = ledger_sql_int(&q, 0);
    ledger_sql_end(&q);
    return q.status;
}

/* ---- requests ---- */

Status ledger_request(Ledger *l, const LedgerRequest *r, double now_s)
{
    return ledger_sql_run(l, "INSERT INTO requests(verb, clip_id, filter, number, asked_s) VALUES(?1, ?2, ?3, ?4, ?5)",
                          "tttid", r->verb, r->clip_id ? r->clip_id : "", r->filter ? r->filter : "", r->number, now_s);
}

Status ledger_next_request(Ledger *l, LedgerRequest *r)
{
    memset(r, 0, sizeof *r);
    Query q = ledger_sql_query(
        l, "SELECT id, verb, clip_id, filter, number FROM requests WHERE taken_s IS NULL ORDER BY id LIMIT 1", "");
    if (ledger_sql_next(&q)) {
        r->id = ledger_sql_int(&q, 0);
        r->verb = text_copy(ledger_sql_text(&q, 1));
        r->clip_id = text_copy(ledger_sql_text(&q, 2));
        r->filter = text_copy(ledger_sql_text(&q, 3));
        r->number = ledger_sql_int(&q, 4);
    }
    ledger_sql_end(&q);
    return q.status;
}

void ledger_request_clear(LedgerRequest *r)
{
    free(r->verb);
    free(r->clip_id);
    free(r->filter);
    memset(r, 0, sizeof *r);
}

/* An approval opens the gate, and takes back what a rejection did, which is to close the gate and the campaign. Neither means
 * anything where there is no pilot. */
static Status decide_pilot(Ledger *l, bool approved, int64_t *changed)
{
    PilotState to = approved ? PILOT_APPROVED : PILOT_REJECTED;
    TRY(ledger_sql_run(l,
                       "UPDATE campaign SET pilot = ?1, control = CASE WHEN NOT ?2 THEN ?3"
                       "  WHEN pilot = 'rejected' THEN ?4 ELSE control END WHERE pilot <> 'none'",
                       "tiii", ledger_pilot_state_name(to), (int64_t)approved, (int64_t)CONTROL_CANCELLED,
                       (int64_t)CONTROL_NONE));
    *changed += sqlite3_changes64(l->db);
    return ledger_look_at_pilot(l);
}

Status ledger_apply_request(Ledger *l, const LedgerRequest *r, int64_t *changed)
{
    int verb = find_verb(r->verb);
    *changed = 0;
    l->changes |= 1u << CHANGE_REQUEST;
    TRY(ledger_sql_run(l, "UPDATE requests SET taken_s = ?1 WHERE id = ?2", "di", l->now_s, r->id));
    if (strcmp(r->verb, "priority") == 0) return ledger_sql_run(l, "UPDATE campaign SET priority = ?1", "i", r->number);
    if (strcmp(r->verb, "approve") == 0 || strcmp(r->verb, "reject") == 0)
        return decide_pilot(l, strcmp(r->verb, "approve") == 0, changed);
    if (verb < 0) return status_ok(); /* of a later version */
    if (is_for_campaign(r) && steering[verb].event != EV_RETRY)
        return ledger_sql_run(l, "UPDATE campaign SET control = ?1", "i", (int64_t)steering[verb].control);
    return steer_clips(l, r, steering[verb].event, changed);
}

/* ---- what holds work back ---- */

Status ledger_get_control(Ledger *l, ControlState *s)
{
    int64_t n;
    TRY(ledger_sql_number(l, &n, "SELECT control FROM campaign", ""));
    *s = n == CONTROL_PAUSED || n == CONTROL_CANCELLED ? (ControlState)n : CONTROL_NONE;
    return status_ok();
}

Status ledger_look_at_pilot(Ledger *l)
{
    return ledger_sql_number(l, &l->clips_open,
                             "SELECT CASE WHEN pilot IN ('open', 'rejected') THEN pilot_end"
                             " ELSE 9223372036854775807 END FROM campaign",
                             "");
}

Status ledger_get_hold(Ledger *l, Hold *h)
{
    int64_t planned, paused;
    *h = HOLD_NONE;
    TRY(ledger_state_count_clips(l, CLIP_PLANNED, &planned));
    TRY(ledger_state_count_clips(l, CLIP_PAUSED, &paused));
    if (planned > 0 && l->clips_open < INT64_MAX)
        *h = HOLD_PILOT;
    else if (paused > 0)
        *h = HOLD_PAUSED;
    return status_ok();
}

Status ledger_read_settings(Ledger *l, Settings *out)
{
    memset(out, 0, sizeof *out);
    Query q = ledger_sql_query(l, "SELECT settings, priority FROM campaign", "");
    if (!ledger_sql_next(&q)) return failed(q.status) ? q.status : status_fail(ERR_INPUT, "%s: no campaign", l->file);
    Status status = settings_from_json(ledger_sql_text(&q, 0), out);
    out->priority = (int)ledger_sql_int(&q, 1);
    ledger_sql_end(&q);
    return status_at(status, "%s", l->file);
}

Status ledger_count_failed(Ledger *l, int64_t *clips) { return ledger_state_count_clips(l, CLIP_FAILED, clips); }

static void put_reason(FILE *f, const char *separator, const Query *q)
{
    const char *ids = ledger_sql_text(q, 1);
    int64_t count = ledger_sql_int(q, 2);
    fprintf(f, "%s%s", separator, ids);
    if (count > NAMED) fprintf(f, " and %lld more", (long long)(count - NAMED));
    fprintf(f, ": %.200s", ledger_sql_text(q, 0));
}

Status ledger_describe_failures(Ledger *l, int most, char **text)
{
    size_t bytes;
    FILE *f = open_memstream(text, &bytes);
    if (!f) abort();
    Query q = ledger_sql_query(
        l,
        "SELECT ifnull(r, ''), (SELECT group_concat(clip_id, ', ') FROM (SELECT clip_id FROM"
        "  clips INDEXED BY clips_failed WHERE state = 'failed' AND reason IS r ORDER BY clip LIMIT ?2)), n FROM"
        " (SELECT reason AS r, count(*) AS n FROM clips WHERE state = 'failed' GROUP BY reason"
        "  ORDER BY n DESC, min(clip) LIMIT ?1)",
        "ii", (int64_t)most, (int64_t)NAMED);
    for (const char *separator = ""; ledger_sql_next(&q); separator = "; ") put_reason(f, separator, &q);
    fclose(f);
    return q.status;
}

Status ledger_name_clips(Ledger *l, int64_t shot, int64_t *count, char **ids)
{
    Query q = ledger_sql_query(l,
                               "SELECT count(*), (SELECT group_concat(clip_id, ', ') FROM (SELECT clip_id FROM clips"
                               " WHERE shot = ?1 ORDER BY clip LIMIT ?2)) FROM clips WHERE shot = ?1",
                               "ii", shot, (int64_t)NAMED);
    bool there = ledger_sql_next(&q);
    *count = there ? ledger_sql_int(&q, 0) : 0;
    *ids = text_copy(there ? ledger_sql_text(&q, 1) : "");
    ledger_sql_end(&q);
    return q.status;
}
