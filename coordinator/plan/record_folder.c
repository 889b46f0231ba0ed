/* record_folder.c - what the ledger of a campaign's folder says of its leases, added to a record. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/chain.h"
#include "common/evaluations.h"
#include "common/file.h"
#include "coordinator/ledger/view.h"
#include "coordinator/plan/record.h"

enum { LEAST_OF_WORKER = 3, MOST_CHECKPOINTS = 100 /* that are looked at */ };
static const char *const grown_in[] = {"start", "load", "text", "denoise", "decode", "finish"};
enum { GROWN_IN = sizeof grown_in / sizeof *grown_in };

typedef struct { /* one worker of one job */
    char name[96];
    int64_t epoch;
    int done[LEASE_KINDS]; /* leases */
    double ended_s;        /* of its last one */
    LeaseRow last; /* of which it is not known yet when the next one was given; lease 0: none. Without its texts */
    int count[LEASE_KINDS]; /* of the logarithms of what its leases took: number, sum, sum of squares */
    double sum[LEASE_KINDS], squares[LEASE_KINDS];
    int64_t peak, added[GROWN_IN]; /* of its memory: the most, and what of it came in which stage */
} WorkerTimes;

typedef struct {
    Record *r;
    WorkerTimes *worker;
    int count, room;
    double first_s, last_s, started_s;
    int64_t shots, clips;
    StepWork *step;   /* [steps], what a render's steps ask for; NULL: not known */
    int steps, trunk; /* trunk: so many of them may come from another shot */
    int later;        /* evaluations of the clips behind the first, where a shot is made in several */
    Measured gap, text, denoise, decode, gates, watermark, credentials;
    Measured frames; /* of renders that follow a voice */
    double frame_s;  /* when the first frame of all was there; 0: not known */
    int ranks;       /* of a group */
} Reading;

static WorkerTimes *find_worker(Reading *g, const LeaseRow *row)
{
    for (int i = g->count - 1; i >= 0; i--)
        if (g->worker[i].epoch == row->epoch && strcmp(g->worker[i].name, row->worker) == 0) return &g->worker[i];
    if (g->count == g->room) {
        g->room = 2 * g->room + 16;
        g->worker = memory_resize(g->worker, (size_t)g->room, sizeof *g->worker);
    }
    WorkerTimes *s = &g->worker[g->count++];
    *s = (WorkerTimes){.epoch = row->epoch};
    snprintf(s->name, sizeof s->name, "%s", row->worker);
    return s;
}

static double positive(double s) { return s > 0 ? s : 0; }

static void note_time(WorkerTimes *w, LeaseKind kind, double s)
{
    const double x = s > 0 ? log(s) : 0;
    if (s <= 0) return;
    w->count[kind]++;
    w->sum[kind] += x;
    w->squares[kind] += x * x;
}

/* What denoising would have taken with all steps, where the first ones came from a trunk. */
static double denoise_of_all(const Reading *g, const LeaseRow *row)
{
    if (!g->step || row->steps_resumed >= g->steps) return row->denoise_s;
    const int own = g->later + evaluations_count(g->step, row->steps_resumed, g->steps);
    return own ? row->denoise_s * (g->later + evaluations_count(g->step, 0, g->steps)) / own : row->denoise_s;
}

/* A worker's first render loads the model: what it takes beside its stages is the loading. A render takes its worker until the next lease is
 * given: what is decoded beside that one takes its time from it, which is longer by as much. */
static void take_render(Reading *g, WorkerTimes *s, const LeaseRow *row, double until_s)
{
    const bool beside = until_s < row->ended_s;
    if (row->steps_resumed > 0 && row->steps_resumed != g->trunk)
        return; /* it went on from a checkpoint: its time is that of a part */
    const double denoise_s = denoise_of_all(g, row), stages_s = row->text_s + denoise_s + (beside ? 0 : row->decode_s),
                 took_s = until_s - row->given_s + denoise_s - row->denoise_s;
    g->shots++;
    const bool loads = s->done[LEASE_RENDER]++ == 0 && took_s > stages_s;
    if (loads) measured_add(&g->r->load, took_s - stages_s);
    measured_add(&g->r->render, loads ? stages_s : took_s);
    note_time(s, LEASE_RENDER, loads ? stages_s : took_s);
    measured_add(&g->text, row->text_s);
    measured_add(&g->denoise, denoise_s);
    measured_add(&g->decode, row->decode_s);
}

/* The most that a process has had only grows: what it grew by in a stage is what that stage added. */
static void take_peak(WorkerTimes *w, const json_t *peak)
{
    for (int i = 0; i < GROWN_IN; i++) {
        const int64_t bytes = json_integer_value(json_object_get(peak, grown_in[i]));
        if (bytes <= w->peak) continue;
        w->added[i] += bytes - w->peak;
        w->peak = bytes;
    }
}

static void take_part(Measured *m, const json_t *figures, const char *key)
{
    const double s = json_number_value(json_object_get(figures, key));
    if (s > 0) measured_add(m, s);
}

/* Beside the seconds of the stages (worker/render/figures.h). */
static void take_figures(Reading *g, const LeaseRow *row)
{
    json_t *figures = *row->figures ? json_loads(row->figures, 0, NULL) : NULL;
    if (!figures) return;
    const double frame_s = json_number_value(json_object_get(figures, "first_frame_s"));
    const int ranks = (int)json_integer_value(json_object_get(figures, "ranks"));
    take_peak(find_worker(g, row), json_object_get(figures, "peak"));
    take_part(&g->gates, figures, "gates_s");
    take_part(&g->watermark, figures, "watermark_s");
    take_part(&g->credentials, figures, "credentials_s");
    if (row->kind == LEASE_RENDER) take_part(&g->frames, figures, "frames");
    if (frame_s > 0) measured_add(&g->r->first_frame, frame_s);
    if (frame_s > 0 && (g->frame_s == 0 || row->given_s + frame_s < g->frame_s)) g->frame_s = row->given_s + frame_s;
    if (ranks > g->ranks) g->ranks = ranks;
    json_decref(figures);
}

/* next_s: when the worker's next lease was given; INFINITY: there is none. */
static void take_last(Reading *g, WorkerTimes *s, double next_s)
{
    const LeaseRow *row = &s->last;
    if (row->lease == 0) return;
    if (row->kind == LEASE_RENDER) {
        take_render(g, s, row, fmin(row->ended_s, next_s));
    } else {
        s->done[LEASE_FINISH]++;
        g->clips++;
        measured_add(&g->r->finish, positive(row->ended_s - row->given_s));
        note_time(s, LEASE_FINISH, row->ended_s - row->given_s);
    }
    s->last.lease = 0;
}

static Status take_lease(void *self, const LeaseRow *row)
{
    Reading *g = self;
    take_figures(g, row);
    const bool done = strcmp(row->outcome, "done") == 0,
               failed = strcmp(row->outcome, "failed") == 0 || strcmp(row->outcome, "lost") == 0;
    g->r->leases += done || failed;
    g->r->failed += failed;
    if (!done) return status_ok();
    WorkerTimes *s = find_worker(g, row);
    const double gap_s = row->given_s - s->ended_s;
    if (s->ended_s > 0 && gap_s >= 0 && gap_s < 5) measured_add(&g->gap, gap_s);
    s->ended_s = row->ended_s;
    if (g->first_s == 0 || row->given_s < g->first_s) g->first_s = row->given_s;
    if (row->ended_s > g->last_s) g->last_s = row->ended_s;
    take_last(g, s, row->given_s);
    s->last = *row;
    return status_ok();
}

static void take_all_last(Reading *g)
{
    for (int i = 0; i < g->count; i++) take_last(g, &g->worker[i], INFINITY);
}

/* Of a folder that does not name its workers, as one that parts were merged into: those that had leases in the last job. */
static void count_leading(const Reading *g, Record *r)
{
    int renderers = 0, finishers = 0;
    for (int i = 0; i < g->count; i++) {
        const WorkerTimes *w = &g->worker[i];
        if (w->epoch != g->worker[g->count - 1].epoch) continue;
        renderers += w->done[LEASE_RENDER] > 0;
        finishers += w->done[LEASE_FINISH] > 0 && w->done[LEASE_RENDER] == 0;
        if (w->done[LEASE_FINISH] > 0 && w->done[LEASE_RENDER] > 0) r->both = true;
    }
    if (r->both) renderers += finishers, finishers = 0;
    if (renderers > r->workers) r->workers = renderers;
    if (finishers > r->finishers) r->finishers = finishers;
}

/* Those of the last job that are not missing, on each of its hosts. A group's ranks beside its first have no leases of their own. */
static void count_workers(const Reading *g, const Snapshot *s, Record *r)
{
    int renderers = 0, finishers = 0, hosts = 0;
    for (int i = 0; i < s->worker_count; i++) {
        const WorkerLine *w = &s->worker[i];
        const bool renders = w->takes >> LEASE_RENDER & 1, finishes = w->takes >> LEASE_FINISH & 1;
        bool known = false;
        if (strcmp(w->state, "absent") == 0) continue;
        for (int k = 0; k < i && !known; k++) known = strcmp(s->worker[k].host, w->host) == 0;
        hosts += !known;
        renderers += renders;
        finishers += finishes && !renders;
        if (finishes && renders) r->both = true;
    }
    if (hosts == 0) return count_leading(g, r);
    r->nodes = hosts;
    if ((renderers + hosts - 1) / hosts > r->workers) r->workers = (renderers + hosts - 1) / hosts;
    if ((finishers + hosts - 1) / hosts > r->finishers) r->finishers = (finishers + hosts - 1) / hosts;
}

/* Of those who render and of those who only finish the one that has had the most. */
static void keep_memory(const Reading *g, Record *r)
{
    const WorkerTimes *most = NULL;
    for (int i = 0; i < g->count; i++) {
        const WorkerTimes *w = &g->worker[i];
        const bool renders = w->done[LEASE_RENDER] > 0;
        int64_t *to = renders ? &r->renderer_bytes : &r->finisher_bytes;
        if (w->peak <= *to) continue;
        *to = w->peak;
        if (renders) most = w;
    }
    if (!most) return;
    json_object_clear(r->memory_added);
    for (int i = 0; i < GROWN_IN; i++)
        if (most->added[i]) json_object_set_new(r->memory_added, grown_in[i], json_integer(most->added[i]));
}

/* The mean of the checkpoints that are there. */
static double checkpoint_bytes(const char *folder)
{
    char *path = path_join(folder, "latents");
    DIR *dir = opendir(path);
    double sum = 0;
    int count = 0;
    for (struct dirent *e; dir && count < MOST_CHECKPOINTS && (e = readdir(dir));) {
        char *file = path_join(path, e->d_name);
        int64_t bytes = 0;
        const bool is_one = strstr(e->d_name, ".h5") && !failed(file_size(file, &bytes));
        sum += is_one ? (double)bytes : 0;
        count += is_one;
        free(file);
    }
    if (dir) closedir(dir);
    free(path);
    return count ? sum / count : 0;
}

/* How much workers of one night differ: the variance of the means of the logarithms of their times, less what chance alone makes of means of
 * so few leases. By what they render, or where too few do by what they finish. */
static void measure_workers(const Reading *g, LeaseKind kind, Record *r)
{
    double sum = 0, squares = 0, noise = 0;
    int n = 0;
    for (int i = 0; i < g->count; i++) {
        const WorkerTimes *w = &g->worker[i];
        const double k = w->count[kind];
        if (k < LEAST_OF_WORKER) continue;
        const double mean = w->sum[kind] / k;
        noise += positive(w->squares[kind] / k - mean * mean) / (k - 1);
        sum += mean;
        squares += mean * mean;
        n++;
    }
    if (n < 2) {
        if (kind == LEASE_RENDER) measure_workers(g, LEASE_FINISH, r);
        return;
    }
    r->worker_variance += positive((squares / n - sum / n * (sum / n)) * n / (n - 1) - noise / n);
    r->worker_nights++;
}

/* Not known where the model is no longer there: then all steps count the same. */
static void plan_steps(const ShotSpec *s, const char *model_folder, Reading *g)
{
    ModelConfig *c = NULL;
    Schedule schedule = {0};
    Status status = model_config_read(model_folder, &c);
    if (!failed(status)) {
        g->steps = s->steps;
        g->step = memory_get((size_t)s->steps + 1, sizeof *g->step);
        schedule_make(&c->scheduler, s, &schedule);
        status = evaluations_plan(c, s, &schedule, g->step);
        schedule_free(&schedule);
    }
    if (!failed(status)) {
        const int clip = evaluations_count(g->step, 0, g->steps);
        g->later = (shot_rounds(s) - 1) * clip;
        json_object_set_new(g->r->work, "evaluations", json_integer(clip + g->later));
    } else {
        free(g->step), g->step = NULL;
    }
    model_config_free(&c);
}

static Status take_work(Ledger *l, const Snapshot *s, Reading *g, ShotSpec *any)
{
    Record *r = g->r;
    ShotSpec shot = {0};
    char *renditions = NULL;
    TRY(ledger_read_renditions(l, &renditions));
    json_t *list = json_loads(renditions, 0, NULL), *names = json_array();
    for (size_t i = 0; i < json_array_size(list); i++)
        json_array_append(names, json_object_get(json_array_get(list, i), "name"));
    free(renditions);
    json_decref(list);
    json_object_set_new(r->work, "renditions", names);
    json_object_set_new(r->work, "model", json_string(s->model_hash));
    Status status = ledger_read_any_shot(l, &shot);
    if (!failed(status) && shot.width) {
        json_object_set_new(r->work, "width", json_integer(shot.width));
        json_object_set_new(r->work, "height", json_integer(shot.height));
        json_object_set_new(r->work, "frames", json_integer(shot.frames));
        json_object_set_new(r->work, "steps", json_integer(shot.steps * shot_rounds(&shot)));
        json_object_set_new(r->work, "guidance", json_real(shot.guidance));
        g->trunk = shot.trunk_steps;
        plan_steps(&shot, s->model_folder, g);
    }
    *any = shot;
    return status;
}

/* Renders that were as long as their voices: the work is that of the one in the middle, as the times are. */
static void take_lengths(const Reading *g, const ShotSpec *shot)
{
    if (g->frames.count == 0 || !shot->frames_most) return;
    const int frames = (int)measured_quantile(&g->frames, 0.5), parts = chain_clips(frames),
              evaluations = g->step ? evaluations_count(g->step, 0, g->steps) : 0;
    json_object_set_new(g->r->work, "frames", json_integer(frames));
    json_object_set_new(g->r->work, "steps", json_integer(shot->steps * parts));
    if (evaluations) json_object_set_new(g->r->work, "evaluations", json_integer(parts * evaluations));
}

static void clear_reading(Reading *g)
{
    free(g->frames.s);
    free(g->worker);
    free(g->step);
    free(g->gap.s);
    free(g->text.s);
    free(g->denoise.s);
    free(g->decode.s);
    free(g->gates.s);
    free(g->watermark.s);
    free(g->credentials.s);
}

Status record_add_folder(const char *folder, double wall_s, Record *r)
{
    Ledger *l = NULL;
    Snapshot s = {0};
    ShotSpec shot = {0};
    Reading g = {.r = r};
    Status status = status_ok();
    TRY(ledger_open_shown(folder, &l));
    TRY_OUT(ledger_read_snapshot(l, &s));
    TRY_OUT(take_work(l, &s, &g, &shot));
    TRY_OUT(ledger_read_leases(l, -1, -1, (LeaseSink){take_lease, &g}));
    take_all_last(&g);
    take_lengths(&g, &shot);
    if (g.count) TRY_OUT(ledger_read_workers(l, g.worker[g.count - 1].epoch, &s));
    count_workers(&g, &s, r);
    keep_memory(&g, r);
    TRY_OUT(ledger_read_sizes(l, &r->master_bytes, &r->clip_bytes));
    measure_workers(&g, LEASE_RENDER, r);
    if (g.last_s > 0) {
        const double work_s = g.last_s - g.first_s, start_s = positive(g.first_s - s.created_s);
        const double all_s = wall_s > 0 ? wall_s : work_s + start_s;
        json_array_append_new(r->nights,
                              json_pack("{s:f, s:f, s:f, s:f, s:I, s:I}", "wall_s", all_s, "start_s", start_s,
                                        "first_frame_s", g.frame_s > 0 ? g.frame_s - s.created_s : 0, "end_s",
                                        positive(all_s - work_s - start_s), "shots", (json_int_t)g.shots, "clips",
                                        (json_int_t)g.clips));
        r->text_s = measured_quantile(&g.text, 0.5);
        r->denoise_s = measured_quantile(&g.denoise, 0.5);
        r->decode_s = measured_quantile(&g.decode, 0.5);
        r->gap_s = measured_quantile(&g.gap, 0.5);
        r->gates_s = measured_quantile(&g.gates, 0.5);
        r->watermark_s = measured_quantile(&g.watermark, 0.5);
        r->credentials_s = measured_quantile(&g.credentials, 0.5);
        if (g.ranks > r->group_size) r->group_size = g.ranks;
        r->checkpoint_bytes = checkpoint_bytes(folder);
    }
out:
    shot_clear(&shot);
    clear_reading(&g);
    snapshot_clear(&s);
    ledger_close(&l);
    return status;
}

Status record_add_latest(Ledger *l, int64_t most, Record *r)
{
    Reading g = {.r = r};
    ShotSpec shot = {0};
    TRY(ledger_read_any_shot(l, &shot));
    g.trunk = shot.trunk_steps;
    shot_clear(&shot);
    Status status = ledger_read_latest_leases(l, most, (LeaseSink){take_lease, &g});
    take_all_last(&g);
    if (!failed(status)) measure_workers(&g, LEASE_RENDER, r);
    clear_reading(&g);
    return status;
}
