#include "steer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/provoke.h"
#include "coordinator/ledger/counts.h"
#include "coordinator/ledger/reseed.h"
#include "coordinator/ledger/review.h"
#include "coordinator/ledger/running.h"
#include "coordinator/ledger/select.h"

enum { NAMED = 3 }; /* clips of each reason, in a message */

static bool is_for_campaign(const LedgerRequest *r)
{
    return (!r->clip_id || !*r->clip_id) && (!r->filter || !*r->filter);
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

typedef struct {
    bool moves[CLIP_STATES]; /* whether the verb's event moves a clip of that state */
    int64_t meant, changed;
    SelectedClips clips; /* those that it moves */
} SteeredClips;

static SteeredClips move_by(LedgerEvent event)
{
    SteeredClips m = {0};
    ClipState to;
    for (int i = 0; i < CLIP_STATES; i++) m.moves[i] = !failed(ledger_next_clip_state((ClipState)i, event, &to));
    return m;
}

static void count_one(void *self, const SelectedClip *c)
{
    SteeredClips *m = self;
    m->meant++;
    m->changed += m->moves[c->state];
}

static void collect_one(void *self, const SelectedClip *c)
{
    SteeredClips *m = self;
    if (m->moves[c->state]) ledger_select_add(&m->clips, c);
}

Status ledger_count_selected(Ledger *l, const LedgerRequest *r, int64_t *meant, int64_t *changed)
{
    int verb = find_verb(r->verb);
    SteeredClips m = {0};
    if (verb >= 0) m = move_by(steering[verb].event);
    if (strcmp(r->verb, "reseed") == 0) m = move_by(EV_CHANGE);
    if (ledger_review_is_verb(r->verb)) m = move_by(ledger_review_event_of(r->verb));
    if (verb >= 0 && steering[verb].event == EV_CANCEL) /* the coordinator ends its lease first */
        m.moves[CLIP_FINISHING] = true;
    Status status = ledger_select_read(l, r, SELECT_FROM_ALL, (SelectSink){count_one, &m});
    *meant = m.meant;
    *changed = m.changed;
    return status;
}

static Status move_clip(Ledger *l, const SelectedClip *c, LedgerEvent event)
{
    const char *to = NULL, *reason = event == EV_CANCEL ? "cancelled" : event == EV_PAUSE ? "paused" : NULL;
    TRY(ledger_state_of_clip(l, c->state, event, &to));
    /* pausing decides nothing about the clip, so an earlier request can still be taken back */
    if (event == EV_PAUSE || event == EV_RESUME)
        TRY(ledger_sql_run(l,
                           "UPDATE replaced SET asked_s = ?1 WHERE clip = ?2 AND asked_s = (SELECT decided_s FROM"
                           " clips WHERE clip = ?2)",
                           "di", l->now_s, c->clip));
    return ledger_sql_run(l,
                          "UPDATE clips SET retried = retried + (state = 'failed'), state = ?1, reason = ?2,"
                          " decided_s = ?3 WHERE clip = ?4",
                          "ttdi", to, reason, l->now_s, c->clip);
}

/* Clips that failed with their shot are tried again together; a clip that failed at its own finish is tried again alone. */
static Status retry_shot(Ledger *l, int64_t shot, int64_t *changed)
{
    ClipState to;
    TRY(ledger_next_clip_state(CLIP_FAILED, EV_RETRY, &to));
    TRY(ledger_sql_run(
        l,
        "UPDATE clips SET state = ?1, reason = NULL, decided_s = NULL WHERE shot = ?2 AND +state = 'failed'"
        " AND NOT EXISTS(SELECT 1 FROM leases f WHERE f.clip = clips.clip AND f.outcome IN ('failed',"
        " 'lost') AND f.retry = clips.retried)",
        "ti", ledger_clip_state_name(to), shot));
    const int64_t moved = sqlite3_changes64(l->db);
    ledger_state_add_clips(l, CLIP_FAILED, -moved);
    ledger_state_add_clips(l, to, moved);
    l->changes |= 1u << EV_RETRY;
    *changed += moved;
    return status_ok();
}

static Status is_wanted(Ledger *l, int64_t shot, bool *wanted)
{
    int64_t n;
    TRY(ledger_sql_number(
        l, &n, "SELECT EXISTS(SELECT 1 FROM clips WHERE clips.shot = ?1 AND +clips.state = 'planned')", "i", shot));
    *wanted = n != 0;
    return status_ok();
}

/* A shot with a master: its clips that may be finished wait for a finisher. When no clip wants it any more, the master is deleted. */
static Status follow_mastered(Ledger *l, int64_t shot)
{
    int64_t open;
    TRY(ledger_state_move_clips(l, shot, CLIP_PLANNED, EV_MASTERED, l->pilot_only, NULL));
    TRY(ledger_sql_number(
        l, &open, "SELECT count(*) FROM clips WHERE shot = ?1 AND +state IN ('planned', 'waiting', 'finishing')", "i",
        shot));
    return open > 0 ? status_ok() : ledger_state_move_shot(l, shot, EV_LAST);
}

Status ledger_follow_clips(Ledger *l, int64_t shot)
{
    const char *to = NULL;
    ShotState is = SHOT_PLANNED;
    bool wanted = false;
    TRY(ledger_state_read_shot(l, shot, &is));
    if (is == SHOT_LEASED) return status_ok(); /* if nobody wants it, ledger_unwanted_leases finds its lease */
    if (is == SHOT_MASTERED) return follow_mastered(l, shot);
    TRY(is_wanted(l, shot, &wanted));
    if (wanted == (is == SHOT_PLANNED) || (!wanted && is != SHOT_PLANNED)) return status_ok();
    TRY(ledger_state_of_shot(l, is, wanted ? EV_RELEASE : EV_HOLD, &to));
    return ledger_sql_run(l,
                          "UPDATE shots SET retried = retried + (state = 'failed'), state = ?1, reason = NULL"
                          " WHERE shot = ?2",
                          "ti", to, shot);
}

static int in_order_of_shots(const void *a, const void *b)
{
    const SelectedClip *x = a, *y = b;
    return (x->shot > y->shot) - (x->shot < y->shot);
}

/* Each shot of the clips, once; they are sorted by it. */
static Status for_each_shot(Ledger *l, SelectedClips *clips, LedgerEvent event, int64_t *changed)
{
    Status status = status_ok();
    qsort(clips->clip, (size_t)clips->count, sizeof *clips->clip, in_order_of_shots);
    for (int64_t i = 0; i < clips->count && !failed(status); i++) {
        const int64_t shot = clips->clip[i].shot;
        bool by_shot = clips->clip[i].by_shot;
        if (i > 0 && clips->clip[i - 1].shot == shot) continue;
        for (int64_t k = i + 1; k < clips->count && clips->clip[k].shot == shot; k++)
            by_shot = by_shot || clips->clip[k].by_shot;
        if (event == EV_RETRY && by_shot) status = retry_shot(l, shot, changed);
        if (!failed(status)) status = ledger_follow_clips(l, shot);
    }
    return status;
}

static Status steer_clips(Ledger *l, const LedgerRequest *r, LedgerEvent event, int64_t *changed)
{
    SteeredClips m = move_by(event);
    Status status = ledger_select_read(l, r, event == EV_RETRY ? SELECT_FROM_FAILED : SELECT_FROM_ALL,
                                       (SelectSink){collect_one, &m});
    for (int64_t i = 0; i < m.clips.count && !failed(status); i++, ++*changed)
        status = move_clip(l, &m.clips.clip[i], event);
    if (!failed(status)) status = for_each_shot(l, &m.clips, event, changed);
    if (!failed(status)) status = ledger_masters_read(l);
    free(m.clips.clip);
    return status;
}

static void collect_lease(void *self, const SelectedClip *c) { ledger_select_add(self, c); }

Status ledger_request_leases(Ledger *l, const LedgerRequest *r, int64_t **lease, int64_t *count)
{
    SelectedClips found = {0};
    *lease = NULL;
    *count = 0;
    if (strcmp(r->verb, "cancel") != 0 || is_for_campaign(r)) return status_ok();
    Status status = ledger_select_read(l, r, SELECT_FROM_RUNNING, (SelectSink){collect_lease, &found});
    *lease = memory_get((size_t)found.count + 1, sizeof **lease);
    for (int64_t i = 0; i < found.count; i++) (*lease)[(*count)++] = found.clip[i].lease;
    free(found.clip);
    return status;
}

Status ledger_unwanted_leases(Ledger *l, int64_t **lease, int64_t *count)
{
    Status status = status_ok();
    *lease = memory_get((size_t)l->running_count + 1, sizeof **lease);
    *count = 0;
    for (int i = 0; i < l->running_count && !failed(status); i++) {
        bool wanted = true;
        if (l->running[i]->kind == LEASE_RENDER) status = is_wanted(l, l->running[i]->shot, &wanted);
        if (!wanted) (*lease)[(*count)++] = l->running[i]->lease;
    }
    return status;
}

/* ---- requests ---- */

static const char *const outcome_name[OUTCOMES] = {
    [OUTCOME_DONE] = "done", [OUTCOME_NOTED] = "noted", [OUTCOME_OTHER] = "other", [OUTCOME_NOTHING] = "nothing"};

static Status insert_request(Ledger *l, const LedgerRequest *r, double now_s)
{
    return ledger_sql_run(l,
                          "INSERT INTO requests(verb, clip_id, filter, number, asked_s, reviewer, reason, seen)"
                          " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                          "tttidttt", r->verb, r->clip_id ? r->clip_id : "", r->filter ? r->filter : "", r->number,
                          now_s, r->reviewer ? r->reviewer : "", r->reason ? r->reason : "", r->seen ? r->seen : "");
}

Status ledger_request_all(Ledger *l, const LedgerRequest *r, int64_t count, double now_s, int64_t *first)
{
    TRY(provoke_at("before", "ask", 0));
    TRY(ledger_db_begin(l, now_s));
    Status status = status_ok();
    for (int64_t i = 0; i < count && !failed(status); i++) status = insert_request(l, &r[i], now_s);
    *first = sqlite3_last_insert_rowid(l->db) - count + 1;
    if (!failed(status)) status = ledger_commit(l);
    if (failed(status)) return ledger_rollback(l), status;
    return provoke_at("after", "ask", 0);
}

Status ledger_request(Ledger *l, const LedgerRequest *r, double now_s)
{
    int64_t id;
    return ledger_request_all(l, r, 1, now_s, &id);
}

Status ledger_read_answers(Ledger *l, int64_t first, int64_t count, RequestAnswer *out)
{
    memset(out, 0, (size_t)count * sizeof *out);
    Query q = ledger_sql_query(l,
                               "SELECT id, ifnull(outcome, ''), ifnull(changed, 0) FROM requests WHERE id BETWEEN ?1"
                               " AND ?2 AND taken_s IS NOT NULL",
                               "ii", first, first + count - 1);
    while (ledger_sql_next(&q)) {
        RequestAnswer *a = &out[ledger_sql_int(&q, 0) - first];
        a->changed = ledger_sql_int(&q, 2);
        a->outcome = a->changed ? OUTCOME_DONE : OUTCOME_NOTHING;
        for (int i = OUTCOME_DONE; i < OUTCOMES; i++)
            if (strcmp(ledger_sql_text(&q, 1), outcome_name[i]) == 0) a->outcome = (RequestOutcome)i;
    }
    return q.status;
}

Status ledger_note_answer(Ledger *l, int64_t id, const RequestAnswer *a)
{
    return ledger_sql_run(l, "UPDATE requests SET outcome = ?1, changed = ?2 WHERE id = ?3", "tii",
                          outcome_name[a->outcome], a->changed, id);
}

Status ledger_next_request(Ledger *l, LedgerRequest *r)
{
    memset(r, 0, sizeof *r);
    Query q = ledger_sql_query(l,
                               "SELECT id, verb, clip_id, filter, number, reviewer, reason, seen FROM requests WHERE"
                               " taken_s IS NULL ORDER BY id LIMIT 1",
                               "");
    if (ledger_sql_next(&q)) {
        r->id = ledger_sql_int(&q, 0);
        r->verb = text_copy(ledger_sql_text(&q, 1));
        r->clip_id = text_copy(ledger_sql_text(&q, 2));
        r->filter = text_copy(ledger_sql_text(&q, 3));
        r->number = ledger_sql_int(&q, 4);
        r->reviewer = text_copy(ledger_sql_text(&q, 5));
        r->reason = text_copy(ledger_sql_text(&q, 6));
        r->seen = text_copy(ledger_sql_text(&q, 7));
    }
    ledger_sql_end(&q);
    return q.status;
}

void ledger_request_clear(LedgerRequest *r)
{
    free(r->verb);
    free(r->clip_id);
    free(r->filter);
    free(r->reviewer);
    free(r->reason);
    free(r->seen);
    memset(r, 0, sizeof *r);
}

/* An approval lets the rest of the campaign be made, also after a rejection. A rejection cancels the campaign. Without a pilot both do
 * nothing. */
static Status decide_pilot(Ledger *l, bool approved, int64_t *changed)
{
    PilotState to = approved ? PILOT_APPROVED : PILOT_REJECTED;
    TRY(ledger_sql_run(l,
                       "UPDATE campaign SET pilot = ?1, control = CASE WHEN NOT ?2 THEN ?3"
                       "  WHEN pilot = 'rejected' THEN ?4 ELSE control END WHERE pilot <> 'none'",
                       "tiii", ledger_pilot_state_name(to), (int64_t)approved, (int64_t)CONTROL_CANCELLED,
                       (int64_t)CONTROL_NONE));
    *changed += sqlite3_changes64(l->db);
    TRY(ledger_look_at_pilot(l));
    TRY(ledger_masters_read(l));
    for (int i = 0; i < l->master_count; i++) /* clips that waited for this word can be finished at once */
        TRY(follow_mastered(l, l->master[i].shot));
    return ledger_masters_read(l);
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
    if (strcmp(r->verb, "reseed") == 0) return ledger_reseed(l, r->clip_id, r->number, changed);
    if (ledger_review_is_verb(r->verb)) return ledger_review_apply(l, r, changed);
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
    return ledger_sql_number(l, &l->pilot_only, "SELECT pilot IN ('open', 'rejected') FROM campaign", "");
}

Status ledger_get_hold(Ledger *l, Hold *h)
{
    int64_t planned, paused;
    *h = HOLD_NONE;
    TRY(ledger_state_count_clips(l, CLIP_PLANNED, &planned));
    TRY(ledger_state_count_clips(l, CLIP_PAUSED, &paused));
    if (planned > 0 && l->pilot_only)
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
