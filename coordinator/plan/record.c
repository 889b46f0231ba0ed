#include "record.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/host.h"
#include "common/json_member.h"
#include "common/moment.h"

enum { LEAST_LEASES = 5, MOST_TIMES = 100000 };

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

void record_begin(Record *r)
{
    *r = (Record){.nodes = 1, .measured_s = moment_wall_s()};
    r->machine = host_json();
    r->work = json_object();
    r->nights = json_array();
    r->invalid = json_array();
    r->memory_added = json_object();
}

void record_clear(Record *r)
{
    json_decref(r->machine);
    json_decref(r->work);
    json_decref(r->nights);
    json_decref(r->file_system);
    json_decref(r->network);
    json_decref(r->roofline);
    json_decref(r->invalid);
    json_decref(r->memory_added);
    free(r->first_frame.s);
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

/* ---- what a record says as a whole ---- */

static double positive(double s) { return s > 0 ? s : 0; }

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
        const double x = log(member_number(night, "wall_s", 0) /
                             (1 + member_number(night, "shots", 0) + member_number(night, "clips", 0)));
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
        measured_add(&m, member_number(json_array_get(r->nights, i), key, 0));
    const double median = measured_quantile(&m, 0.5);
    free(m.s);
    return median;
}

void record_add_energy(Record *r, double processors_j, double gpus_j)
{
    const size_t nights = json_array_size(r->nights);
    json_t *night = nights ? json_array_get(r->nights, nights - 1) : NULL;
    if (night && processors_j > 0) json_object_set_new(night, "energy_j", json_real(processors_j));
    if (night && gpus_j > 0) json_object_set_new(night, "gpu_energy_j", json_real(gpus_j));
}

static double watts_of(const Record *r, const char *key)
{
    double joules = 0, s = 0;
    for (size_t i = 0; i < json_array_size(r->nights); i++) {
        const json_t *night = json_array_get(r->nights, i);
        if (member_number(night, key, 0) <= 0) return 0;
        joules += member_number(night, key, 0);
        s += member_number(night, "wall_s", 0);
    }
    return s > 0 ? joules / s : 0;
}

Watts record_watts(const Record *r) { return (Watts){watts_of(r, "energy_j"), watts_of(r, "gpu_energy_j")}; }

static bool by_gpus(const Record *r)
{
    const char *backend = json_string_value(json_object_get(r->work, "backend"));
    return backend && strcmp(backend, "cuda") == 0;
}

double record_watts_known(const Record *r)
{
    const Watts w = record_watts(r);
    return by_gpus(r) && w.gpus == 0 ? 0 : w.processors + w.gpus;
}

ClipRates record_rates(const Record *r)
{
    double clips = 0, hours = 0;
    for (size_t i = 0; i < json_array_size(r->nights); i++) {
        clips += member_number(json_array_get(r->nights, i), "clips", 0);
        hours += member_number(json_array_get(r->nights, i), "wall_s", 0) / 3600;
    }
    const double cores = json_number_value(json_object_get(r->machine, "cores")), watts = record_watts_known(r),
                 node = hours > 0 && r->nodes > 0 ? clips / hours / r->nodes : 0;
    return (ClipRates){.node = node,
                       .core = cores > 0 ? node / cores : 0,
                       .gpu = by_gpus(r) && r->workers > 0 ? node / r->workers : 0,
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
