#include "review.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/campaign/person.h"
#include "coordinator/ledger/counts.h"
#include "coordinator/ledger/lot.h"
#include "coordinator/ledger/reseed.h"
#include "coordinator/ledger/running.h"
#include "coordinator/ledger/select.h"

/* ---- who is asked about what --------------------------------------------------------------------------------------------- */

static bool is_wanted(const Ledger *l, const char *clip_id)
{
    if (l->review.asked.policy != REVIEW_SAMPLE) return l->review.asked.policy == REVIEW_ALL;
    return l->review.refused || ledger_lot_number(clip_id) < l->review.sample;
}

typedef struct {
    int64_t *clip, count, room;
} ClipNumbers;

static void add_number(ClipNumbers *list, int64_t clip)
{
    if (list->count == list->room) {
        list->room = 2 * list->room + 64;
        list->clip = memory_resize(list->clip, (size_t)list->room, sizeof *list->clip);
    }
    list->clip[list->count++] = clip;
}

/* Moves all clips of the list, and frees the list. */
static Status move_all(Ledger *l, Status status, ClipNumbers *list, LedgerEvent event, int64_t *changed)
{
    for (int64_t i = 0; i < list->count && !failed(status); i++, ++*changed)
        status = ledger_state_move_clip(l, list->clip[i], event);
    free(list->clip);
    return status;
}

/* Brings into review the clips that were approved unseen and that the policy wants seen now. */
static Status show_unseen(Ledger *l, int64_t *changed)
{
    ClipNumbers list = {0};
    if (l->review.asked.policy == REVIEW_NONE) return status_ok();
    Query q = ledger_sql_query(l,
                               "SELECT clip, clip_id FROM clips WHERE state = 'approved' AND NOT EXISTS(SELECT 1 FROM"
                               " decisions d WHERE d.clip = clips.clip AND d.verb = 'approve')",
                               "");
    while (ledger_sql_next(&q))
        if (is_wanted(l, ledger_sql_text(&q, 1))) add_number(&list, ledger_sql_int(&q, 0));
    return move_all(l, q.status, &list, EV_SHOW, changed);
}

/* The lot is not rejected any more: clips outside the sample that nobody has decided about are approved again. */
static Status hide_unseen(Ledger *l, int64_t *changed)
{
    ClipNumbers list = {0};
    Query q = ledger_sql_query(l,
                               "SELECT clip, clip_id FROM clips WHERE state = 'in review' AND NOT EXISTS(SELECT 1 FROM"
                               " decisions d WHERE d.clip = clips.clip AND d.reviewer <> '')",
                               "");
    while (ledger_sql_next(&q))
        if (!is_wanted(l, ledger_sql_text(&q, 1))) add_number(&list, ledger_sql_int(&q, 0));
    return move_all(l, q.status, &list, EV_APPROVE, changed);
}

Status ledger_review_read(Ledger *l)
{
    Settings s;
    ReviewLot lot;
    int64_t shown = 0;
    TRY(ledger_read_settings(l, &s));
    l->review.asked = s.review;
    l->review.asked.series = NULL; /* the settings own that text and are cleared below */
    Status status = ledger_lot_read(l, &s.review, &lot, &l->review.sample);
    settings_clear(&s);
    TRY(status);
    l->review.accept = lot.plan.accept;
    l->review.refused = lot.verdict == LOT_REJECTED;
    return show_unseen(l, &shown);
}

/* Counts the bad clips of the sample after a decision, and brings all clips into review or back when the verdict has changed. */
static Status judge_lot(Ledger *l, int64_t *changed)
{
    int64_t bad;
    if (l->review.asked.policy != REVIEW_SAMPLE) return status_ok();
    TRY(ledger_lot_count_bad(l, l->review.sample, &bad));
    const bool refused = bad > l->review.accept;
    if (refused == l->review.refused) return status_ok();
    l->review.refused = refused;
    return refused ? show_unseen(l, changed) : hide_unseen(l, changed);
}

/* "held by flicker, jump", and of a code in which file; NULL: no gate holds the clip. free() it. */
static char *held_by(const char *result)
{
    json_t *document = result ? json_loads(result, 0, NULL) : NULL, *one;
    const json_t *list = json_object_get(document, "held_by");
    const char *unread = json_string_value(json_object_get(document, "unread"));
    char *text = NULL;
    size_t i;
    json_array_foreach(list, i, one)
    {
        char *longer = text_format("%s%s%s", text ? text : "held by ", text ? ", " : "",
                                   json_is_string(one) ? json_string_value(one) : "?");
        free(text);
        text = longer;
    }
    if (text && unread) {
        char *longer = text_format("%s (%s)", text, unread);
        free(text);
        text = longer;
    }
    json_decref(document);
    return text;
}

LedgerEvent ledger_review_event(Ledger *l, const ClipResult *c, char **reason)
{
    *reason = held_by(c->document);
    if (*reason) return EV_WITHHOLD;
    return is_wanted(l, c->clip_id) ? EV_SHOW : EV_DONE;
}

/* ---- decisions -------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *verb, *word;
    LedgerEvent event;
} verbs[] = {{"review approve", "approve", EV_APPROVE},
             {"review reject", "reject", EV_REJECT},
             {"review reopen", "reopen", EV_SHOW},
             {"review rerender", "rerender", EV_RERENDER}};
enum { VERBS = (int)(sizeof verbs / sizeof *verbs) };

static int find_verb(const char *verb)
{
    for (int i = 0; i < VERBS; i++)
        if (strcmp(verbs[i].verb, verb) == 0) return i;
    return -1;
}

bool ledger_review_is_verb(const char *verb) { return find_verb(verb) >= 0; }
LedgerEvent ledger_review_event_of(const char *verb) { return verbs[find_verb(verb)].event; }

static Status note_decision(Ledger *l, int64_t clip, const char *word, const LedgerRequest *r)
{
    return ledger_sql_run(l,
                          "INSERT INTO decisions(clip, verb, reviewer, reason, sha256, decided_s)"
                          " SELECT clip, ?2, ?3, ?4, ifnull(sha256, ''), ?5 FROM clips WHERE clip = ?1",
                          "itttd", clip, word, r->reviewer ? r->reviewer : "", r->reason ? r->reason : "", l->now_s);
}

/* Who approved the clip's present file since the last other decision about it. */
#define STANDING_APPROVALS                                                                                             \
    " FROM decisions d JOIN clips c ON c.clip = d.clip WHERE d.clip = ?1 AND d.verb = 'approve' AND d.sha256 ="        \
    " c.sha256 AND d.id > ifnull((SELECT max(id) FROM decisions WHERE clip = ?1 AND verb <> 'approve'), 0)"

/* Under four eyes: the same person's second approval of the same file is not written again. */
static Status may_approve(Ledger *l, int64_t clip, const LedgerRequest *r, bool *moves, bool *notes)
{
    bool own = false;
    *moves = *notes = true;
    if (!l->review.asked.four_eyes) return status_ok();
    *moves = false;
    Query q = ledger_sql_query(l, "SELECT d.reviewer" STANDING_APPROVALS, "i", clip);
    while (ledger_sql_next(&q)) {
        const bool same = person_is_same(ledger_sql_text(&q, 0), r->reviewer ? r->reviewer : "");
        own = own || same;
        *moves = *moves || !same;
    }
    *notes = *moves || !own;
    return q.status;
}

static bool is_open(ClipState state) { return state == CLIP_HELD || state == CLIP_REVIEW; }
static bool is_unmade(ClipState state) { return state == CLIP_PLANNED || state == CLIP_PAUSED; }

/* The clip is open, and an approval of it is noted; or it is to be rendered again, which has not begun. */
static Status may_take_back(Ledger *l, int64_t clip, bool *yes)
{
    int64_t approvals;
    TRY(ledger_may_undo_rerender(l, clip, yes));
    if (*yes) return status_ok();
    TRY(ledger_sql_number(l, &approvals, "SELECT count(*)" STANDING_APPROVALS " AND c.state IN ('held', 'in review')",
                          "i", clip));
    *yes = approvals > 0;
    return status_ok();
}

Status ledger_may_take_back(Ledger *l, const char *clip_id, bool *yes)
{
    int64_t clip;
    TRY(ledger_sql_number(l, &clip, "SELECT ifnull((SELECT clip FROM clips WHERE clip_id = ?1), -1)", "t", clip_id));
    return may_take_back(l, clip, yes);
}

/* A reopened clip is held again if a gate holds it. */
static Status find_reopen(Ledger *l, int64_t clip, LedgerEvent *event, char **reason)
{
    char *result = NULL;
    TRY(ledger_db_read_text(ledger_sql_query(l, "SELECT result FROM clips WHERE clip = ?1", "i", clip), "", &result));
    *reason = held_by(result);
    *event = *reason ? EV_WITHHOLD : EV_SHOW;
    free(result);
    return status_ok();
}

static Status move(Ledger *l, const SelectedClip *c, LedgerEvent event, const LedgerRequest *r)
{
    const char *to = NULL, *reason = event == EV_REJECT && r->reason && *r->reason ? r->reason : NULL;
    char *held = NULL;
    if (event == EV_SHOW) TRY(find_reopen(l, c->clip, &event, &held));
    Status status = ledger_state_of_clip(l, c->state, event, &to);
    if (!failed(status))
        status =
            ledger_sql_run(l, "UPDATE clips SET state = ?1, reason = ?2, reviewer = ?3, decided_s = ?4 WHERE clip = ?5",
                           "tttdi", to, held ? held : reason, r->reviewer ? r->reviewer : "", l->now_s, c->clip);
    free(held);
    return status;
}

static Status rerender(Ledger *l, const SelectedClip *c, const LedgerRequest *r)
{
    int64_t changed;
    TRY(ledger_rerender(l, c->clip, &changed));
    return ledger_sql_run(l, "UPDATE clips SET reason = nullif(?1, ''), reviewer = ?2, decided_s = ?3 WHERE clip = ?4",
                          "ttdi", r->reason ? r->reason : "", r->reviewer ? r->reviewer : "", l->now_s, c->clip);
}

static Status decide(Ledger *l, SelectedClip *c, int verb, const LedgerRequest *r, RequestAnswer *a)
{
    bool moves = true, notes = true;
    if (verbs[verb].event == EV_SHOW && is_unmade(c->state)) {
        TRY(ledger_undo_rerender(l, c->clip));
        c->state = CLIP_REJECTED;
    }
    if (verbs[verb].event == EV_APPROVE) TRY(may_approve(l, c->clip, r, &moves, &notes));
    if (notes) TRY(note_decision(l, c->clip, verbs[verb].word, r));
    if (!moves) { /* four eyes: a second person must approve it */
        a->outcome = OUTCOME_NOTED;
        return status_ok();
    }
    if (verbs[verb].event == EV_SHOW && is_open(c->state)) { /* the noted approval is dropped; the clip stays open */
        a->outcome = OUTCOME_DONE;
        return status_ok();
    }
    a->changed++;
    return verbs[verb].event == EV_RERENDER ? rerender(l, c, r) : move(l, c, verbs[verb].event, r);
}

typedef struct {
    Ledger *ledger;
    LedgerEvent event;
    SelectedClips clips;
    Status status;
} Movable;

static void collect(void *self, const SelectedClip *c)
{
    Movable *m = self;
    ClipState to;
    bool moves = !failed(ledger_next_clip_state(c->state, m->event, &to));
    if (!moves && m->event == EV_SHOW && (is_open(c->state) || is_unmade(c->state)) && !failed(m->status))
        m->status = may_take_back(m->ledger, c->clip, &moves);
    if (moves) ledger_select_add(&m->clips, c);
}

/* Whether the file of this clip is still the one that the reviewer saw. */
static Status is_as_seen(Ledger *l, const LedgerRequest *r, bool *yes)
{
    int64_t same;
    *yes = true;
    if (!r->seen || !*r->seen) return status_ok();
    TRY(ledger_sql_number(l, &same,
                          "SELECT count(*) FROM clips WHERE clip_id = ?1 AND state || ' ' || substr(ifnull(sha256,"
                          " ''), 1, 16) = ?2",
                          "tt", r->clip_id, r->seen));
    *yes = same > 0;
    return status_ok();
}

static Status decide_all(Ledger *l, const LedgerRequest *r, RequestAnswer *a)
{
    const int verb = find_verb(r->verb);
    Movable m = {.ledger = l, .event = verbs[verb].event, .status = status_ok()};
    Status status = ledger_select_read(l, r, SELECT_FROM_ALL, (SelectSink){collect, &m});
    if (!failed(status)) status = m.status;
    for (int64_t i = 0; i < m.clips.count && !failed(status); i++) status = decide(l, &m.clips.clip[i], verb, r, a);
    if (!failed(status) && m.clips.count) status = judge_lot(l, &a->changed);
    if (!failed(status) && a->changed && (verbs[verb].event == EV_RERENDER || verbs[verb].event == EV_SHOW))
        status = ledger_masters_read(l);
    free(m.clips.clip);
    return status;
}

Status ledger_review_apply(Ledger *l, const LedgerRequest *r, int64_t *changed)
{
    RequestAnswer a = {.outcome = OUTCOME_NOTHING};
    bool same;
    TRY(is_as_seen(l, r, &same));
    if (same) TRY(decide_all(l, r, &a));
    if (a.changed) a.outcome = OUTCOME_DONE;
    if (!same) a.outcome = OUTCOME_OTHER;
    *changed = a.changed;
    return ledger_note_answer(l, r->id, &a);
}

/* ---- the record ----------------------------------------------------------------------------------------------------------- */

Status ledger_find_last_decision(Ledger *l, int64_t *id)
{
    return ledger_sql_number(l, id, "SELECT ifnull(max(id), 0) FROM decisions", "");
}

static Status read_decisions(Query q, DecisionSink sink)
{
    while (ledger_sql_next(&q)) {
        const DecisionRow row = {.id = ledger_sql_int(&q, 0),
                                 .clip_id = ledger_sql_text(&q, 1),
                                 .verb = ledger_sql_text(&q, 2),
                                 .reviewer = ledger_sql_text(&q, 3),
                                 .reason = ledger_sql_text(&q, 4),
                                 .sha256 = ledger_sql_text(&q, 5),
                                 .decided_s = ledger_sql_real(&q, 6),
                                 .customer = ledger_sql_text(&q, 7)};
        Status status = sink.row(sink.self, &row);
        if (failed(status)) return ledger_sql_end(&q), status;
    }
    return q.status;
}

Status ledger_read_decisions(Ledger *l, int64_t after, DecisionSink sink)
{
    return read_decisions(ledger_sql_query(l,
                                           "SELECT d.id, ifnull(c.clip_id, ''), d.verb, d.reviewer, d.reason, d.sha256,"
                                           " d.decided_s, ifnull(c.customer, '[]') FROM decisions d LEFT JOIN clips c"
                                           " USING(clip) WHERE d.id > ?1 ORDER BY d.id",
                                           "i", after),
                          sink);
}

Status ledger_read_decisions_of(Ledger *l, const char *clip_id, DecisionSink sink)
{
    return read_decisions(
        ledger_sql_query(l,
                         "SELECT d.id, c.clip_id, d.verb, d.reviewer, d.reason, d.sha256, d.decided_s,"
                         " c.customer FROM clips c JOIN decisions d USING(clip) WHERE c.clip_id = ?1"
                         " ORDER BY d.id",
                         "t", clip_id),
        sink);
}
