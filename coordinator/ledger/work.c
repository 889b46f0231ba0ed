/* work.c - what a dispatch round changes. Every function here runs between ledger_begin and ledger_commit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/ledger/alike.h"
#include "coordinator/ledger/counts.h"
#include "coordinator/ledger/handed.h"
#include "coordinator/ledger/review.h"
#include "coordinator/ledger/running.h"

/* ---- giving work ---- */

typedef struct {
    int64_t *item, count, room;
} List;

static Status add_items(List *list, Query q)
{
    while (ledger_sql_next(&q)) {
        if (list->count == list->room) {
            list->room = 2 * list->room + 1024;
            list->item = memory_resize(list->item, (size_t)list->room, sizeof *list->item);
        }
        list->item[list->count++] = ledger_sql_int(&q, 0);
    }
    return q.status;
}

static Status give_items(List list, Status status, int64_t **item, int64_t *count)
{
    *item = list.item;
    *count = failed(status) ? 0 : list.count;
    return status;
}

#define MAY_BE_MADE                                                                                                    \
    " state = 'planned' AND (?1 = 0 OR EXISTS(SELECT 1 FROM clips"                                                     \
    "  WHERE clips.shot = shots.shot AND clips.state = 'planned' AND pilot >= ?1))"

/* Shots with the same adapters follow each other, for a change of adapters loads weights again. A shot that was in work when a whole job died
 * may be what killed it. So all others are rendered first. The few are read by a query of their own. */
Status ledger_planned_shots(Ledger *l, int64_t **shot, int64_t *count)
{
    List list = {0};
    Status status =
        add_items(&list, ledger_sql_query(l,
                                          "SELECT shot FROM shots LEFT JOIN specs USING(shot) WHERE" MAY_BE_MADE
                                          " AND shot NOT IN (SELECT shot FROM leases WHERE outcome = "
                                          "'abandoned') ORDER BY json_extract(spec, '$.loras'), shot",
                                          "i", l->pilot_only));
    if (!failed(status))
        status = add_items(&list, ledger_sql_query(l,
                                                   "SELECT shot FROM (SELECT shot, count(*) AS n FROM leases"
                                                   " WHERE outcome = 'abandoned' GROUP BY shot) JOIN shots USING(shot)"
                                                   " WHERE" MAY_BE_MADE " ORDER BY n, shot",
                                                   "i", l->pilot_only));
    return give_items(list, status, shot, count);
}

Status ledger_waiting_clips(Ledger *l, int64_t shot, int64_t **clip, int64_t *count)
{
    List list = {0};
    Status status = status_ok();
    if (shot >= 0)
        status = add_items(&list, ledger_sql_query(l,
                                                   "SELECT clip FROM clips WHERE shot = ?1 AND +state = 'waiting'"
                                                   " ORDER BY clip",
                                                   "i", shot));
    else
        status = add_items(&list, ledger_sql_query(l,
                                                   "SELECT clip FROM shots s JOIN clips c USING(shot) WHERE s.state ="
                                                   " 'mastered' AND +c.state = 'waiting' ORDER BY shot, clip",
                                                   ""));
    return give_items(list, status, clip, count);
}

/* What all leases of an epoch say alike. */
static Status read_campaign(Ledger *l)
{
    Lease *out = &l->campaign;
    if (out->model_folder) return status_ok();
    Query q = ledger_sql_query(l,
                               "SELECT model_folder, model_hash, finish, checkpoint_every,"
                               " coalesce(json_extract(settings, '$.mixed'), 0) FROM campaign",
                               "");
    if (!ledger_sql_next(&q)) return failed(q.status) ? q.status : status_fail(ERR_FATAL, "%s: no campaign", l->file);
    out->model_folder = text_copy(ledger_sql_text(&q, 0));
    snprintf(out->model_hash, sizeof out->model_hash, "%s", ledger_sql_text(&q, 1));
    out->finish = text_copy(ledger_sql_text(&q, 2));
    out->checkpoint_every = (int)ledger_sql_int(&q, 3);
    out->mixed = (int)ledger_sql_int(&q, 4);
    out->campaign_folder = text_copy(l->folder);
    ledger_sql_end(&q);
    return status_ok();
}

static Status start_lease(Ledger *l, LeaseKind kind, Lease *out)
{
    const Lease *all = &l->campaign;
    TRY(read_campaign(l));
    *out = (Lease){.kind = kind, .epoch = l->epoch, .campaign_folder = text_copy(all->campaign_folder)};
    if (kind == LEASE_FINISH) {
        out->finish = text_copy(all->finish);
        return status_ok();
    }
    memcpy(out->model_hash, all->model_hash, sizeof out->model_hash);
    out->model_folder = text_copy(all->model_folder);
    out->checkpoint_every = all->checkpoint_every;
    out->mixed = all->mixed;
    return status_ok();
}

/* Its row, and in memory. clip < 0: a render. */
static Status insert_lease(Ledger *l, RunningLease *running, const char *worker, int64_t retried, Lease *out)
{
    if (out->kind == LEASE_FINISH)
        TRY(ledger_sql_run(l,
                           "INSERT INTO leases(epoch, shot, clip, worker, clips, given_s, outcome, retry)"
                           " VALUES(?1, ?2, ?3, ?4, 1, ?5, 'running', ?6)",
                           "iiitdi", l->epoch, running->shot, running->clip, worker, l->now_s, retried));
    else
        TRY(ledger_sql_run(l,
                           "INSERT INTO leases(epoch, shot, worker, clips, given_s, outcome, retry)"
                           " VALUES(?1, ?2, ?3, ?4, ?5, 'running', ?6)",
                           "iitidi", l->epoch, running->shot, worker, (int64_t)out->clip_count, l->now_s, retried));
    out->lease = running->lease = sqlite3_last_insert_rowid(l->db); /* above all others: no lease is ever deleted */
    running->kind = out->kind;
    running->clip_id = out->clip_id;
    ledger_running_add(l, running);
    if (l->pace.first_s <= 0) l->pace.first_s = l->now_s;
    return status_ok();
}

/* Into the lease, and the shot is leased. */
static Status take_shot(Ledger *l, int64_t shot, Lease *out, RunningLease *running, int64_t *retried)
{
    Query q = ledger_sql_query(l,
                               "SELECT key, spec, iif(json_extract(spec, '$.frames_most') IS NULL, json_extract(spec,"
                               " '$.steps') * ifnull(json_extract(spec, '$.rounds'), 1), 0), state, retried, step"
                               " FROM specs JOIN shots USING(shot)"
                               " WHERE shot = ?1",
                               "i", shot);
    if (!ledger_sql_next(&q))
        return failed(q.status) ? q.status : status_fail(ERR_FATAL, "%s: no shot %lld", l->file, (long long)shot);
    const char *to = NULL;
    ShotState is = SHOT_PLANNED;
    snprintf(out->key, sizeof out->key, "%s", ledger_sql_text(&q, 0));
    out->spec = text_copy(ledger_sql_text(&q, 1));
    out->steps = (int)ledger_sql_int(&q, 2);
    Status status = ledger_state_parse_shot(l, ledger_sql_text(&q, 3), &is);
    if (!failed(status)) status = ledger_state_of_shot(l, is, EV_LEASE, &to);
    *retried = ledger_sql_int(&q, 4);
    *running = (RunningLease){.shot = shot, .step = ledger_sql_int(&q, 5)};
    ledger_sql_end(&q);
    TRY(status);
    return ledger_sql_run(l, "UPDATE shots SET state = ?1 WHERE shot = ?2", "ti", to, shot);
}

/* How many clips wait for the shot, and the id of the first. */
static Status find_wishes(Ledger *l, int64_t shot, Lease *out)
{
    Query q = ledger_sql_query(l,
                               "SELECT n, (SELECT clip_id FROM clips WHERE clip = first) FROM (SELECT count(*) AS n,"
                               " min(clip) AS first FROM clips WHERE shot = ?1 AND +state = 'planned' AND pilot >= ?2)",
                               "ii", shot, l->pilot_only);
    if (ledger_sql_next(&q)) {
        out->clip_count = (int)ledger_sql_int(&q, 0);
        out->clip_id = text_copy(ledger_sql_text(&q, 1));
    }
    ledger_sql_end(&q);
    return q.status;
}

Status ledger_give_render(Ledger *l, int64_t shot, const char *worker, Lease *out)
{
    memset(out, 0, sizeof *out);
    int64_t retried = 0;
    RunningLease running = {0};
    Status status = status_ok();
    TRY_OUT(start_lease(l, LEASE_RENDER, out));
    TRY_OUT(find_wishes(l, shot, out));
    if (out->clip_count == 0) { /* its clips were cancelled, or are finished of an earlier master */
        lease_clear(out);
        return ledger_state_move_shot(l, shot, EV_HOLD);
    }
    TRY_OUT(take_shot(l, shot, out, &running, &retried));
    TRY_OUT(insert_lease(l, &running, worker, retried, out));
out:
    if (failed(status)) lease_clear(out);
    return status;
}

/* Into the lease, and the clip is being finished. */
static Status take_clip(Ledger *l, int64_t clip, Lease *out, RunningLease *running, int64_t *retried)
{
    Query q = ledger_sql_query(l,
                               "SELECT c.clip_id, c.stem, c.finish, c.retried, c.state, shot, p.key, p.spec,"
                               " s.master_bytes, s.master_sha256, s.state FROM clips c JOIN shots s USING(shot)"
                               " JOIN specs p USING(shot) WHERE c.clip = ?1",
                               "i", clip);
    if (!ledger_sql_next(&q))
        return failed(q.status) ? q.status : status_fail(ERR_FATAL, "%s: no clip %lld", l->file, (long long)clip);
    ClipState is = CLIP_PLANNED;
    out->clip_id = text_copy(ledger_sql_text(&q, 0));
    out->stem = text_copy(ledger_sql_text(&q, 1));
    out->clip_finish = text_copy(ledger_sql_text(&q, 2));
    *retried = ledger_sql_int(&q, 3);
    Status status = ledger_state_parse_clip(l, ledger_sql_text(&q, 4), &is);
    if (!failed(status) && is != CLIP_WAITING)
        status = status_fail(ERR_FATAL, "%s: clip %lld is %s, expected one that waits", l->file, (long long)clip,
                             ledger_clip_state_name(is));
    *running = (RunningLease){.clip = clip, .shot = ledger_sql_int(&q, 5)};
    snprintf(out->key, sizeof out->key, "%s", ledger_sql_text(&q, 6));
    out->spec = text_copy(ledger_sql_text(&q, 7));
    out->master.bytes = ledger_sql_int(&q, 8);
    snprintf(out->master.sha256, sizeof out->master.sha256, "%s", ledger_sql_text(&q, 9));
    ledger_sql_end(&q);
    return status;
}

Status ledger_give_finish(Ledger *l, int64_t clip, const char *worker, Lease *out, int64_t *shot)
{
    memset(out, 0, sizeof *out);
    int64_t retried = 0;
    const char *to = NULL;
    RunningLease running = {0};
    Status status = status_ok();
    TRY_OUT(start_lease(l, LEASE_FINISH, out));
    TRY_OUT(take_clip(l, clip, out, &running, &retried));
    TRY_OUT(insert_lease(l, &running, worker, retried, out));
    TRY_OUT(ledger_state_of_clip(l, CLIP_WAITING, EV_LEASE, &to));
    TRY_OUT(ledger_sql_run(l, "UPDATE clips SET state = ?1, lease = ?2 WHERE clip = ?3", "tii", to, out->lease, clip));
    *shot = running.shot;
out:
    if (failed(status)) lease_clear(out);
    return status;
}

/* ---- taking results ---- */

static Status close_lease(Ledger *l, int64_t lease, const char *outcome, const LeaseResult *r, const char *reason)
{
    static const LeaseResult none;
    if (!r) r = &none;
    return ledger_sql_run(
        l,
        "UPDATE leases SET outcome = ?2, ended_s = ?3, reason = ?4, steps_done = ?5, steps_resumed = ?6,"
        " text_s = ?7, denoise_s = ?8, decode_s = ?9, finish_s = ?10, figures = ?11 WHERE lease = ?1",
        "itdtiiddddt", lease, outcome, l->now_s, reason, (int64_t)r->steps_done, (int64_t)r->steps_resumed,
        r->encode_text_s, r->denoise_s, r->decode_s, r->finish_s, r->figures && *r->figures ? r->figures : NULL);
}

/* One clip of the shot is final. *gone: it was the last one, so the shot's master can be deleted. */
static Status count_down(Ledger *l, int64_t shot, bool *gone)
{
    LedgerMaster *m = ledger_masters_find(l, shot);
    *gone = false;
    if (!m) return status_ok(); /* lost in the meantime: the shot is planned again */
    m->ready--;
    if (--m->open > 0) return status_ok();
    ledger_masters_remove(l, shot);
    *gone = true;
    return ledger_state_move_shot(l, shot, EV_LAST);
}

static Status take_render(Ledger *l, const RunningLease *w, const LeaseResult *r, bool *gone)
{
    const char *to = NULL;
    int64_t step = r->steps_resumed + r->steps_done, ready = 0, planned = 0;
    if (step < w->step) step = w->step;
    TRY(ledger_state_of_shot(l, SHOT_LEASED, EV_MASTERED, &to));
    l->difference.steps += step - w->step;
    TRY(ledger_sql_run(l,
                       "UPDATE shots SET state = ?1, step = ?2, master_bytes = ?3, master_sha256 = ?4, lease = ?5"
                       " WHERE shot = ?6",
                       "tiitii", to, step, r->master.bytes, r->master.sha256, w->lease, w->shot));
    TRY(ledger_state_move_clips(l, w->shot, CLIP_PLANNED, EV_MASTERED, l->pilot_only, &ready));
    if (l->pilot_only)
        TRY(ledger_sql_number(l, &planned, "SELECT count(*) FROM clips WHERE shot = ?1 AND +state = 'planned'", "i",
                              w->shot));
    *gone = ready + planned == 0;
    if (*gone) return ledger_state_move_shot(l, w->shot, EV_LAST);
    ledger_masters_add(l, (LedgerMaster){w->shot, ready + planned, ready});
    return status_ok();
}

/* No person decides about this clip, so decided_s is the time of its finish. */
static Status take_finish(Ledger *l, const RunningLease *w, const ClipResult *c, bool *gone)
{
    const char *to = NULL;
    char *reason = NULL, *judged = NULL;
    TRY(ledger_alike_judge(l, w->clip, w->shot, c, &judged));
    ClipResult result = *c;
    if (judged) result.document = judged;
    const LedgerEvent event = ledger_review_event(l, &result, &reason);
    Status status = ledger_state_of_clip(l, CLIP_FINISHING, event, &to);
    if (!failed(status))
        status = ledger_sql_run(
            l,
            "UPDATE clips SET state = ?10, reason = ?12, file = ?2, thumbnail = ?3, sheet = ?4, sha256 = ?5,"
            " duration_s = ?6, width = ?7, height = ?8, reviewer = '', decided_s = ?9, result = ?11 WHERE clip = ?1",
            "ittttdiidttt", w->clip, c->file, c->thumbnail, c->sheet, c->sha256, c->duration_s, (int64_t)c->width,
            (int64_t)c->height, l->now_s, to, result.document, reason);
    free(reason);
    free(judged);
    TRY(status);
    return count_down(l, w->shot, gone);
}

/* Before anything is changed. */
static Status check_result(const RunningLease *w, const LeaseResult *r)
{
    if (w->kind != r->kind)
        return status_fail(ERR_RETRY, "the result is of a %s, expected one of a %s", lease_kind_name(r->kind),
                           lease_kind_name(w->kind));
    if (r->kind == LEASE_FINISH && strcmp(r->clip.clip_id, w->clip_id) != 0)
        return status_fail(ERR_RETRY, "the result names clip \"%s\", which was not ordered", r->clip.clip_id);
    return status_ok();
}

Status ledger_take_result(Ledger *l, const LeaseResult *r, bool *gone)
{
    RunningLease *w = NULL;
    TRY(ledger_running_find(l, r->lease, &w));
    TRY(check_result(w, r));
    TRY(w->kind == LEASE_FINISH ? take_finish(l, w, &r->clip, gone) : take_render(l, w, r, gone));
    TRY(close_lease(l, r->lease, ledger_outcome_name(LEASE_DONE), r, NULL));
    l->pace.finished += w->kind == LEASE_FINISH;
    l->pace.last_s = l->now_s;
    ledger_running_end(l, r->lease);
    return status_ok();
}

Status ledger_end_lease(Ledger *l, int64_t lease, LeaseOutcome outcome, const LeaseResult *r, const char *reason)
{
    RunningLease *w = NULL;
    TRY(ledger_running_find(l, lease, &w));
    TRY(close_lease(l, lease, ledger_outcome_name(outcome), r, reason));
    if (w->kind == LEASE_RENDER)
        TRY(ledger_state_move_shot(l, w->shot, EV_LOST));
    else
        TRY(ledger_state_move_clip(l, w->clip, ledger_masters_find(l, w->shot) ? EV_LOST : EV_UNMASTER));
    ledger_running_end(l, lease);
    return status_ok();
}

Status ledger_lose_master(Ledger *l, int64_t shot)
{
    ShotState is = SHOT_PLANNED;
    TRY(ledger_state_read_shot(l, shot, &is));
    if (is != SHOT_MASTERED) return status_ok();
    ledger_masters_remove(l, shot);
    TRY(ledger_state_move_shot(l, shot, EV_UNMASTER));
    return ledger_state_move_clips(l, shot, CLIP_WAITING, EV_UNMASTER, false, NULL);
}

Status ledger_failures(Ledger *l, LeaseKind kind, int64_t item, int *workers, int *times)
{
    Query q = kind == LEASE_FINISH
                  ? ledger_sql_query(l,
                                     "SELECT count(DISTINCT f.worker), count(*) FROM leases f JOIN clips c ON c.clip ="
                                     " f.clip WHERE f.clip = ?1 AND f.outcome IN ('failed', 'lost') AND f.retry ="
                                     " c.retried",
                                     "i", item)
                  : ledger_sql_query(l,
                                     "SELECT count(DISTINCT f.worker), count(*) FROM leases f JOIN shots s ON s.shot ="
                                     " f.shot WHERE f.shot = ?1 AND f.outcome IN ('failed', 'lost') AND f.clip IS NULL"
                                     " AND f.retry = s.retried",
                                     "i", item);
    *workers = *times = 0;
    if (ledger_sql_next(&q)) {
        *workers = (int)ledger_sql_int(&q, 0);
        *times = (int)ledger_sql_int(&q, 1);
    }
    ledger_sql_end(&q);
    return q.status;
}

Status ledger_has_failed(Ledger *l, LeaseKind kind, int64_t item, const char *worker, bool *yes)
{
    int64_t n;
    if (kind == LEASE_FINISH)
        TRY(ledger_sql_number(l, &n,
                              "SELECT count(*) FROM leases f JOIN clips c ON c.clip = f.clip WHERE f.clip = ?1 AND"
                              " f.worker = ?2 AND f.outcome IN ('failed', 'lost') AND f.retry = c.retried",
                              "it", item, worker));
    else
        TRY(ledger_sql_number(l, &n,
                              "SELECT count(*) FROM leases f JOIN shots s ON s.shot = f.shot WHERE f.shot = ?1 AND"
                              " f.worker = ?2 AND f.outcome IN ('failed', 'lost') AND f.clip IS NULL AND f.retry ="
                              " s.retried",
                              "it", item, worker));
    *yes = n > 0;
    return status_ok();
}

static Status give_up_shot(Ledger *l, int64_t shot, const char *reason)
{
    TRY(ledger_state_move_shot(l, shot, EV_GIVE_UP));
    TRY(ledger_sql_run(l, "UPDATE shots SET reason = ?1 WHERE shot = ?2", "ti", reason, shot));
    TRY(ledger_sql_run(
        l, "UPDATE clips SET reason = ?1, decided_s = ?2 WHERE shot = ?3 AND state IN ('planned', 'paused')", "tdi",
        reason, l->now_s, shot));
    TRY(ledger_state_move_clips(l, shot, CLIP_PAUSED, EV_GIVE_UP, false, NULL));
    return ledger_state_move_clips(l, shot, CLIP_PLANNED, EV_GIVE_UP, false, NULL);
}

static Status give_up_clip(Ledger *l, int64_t clip, const char *reason, bool *gone)
{
    int64_t shot = -1;
    TRY(ledger_state_move_clip(l, clip, EV_GIVE_UP));
    TRY(ledger_sql_run(l, "UPDATE clips SET reason = ?1, decided_s = ?2 WHERE clip = ?3", "tdi", reason, l->now_s,
                       clip));
    TRY(ledger_sql_number(l, &shot, "SELECT shot FROM clips WHERE clip = ?1", "i", clip));
    return count_down(l, shot, gone);
}

Status ledger_give_up(Ledger *l, LeaseKind kind, int64_t item, const char *reason, bool *gone)
{
    *gone = false;
    return kind == LEASE_FINISH ? give_up_clip(l, item, reason, gone) : give_up_shot(l, item, reason);
}

Status ledger_note_step(Ledger *l, int64_t lease, int step)
{
    RunningLease *w = NULL;
    TRY(ledger_running_find(l, lease, &w));
    if (step <= w->step) return status_ok();
    l->difference.steps += step - w->step;
    w->step = step;
    return ledger_sql_run(l, "UPDATE shots SET step = ?1 WHERE shot = ?2", "ii", (int64_t)step, w->shot);
}

Status ledger_read_masters(Ledger *l, MasterSink sink)
{
    for (int i = 0; i < l->master_count; i++) {
        char key[HASH_TEXT] = "";
        int64_t bytes = 0;
        const int64_t shot = l->master[i].shot;
        Query q = ledger_sql_query(l, "SELECT key, master_bytes FROM specs JOIN shots USING(shot) WHERE shot = ?1", "i",
                                   shot);
        if (ledger_sql_next(&q)) {
            snprintf(key, sizeof key, "%s", ledger_sql_text(&q, 0));
            bytes = ledger_sql_int(&q, 1);
        }
        ledger_sql_end(&q);
        TRY(q.status);
        TRY(sink.master(sink.self, shot, key, bytes));
    }
    return status_ok();
}

bool ledger_has_master(const Ledger *l, int64_t shot) { return ledger_masters_find(l, shot) != NULL; }

int ledger_ready_masters(const Ledger *l)
{
    int count = 0;
    for (int i = 0; i < l->master_count; i++) count += l->master[i].ready > 0;
    return count;
}

Status ledger_note_delivered(Ledger *l, int64_t clip)
{
    TRY(ledger_state_move_clip(l, clip, EV_DELIVER));
    return handed_note_return(l, clip);
}

Status ledger_note_result(Ledger *l, int64_t clip, const char *member, const char *json)
{
    if (!json)
        return ledger_sql_run(l, "UPDATE clips SET result = json_remove(result, '$.' || ?1) WHERE clip = ?2", "ti",
                              member, clip);
    return ledger_sql_run(l,
                          "UPDATE clips SET result = json_set(ifnull(nullif(result, ''), '{}'), '$.' || ?1, json(?2))"
                          " WHERE clip = ?3",
                          "tti", member, json, clip);
}

Status ledger_note_alive(Ledger *l)
{
    return ledger_sql_run(l, "UPDATE epochs SET heard_s = ?1 WHERE epoch = ?2", "di", l->now_s, l->epoch);
}

/* A tail has its worker's number with a minus, as long as there is one. */
Status ledger_note_worker(Ledger *l, const WorkerLine *w)
{
    const int64_t rank = w->is_tail ? -w->rank : w->rank;
    if (w->is_tail && strcmp(w->state, "working") != 0)
        return ledger_sql_run(l, "DELETE FROM workers WHERE epoch = ?1 AND rank = ?2", "ii", l->epoch, rank);
    return ledger_sql_run(l,
                          "INSERT OR REPLACE INTO workers VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,"
                          " ?13, ?14, ?15, ?16, ?17, ?18)",
                          "iitiitttiiiiiidiii", l->epoch, rank, w->host, (int64_t)w->pid, (int64_t)w->threads, w->state,
                          w->stage, w->clip, (int64_t)w->clip_count, w->lease, w->shot, (int64_t)w->done,
                          (int64_t)w->total, (int64_t)w->finished, w->heard_s, (int64_t)w->takes, (int64_t)w->kind,
                          (int64_t)w->renders);
}
