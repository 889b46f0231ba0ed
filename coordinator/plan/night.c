#include "night.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/moment.h"

enum { MOST_UNITS_EVENTS = 1000000 };

typedef enum { IDLE, RENDERS, FINISHES, GONE } WorkerState;

typedef enum { RENDERER, FINISHER, BOTH, ROLES } Role;

typedef struct {
    WorkerState state;
    Role role;
    int node;
    bool loaded;
    double until_s, factor;
    int64_t shot;  /* in work */
    int64_t clips; /* of a finish */
} Worker;

typedef struct { /* masters with clips that wait, oldest first */
    int64_t *shot;
    int64_t first, end;
} Waiting;

typedef struct {
    const Night *n;
    NightResult *out;
    uint64_t random;
    Worker *worker;
    int workers, *heap, heap_count; /* of those that work, by until_s */
    int *idle[ROLES], idle_count[ROLES];
    int64_t next_shot, *again, again_count; /* shots that are to be rendered */
    int64_t *clips_left, *clips_waiting;    /* of each shot: not finished; not handed out */
    Waiting waiting;
    int64_t masters, clips_done, clips, units;
    double now_s, night_factor, *fails_at;
    bool *node_gone;
    int nodes_left;
} Play;

/* ---- chance ---- */

static uint64_t draw(Play *p) /* splitmix64 (Steele, Lea, Flood 2014) */
{
    uint64_t z = p->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static double draw_unit(Play *p) { return ((double)(draw(p) >> 11) + 0.5) * 0x1p-53; } /* in (0, 1) */

/* exp of a normal number with this deviation; its median is 1 (Box and Muller). */
static double draw_factor(Play *p, double sd)
{
    if (sd <= 0) return 1;
    return exp(sd * sqrt(-2 * log(draw_unit(p))) * cos(2 * M_PI * draw_unit(p)));
}

static double draw_time(Play *p, Times t) { return t.s[draw(p) % (uint64_t)t.count]; }

/* ---- the workers that work, the earliest end first ---- */

static bool sooner(const Play *p, int a, int b) { return p->worker[a].until_s < p->worker[b].until_s; }

static void sift_down(Play *p, int at)
{
    for (;;) {
        int least = at, left = 2 * at + 1, right = left + 1;
        if (left < p->heap_count && sooner(p, p->heap[left], p->heap[least])) least = left;
        if (right < p->heap_count && sooner(p, p->heap[right], p->heap[least])) least = right;
        if (least == at) return;
        int t = p->heap[at];
        p->heap[at] = p->heap[least];
        p->heap[least] = t;
        at = least;
    }
}

static void push(Play *p, int worker)
{
    int at = p->heap_count++;
    p->heap[at] = worker;
    while (at > 0 && sooner(p, p->heap[at], p->heap[(at - 1) / 2])) {
        int t = p->heap[at];
        p->heap[at] = p->heap[(at - 1) / 2];
        p->heap[at = (at - 1) / 2] = t;
    }
}

static int pop(Play *p)
{
    int first = p->heap[0];
    p->heap[0] = p->heap[--p->heap_count];
    sift_down(p, 0);
    return first;
}

/* ---- policy ---- */

static void begin(Play *p, int index, WorkerState what, double s)
{
    Worker *w = &p->worker[index];
    double busy_s = s * w->factor * p->night_factor;
    if (!w->loaded) busy_s += draw_time(p, p->n->load) * p->night_factor;
    w->loaded = true;
    w->state = what;
    w->until_s = p->now_s + p->n->gap_s + busy_s;
    *(what == RENDERS ? &p->out->render_busy_s : &p->out->finish_busy_s) += busy_s;
    push(p, index);
}

static bool give_finish(Play *p, int index)
{
    Waiting *q = &p->waiting;
    while (q->first < q->end && p->clips_waiting[q->shot[q->first]] == 0) q->first++;
    if (q->first == q->end) return false;
    Worker *w = &p->worker[index];
    w->shot = q->shot[q->first];
    w->clips = p->clips_waiting[w->shot] < p->units ? p->clips_waiting[w->shot] : p->units;
    p->clips_waiting[w->shot] -= w->clips;
    begin(p, index, FINISHES, draw_time(p, p->n->finish) * (double)w->clips);
    return true;
}

static bool give_render(Play *p, int index)
{
    if (p->masters >= p->n->masters) return false;
    if (p->again_count == 0 && p->next_shot == p->n->shots) return false;
    p->worker[index].shot = p->again_count ? p->again[--p->again_count] : p->next_shot++;
    p->masters++;
    if (p->masters > p->out->most_masters) p->out->most_masters = p->masters;
    begin(p, index, RENDERS, draw_time(p, p->n->render));
    return true;
}

static void hand_out_to(Play *p, Role role, bool (*give)(Play *p, int index))
{
    while (p->idle_count[role] > 0 && give(p, p->idle[role][p->idle_count[role] - 1])) p->idle_count[role]--;
}

/* Who takes both finishes first. */
static void hand_out(Play *p)
{
    hand_out_to(p, FINISHER, give_finish);
    hand_out_to(p, BOTH, give_finish);
    hand_out_to(p, RENDERER, give_render);
    hand_out_to(p, BOTH, give_render);
}

static void rest(Play *p, int index)
{
    const Role role = p->worker[index].role;
    p->worker[index].state = IDLE;
    p->idle[role][p->idle_count[role]++] = index;
}

static void end_lease(Play *p, int index)
{
    Worker *w = &p->worker[index];
    if (w->state == RENDERS) {
        p->clips_waiting[w->shot] = p->clips_left[w->shot];
        if (p->clips_left[w->shot])
            p->waiting.shot[p->waiting.end++] = w->shot;
        else
            p->masters--;
    } else {
        if (p->clips_done == 0) p->out->first_clip_s = p->now_s;
        p->clips_done += w->clips;
        p->clips_left[w->shot] -= w->clips;
        if (p->clips_left[w->shot] == 0) p->masters--;
    }
    rest(p, index);
}

/* ---- a node dies ---- */

static void give_back(Play *p, Worker *w)
{
    if (w->state == RENDERS) {
        p->again[p->again_count++] = w->shot;
        p->masters--;
    } else if (w->state == FINISHES) {
        if (p->clips_waiting[w->shot] == 0) { /* it may have left the queue */
            p->waiting.first--;
            p->waiting.shot[p->waiting.first] = w->shot;
        }
        p->clips_waiting[w->shot] += w->clips;
    }
}

/* The job starts again on the nodes that are left: what they had in work goes on a restart later, from its checkpoint. */
static void lose_node(Play *p, int node)
{
    const Night *n = p->n;
    p->node_gone[node] = true;
    p->nodes_left--;
    p->out->failures++;
    int kept = 0;
    for (int i = 0; i < p->heap_count; i++) {
        Worker *w = &p->worker[p->heap[i]];
        if (w->node == node) {
            give_back(p, w);
            w->state = GONE;
            continue;
        }
        double lost_s = w->state == RENDERS ? draw_unit(p) * n->checkpoint_s : draw_time(p, n->finish) / 2;
        w->until_s += n->restart_s + draw_time(p, n->load) + lost_s;
        p->heap[kept++] = p->heap[i];
    }
    p->heap_count = kept;
    for (int i = kept / 2 - 1; i >= 0; i--) sift_down(p, i);
    for (int role = 0; role < ROLES; role++) {
        kept = 0;
        for (int i = 0; i < p->idle_count[role]; i++)
            if (p->worker[p->idle[role][i]].node != node) p->idle[role][kept++] = p->idle[role][i];
        p->idle_count[role] = kept;
    }
}

static int next_failure(const Play *p)
{
    int first = -1;
    for (int i = 0; i < p->n->nodes; i++)
        if (!p->node_gone[i] && (first < 0 || p->fails_at[i] < p->fails_at[first])) first = i;
    return first;
}

/* ---- the night ---- */

static void set_up(Play *p)
{
    const Night *n = p->n;
    const int each = n->groups + n->finishers;
    p->workers = n->nodes * each;
    p->worker = memory_get((size_t)p->workers + 1, sizeof *p->worker);
    p->heap = memory_get((size_t)p->workers + 1, sizeof *p->heap);
    for (int role = 0; role < ROLES; role++) p->idle[role] = memory_get((size_t)p->workers + 1, sizeof *p->idle[role]);
    p->again = memory_get((size_t)(n->shots + p->workers) + 1, sizeof *p->again);
    p->waiting.shot = memory_get((size_t)(2 * n->shots + p->workers) + 1, sizeof *p->waiting.shot);
    p->waiting.first = p->waiting.end = p->workers; /* room for what comes back */
    p->clips_left = memory_get((size_t)n->shots + 1, sizeof *p->clips_left);
    p->clips_waiting = memory_get((size_t)n->shots + 1, sizeof *p->clips_waiting);
    p->fails_at = memory_get((size_t)n->nodes + 1, sizeof *p->fails_at);
    p->node_gone = memory_get((size_t)n->nodes + 1, sizeof *p->node_gone);
    p->nodes_left = n->nodes;
    p->night_factor = draw_factor(p, n->run_sd);
    for (int64_t i = 0; i < n->shots; i++) p->clips += p->clips_left[i] = n->clips[i];
    for (int i = 0; i < n->nodes; i++)
        p->fails_at[i] = n->node_mtbf_s > 0 ? -log(draw_unit(p)) * n->node_mtbf_s : INFINITY;
    for (int i = 0; i < p->workers; i++) {
        const int rank = i % each;
        p->worker[i] = (Worker){.node = i / each,
                                .role = rank >= n->groups ? FINISHER
                                        : n->both         ? BOTH
                                                          : RENDERER,
                                .factor = draw_factor(p, n->worker_sd)};
        rest(p, i);
    }
}

void night_play(const Night *n, uint64_t seed, int64_t units, NightResult *out)
{
    Play p = {.n = n, .out = out, .random = seed, .units = units < 1 ? 1 : units};
    *out = (NightResult){0};
    set_up(&p);
    p.now_s = n->start_s * p.night_factor;
    int failing = n->node_mtbf_s > 0 ? next_failure(&p) : -1;
    hand_out(&p);
    while (p.heap_count > 0) {
        if (failing >= 0 && p.fails_at[failing] < p.worker[p.heap[0]].until_s) {
            p.now_s = p.fails_at[failing];
            lose_node(&p, failing);
            failing = next_failure(&p);
        } else {
            int first = pop(&p);
            p.now_s = p.worker[first].until_s;
            end_lease(&p, first);
        }
        hand_out(&p);
    }
    out->finish_s = p.clips_done == p.clips ? p.now_s + n->end_s * p.night_factor : INFINITY;
    void *owned[] = {p.worker,       p.heap,       p.idle[0],       p.idle[1],  p.idle[2],  p.again,
                     p.waiting.shot, p.clips_left, p.clips_waiting, p.fails_at, p.node_gone};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) free(owned[i]);
}

/* ---- many nights ---- */

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void night_sort(double *s, int count) { qsort(s, (size_t)count, sizeof *s, by_size); }

double night_quantile(const double *sorted, int count, double q)
{
    const double at = q * (count - 1);
    const int low = (int)at, high = low + 1 < count ? low + 1 : low;
    if (isinf(sorted[high])) return at > low ? INFINITY : sorted[low];
    return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
}

void night_forecast(const Night *n, double deadline_s, int most, double budget_s, NightForecast *out)
{
    double *finish_s = memory_get((size_t)most, sizeof *finish_s), begin_s = moment_s();
    int64_t events = n->shots;
    int in_time = 0;
    for (int64_t i = 0; i < n->shots; i++) events += n->clips[i];
    const int64_t units = 1 + events / MOST_UNITS_EVENTS;
    *out = (NightForecast){0};
    for (int i = 0; i < most && (i < 3 || moment_s() - begin_s < budget_s); i++) {
        NightResult r;
        night_play(n, (uint64_t)i * 7919 + 1, units, &r);
        finish_s[out->trials++] = r.finish_s;
        in_time += deadline_s > 0 && r.finish_s <= deadline_s;
        out->render_busy_s += r.render_busy_s;
        out->finish_busy_s += r.finish_busy_s;
        out->first_clip_s += r.first_clip_s;
        out->failures += r.failures;
        if (r.most_masters > out->most_masters) out->most_masters = r.most_masters;
    }
    night_sort(finish_s, out->trials);
    out->p10_s = night_quantile(finish_s, out->trials, 0.1);
    out->p50_s = night_quantile(finish_s, out->trials, 0.5);
    out->p90_s = night_quantile(finish_s, out->trials, 0.9);
    out->probability = (double)in_time / out->trials;
    double *mean[] = {&out->render_busy_s, &out->finish_busy_s, &out->first_clip_s, &out->failures};
    for (size_t i = 0; i < sizeof mean / sizeof *mean; i++) *mean[i] /= out->trials;
    free(finish_s);
}

double night_checkpoint_s(double cost_s, double mtbf_s)
{
    if (mtbf_s <= 0) return 0;
    const double s = sqrt(2 * cost_s * mtbf_s) - cost_s;
    return s > cost_s ? s : cost_s;
}
