#include "left.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/plan/record.h"

enum {
    LEASES = 4000, /* the latest ones are looked at */
    LEAST_RENDERS = 2,
    LEAST_FINISHES = 3,
    MOST_CLIPS = 100000 /* that are played; where there are more, a share of them is played and the time multiplied */
};
static const double least_sd = 0.03; /* the night's speed may change by this in any case */

/* Who is there: groups that render, and those who only finish. */
static void count_workers(const Snapshot *s, Night *n)
{
    int renderers = 0, working = 0, helping = 0;
    for (int i = 0; i < s->worker_count; i++) {
        const WorkerLine *w = &s->worker[i];
        const bool there = strcmp(w->state, "ready") == 0 || strcmp(w->state, "working") == 0,
                   helps = strcmp(w->state, "helping") == 0;
        const bool renders = w->takes >> LEASE_RENDER & 1, finishes = w->takes >> LEASE_FINISH & 1;
        if (!there && !helps) continue;
        renderers += renders;
        n->finishers += finishes && !renders;
        n->both = n->both || (finishes && renders);
        helping += helps;
        working += renders && !helps && w->kind == LEASE_RENDER && strcmp(w->state, "working") == 0;
    }
    n->group_size = working > 0 ? (helping + working) / working : 1;
    n->groups = renderers > n->group_size ? renderers / n->group_size : renderers > 0;
}

/* What is done of the renders in work, as a number of renders: two that are half done count as one. */
static double rendered_in_part(const Snapshot *s)
{
    double sum = 0;
    for (int i = 0; i < s->worker_count; i++) {
        const WorkerLine *w = &s->worker[i];
        if (w->is_tail)
            sum += 1; /* all its steps are done */
        else if (strcmp(w->state, "working") == 0 && w->kind == LEASE_RENDER && w->total > 0)
            sum += (double)w->done / w->total;
    }
    return sum;
}

/* By how much the later half of the leases differed from the earlier one, as a logarithm. The rest of the night may differ as much. */
static double drift_of(const Measured *m)
{
    double half[2] = {0};
    if (m->count < 4) return least_sd;
    for (int i = 0; i < m->count / 2 * 2; i++) half[i >= m->count / 2] += m->s[i];
    const double drift = half[0] > 0 && half[1] > 0 ? fabs(log(half[1] / half[0])) / 2 : 0;
    return fmax(least_sd, fmin(drift, 0.5));
}

static void forecast(const Snapshot *s, const Record *r, TimeLeft *out)
{
    static const double nothing[] = {0};
    const int64_t waiting = s->clip_count[CLIP_WAITING] + s->clip_count[CLIP_FINISHING],
                  planned = s->clip_count[CLIP_PLANNED];
    const double shots =
        fmax((double)(s->shot_count[SHOT_PLANNED] + s->shot_count[SHOT_LEASED]) - rendered_in_part(s), 0);
    const double times = fmax(1, ceil((double)(waiting + planned) / MOST_CLIPS));
    Night n = {.shots = (int64_t)ceil(shots / times),
               .waiting = (int64_t)ceil((double)waiting / times),
               .nodes = 1,
               .render = {r->render.s, r->render.count},
               .finish = {r->finish.s, r->finish.count},
               .load = {nothing, 1},
               .run_sd = fmax(drift_of(&r->render), drift_of(&r->finish)),
               .worker_sd = r->worker_nights ? sqrt(r->worker_variance) : 0};
    int64_t *clips = memory_get((size_t)n.shots + 1, sizeof *clips);
    for (int64_t i = 0; i < n.shots; i++) /* as even as can be */
        clips[i] = (int64_t)((double)planned / times * (double)(i + 1) / (double)n.shots) -
                   (int64_t)((double)planned / times * (double)i / (double)n.shots);
    n.clips = clips;
    count_workers(s, &n);
    NightForecast f;
    night_forecast(&n, 0, (NightEffort){5, 200, 0.2}, &f);
    *out = (TimeLeft){f.p10_s * times, f.p50_s * times, f.p90_s * times};
    free(clips);
}

Status left_estimate(Ledger *l, const Snapshot *s, double now_s, TimeLeft *out, bool *known)
{
    Record r;
    *known = false;
    if (s->left == 0 || s->ended_s > 0 || !snapshot_goes_on(s, now_s) || *snapshot_waits_for(s)) return status_ok();
    record_begin(&r);
    Status status = record_add_latest(l, LEASES, &r);
    const bool no_renders = s->shot_count[SHOT_PLANNED] + s->shot_count[SHOT_LEASED] == 0;
    if (r.render.count == 0 && no_renders) measured_add(&r.render, 0);
    if (!failed(status) && (r.render.count >= LEAST_RENDERS || no_renders) && r.finish.count >= LEAST_FINISHES) {
        forecast(s, &r, out);
        *known = isfinite(out->p90_s);
    }
    record_clear(&r);
    return status;
}
