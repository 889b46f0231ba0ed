#include "review.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/ledger/counts.h"
#include "coordinator/ledger/running.h"
#include "coordinator/ledger/select.h"

/* ---- who is asked about what --------------------------------------------------------------------------------------------- */

int64_t ledger_review_sample_size(int64_t clips, double lq)
{
    const int64_t bad = (int64_t)fmax(1, floor((double)clips * lq / 100));
    double none_found = 1;
    int64_t n = 0;
    for (; n < clips && none_found > 0.10; n++) none_found *= (double)(clips - bad - n) / (double)(clips - n);
    return n;
}

static uint64_t number_of(const char *clip_id)
{
    char hash[HASH_TEXT];
    hash_bytes(clip_id, strlen(clip_id), hash);
    hash[15] = 0;
    return strtoull(hash, NULL, 16);
}

static int in_order(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static Status choose_sample(Ledger *l)
{
    int64_t count = 0, room = 0;
    uint64_t *number = NULL;
    Query q = ledger_sql_query(l, "SELECT clip_id FROM clips WHERE state NOT IN ('refused', 'cancelled')", "");
    while (ledger_sql_next(&q)) {
        if (count == room) {
            room = 2 * room + 256;
            number = memory_resize(number, (size_t)room, sizeof *number);
        }
        number[count++] = number_of(ledger_sql_text(&q, 0));
    }
    const int64_t size = ledger_review_sample_size(count, l->review.asked.lq);
    if (count) qsort(number, (size_t)count, sizeof *number, in_order);
    l->review.sample = size < count ? number[size] : UINT64_MAX;
    free(number);
    return q.status;
}

Status ledger_review_read(Ledger *l)
{
    Settings s;
    int64_t rejected;
    TRY(ledger_read_settings(l, &s));
    l->review.asked = s.review;
    settings_clear(&s);
    if (l->review.asked.policy != REVIEW_SAMPLE) return status_ok();
    TRY(ledger_sql_number(l, &rejected, "SELECT EXISTS(SELECT 1 FROM decisions WHERE verb = 'reject')", ""));
    l->review.refused = rejected != 0;
    return choose_sample(l);
}

static char *held_by(const ClipResult *c)
{
    json_t *document = c->document ? json_loads(c->document, 0, NULL) : NULL, *one;
    const json_t *list = json_object_get(document, "held_by");
    char *text = NULL;
    size_t i;
    json_array_foreach(list, i, one)
    {
        char *longer = text_format("%s%s%s", text ? text : "held by ", text ? ", " : "",
                                   json_is_string(one) ? json_string_value(one) : "?");
        free(text);
        text = longer;
    }
    json_decref(document);
    return text;
}

LedgerEvent ledger_review_event(Ledger *l, const ClipResult *c, char **reason)
{
    *reason = held_by(c);
    if (*reason) return EV_WITHHOLD;
    if (l->review.asked.policy == REVIEW_ALL) return EV_SHOW;
    if (l->review.asked.policy == REVIEW_SAMPLE && (l->review.refused || number_of(c->clip_id) < l->review.sample))
        return EV_SHOW;
    return EV_DONE;
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

/* Two people have approved these very bytes, and nobody has rejected them since. */
static Status is_approved(Ledger *l, int64_t clip, bool *yes)
{
    int64_t reviewers;
    *yes = true;
    if (!l->review.asked.four_eyes) return status_ok();
    TRY(ledger_sql_number(l, &reviewers,
                          "SELECT count(DISTINCT d.reviewer) FROM decisions d JOIN clips c ON c.clip = d.clip WHERE "
                          "d.clip = ?1 AND d.verb = 'approve'"
                          " AND d.sha256 = c.sha256 AND d.id > ifnull((SELECT max(id) FROM decisions WHERE clip = ?1 "
                          "AND verb <> 'approve'), 0)",
                          "i", clip));
    *yes = reviewers >= 2;
    return status_ok();
}

static Status move(Ledger *l, const MeantClip *c, LedgerEvent event, const LedgerRequest *r)
{
    const char *to = NULL, *reason = r->reason && *r->reason ? r->reason : NULL;
    TRY(ledger_state_of_clip(l, c->state, event, &to));
    return ledger_sql_run(l, "UPDATE clips SET state = ?1, reason = ?2, reviewer = ?3, decided_s = ?4 WHERE clip = ?5",
                          "tttdi", to, event == EV_APPROVE ? NULL : reason, r->reviewer ? r->reviewer : "", l->now_s,
                          c->clip);
}

/* The same shot with the next seed that no other has. */
static Status make_shot(Ledger *l, int64_t from, int64_t *shot)
{
    char *text = NULL, *spec_text = NULL, *model = NULL, key[HASH_TEXT];
    int64_t known = 1;
    ShotSpec spec = {0};
    TRY(ledger_db_read_text(ledger_sql_query(l, "SELECT spec FROM specs WHERE shot = ?1", "i", from), "", &text));
    Status status = shot_from_json(text, &spec);
    if (!failed(status))
        status = ledger_db_read_text(ledger_sql_query(l, "SELECT model_hash FROM campaign", ""), "", &model);
    while (!failed(status) && known) {
        spec.seed = (spec.seed + 1) & INT64_MAX;
        shot_key(&spec, model, key);
        status = ledger_sql_number(l, &known, "SELECT EXISTS(SELECT 1 FROM specs WHERE key = ?1)", "t", key);
    }
    if (!failed(status)) status = ledger_sql_number(l, shot, "SELECT max(shot) + 1 FROM specs", "");
    if (!failed(status)) {
        spec_text = shot_to_json(&spec);
        status = ledger_sql_run(l, "INSERT INTO specs VALUES(?1, ?2, ?3)", "itt", *shot, key, spec_text);
    }
    if (!failed(status))
        status = ledger_sql_run(l, "INSERT INTO shots(shot, state, clips) VALUES(?1, 'planned', 1)", "i", *shot);
    if (!failed(status)) ledger_state_add_shots(l, SHOT_PLANNED, 1);
    free(spec_text);
    free(model);
    free(text);
    shot_clear(&spec);
    return status;
}

static Status rerender(Ledger *l, const MeantClip *c, const LedgerRequest *r)
{
    int64_t shot;
    TRY(make_shot(l, c->shot, &shot));
    TRY(move(l, c, EV_RERENDER, r));
    return ledger_sql_run(
        l,
        "UPDATE clips SET shot = ?1, file = NULL, thumbnail = NULL, sheet = NULL, sha256 = NULL, result = NULL,"
        " seed = (SELECT CAST(json_extract(spec, '$.seed') AS INTEGER) FROM specs WHERE shot = ?1)"
        " WHERE clip = ?2",
        "ii", shot, c->clip);
}

/* The lot is not accepted: what nobody has looked at is shown. */
static Status recall(Ledger *l, int64_t *changed)
{
    ClipState to;
    if (l->review.asked.policy != REVIEW_SAMPLE) return status_ok();
    l->review.refused = true;
    TRY(ledger_next_clip_state(CLIP_APPROVED, EV_SHOW, &to));
    TRY(ledger_sql_run(l,
                       "UPDATE clips SET state = ?1 WHERE state = 'approved' AND NOT EXISTS(SELECT 1 FROM decisions d "
                       "WHERE d.clip = clips.clip"
                       " AND d.verb = 'approve')",
                       "t", ledger_clip_state_name(to)));
    const int64_t moved = sqlite3_changes64(l->db);
    ledger_state_add_clips(l, CLIP_APPROVED, -moved);
    ledger_state_add_clips(l, to, moved);
    *changed += moved;
    return status_ok();
}

static Status decide(Ledger *l, const MeantClip *c, int verb, const LedgerRequest *r, int64_t *changed)
{
    bool moves = true;
    TRY(note_decision(l, c->clip, verbs[verb].word, r));
    if (verbs[verb].event == EV_APPROVE) TRY(is_approved(l, c->clip, &moves));
    if (!moves) return status_ok(); /* a second pair of eyes is awaited */
    *changed += 1;
    return verbs[verb].event == EV_RERENDER ? rerender(l, c, r) : move(l, c, verbs[verb].event, r);
}

typedef struct {
    LedgerEvent event;
    MeantClips clips;
} Movable;

static void collect(void *self, const MeantClip *c)
{
    Movable *m = self;
    ClipState to;
    if (!failed(ledger_next_clip_state(c->state, m->event, &to))) ledger_meant_add(&m->clips, c);
}

Status ledger_review_apply(Ledger *l, const LedgerRequest *r, int64_t *changed)
{
    const int verb = find_verb(r->verb);
    Movable m = {verbs[verb].event, {0}};
    Status status = ledger_meant_read(l, r, MEANT_OF_ALL, (MeantSink){collect, &m});
    for (int64_t i = 0; i < m.clips.count && !failed(status); i++)
        status = decide(l, &m.clips.clip[i], verb, r, changed);
    if (!failed(status) && verbs[verb].event == EV_REJECT && m.clips.count) status = recall(l, changed);
    free(m.clips.clip);
    return status;
}
