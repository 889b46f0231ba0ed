/* work.c - what a dispatch round changes. Every function here runs between ledger_begin and ledger_commit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/ledger/counts.h"
#include "coordinator/ledger/running.h"

/* ---- giving work ---- */

typedef struct {
    int64_t *shot, count, room;
} ShotList;

static Status add_shots(ShotList *list, Query q)
{
    while (ledger_sql_next(&q)) {
        if (list->count == list->room) {
            list->room = 2 * list->room + 1024;
            list->shot = memory_resize(list->shot, (size_t)list->room, sizeof *list->shot);
        }
        list->shot[list->count++] = ledger_sql_int(&q, 0);
    }
    return q.status;
}

#define MAY_BE_MADE                                                                                                    \
    " state = 'planned' AND (?1 = ?2 OR EXISTS(SELECT 1 FROM clips"                                                    \
    "  WHERE clips.shot = shots.shot AND clips.state = 'planned' AND clip < ?1))"

/* A shot that was in work when a whole job died may be what killed it: the others first, so that they are safe. Those few are
 * asked for apart, because sorting a million by it takes longer than reading them. */
Status ledger_planned_shots(Ledger *l, int64_t **shot, int64_t *count)
{
    ShotList list = {0};
    Status status = add_shots(&list, ledger_sql_query(l,
                                                      "SELECT shot FROM shots WHERE" MAY_BE_MADE
                                                      " AND shot NOT IN (SELECT shot FROM leases WHERE outcome = "
                                                      "'abandoned') ORDER BY shot",
                                                      "ii", l->clips_open, INT64_MAX));
    if (!failed(status))
        status = add_shots(&list, ledger_sql_query(l,
                                                   "SELECT shot FROM (SELECT shot, count(*) AS n FROM leases"
                                                   " WHERE outcome = 'abandoned' GROUP BY shot) JOIN shots USING(shot)"
                                                   " WHERE" MAY_BE_MADE " ORDER BY n, shot",
                                                   "ii", l->clips_open, INT64_MAX));
    *shot = list.shot;
    *count = failed(status) ? 0 : list.count;
    return status;
}

/* What all leases of an epoch say alike. */
static Status read_campaign(Ledger *l)
{
    Lease *out = &l->campaign;
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

static Status start_lease(Ledger *l, Lease *out)
{
    if (!l->campaign.model_folder) TRY(read_campaign(l));
    *out = l->campaign;
    out->model_folder = text_copy(l->campaign.model_folder);
    out->campaign_folder = text_copy(l->campaign.campaign_folder);
    out->finish = text_copy(l->campaign.finish);
    out->epoch = l->epoch;
    return status_ok();
}

/* Into the lease, and the shot is leased. */
static Status take_shot(Ledger *l, int64_t shot, Lease *out, RunningLease *running, int64_t *retried)
{
    Query q = ledger_sql_query(
        l,
        "SELECT key, spec, json_extract(spec, '$.steps'), state, retried, step, clips FROM specs JOIN shots USING(shot)"
        " WHERE shot = ?1",
        "i", shot);
    if (!ledger_sql_next(&q))
        return failed(q.status) ? q.status : status_fail(ERR_FATAL, "%s: no shot %lld", l->file, (long long)shot);
    const char *to = NULL;
    snprintf(out->key, sizeof out->key, "%s", ledger_sql_text(&q, 0));
    out->spec = text_copy(ledger_sql_text(&q, 1));
    out->steps = (int)ledger_sql_int(&q, 2);
    Status status = ledger_state_of_shot(l, ledger_sql_text(&q, 3), EV_LEASE, &to);
    *retried = ledger_sql_int(&q, 4);
    *running = (RunningLease){.shot = shot, .step = ledger_sql_int(&q, 5), .shot_clips = ledger_sql_int(&q, 6)};
    ledger_sql_end(&q);
    TRY(status);
    return ledger_sql_run(l, "UPDATE shots SET state = ?1 WHERE shot = ?2", "ti", to, shot);
}

/* The planned clips of the shot, in memory to free(): their numbers, and what the lease says of them. */
static Status find_clips(Ledger *l, int64_t shot, Lease *out, int64_t **number)
{
    int room = 0;
    Query q = ledger_sql_query(
        l,
        "SELECT clip, clip_id, stem, finish FROM clips WHERE shot = ?1 AND state = 'planned' AND clip < ?3"
        " ORDER BY clip LIMIT ?2",
        "iii", shot, (int64_t)LEASE_MAX_CLIPS, l->clips_open);
    while (ledger_sql_next(&q)) {
        if (out->clip_count == room) {
            room = 4 * room + 4;
            out->clip = memory_resize(out->clip, (size_t)room, sizeof *out->clip);
            *number = memory_resize(*number, (size_t)room, sizeof **number);
        }
        (*number)[out->clip_count] = ledger_sql_int(&q, 0);
        out->clip[out->clip_count++] = (ClipOrder){text_copy(ledger_sql_text(&q, 1)), text_copy(ledger_sql_text(&q, 2)),
                                                   text_copy(ledger_sql_text(&q, 3))};
    }
    TRY(q.status);
    if (out->clip_count > 0) return status_ok();
    return status_fail(ERR_FATAL, "%s: shot %lld is planned, but no clip waits for it", l->file, (long long)shot);
}

static Status take_clips(Ledger *l, const Lease *out, const int64_t *number, ClipState *follows)
{
    TRY(ledger_next_clip_state(CLIP_PLANNED, EV_LEASE, follows));
    for (int i = 0; i < out->clip_count; i++) {
        const char *to = NULL;
        TRY(ledger_state_of_clip(l, CLIP_PLANNED, EV_LEASE, &to));
        TRY(ledger_sql_run(l, "UPDATE clips SET state = ?1, lease = ?2 WHERE clip = ?3", "tii", to, out->lease,
                           number[i]));
    }
    return status_ok();
}

Status ledger_give_lease(Ledger *l, int64_t shot, const char *worker, Lease *out)
{
    memset(out, 0, sizeof *out);
    int64_t *number = NULL, retried = 0;
    RunningLease running = {0};
    Status status = status_ok();
    TRY_OUT(start_lease(l, out));
    TRY_OUT(take_shot(l, shot, out, &running, &retried));
    TRY_OUT(find_clips(l, shot, out, &number));
    TRY_OUT(ledger_sql_run(l,
                           "INSERT INTO leases(epoch, shot, worker, clips, given_s, outcome, retry)"
                           " VALUES(?1, ?2, ?3, ?4, ?5, 'running', ?6)",
                           "iitidi", l->epoch, shot, worker, (int64_t)out->clip_count, l->now_s, retried));
    out->lease = running.lease = sqlite3_last_insert_rowid(l->db); /* above all others: no lease is ever deleted */
    TRY_OUT(take_clips(l, out, number, &running.state));
    ledger_running_add(l, &running, out, number);
    if (l->pace.first_s <= 0) l->pace.first_s = l->now_s;
out:
    free(number);
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
        " text_s = ?7, denoise_s = ?8, decode_s = ?9, finish_s = ?10 WHERE lease = ?1",
        "itdtiidddd", lease, outcome, l->now_s, reason, (int64_t)r->steps_done, (int64_t)r->steps_resumed,
        r->encode_text_s, r->denoise_s, r->decode_s, r->finish_s);
}

/* Before anything is changed: exactly the clips that were ordered, in that order. */
static Status check_clips(const RunningLease *w, const LeaseResult *r)
{
    if (w->count != r->clip_count)
        return status_fail(ERR_RETRY, "the result has %d clips, expected %d", r->clip_count, w->count);
    for (int i = 0; i < w->count; i++)
        if (strcmp(r->clip[i].clip_id, w->clip[i].clip_id) != 0)
            return status_fail(ERR_RETRY, "the result names clip \"%s\", which was not ordered", r->clip[i].clip_id);
    return status_ok();
}

static Status finish_clip(Ledger *l, int64_t clip, ClipState is, const ClipResult *c)
{
    const char *to = NULL;
    TRY(ledger_state_of_clip(l, is, EV_DONE, &to));
    return ledger_sql_run(
        l,
        "UPDATE clips SET state = ?10, reason = NULL, file = ?2, thumbnail = ?3, sheet = ?4, sha256 = ?5,"
        " duration_s = ?6, width = ?7, height = ?8, reviewer = '', decided_s = ?9 WHERE clip = ?1",
        "ittttdiidt", clip, c->file, c->thumbnail, c->sheet, c->sha256, c->duration_s, (int64_t)c->width,
        (int64_t)c->height, l->now_s, to);
}

static Status finish_shot(Ledger *l, const RunningLease *w, int64_t step, bool more)
{
    const char *to = NULL;
    TRY(ledger_state_of_shot(l, ledger_shot_state_name(SHOT_LEASED), more ? EV_MORE : EV_DONE, &to));
    if (step < w->step) step = w->step;
    l->moved.steps += step - w->step;
    return ledger_sql_run(l, "UPDATE shots SET state = ?1, step = ?2 WHERE shot = ?3", "tii", to, step, w->shot);
}

/* The shot has clips that wait, those of a pilot that may be made now, or any. */
static Status find_more(Ledger *l, const RunningLease *w, int64_t end, bool *more)
{
    int64_t found = 0;
    if (w->shot_clips > w->count)
        TRY(ledger_sql_number(l, &found,
                              "SELECT 1 FROM clips WHERE shot = ?1 AND state = 'planned' AND clip < ?2 LIMIT 1", "ii",
                              w->shot, end));
    *more = found > 0;
    return status_ok();
}

Status ledger_take_result(Ledger *l, const LeaseResult *r, bool *more)
{
    RunningLease *w = NULL;
    bool left = false;
    TRY(ledger_running_find(l, r->lease, &w));
    TRY(check_clips(w, r));
    for (int i = 0; i < w->count; i++) TRY(finish_clip(l, w->clip[i].clip, w->state, &r->clip[i]));
    TRY(close_lease(l, r->lease, "done", r, NULL));
    TRY(find_more(l, w, INT64_MAX, &left));
    TRY(finish_shot(l, w, r->steps_resumed + r->steps_done, left));
    *more = left;
    if (left && l->clips_open < INT64_MAX) TRY(find_more(l, w, l->clips_open, more)); /* more than the pilot's */
    l->pace.finished += w->count;
    l->pace.last_s = l->now_s;
    ledger_running_end(l, r->lease);
    return status_ok();
}

Status ledger_end_lease(Ledger *l, int64_t lease, const char *outcome, const LeaseResult *r, const char *reason)
{
    RunningLease *w = NULL;
    TRY(ledger_running_find(l, lease, &w));
    TRY(close_lease(l, lease, outcome, r, reason));
    TRY(ledger_state_move_shot(l, w->shot, EV_LOST));
    TRY(ledger_state_move_clips(l, w->shot, w->state, EV_LOST));
    ledger_running_end(l, lease);
    return status_ok();
}

Status ledger_failures(Ledger *l, int64_t shot, int *workers, int *times)
{
    Query q = ledger_sql_query(l,
                               "SELECT count(DISTINCT worker), count(*) FROM leases JOIN shots USING(shot)"
                               " WHERE shot = ?1 AND outcome IN ('failed', 'lost') AND retry = retried",
                               "i", shot);
    *workers = *times = 0;
    if (ledger_sql_next(&q)) {
        *workers = (int)ledger_sql_int(&q, 0);
        *times = (int)ledger_sql_int(&q, 1);
    }
    ledger_sql_end(&q);
    return q.status;
}

Status ledger_has_failed(Ledger *l, int64_t shot, const char *worker, bool *yes)
{
    int64_t n;
    TRY(ledger_sql_number(l, &n,
                          "SELECT count(*) FROM leases JOIN shots USING(shot) WHERE shot = ?1 AND worker = ?2"
                          " AND outcome IN ('failed', 'lost') AND retry = retried",
                          "it", shot, worker));
    *yes = n > 0;
    return status_ok();
}

Status ledger_give_up(Ledger *l, int64_t shot, const char *reason)
{
    TRY(ledger_state_move_shot(l, shot, EV_GIVE_UP));
    TRY(ledger_sql_run(l, "UPDATE shots SET reason = ?1 WHERE shot = ?2", "ti", reason, shot));
    TRY(ledger_sql_run(
        l, "UPDATE clips SET reason = ?1, decided_s = ?2 WHERE shot = ?3 AND state IN ('planned', 'paused')", "tdi",
        reason, l->now_s, shot));
    TRY(ledger_state_move_clips(l, shot, CLIP_PAUSED, EV_GIVE_UP));
    return ledger_state_move_clips(l, shot, CLIP_PLANNED, EV_GIVE_UP);
}

Status ledger_note_finishing(Ledger *l, int64_t lease)
{
    RunningLease *w = NULL;
    ShotState same;
    TRY(ledger_running_find(l, lease, &w));
    TRY(ledger_next_shot_state(SHOT_LEASED, EV_FINISH, &same)); /* the shot's state stays */
    TRY(ledger_state_move_clips(l, w->shot, w->state, EV_FINISH));
    return ledger_next_clip_state(w->state, EV_FINISH, &w->state);
}

Status ledger_note_step(Ledger *l, int64_t lease, int step)
{
    RunningLease *w = NULL;
    TRY(ledger_running_find(l, lease, &w));
    if (step <= w->step) return status_ok();
    l->moved.steps += step - w->step;
    w->step = step;
    return ledger_sql_run(l, "UPDATE shots SET step = ?1 WHERE shot = ?2", "ii", (int64_t)step, w->shot);
}

Status ledger_note_delivered(Ledger *l, int64_t clip) { return ledger_state_move_clip(l, clip, EV_DELIVER); }

Status ledger_note_alive(Ledger *l)
{
    return ledger_sql_run(l, "UPDATE epochs SET heard_s = ?1 WHERE epoch = ?2", "di", l->now_s, l->epoch);
}

Status ledger_note_worker(Ledger *l, const WorkerLine *w)
{
    return ledger_sql_run(
        l, "INSERT OR REPLACE INTO workers VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        "iitiitttiiiiiid", l->epoch, (int64_t)w->rank, w->host, (int64_t)w->pid, (int64_t)w->threads, w->state,
        w->stage, w->clip, (int64_t)w->clip_count, w->lease, w->shot, (int64_t)w->done, (int64_t)w->total,
        (int64_t)w->finished, w->heard_s);
}
