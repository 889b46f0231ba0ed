#include "view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/host.h"
#include "coordinator/ledger/lock.h"
#include "coordinator/ledger/sql.h"

static Status read_campaign(Ledger *l, Snapshot *s)
{
    Query q = ledger_sql_query(l,
                               "SELECT name, file, model_folder, model_hash, fingerprint, control, epoch, created_s,"
                               " priority, deadline_s, pilot, part, parts,"
                               " ifnull(json_extract(settings, '$.review.policy'), '') = 'sample' FROM campaign",
                               "");
    if (!ledger_sql_next(&q))
        return failed(q.status) ? q.status : status_fail(ERR_INPUT, "%s: no campaign in it yet", l->file);
    s->name = text_copy(ledger_sql_text(&q, 0));
    s->folder = text_copy(l->folder);
    s->file = text_copy(ledger_sql_text(&q, 1));
    s->model_folder = text_copy(ledger_sql_text(&q, 2));
    snprintf(s->model_hash, sizeof s->model_hash, "%s", ledger_sql_text(&q, 3));
    snprintf(s->fingerprint, sizeof s->fingerprint, "%s", ledger_sql_text(&q, 4));
    const int64_t control = ledger_sql_int(&q, 5); /* another version's, or a damaged one, means none here */
    s->control = control == CONTROL_PAUSED || control == CONTROL_CANCELLED ? (ControlState)control : CONTROL_NONE;
    s->epoch = ledger_sql_int(&q, 6);
    s->created_s = ledger_sql_real(&q, 7);
    s->priority = (int)ledger_sql_int(&q, 8);
    s->deadline_s = ledger_sql_real(&q, 9);
    s->pilot = ledger_find_pilot_state(ledger_sql_text(&q, 10));
    s->part = (Part){(int)ledger_sql_int(&q, 11), (int)ledger_sql_int(&q, 12)};
    s->by_sample = ledger_sql_int(&q, 13) != 0;
    ledger_sql_end(&q);
    if (s->pilot == PILOT_NONE) return status_ok();
    TRY(ledger_sql_number(l, &s->pilot_clips, "SELECT count(*) FROM clips WHERE pilot = 1 AND state <> 'refused'", ""));
    return ledger_sql_number(
        l, &s->pilot_left,
        "SELECT count(*) FROM clips WHERE pilot = 1 AND state IN ('planned', 'waiting', 'finishing')", "");
}

/* Where the count of this state belongs; NULL for one that no snapshot shows. */
static int64_t *count_of(Snapshot *s, const char *what, const char *state)
{
    ClipState clip;
    ShotState shot;
    if (strcmp(what, "clips") == 0) return ledger_find_clip_state(state, &clip) ? &s->clip_count[clip] : NULL;
    if (strcmp(what, "shots") == 0) return ledger_find_shot_state(state, &shot) ? &s->shot_count[shot] : NULL;
    return strcmp(what, "steps") == 0 ? &s->steps : NULL;
}

static Status count_states(Ledger *l, Snapshot *s)
{
    Query q = ledger_sql_query(l, "SELECT what, state, n FROM counts", "");
    while (ledger_sql_next(&q)) {
        int64_t *count = count_of(s, ledger_sql_text(&q, 0), ledger_sql_text(&q, 1));
        if (count) *count = ledger_sql_int(&q, 2);
    }
    TRY(q.status);
    for (int i = 0; i < CLIP_STATES; i++)
        if (i != CLIP_ERASED) s->clips += s->clip_count[i];
    for (int i = 0; i < SHOT_STATES; i++) s->shots += s->shot_count[i];
    s->refused = s->clip_count[CLIP_REFUSED] + s->clip_count[CLIP_REVOKED];
    s->finished = s->clip_count[CLIP_APPROVED] + s->clip_count[CLIP_DELIVERED];
    s->failed = s->clip_count[CLIP_FAILED];
    s->cancelled = s->clip_count[CLIP_CANCELLED];
    s->undecided = s->clip_count[CLIP_HELD] + s->clip_count[CLIP_REVIEW];
    s->rejected = s->clip_count[CLIP_REJECTED];
    s->left = s->clips - s->refused - s->finished - s->failed - s->cancelled - s->undecided - s->rejected;
    return status_ok();
}

static Status read_epoch(Ledger *l, Snapshot *s)
{
    Query q = ledger_sql_query(l, "SELECT host, pid, started_s, heard_s, ended_s, outcome FROM epochs WHERE epoch = ?1",
                               "i", s->epoch);
    bool there = ledger_sql_next(&q);
    s->host = text_copy(there ? ledger_sql_text(&q, 0) : "");
    s->outcome = text_copy(there ? ledger_sql_text(&q, 5) : "");
    if (there) {
        s->pid = (int)ledger_sql_int(&q, 1);
        s->started_s = ledger_sql_real(&q, 2);
        s->heard_s = ledger_sql_real(&q, 3);
        s->ended_s = ledger_sql_real(&q, 4);
    }
    ledger_sql_end(&q);
    TRY(q.status);
    TRY(ledger_sql_number(l, &s->launches, "SELECT count(*) FROM epochs WHERE first_s > 0", ""));
    q = ledger_sql_query(
        l, "SELECT finished, first_s, last_s FROM epochs WHERE first_s > 0 ORDER BY epoch DESC LIMIT 1", "");
    if (ledger_sql_next(&q)) {
        s->finished_lately = ledger_sql_int(&q, 0);
        s->first_s = ledger_sql_real(&q, 1);
        s->last_s = ledger_sql_real(&q, 2);
    }
    ledger_sql_end(&q);
    return q.status;
}

static void clear_workers(Snapshot *s)
{
    for (int i = 0; i < s->worker_count; i++) {
        const WorkerLine *w = &s->worker[i];
        const void *owned[] = {w->host, w->state, w->stage, w->clip};
        for (size_t k = 0; k < sizeof owned / sizeof *owned; k++) free((void *)(uintptr_t)owned[k]);
    }
    free(s->worker);
    s->worker = NULL;
    s->worker_count = 0;
}

Status ledger_read_workers(Ledger *l, int64_t epoch, Snapshot *s)
{
    clear_workers(s);
    s->worker = memory_get(SNAPSHOT_WORKERS, sizeof *s->worker);
    Query q = ledger_sql_query(
        l,
        "SELECT rank, host, pid, threads, state, stage, clip, clips, lease, shot, done, total, finished,"
        " heard_s, takes, kind, renders FROM workers WHERE epoch = ?1 ORDER BY abs(rank), rank DESC",
        "i", epoch);
    while (s->worker_count < SNAPSHOT_WORKERS && ledger_sql_next(&q)) {
        s->worker[s->worker_count++] = (WorkerLine){.rank = abs((int)ledger_sql_int(&q, 0)),
                                                    .is_tail = ledger_sql_int(&q, 0) < 0,
                                                    .host = text_copy(ledger_sql_text(&q, 1)),
                                                    .pid = (int)ledger_sql_int(&q, 2),
                                                    .threads = (int)ledger_sql_int(&q, 3),
                                                    .state = text_copy(ledger_sql_text(&q, 4)),
                                                    .stage = text_copy(ledger_sql_text(&q, 5)),
                                                    .clip = text_copy(ledger_sql_text(&q, 6)),
                                                    .clip_count = (int)ledger_sql_int(&q, 7),
                                                    .lease = ledger_sql_int(&q, 8),
                                                    .shot = ledger_sql_int(&q, 9),
                                                    .done = (int)ledger_sql_int(&q, 10),
                                                    .total = (int)ledger_sql_int(&q, 11),
                                                    .finished = (int)ledger_sql_int(&q, 12),
                                                    .heard_s = ledger_sql_real(&q, 13),
                                                    .takes = (int)ledger_sql_int(&q, 14),
                                                    .kind = (int)ledger_sql_int(&q, 15),
                                                    .renders = (int)ledger_sql_int(&q, 16)};
    }
    ledger_sql_end(&q);
    return q.status;
}

Status ledger_read_snapshot(Ledger *l, Snapshot *s)
{
    memset(s, 0, sizeof *s);
    if (!l->in_round) TRY(ledger_sql_run(l, "BEGIN", "")); /* one view for all the queries */
    Status status = read_campaign(l, s);
    if (!failed(status)) status = count_states(l, s);
    if (!failed(status)) status = read_epoch(l, s);
    if (!failed(status)) status = ledger_read_workers(l, s->epoch, s);
    if (!l->in_round) sqlite3_exec(l->db, "ROLLBACK", NULL, NULL, NULL);
    if (failed(status)) snapshot_clear(s);
    return status;
}

void snapshot_clear(Snapshot *s)
{
    clear_workers(s);
    free(s->name);
    free(s->folder);
    free(s->file);
    free(s->model_folder);
    free(s->host);
    free(s->outcome);
    memset(s, 0, sizeof *s);
}

bool snapshot_goes_on(const Snapshot *s, double now_s)
{
    enum { SILENT_S = 60 };
    char here[HOST_BYTES] = "";
    host_name(here);
    if (!s->folder) return s->epoch > 0 && s->ended_s <= 0;
    if (s->epoch == 0 || s->ended_s > 0) return lock_is_held(s->folder); /* between two jobs, or before the first */
    if (lock_is_held(s->folder)) return true;
    return strcmp(here, s->host) != 0 && now_s - s->heard_s < SILENT_S;
}

const char *snapshot_waits_for(const Snapshot *s)
{
    if (s->left == 0) return "";
    bool in_work = s->clip_count[CLIP_WAITING] + s->clip_count[CLIP_FINISHING] > 0;
    if (s->control != CONTROL_NONE && s->pilot != PILOT_REJECTED) return "resume";
    if (s->pilot == PILOT_REJECTED || (s->pilot == PILOT_OPEN && s->pilot_left == 0)) return "approval";
    return s->left == s->clip_count[CLIP_PAUSED] && !in_work ? "resume" : "";
}

int64_t snapshot_rendered(const Snapshot *s) { return s->shot_count[SHOT_MASTERED] + s->shot_count[SHOT_DONE]; }

static bool is_at(const Snapshot *s, int i, LeaseKind kind)
{
    return s->worker[i].kind == (int)kind && strcmp(s->worker[i].state, "working") == 0;
}

/* A worker that renders while it decodes its last shot counts once. */
int snapshot_workers_at(const Snapshot *s, LeaseKind kind)
{
    int count = 0;
    for (int i = 0; i < s->worker_count && s->ended_s <= 0; i++)
        count += is_at(s, i, kind) && !(s->worker[i].is_tail && i > 0 && is_at(s, i - 1, kind));
    return count;
}

double snapshot_clips_per_hour(const Snapshot *s, double now_s)
{
    bool rests = s->ended_s > 0 || *snapshot_waits_for(s);
    double until = rests ? s->last_s : now_s;
    if (s->finished_lately <= 0 || until <= s->first_s) return 0;
    return (double)s->finished_lately * 3600 / (until - s->first_s);
}

Status ledger_check_counts(Ledger *l)
{
    Query q =
        ledger_sql_query(l,
                         "WITH real AS (SELECT 'clips' AS what, state, count(*) AS n FROM clips GROUP BY state"
                         " UNION ALL SELECT 'shots', state, count(*) FROM shots GROUP BY state"
                         " UNION ALL SELECT 'steps', '', sum(step) FROM shots)"
                         " SELECT what, state, sum(n), sum(kept) FROM"
                         " (SELECT what, state, n, 0 AS kept FROM real UNION ALL"
                         "  SELECT what, state, 0, n FROM counts) GROUP BY what, state HAVING sum(n) <> sum(kept)",
                         "");
    if (!ledger_sql_next(&q)) return q.status;
    Status status =
        status_fail(ERR_FATAL, "%s: counted %lld %s %s, but there are %lld", l->file, (long long)ledger_sql_int(&q, 3),
                    ledger_sql_text(&q, 0), ledger_sql_text(&q, 1), (long long)ledger_sql_int(&q, 2));
    ledger_sql_end(&q);
    return status;
}

double snapshot_late_s(const Snapshot *s, double now_s)
{
    if (s->deadline_s <= 0 || s->left == 0) return 0;
    double rate = s->ended_s > 0 ? 0 : snapshot_clips_per_hour(s, now_s);
    return now_s + (rate > 0 ? (double)s->left * 3600 / rate : 0) - s->deadline_s;
}

/* ---- rows ---- */

static ClipRow clip_row(const Query *q)
{
    return (ClipRow){.clip = ledger_sql_int(q, 0),
                     .clip_id = ledger_sql_text(q, 1),
                     .stem = ledger_sql_text(q, 2),
                     .shot = ledger_sql_int(q, 3),
                     .state = ledger_sql_text(q, 4),
                     .reason = ledger_sql_text(q, 5),
                     .customer = ledger_sql_text(q, 6),
                     .file = ledger_sql_text(q, 7),
                     .thumbnail = ledger_sql_text(q, 8),
                     .sheet = ledger_sql_text(q, 9),
                     .sha256 = ledger_sql_text(q, 10),
                     .duration_s = ledger_sql_real(q, 11),
                     .width = (int)ledger_sql_int(q, 12),
                     .height = (int)ledger_sql_int(q, 13),
                     .reviewer = ledger_sql_text(q, 14),
                     .decided_s = ledger_sql_real(q, 15),
                     .key = ledger_sql_text(q, 16),
                     .prompt = ledger_sql_text(q, 17),
                     .seed = strtoull(ledger_sql_text(q, 18), NULL, 10),
                     .steps = (int)ledger_sql_int(q, 19),
                     .text_s = ledger_sql_real(q, 20),
                     .denoise_s = ledger_sql_real(q, 21),
                     .decode_s = ledger_sql_real(q, 22),
                     .finish_s = ledger_sql_real(q, 23),
                     .given_s = ledger_sql_real(q, 24),
                     .ended_s = ledger_sql_real(q, 25),
                     .worker = ledger_sql_text(q, 26),
                     .steps_resumed = (int)ledger_sql_int(q, 27),
                     .sharers = ledger_sql_int(q, 28),
                     .failures = ledger_sql_int(q, 29),
                     .step = (int)ledger_sql_int(q, 30),
                     .finish = ledger_sql_text(q, 31),
                     .result = ledger_sql_text(q, 32),
                     .label = ledger_sql_text(q, 33),
                     .pilot = ledger_sql_int(q, 34) != 0};
}

Status ledger_read_clips(Ledger *l, const char *clip_id, ClipSink sink)
{
    int64_t clip;
    if (!clip_id) return ledger_read_clip_range(l, 0, INT64_MAX, sink);
    TRY(ledger_sql_number(l, &clip, "SELECT ifnull((SELECT clip FROM clips WHERE clip_id = ?1), -1)", "t", clip_id));
    return ledger_read_clip_range(l, clip, clip + 1, sink);
}

Status ledger_read_clip_range(Ledger *l, int64_t first, int64_t end, ClipSink sink)
{
    Query q = ledger_sql_query(
        l,
        "SELECT c.clip, c.clip_id, c.stem, ifnull(c.shot, -1), c.state, c.reason, c.customer, c.file, c.thumbnail, "
        "c.sheet,"
        " c.sha256, c.duration_s, c.width, c.height, c.reviewer, c.decided_s, p.key,"
        " json_extract(p.spec, '$.prompt'), json_extract(p.spec, '$.seed'),"
        " ifnull(iif(json_extract(p.spec, '$.frames_most') IS NULL, NULL, r.steps_done + r.steps_resumed),"
        "  json_extract(p.spec, '$.steps') * ifnull(json_extract(p.spec, '$.rounds'), 1)), r.text_s,"
        " r.denoise_s, r.decode_s, l.finish_s, r.given_s, l.ended_s, r.worker, r.steps_resumed, s.clips,"
        " (SELECT count(*) FROM leases b WHERE b.shot = c.shot AND b.outcome IN ('failed', 'lost') AND"
        "  (b.clip IS NULL OR b.clip = c.clip)), s.step, c.finish, c.result,"
        " ifnull(json_extract(nullif(c.finish, ''), '$.label.profile'), (SELECT json_extract(finish, "
        "'$.label.profile') FROM campaign)), c.pilot"
        " FROM clips c LEFT JOIN specs p ON p.shot = c.shot LEFT JOIN shots s ON s.shot = c.shot"
        " LEFT JOIN leases l ON l.lease = c.lease LEFT JOIN leases r ON r.lease = s.lease"
        " WHERE c.clip >= ?1 AND c.clip < ?2 ORDER BY c.clip",
        "ii", first, end);
    while (ledger_sql_next(&q)) {
        ClipRow row = clip_row(&q);
        Status status = sink.row(sink.self, &row);
        if (failed(status)) return ledger_sql_end(&q), status;
    }
    return q.status;
}

Status ledger_find_state(Ledger *l, const char *stem, char *state, size_t room)
{
    char *text = NULL;
    TRY(ledger_db_read_text(ledger_sql_query(l, "SELECT state FROM clips WHERE stem = ?1", "t", stem), "", &text));
    snprintf(state, room, "%s", text);
    free(text);
    return status_ok();
}

/* The clips with these numbers, each once. */
static Status read_numbered(Ledger *l, Query q, ClipSink sink)
{
    int64_t clip[VIEW_MOST];
    int count = 0;
    while (ledger_sql_next(&q) && count < VIEW_MOST) {
        int at = 0;
        clip[count] = ledger_sql_int(&q, 0);
        while (clip[at] != clip[count]) at++;
        count += at == count;
    }
    ledger_sql_end(&q);
    TRY(q.status);
    for (int i = 0; i < count; i++) TRY(ledger_read_clip_range(l, clip[i], clip[i] + 1, sink));
    return status_ok();
}

Status ledger_read_latest(Ledger *l, int most, ClipSink sink)
{
    return read_numbered(l,
                         ledger_sql_query(l,
                                          "SELECT clip FROM leases WHERE clip IS NOT NULL AND outcome = 'done'"
                                          " ORDER BY lease DESC LIMIT ?1",
                                          "i", (int64_t)most),
                         sink);
}

Status ledger_read_failed(Ledger *l, int most, ClipSink sink)
{
    return read_numbered(
        l, ledger_sql_query(l, "SELECT clip FROM clips WHERE state = 'failed' LIMIT ?1", "i", (int64_t)most), sink);
}

Status ledger_get_version(Ledger *l, int64_t *version)
{
    return ledger_sql_number(l, version, "PRAGMA data_version", "");
}

Status ledger_find_ends(Ledger *l, int64_t *clips, int64_t *shots)
{
    if (clips) TRY(ledger_sql_number(l, clips, "SELECT ifnull(max(clip), -1) + 1 FROM clips", ""));
    if (shots) TRY(ledger_sql_number(l, shots, "SELECT ifnull(max(shot), -1) + 1 FROM specs", ""));
    return status_ok();
}

Status ledger_read_sizes(Ledger *l, double *master_bytes, double *clip_bytes)
{
    Query q = ledger_sql_query(
        l,
        "SELECT (SELECT ifnull(avg(master_bytes), 0) FROM (SELECT master_bytes FROM shots WHERE master_bytes > 0 LIMIT "
        "1000)),"
        " (SELECT ifnull(avg((SELECT total(json_extract(value, '$.bytes')) FROM json_each(result, '$.files'))), 0)"
        "  FROM (SELECT result FROM clips WHERE result LIKE '{%' LIMIT 1000))",
        "");
    if (ledger_sql_next(&q)) {
        *master_bytes = ledger_sql_real(&q, 0);
        *clip_bytes = ledger_sql_real(&q, 1);
    }
    return ledger_sql_end(&q), q.status;
}

Status ledger_read_renditions(Ledger *l, char **json)
{
    return ledger_db_read_text(ledger_sql_query(l, "SELECT json_extract(finish, '$.renditions') FROM campaign", ""),
                               "[]", json);
}

Status ledger_read_finish(Ledger *l, char **json)
{
    return ledger_db_read_text(ledger_sql_query(l, "SELECT finish FROM campaign", ""), "{}", json);
}

#define LEASE_COLUMNS                                                                                                  \
    "SELECT lease, epoch, shot, worker, outcome, reason, given_s, ended_s, steps_done, steps_resumed, ifnull(clip, "   \
    "-1),"                                                                                                             \
    " ifnull(text_s, 0), ifnull(denoise_s, 0), ifnull(decode_s, 0), ifnull(figures, '') FROM leases WHERE "

static Status give_leases(Query q, LeaseSink sink)
{
    while (ledger_sql_next(&q)) {
        LeaseRow row = {.lease = ledger_sql_int(&q, 0),
                        .epoch = ledger_sql_int(&q, 1),
                        .shot = ledger_sql_int(&q, 2),
                        .worker = ledger_sql_text(&q, 3),
                        .outcome = ledger_sql_text(&q, 4),
                        .reason = ledger_sql_text(&q, 5),
                        .given_s = ledger_sql_real(&q, 6),
                        .ended_s = ledger_sql_real(&q, 7),
                        .steps_done = (int)ledger_sql_int(&q, 8),
                        .steps_resumed = (int)ledger_sql_int(&q, 9),
                        .clip = ledger_sql_int(&q, 10),
                        .text_s = ledger_sql_real(&q, 11),
                        .denoise_s = ledger_sql_real(&q, 12),
                        .decode_s = ledger_sql_real(&q, 13),
                        .figures = ledger_sql_text(&q, 14)};
        row.kind = row.clip < 0 ? LEASE_RENDER : LEASE_FINISH;
        Status status = sink.row(sink.self, &row);
        if (failed(status)) return ledger_sql_end(&q), status;
    }
    return q.status;
}

Status ledger_read_leases(Ledger *l, int64_t shot, int64_t clip, LeaseSink sink)
{
    return give_leases(
        ledger_sql_query(l, LEASE_COLUMNS "?1 < 0 OR (shot = ?1 AND (clip IS NULL OR clip = ?2)) ORDER BY lease", "ii",
                         shot, clip),
        sink);
}

Status ledger_read_latest_leases(Ledger *l, int64_t most, LeaseSink sink)
{
    return give_leases(
        ledger_sql_query(l, LEASE_COLUMNS "lease > (SELECT max(lease) FROM leases) - ?1 ORDER BY lease", "i", most),
        sink);
}

static Status read_spec(Query q, ShotSpec *out)
{
    *out = (ShotSpec){0};
    Status status = ledger_sql_next(&q) ? shot_from_json(ledger_sql_text(&q, 0), out) : status_ok();
    ledger_sql_end(&q);
    return failed(status) ? status : q.status;
}

Status ledger_read_shot(Ledger *l, int64_t shot, ShotSpec *out)
{
    return read_spec(ledger_sql_query(l, "SELECT spec FROM specs WHERE shot = ?1", "i", shot), out);
}

Status ledger_read_any_shot(Ledger *l, ShotSpec *out)
{
    return read_spec(ledger_sql_query(l, "SELECT spec FROM specs ORDER BY shot LIMIT 1", ""), out);
}

Status ledger_read_totals(Ledger *l, LeaseTotals *out)
{
    memset(out, 0, sizeof *out);
    Query q = ledger_sql_query(l,
                               "SELECT outcome, count(*), total(text_s), total(denoise_s), total(decode_s),"
                               " total(finish_s), clip IS NOT NULL FROM leases GROUP BY outcome, clip IS NOT NULL",
                               "");
    while (ledger_sql_next(&q))
        for (int i = 0; i < LEASE_OUTCOMES; i++) {
            if (strcmp(ledger_sql_text(&q, 0), ledger_outcome_name(i)) != 0) continue;
            out->count[ledger_sql_int(&q, 6) ? LEASE_FINISH : LEASE_RENDER][i] = ledger_sql_int(&q, 1);
            if (i != LEASE_DONE) continue;
            out->text_s += ledger_sql_real(&q, 2);
            out->denoise_s += ledger_sql_real(&q, 3);
            out->decode_s += ledger_sql_real(&q, 4);
            out->finish_s += ledger_sql_real(&q, 5);
        }
    return q.status;
}

Status ledger_read_adapters(Ledger *l, AdapterSink sink)
{
    Query q =
        ledger_sql_query(l,
                         "SELECT min(json_extract(a.value, '$.path')), json_extract(a.value, '$.sha256') AS sha256,"
                         " sum((SELECT count(*) FROM clips WHERE clips.shot = specs.shot))"
                         " FROM specs, json_each(specs.spec, '$.loras') a GROUP BY sha256 ORDER BY 1",
                         "");
    while (ledger_sql_next(&q)) {
        const AdapterRow r = {ledger_sql_text(&q, 0), ledger_sql_text(&q, 1), ledger_sql_int(&q, 2)};
        Status status = sink.row(sink.self, &r);
        if (failed(status)) {
            ledger_sql_end(&q);
            return status;
        }
    }
    return q.status;
}
