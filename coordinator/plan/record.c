#include "record.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/evaluations.h"
#include "common/file.h"
#include "common/host.h"
#include "coordinator/ledger/view.h"

enum { LEAST_LEASES = 5, LEAST_OF_WORKER = 3, MOST_TIMES = 100000 };

/* ---- times ---- */

void measured_add(Measured *m, double s)
{
    if (m->count >= MOST_TIMES) return; /* a night of a million leases is known well enough by the first of them */
    if (m->count == m->room) {
        m->room = 2 * m->room + 16;
        m->s = memory_resize(m->s, (size_t)m->room, sizeof *m->s);
    }
    m->s[m->count++] = s;
}

double measured_quantile(const Measured *m, double q)
{
    if (m->count == 0) return 0;
    double *sorted = memory_get((size_t)m->count, sizeof *sorted);
    memcpy(sorted, m->s, (size_t)m->count * sizeof *sorted);
    night_sort(sorted, m->count);
    const double value = night_quantile(sorted, m->count, q);
    free(sorted);
    return value;
}

/* ---- this machine ---- */

/* "model name : Intel ..." of /proc/cpuinfo */
static void read_cpu(char *name, size_t room)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    snprintf(name, room, "unknown");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
        if (!colon) continue;
        colon[strcspn(colon, "\n")] = 0;
        snprintf(name, room, "%s", colon + 2);
        break;
    }
    if (f) fclose(f);
}

void record_begin(Record *r)
{
    char cpu[200], host[HOST_BYTES] = "";
    struct utsname u = {0};
    *r = (Record){.nodes = 1};
    read_cpu(cpu, sizeof cpu);
    host_name(host);
    uname(&u);
    r->machine =
        json_pack("{s:s, s:s, s:i, s:I, s:s}", "host", host, "cpu", cpu, "cores", (int)sysconf(_SC_NPROCESSORS_ONLN),
                  "memory_bytes", (json_int_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE), "system", u.release);
    r->work = json_object();
    r->nights = json_array();
    r->invalid = json_array();
}

void record_clear(Record *r)
{
    json_decref(r->machine);
    json_decref(r->work);
    json_decref(r->nights);
    json_decref(r->file_system);
    json_decref(r->network);
    json_decref(r->invalid);
    free(r->load.s);
    free(r->render.s);
    free(r->finish.s);
    for (int i = 0; i < r->other_count; i++) record_clear(&r->other[i]);
    free(r->other);
    *r = (Record){0};
}

Record *record_add_other(Record *r)
{
    r->other = memory_resize(r->other, (size_t)r->other_count + 1, sizeof *r->other);
    record_begin(&r->other[r->other_count]);
    return &r->other[r->other_count++];
}

const Record *record_of(const Record *r, int i) { return i == 0 ? r : i <= r->other_count ? &r->other[i - 1] : NULL; }

/* ---- from a ledger ---- */

typedef struct { /* one worker of one job */
    char name[96];
    int64_t epoch;
    int done[LEASE_KINDS];  /* leases */
    double ended_s;         /* of its last one */
    int count[LEASE_KINDS]; /* of the logarithms of what its leases took: number, sum, sum of squares */
    double sum[LEASE_KINDS], squares[LEASE_KINDS];
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
    Measured gap, text, denoise, decode;
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

/* A worker's first render loads the model: what it takes beside its stages is the loading. */
static void take_render(Reading *g, WorkerTimes *s, const LeaseRow *row)
{
    if (row->steps_resumed > 0 && row->steps_resumed != g->trunk)
        return; /* it went on from a checkpoint: its time is that of a part */
    const double denoise_s = denoise_of_all(g, row), stages_s = row->text_s + denoise_s + row->decode_s,
                 took_s = row->ended_s - row->given_s + denoise_s - row->denoise_s;
    g->shots++;
    const bool loads = s->done[LEASE_RENDER]++ == 0 && took_s > stages_s;
    if (loads) measured_add(&g->r->load, took_s - stages_s);
    measured_add(&g->r->render, loads ? stages_s : took_s);
    note_time(s, LEASE_RENDER, loads ? stages_s : took_s);
    measured_add(&g->text, row->text_s);
    measured_add(&g->denoise, denoise_s);
    measured_add(&g->decode, row->decode_s);
}

static Status take_lease(void *self, const LeaseRow *row)
{
    Reading *g = self;
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
    if (row->kind == LEASE_RENDER) {
        take_render(g, s, row);
    } else {
        s->done[LEASE_FINISH]++;
        g->clips++;
        measured_add(&g->r->finish, positive(row->ended_s - row->given_s));
        note_time(s, LEASE_FINISH, row->ended_s - row->given_s);
    }
    return status_ok();
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

static Status take_work(Ledger *l, const Snapshot *s, Reading *g)
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
    shot_clear(&shot);
    return status;
}

static void clear_reading(Reading *g)
{
    free(g->worker);
    free(g->step);
    free(g->gap.s);
    free(g->text.s);
    free(g->denoise.s);
    free(g->decode.s);
}

Status record_add_folder(const char *folder, double wall_s, Record *r)
{
    Ledger *l = NULL;
    Snapshot s = {0};
    Reading g = {.r = r};
    Status status = status_ok();
    TRY(ledger_open(folder, LEDGER_READ, &l));
    TRY_OUT(ledger_read_snapshot(l, &s));
    TRY_OUT(take_work(l, &s, &g));
    TRY_OUT(ledger_read_leases(l, -1, -1, (LeaseSink){take_lease, &g}));
    if (g.count) TRY_OUT(ledger_read_workers(l, g.worker[g.count - 1].epoch, &s));
    count_workers(&g, &s, r);
    measure_workers(&g, LEASE_RENDER, r);
    if (g.last_s > 0) {
        const double work_s = g.last_s - g.first_s, start_s = positive(g.first_s - s.created_s);
        const double all_s = wall_s > 0 ? wall_s : work_s + start_s;
        json_array_append_new(r->nights, json_pack("{s:f, s:f, s:f, s:I, s:I}", "wall_s", all_s, "start_s", start_s,
                                                   "end_s", positive(all_s - work_s - start_s), "shots",
                                                   (json_int_t)g.shots, "clips", (json_int_t)g.clips));
        r->text_s = measured_quantile(&g.text, 0.5);
        r->denoise_s = measured_quantile(&g.denoise, 0.5);
        r->decode_s = measured_quantile(&g.decode, 0.5);
        r->gap_s = measured_quantile(&g.gap, 0.5);
    }
out:
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
    if (!failed(status)) measure_workers(&g, LEASE_RENDER, r);
    clear_reading(&g);
    return status;
}

/* ---- what a record says as a whole ---- */

static double night_number(const json_t *night, const char *key)
{
    return json_number_value(json_object_get(night, key));
}

/* By how much the deviation of n nights is to be widened, so that eight nights of ten fall between p10 and p90 of what is forecast: few nights
 * know neither their mean nor their deviation well (Student's t at 0.9, over the normal's; and the mean's own error). */
static double few_nights(int n)
{
    static const double t[] = {3.078, 1.886, 1.638, 1.533, 1.476, 1.440, 1.415, 1.397, 1.383};
    const int most = (int)(sizeof t / sizeof *t), free = n - 1 < most ? n - 1 : most;
    return t[free - 1] / 1.2816 * sqrt(1 + 1.0 / n);
}

/* The deviation of the logarithm of what a night takes for the same work, over the nights of the record. */
static double spread_of_nights(const Record *r)
{
    double sum = 0, squares = 0;
    const int n = (int)json_array_size(r->nights);
    for (int i = 0; i < n; i++) {
        const json_t *night = json_array_get(r->nights, (size_t)i);
        const double x =
            log(night_number(night, "wall_s") / (1 + night_number(night, "shots") + night_number(night, "clips")));
        sum += x;
        squares += x * x;
    }
    if (n < 2) return 0.05; /* one night says nothing of it */
    return few_nights(n) * sqrt(positive(squares / n - sum / n * (sum / n)) * n / (n - 1));
}

static double median_of_nights(const Record *r, const char *key)
{
    Measured m = {0};
    for (size_t i = 0; i < json_array_size(r->nights); i++)
        measured_add(&m, night_number(json_array_get(r->nights, i), key));
    const double median = measured_quantile(&m, 0.5);
    free(m.s);
    return median;
}

void record_add_energy(Record *r, double joules)
{
    const size_t nights = json_array_size(r->nights);
    if (nights) json_object_set_new(json_array_get(r->nights, nights - 1), "energy_j", json_real(joules));
}

double record_watts(const Record *r)
{
    double joules = 0, s = 0;
    for (size_t i = 0; i < json_array_size(r->nights); i++) {
        const json_t *night = json_array_get(r->nights, i);
        if (night_number(night, "energy_j") <= 0) return 0;
        joules += night_number(night, "energy_j");
        s += night_number(night, "wall_s");
    }
    return s > 0 ? joules / s : 0;
}

ClipRates record_rates(const Record *r)
{
    double clips = 0, hours = 0;
    for (size_t i = 0; i < json_array_size(r->nights); i++) {
        clips += night_number(json_array_get(r->nights, i), "clips");
        hours += night_number(json_array_get(r->nights, i), "wall_s") / 3600;
    }
    const char *backend = json_string_value(json_object_get(r->work, "backend"));
    const double cores = json_number_value(json_object_get(r->machine, "cores")), watts = record_watts(r),
                 node = hours > 0 && r->nodes > 0 ? clips / hours / r->nodes : 0;
    return (ClipRates){.node = node,
                       .core = cores > 0 ? node / cores : 0,
                       .gpu = backend && strcmp(backend, "cuda") == 0 && r->workers > 0 ? node / r->workers : 0,
                       .kwh = watts > 0 ? node * 1000 / watts : 0};
}

static void rule(Record *r, bool kept, const char *what)
{
    if (!kept) json_array_append_new(r->invalid, json_string(what));
}

void record_settle(Record *r)
{
    r->run_sd = spread_of_nights(r);
    r->worker_sd = r->worker_nights ? sqrt(r->worker_variance / r->worker_nights) : 0;
    r->start_s = median_of_nights(r, "start_s");
    r->end_s = median_of_nights(r, "end_s");
    if (r->group_size < 1) r->group_size = 1;
    json_array_clear(r->invalid);
    rule(r, r->render.count >= LEAST_LEASES, "fewer than 5 renders: their spread is not known");
    rule(r, r->finish.count >= LEAST_LEASES, "fewer than 5 finishes: their spread is not known");
    rule(r, json_array_size(r->nights) >= 2, "one night only: how nights differ is not known");
    if (r->load.count == 0) measured_add(&r->load, 0);
    if (r->finish.count == 0) measured_add(&r->finish, 0);
}
