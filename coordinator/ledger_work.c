/* ledger_work.c - what a dispatch round changes. Every function here runs between ledger_begin and ledger_commit. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/file.h"
#include "coordinator/ledger_sql.h"

/* ---- states, moved by their tables only ---- */

static Status parse_state(Ledger *l, const char *text, const char *(*name)(int), int count, int *state)
{
    for (*state = 0; *state < count; ++*state)
        if (strcmp(text, name(*state)) == 0) return status_ok();
    return status_fail(ERR_FATAL, "%s: unknown state \"%s\"", l->file, text);
}

static const char *shot_name(int s) { return ledger_shot_state_name((ShotState)s); }
static const char *clip_name(int s) { return ledger_clip_state_name((ClipState)s); }

static Status advance_shot(Ledger *l, int64_t shot, LedgerEvent event)
{
    int from;
    ShotState to;
    Query q = ledger_sql_query(l, "SELECT state FROM shots WHERE shot = ?1", "i", shot);
    if (!ledger_sql_next(&q))
        return failed(q.status) ? q.status : status_fail(ERR_FATAL, "%s: no shot %lld", l->file, (long long)shot);
    Status status = parse_state(l, ledger_sql_text(&q, 0), shot_name, SHOT_STATES, &from);
    ledger_sql_end(&q);
    TRY(status);
    TRY(ledger_next_shot_state((ShotState)from, event, &to));
    if ((int)to == from) return status_ok();
    return ledger_sql_run(l, "UPDATE shots SET state = ?1 WHERE shot = ?2", "ti", shot_name((int)to), shot);
}

static Status advance_clip(Ledger *l, int64_t clip, LedgerEvent event)
{
    int from;
    ClipState to;
    Query q = ledger_sql_query(l, "SELECT state FROM clips WHERE clip = ?1", "i", clip);
    if (!ledger_sql_next(&q))
        return failed(q.status) ? q.status : status_fail(ERR_FATAL, "%s: no clip %lld", l->file, (long long)clip);
    Status status = parse_state(l, ledger_sql_text(&q, 0), clip_name, CLIP_STATES, &from);
    ledger_sql_end(&q);
    TRY(status);
    TRY(ledger_next_clip_state((ClipState)from, event, &to));
    return ledger_sql_run(l, "UPDATE clips SET state = ?1 WHERE clip = ?2", "ti", clip_name((int)to), clip);
}

/* All clips of a shot that are in `from` go where the event takes them. */
static Status advance_clips_of(Ledger *l, int64_t shot, ClipState from, LedgerEvent event)
{
    ClipState to;
    TRY(ledger_next_clip_state(from, event, &to));
    return ledger_sql_run(l, "UPDATE clips SET state = ?1 WHERE shot = ?2 AND state = ?3", "tit", clip_name((int)to),
                          shot, clip_name((int)from));
}

/* ---- giving work ---- */

Status ledger_planned_shots(Ledger *l, int64_t **shot, int64_t *count)
{
    int64_t room = 0, n = 0;
    *shot = NULL;
    *count = 0;
    TRY(ledger_sql_number(l, &room, "SELECT count(*) FROM shots WHERE state = 'planned'", ""));
    *shot = memory_get((size_t)room, sizeof **shot);
    /* A shot that was in work when a whole job died may be what killed it: the others first, so that they are safe. */
    Query q = ledger_sql_query(l,
                               "SELECT shot FROM shots LEFT JOIN (SELECT shot, count(*) AS n FROM leases"
                               " WHERE outcome = 'abandoned' GROUP BY shot) USING(shot)"
                               " WHERE state = 'planned' ORDER BY ifnull(n, 0), shot",
                               "");
    while (n < room && ledger_sql_next(&q)) (*shot)[n++] = ledger_sql_int(&q, 0);
    ledger_sql_end(&q);
    *count = n;
    return q.status;
}

static Status read_renditions(Ledger *l, const char *text, Lease *out)
{
    json_t *list = json_loads(text, 0, NULL), *item;
    size_t i;
    bool good = json_is_array(list) && json_array_size(list) <= MAX_RENDITIONS;
    json_array_foreach(list, i, item)
    {
        Rendition *r = good ? &out->rendition[i] : NULL;
        const char *name = NULL, *preset = NULL;
        if (!r || json_unpack(item, "{s:s,s:i,s:i,s:i,s:s,s:i}", "name", &name, "width", &r->width, "height",
                              &r->height, "crf", &r->crf, "preset", &preset, "max_kbps", &r->max_kbps) != 0) {
            good = false;
            break;
        }
        snprintf(r->name, sizeof r->name, "%s", name);
        snprintf(r->preset, sizeof r->preset, "%s", preset);
        out->rendition_count++;
    }
    json_decref(list);
    return good ? status_ok() : status_fail(ERR_FATAL, "%s: damaged list of renditions", l->file);
}

static Status read_campaign(Ledger *l, Lease *out)
{
    Query q = ledger_sql_query(l, "SELECT model_folder, model_hash, renditions, checkpoint_every FROM campaign", "");
    if (!ledger_sql_next(&q)) return failed(q.status) ? q.status : status_fail(ERR_FATAL, "%s: no campaign", l->file);
    out->model_folder = text_copy(ledger_sql_text(&q, 0));
    snprintf(out->model_hash, sizeof out->model_hash, "%s", ledger_sql_text(&q, 1));
    Status status = read_renditions(l, ledger_sql_text(&q, 2), out);
    out->checkpoint_every = (int)ledger_sql_int(&q, 3);
    out->campaign_folder = text_copy(l->folder);
    ledger_sql_end(&q);
    return status;
}

static Status read_shot(Ledger *l, int64_t shot, Lease *out)
{
    Query q =
        ledger_sql_query(l,
                         "SELECT key, prompt, negative, seed, width, height, frames, fps, steps, guidance, guidance_2,"
                         " flow_shift, scheduler FROM shots WHERE shot = ?1",
                         "i", shot);
    if (!ledger_sql_next(&q))
        return failed(q.status) ? q.status : status_fail(ERR_FATAL, "%s: no shot %lld", l->file, (long long)shot);
    ShotSpec *s = &out->shot;
    snprintf(out->key, sizeof out->key, "%s", ledger_sql_text(&q, 0));
    *s = (ShotSpec){.prompt = text_copy(ledger_sql_text(&q, 1)),
                    .negative = text_copy(ledger_sql_text(&q, 2)),
                    .seed = (uint64_t)ledger_sql_int(&q, 3),
                    .width = (int)ledger_sql_int(&q, 4),
                    .height = (int)ledger_sql_int(&q, 5),
                    .frames = (int)ledger_sql_int(&q, 6),
                    .fps = (int)ledger_sql_int(&q, 7),
                    .steps = (int)ledger_sql_int(&q, 8),
                    .guidance = ledger_sql_real(&q, 9),
                    .guidance_2 = ledger_sql_real(&q, 10),
                    .flow_shift = ledger_sql_real(&q, 11)};
    snprintf(s->scheduler, sizeof s->scheduler, "%s", ledger_sql_text(&q, 12));
    ledger_sql_end(&q);
    return status_ok();
}

/* The planned clips of the shot join the lease. */
static Status take_clips(Ledger *l, int64_t shot, Lease *out)
{
    int64_t room = 0;
    TRY(ledger_sql_number(l, &room, "SELECT min(count(*), ?2) FROM clips WHERE shot = ?1 AND state = 'planned'", "ii",
                          shot, (int64_t)LEASE_MAX_CLIPS));
    if (room == 0)
        return status_fail(ERR_FATAL, "%s: shot %lld is planned, but no clip waits for it", l->file, (long long)shot);
    int64_t *number = memory_get((size_t)room, sizeof *number);
    out->clip = memory_get((size_t)room, sizeof *out->clip);
    Query q = ledger_sql_query(
        l, "SELECT clip, clip_id, stem FROM clips WHERE shot = ?1 AND state = 'planned' ORDER BY clip LIMIT ?2", "ii",
        shot, room);
    while (out->clip_count < room && ledger_sql_next(&q)) {
        ClipOrder *order = &out->clip[out->clip_count];
        number[out->clip_count++] = ledger_sql_int(&q, 0);
        order->clip_id = text_copy(ledger_sql_text(&q, 1));
        order->stem = text_copy(ledger_sql_text(&q, 2));
    }
    ledger_sql_end(&q);
    Status status = q.status;
    for (int i = 0; i < out->clip_count && !failed(status); i++) {
        status = advance_clip(l, number[i], EV_LEASE);
        if (!failed(status))
            status = ledger_sql_run(l, "UPDATE clips SET lease = ?1 WHERE clip = ?2", "ii", out->lease, number[i]);
    }
    free(number);
    return status;
}

Status ledger_give_lease(Ledger *l, int64_t shot, const char *worker, Lease *out)
{
    memset(out, 0, sizeof *out);
    Status status = status_ok();
    TRY_OUT(advance_shot(l, shot, EV_LEASE));
    TRY_OUT(ledger_sql_run(l,
                           "INSERT INTO leases(epoch, shot, worker, clips, given_s, outcome, retry)"
                           " SELECT ?1, shot, ?3, 0, ?4, 'running', retried FROM shots WHERE shot = ?2",
                           "iitd", l->epoch, shot, worker, l->now_s));
    out->lease = sqlite3_last_insert_rowid(l->db);
    out->epoch = l->epoch;
    TRY_OUT(read_campaign(l, out));
    TRY_OUT(read_shot(l, shot, out));
    TRY_OUT(take_clips(l, shot, out));
    TRY_OUT(
        ledger_sql_run(l, "UPDATE leases SET clips = ?1 WHERE lease = ?2", "ii", (int64_t)out->clip_count, out->lease));
out:
    if (failed(status)) lease_clear(out);
    return status;
}

/* ---- taking results ---- */

static Status find_lease(Ledger *l, int64_t lease, int64_t *shot)
{
    *shot = -1;
    Query q = ledger_sql_query(l, "SELECT shot FROM leases WHERE lease = ?1 AND epoch = ?2 AND outcome = 'running'",
                               "ii", lease, l->epoch);
    if (ledger_sql_next(&q)) *shot = ledger_sql_int(&q, 0);
    ledger_sql_end(&q);
    TRY(q.status);
    return *shot >= 0 ? status_ok()
                      : status_fail(ERR_FATAL, "%s: lease %lld is not running", l->file, (long long)lease);
}

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

static Status finish_clip(Ledger *l, int64_t lease, const ClipResult *c)
{
    int64_t clip = -1;
    Query q = ledger_sql_query(l, "SELECT clip FROM clips WHERE clip_id = ?1 AND lease = ?2", "ti", c->clip_id, lease);
    if (ledger_sql_next(&q)) clip = ledger_sql_int(&q, 0);
    ledger_sql_end(&q);
    TRY(q.status);
    TRY(advance_clip(l, clip, EV_DONE));
    return ledger_sql_run(
        l,
        "UPDATE clips SET reason = NULL, file = ?2, thumbnail = ?3, sheet = ?4, sha256 = ?5, duration_s = ?6,"
        " width = ?7, height = ?8, reviewer = '', decided_s = ?9 WHERE clip = ?1",
        "ittttdiid", clip, c->file, c->thumbnail, c->sheet, c->sha256, c->duration_s, (int64_t)c->width,
        (int64_t)c->height, l->now_s);
}

/* Looked at before anything is changed: exactly the clips that were ordered. */
static Status check_clips(Ledger *l, const LeaseResult *r)
{
    int64_t ordered, known;
    TRY(ledger_sql_number(l, &ordered, "SELECT clips FROM leases WHERE lease = ?1", "i", r->lease));
    if (ordered != r->clip_count)
        return status_fail(ERR_RETRY, "the result has %d clips, expected %d", r->clip_count, (int)ordered);
    for (int i = 0; i < r->clip_count; i++) {
        TRY(ledger_sql_number(
            l, &known,
            "SELECT count(*) FROM clips WHERE clip_id = ?1 AND lease = ?2 AND state IN ('waiting', 'finishing')", "ti",
            r->clip[i].clip_id, r->lease));
        if (!known)
            return status_fail(ERR_RETRY, "the result names clip \"%s\", which was not ordered", r->clip[i].clip_id);
    }
    return status_ok();
}

Status ledger_take_result(Ledger *l, const LeaseResult *r, bool *more)
{
    int64_t shot, left;
    TRY(find_lease(l, r->lease, &shot));
    TRY(check_clips(l, r));
    for (int i = 0; i < r->clip_count; i++) TRY(finish_clip(l, r->lease, &r->clip[i]));
    TRY(close_lease(l, r->lease, "done", r, NULL));
    TRY(ledger_note_step(l, shot, r->steps_resumed + r->steps_done));
    TRY(ledger_sql_number(l, &left, "SELECT count(*) FROM clips WHERE shot = ?1 AND state = 'planned'", "i", shot));
    *more = left > 0;
    return advance_shot(l, shot, *more ? EV_MORE : EV_DONE);
}

Status ledger_end_lease(Ledger *l, int64_t lease, const char *outcome, const LeaseResult *r, const char *reason)
{
    int64_t shot;
    TRY(find_lease(l, lease, &shot));
    TRY(close_lease(l, lease, outcome, r, reason));
    TRY(advance_shot(l, shot, EV_LOST));
    TRY(advance_clips_of(l, shot, CLIP_WAITING, EV_LOST));
    return advance_clips_of(l, shot, CLIP_FINISHING, EV_LOST);
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
    TRY(advance_shot(l, shot, EV_GIVE_UP));
    TRY(ledger_sql_run(l, "UPDATE shots SET reason = ?1 WHERE shot = ?2", "ti", reason, shot));
    TRY(ledger_sql_run(l, "UPDATE clips SET reason = ?1, decided_s = ?2 WHERE shot = ?3 AND state = 'planned'", "tdi",
                       reason, l->now_s, shot));
    return advance_clips_of(l, shot, CLIP_PLANNED, EV_GIVE_UP);
}

Status ledger_note_finishing(Ledger *l, int64_t shot)
{
    TRY(advance_shot(l, shot, EV_FINISH));
    return advance_clips_of(l, shot, CLIP_WAITING, EV_FINISH);
}

Status ledger_note_step(Ledger *l, int64_t shot, int step)
{
    return ledger_sql_run(l, "UPDATE shots SET step = ?1 WHERE shot = ?2 AND step < ?1", "ii", (int64_t)step, shot);
}

Status ledger_note_delivered(Ledger *l, int64_t clip) { return advance_clip(l, clip, EV_DELIVER); }

Status ledger_note_alive(Ledger *l)
{
    return ledger_sql_run(l, "UPDATE epochs SET heard_s = ?1 WHERE epoch = ?2", "di", l->now_s, l->epoch);
}

Status ledger_note_worker(Ledger *l, const WorkerLine *w)
{
    TRY(ledger_sql_run(l, "UPDATE epochs SET heard_s = ?1 WHERE epoch = ?2", "di", l->now_s, l->epoch));
    return ledger_sql_run(
        l, "INSERT OR REPLACE INTO workers VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        "iitiitttiiiiiid", l->epoch, (int64_t)w->rank, w->host, (int64_t)w->pid, (int64_t)w->threads, w->state,
        w->stage, w->clip, (int64_t)w->clip_count, w->lease, w->shot, (int64_t)w->done, (int64_t)w->total,
        (int64_t)w->finished, w->heard_s);
}

/* ---- requests ---- */

/* The one thing that another process may write: it takes no epoch, and nothing here changes a state. */
Status ledger_request(Ledger *l, const char *verb, const char *clip_id, double now_s)
{
    return ledger_sql_run(l, "INSERT INTO requests(verb, clip_id, asked_s) VALUES(?1, ?2, ?3)", "ttd", verb, clip_id,
                          now_s);
}

Status ledger_next_request(Ledger *l, LedgerRequest *r)
{
    memset(r, 0, sizeof *r);
    Query q =
        ledger_sql_query(l, "SELECT id, verb, clip_id FROM requests WHERE taken_s IS NULL ORDER BY id LIMIT 1", "");
    if (ledger_sql_next(&q)) {
        r->id = ledger_sql_int(&q, 0);
        r->verb = text_copy(ledger_sql_text(&q, 1));
        r->clip_id = text_copy(ledger_sql_text(&q, 2));
    }
    ledger_sql_end(&q);
    return q.status;
}

void ledger_request_clear(LedgerRequest *r)
{
    free(r->verb);
    free(r->clip_id);
    memset(r, 0, sizeof *r);
}

/* Failed clips (all, or the one) and their shots are planned again. */
static Status retry(Ledger *l, const char *clip_id, int64_t *count)
{
    TRY(ledger_sql_number(l, count, "SELECT count(*) FROM clips WHERE state = 'failed' AND (?1 = '' OR clip_id = ?1)",
                          "t", clip_id));
    Status status = status_ok();
    for (;;) { /* one shot at a time: each leaves the list when its clips are planned again */
        int64_t shot = -1;
        Query q = ledger_sql_query(
            l, "SELECT shot FROM clips WHERE state = 'failed' AND (?1 = '' OR clip_id = ?1) ORDER BY clip LIMIT 1", "t",
            clip_id);
        if (ledger_sql_next(&q)) shot = ledger_sql_int(&q, 0);
        ledger_sql_end(&q);
        TRY(q.status);
        if (shot < 0) return status;
        TRY(advance_shot(l, shot, EV_RETRY));
        TRY(ledger_sql_run(l, "UPDATE shots SET retried = retried + 1, reason = NULL WHERE shot = ?1", "i", shot));
        TRY(advance_clips_of(l, shot, CLIP_FAILED, EV_RETRY));
    }
}

Status ledger_apply_request(Ledger *l, const LedgerRequest *r, int64_t *retried)
{
    static const struct {
        const char *verb;
        ControlState state;
    } control[] = {{"pause", CONTROL_PAUSED}, {"resume", CONTROL_NONE}, {"cancel", CONTROL_CANCELLED}};
    *retried = 0;
    TRY(ledger_sql_run(l, "UPDATE requests SET taken_s = ?1 WHERE id = ?2", "di", l->now_s, r->id));
    for (size_t i = 0; i < sizeof control / sizeof *control; i++)
        if (strcmp(r->verb, control[i].verb) == 0)
            return ledger_sql_run(l, "UPDATE campaign SET control = ?1", "i", (int64_t)control[i].state);
    return strcmp(r->verb, "retry") == 0 ? retry(l, r->clip_id, retried) : status_ok();
}

Status ledger_get_control(Ledger *l, ControlState *s)
{
    int64_t n;
    TRY(ledger_sql_number(l, &n, "SELECT control FROM campaign", ""));
    *s = n == CONTROL_PAUSED || n == CONTROL_CANCELLED ? (ControlState)n : CONTROL_NONE;
    return status_ok();
}
