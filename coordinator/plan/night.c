#include "night.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/order.h"
#include "coordinator/dispatch/rules.h"
#include "coordinator/plan/sim.h"

enum { CLIP_BITS = 28, FAILURE_LISTS = 1 << 16, RENDER_UNITS = 1000 };

typedef struct { /* one process, from the night's beginning to its end, whatever its rank in a job is */
    int node;
    double factor;            /* on how long it takes */
    int64_t dies_ms;          /* INT64_MAX: never */
    bool loaded, dead, fails; /* fails: the lease in work does */
    double load_s;            /* of the lease in work: how long it loads the model, at its beginning */
    SimWork work;
} Worker;

typedef struct { /* of a lease; in a list of those with the same hash */
    LeaseKind kind;
    int worker, next;
    int64_t item;
} Failure;

typedef struct {
    const Night *n;
    NightResult *out;
    uint64_t random;
    Worker *worker;
    int workers, renderers, *who; /* who: the worker at each rank of the job, [1, workers] */
    Roster roster;
    WorkQueue queue[LEASE_KINDS];
    SimClock clock;
    Lease lease;                        /* the one that was given last */
    int64_t now_ms, clips, over, ready; /* over: clips finished or failed; ready: shots with clips to finish */
    int64_t *left;                      /* of each shot: clips that are not over */
    float *saved;                       /* share of a render that its checkpoint holds; NULL: none was interrupted */
    int64_t *trunk_ms;  /* of each trunk: when it is computed; 0: nobody does yet. NULL: there are none */
    uint8_t *abandoned; /* of each shot: how often a job died with it in work */
    Failure *failure;
    int failures, failure_room, *list; /* [FAILURE_LISTS]: first of each; NULL: none */
    double factor, *node_fails_s, preempted_s;
    bool *node_gone;
    int failing;     /* the node that fails next; -1: none */
    int64_t dies_ms; /* the job, once; INT64_MAX: not, or it has */
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

static double draw_wait_s(Play *p, double mean_s) { return mean_s > 0 ? -log(draw_unit(p)) * mean_s : INFINITY; }

/* ---- shots and clips ---- */

/* The number of a clip among all: in the order of shots, and within one in that of its rows. */
static int64_t clip_item(int64_t shot, int64_t clip) { return shot << CLIP_BITS | clip; }
static int64_t shot_of(LeaseKind kind, int64_t item) { return kind == LEASE_RENDER ? item : item >> CLIP_BITS; }
static int64_t clip_of(LeaseKind kind, int64_t item)
{
    return kind == LEASE_RENDER ? -1 : item & (((int64_t)1 << CLIP_BITS) - 1);
}

static void end_clips(Play *p, int64_t shot, int64_t count)
{
    p->over += count;
    p->left[shot] -= count;
}

static int64_t ms_of(double s) { return s < 1e12 ? (int64_t)(s * 1000 + 0.5) : INT64_MAX; }

/* ---- failures that count (what the ledger knows of them) ---- */

static int list_of(LeaseKind kind, int64_t item)
{
    return (int)(((uint64_t)item * 2 + (uint64_t)kind) * 0x9e3779b97f4a7c15u >> 48) % FAILURE_LISTS;
}

static void note_failure(Play *p, LeaseKind kind, int64_t item, int worker)
{
    if (!p->list) {
        p->list = memory_get(FAILURE_LISTS, sizeof *p->list);
        for (int i = 0; i < FAILURE_LISTS; i++) p->list[i] = -1;
    }
    if (p->failures == p->failure_room) {
        p->failure_room = 2 * p->failure_room + 64;
        p->failure = memory_resize(p->failure, (size_t)p->failure_room, sizeof *p->failure);
    }
    int *first = &p->list[list_of(kind, item)];
    p->failure[p->failures] = (Failure){kind, worker, *first, item};
    *first = p->failures++;
}

static Status count_failures(void *self, LeaseKind kind, int64_t item, int *workers, int *times)
{
    const Play *p = self;
    *workers = *times = 0;
    for (int i = p->list ? p->list[list_of(kind, item)] : -1; i >= 0; i = p->failure[i].next) {
        const Failure *f = &p->failure[i];
        bool again = false;
        if (f->kind != kind || f->item != item) continue;
        ++*times;
        for (int k = f->next; k >= 0 && !again; k = p->failure[k].next)
            again = p->failure[k].kind == kind && p->failure[k].item == item && p->failure[k].worker == f->worker;
        *workers += !again;
    }
    return status_ok();
}

static Status has_failed(void *self, LeaseKind kind, int64_t item, const Member *m, bool *yes)
{
    const Play *p = self;
    *yes = false;
    for (int i = p->list ? p->list[list_of(kind, item)] : -1; i >= 0 && !*yes; i = p->failure[i].next) {
        const Failure *f = &p->failure[i];
        *yes = f->kind == kind && f->item == item && f->worker == p->who[m->rank];
    }
    return status_ok();
}

/* ---- a lease ---- */

/* What a render of s seconds takes this worker. Where another has computed its first steps, it does without them; where another is computing
 * them, it waits for them. */
static double share_trunk(Play *p, const Worker *w, int64_t shot, double s)
{
    int64_t *ready_ms = &p->trunk_ms[p->n->trunk[shot]];
    const double own_s = s * (1 - p->n->trunk_share);
    if (*ready_ms == 0) {
        *ready_ms = p->now_ms + ms_of(p->n->gap_s + w->load_s + s - own_s);
        return s;
    }
    const double wait_s = (double)(*ready_ms - p->now_ms) / 1000 - p->n->gap_s - w->load_s;
    return own_s + fmax(wait_s, 0);
}

static double time_of(Play *p, int rank, LeaseKind kind, int64_t item)
{
    const Night *n = p->n;
    Worker *w = &p->worker[p->who[rank]];
    w->load_s = 0;
    if (n->script) return n->script->takes_s(n->script->self, rank, kind, shot_of(kind, item), clip_of(kind, item));
    if (kind == LEASE_FINISH) return draw_time(p, n->finish) * w->factor * p->factor;
    double s = draw_time(p, n->render) * w->factor * p->factor;
    if (!w->loaded) w->load_s = draw_time(p, n->load) * p->factor;
    w->loaded = true;
    if (p->saved && p->saved[item] > 0)
        s *= 1 - (double)p->saved[item];
    else if (p->trunk_ms)
        s = share_trunk(p, w, item, s);
    return w->load_s + s;
}

static Status give(void *self, Member *m, LeaseKind kind, int64_t item)
{
    Play *p = self;
    const Night *n = p->n;
    Worker *w = &p->worker[p->who[m->rank]];
    Lease *l = &p->lease;
    const double s = time_of(p, m->rank, kind, item);
    const int64_t shot = shot_of(kind, item);
    l->kind = kind;
    l->lease++;
    if (n->script)
        n->script->given(n->script->self, (double)p->now_ms / 1000, m->rank, kind, shot, clip_of(kind, item));
    w->fails = n->script ? n->script->fails(n->script->self, m->rank, kind, shot, clip_of(kind, item))
                         : n->fail_share > 0 && draw_unit(p) < n->fail_share;
    sim_begin(&w->work, p->now_ms + ms_of(n->gap_s), RENDER_UNITS, s * 1000 / RENDER_UNITS);
    *(kind == LEASE_RENDER ? &p->out->render_busy_s : &p->out->finish_busy_s) += s;
    if (kind == LEASE_FINISH) {
        roster_start_lease(&p->roster, m, l, shot, item, p->now_ms);
    } else {
        for (Member *each = NULL; (each = roster_next_member(&p->roster, m, each));)
            roster_start_lease(&p->roster, each, l, shot, each == m ? item : -1, p->now_ms);
    }
    sim_clock_add(&p->clock, (SimEvent){sim_due_ms(&w->work, RENDER_UNITS), m->rank, (uint32_t)l->lease});
    return status_ok();
}

static void take_result(Play *p, const Member *m)
{
    const int64_t shot = m->shot;
    if (m->kind == LEASE_FINISH) {
        if (p->over == 0) p->out->first_clip_s = (double)p->now_ms / 1000;
        end_clips(p, shot, 1);
        p->ready -= p->left[shot] == 0;
        return;
    }
    int64_t *clip = memory_get((size_t)p->left[shot], sizeof *clip);
    for (int64_t i = 0; i < p->left[shot]; i++) clip[i] = clip_item(shot, i);
    queue_add(&p->queue[LEASE_FINISH], clip, p->left[shot]);
    free(clip);
    if (++p->ready > p->out->most_masters) p->out->most_masters = p->ready;
}

static void give_up(Play *p, const Member *m)
{
    const int64_t count = m->kind == LEASE_RENDER ? p->left[m->shot] : 1;
    end_clips(p, m->shot, count);
    p->out->failed += count;
    p->ready -= m->kind == LEASE_FINISH && p->left[m->shot] == 0;
}

static bool is_full(void *self) { return (void)self, false; }
static int ready_masters(void *self) { return (int)((const Play *)self)->ready; }

static bool has_room(void *self, int renders)
{
    const Play *p = self;
    return p->n->masters == 0 || p->ready + renders < p->n->masters;
}

static Rules rules_of(Play *p)
{
    return (Rules){.roster = &p->roster,
                   .queue = p->queue,
                   .now_ms = p->now_ms,
                   .self = p,
                   .is_full = is_full,
                   .ready_masters = ready_masters,
                   .has_room = has_room,
                   .has_failed = has_failed,
                   .failures = count_failures,
                   .give = give};
}

static void lose_lease(Play *p, Member *m)
{
    bool aside, is_given_up;
    const Rules rules = rules_of(p);
    note_failure(p, m->kind, m->item, p->who[m->rank]);
    /* cannot fail here: count_failures reads an array */
    rules_count_failure(&rules, m, ERR_RETRY, &aside, &is_given_up);
    if (is_given_up)
        give_up(p, m);
    else
        queue_add_again(&p->queue[m->kind], m->item);
}

static void end_lease(Play *p, Member *m)
{
    Worker *w = &p->worker[p->who[m->rank]];
    if (w->fails) {
        lose_lease(p, m);
    } else {
        take_result(p, m);
        roster_count_success(&p->roster, m);
    }
    if (m->kind == LEASE_RENDER)
        for (Member *each = NULL; (each = roster_next_member(&p->roster, m, each));)
            if (each != m) roster_end_lease(&p->roster, each, MEMBER_READY);
    roster_end_lease(&p->roster, m, MEMBER_READY);
}

/* A process dies, alone: groups of several are lost by nodes only (lose_job). */
static void lose_worker(Play *p, int rank)
{
    Member *m = &p->roster.member[rank];
    p->worker[p->who[rank]].dead = true;
    if (m->state == MEMBER_WORKING) {
        if (m->kind == LEASE_RENDER) roster_end_group(&p->roster, m->group);
        lose_lease(p, m);
    }
    roster_end_group(&p->roster, m->group);
    roster_end_lease(&p->roster, m, MEMBER_DEAD);
}

/* ---- a job ---- */

/* A number to sort by: shots that were in work when a job died come last, those of fewest deaths first (as in ledger_planned_shots,
 * which also puts shots with the same adapters together; on paper a change of adapters takes no time). */
static int64_t place_in_queue(const Play *p, int64_t shot)
{
    return p->abandoned ? (int64_t)p->abandoned[shot] << 48 | shot : shot;
}

/* All that waits or was in work, in the order in which the next job reads it from its ledger. */
static void fill_queue(Play *p, LeaseKind kind)
{
    WorkQueue *q = &p->queue[kind], before = *q;
    int64_t count = 0, *item = memory_get((size_t)(queue_length(q) + p->roster.tally.working) + 1, sizeof *item);
    for (int64_t i = before.next; i < before.count; i++) item[count++] = before.fresh[i];
    for (int64_t i = 0; i < before.again_count; i++) item[count++] = before.again[i];
    for (int rank = 1; rank < p->roster.count; rank++) {
        const Member *m = &p->roster.member[rank];
        if (m->state == MEMBER_WORKING && m->kind == kind) item[count++] = m->item;
    }
    for (int64_t i = 0; i < count && kind == LEASE_RENDER; i++) item[i] = place_in_queue(p, item[i]);
    qsort(item, (size_t)count, sizeof *item, order_int64s);
    for (int64_t i = 0; i < count && kind == LEASE_RENDER; i++) item[i] &= ((int64_t)1 << 48) - 1;
    queue_clear(q);
    queue_add(q, item, count);
    free(item);
}

/* Ranks as a launch numbers them: those that render, node by node, then those that finish. */
static void start_job(Play *p)
{
    const bool first = p->roster.count == 0;
    const int both = 1 << LEASE_RENDER | 1 << LEASE_FINISH;
    int ranks = 0;
    if (!first)
        for (int k = 0; k < LEASE_KINDS; k++) fill_queue(p, (LeaseKind)k);
    sim_clock_clear(&p->clock);
    roster_close(&p->roster);
    for (int i = 0; i < p->workers; i++) {
        Worker *w = &p->worker[i];
        w->loaded = false;
        if (!p->node_gone[w->node] && !w->dead) p->who[++ranks] = i;
    }
    roster_open(&p->roster, ranks + 1, p->now_ms, 0);
    if (p->n->group_size > 1) p->roster.group_size = p->n->group_size;
    for (int rank = 1; rank <= ranks; rank++) {
        Member *m = &p->roster.member[rank];
        m->takes = p->who[rank] >= p->renderers ? 1 << LEASE_FINISH : p->n->both ? both : 1 << LEASE_RENDER;
        m->heard_ms = INT64_MAX / 2; /* a worker on paper is never silent */
        roster_set_state(&p->roster, m, MEMBER_READY);
    }
}

typedef enum { END_NODE, END_DEATH, END_PREEMPTION } JobEnd;

/* What a shot in work keeps: with a node's death what its last checkpoint holds, else all steps; of its decoding nothing. */
static void save_progress(Play *p, const Member *m, JobEnd why)
{
    const Worker *w = &p->worker[p->who[m->rank]];
    const double left = 1 - (double)p->saved[m->item], all_s = w->work.unit_ms * RENDER_UNITS / 1000 - w->load_s,
                 done_s = (double)(p->now_ms - w->work.begun_ms) / 1000 - w->load_s,
                 kept_s = done_s - (why == END_NODE ? draw_unit(p) * p->n->checkpoint_s : 0);
    const double most = 1 - p->n->decode_share;
    if (kept_s > 0 && all_s > 0) p->saved[m->item] = (float)fmax(1 - left, fmin(1 - left * (1 - kept_s / all_s), most));
}

static int next_node_to_fail(const Play *p)
{
    int first = -1;
    for (int i = 0; i < p->n->nodes && (p->n->node_mtbf_s > 0 || p->n->node_dies_at_s > 0); i++)
        if (!p->node_gone[i] && (first < 0 || p->node_fails_s[i] < p->node_fails_s[first])) first = i;
    return first;
}

/* The job dies with a node, or alone, or is preempted, and starts again a while later. */
static void lose_job(Play *p, JobEnd why)
{
    const Night *n = p->n;
    const bool preempted = why == END_PREEMPTION;
    if (!p->saved) p->saved = memory_get((size_t)n->shots + 1, sizeof *p->saved);
    if (!p->abandoned) p->abandoned = memory_get((size_t)n->shots + 1, sizeof *p->abandoned);
    for (int rank = 1; rank < p->roster.count; rank++) {
        const Member *m = &p->roster.member[rank];
        if (m->state != MEMBER_WORKING || m->kind != LEASE_RENDER) continue;
        save_progress(p, m, why);
        if (!preempted && p->abandoned[m->shot] < UINT8_MAX) p->abandoned[m->shot]++;
    }
    for (int64_t i = 0; i < n->shots && p->trunk_ms; i++) /* what is not computed yet is begun again */
        if (p->trunk_ms[i] > p->now_ms) p->trunk_ms[i] = 0;
    if (why == END_NODE) p->node_gone[p->failing] = true;
    if (why == END_DEATH) p->dies_ms = INT64_MAX;
    *(preempted ? &p->out->preemptions : &p->out->failures) += 1;
    p->failing = next_node_to_fail(p);
    p->now_ms += ms_of(n->restart_s + (preempted ? n->requeue_s : why == END_NODE ? n->node_s : 0));
    if (preempted) p->preempted_s = (double)p->now_ms / 1000 + draw_wait_s(p, n->preempt_mtbf_s);
    start_job(p);
}

/* ---- the night ---- */

static void add_workers(Play *p)
{
    const Night *n = p->n;
    const int each = n->groups * (n->group_size > 1 ? n->group_size : 1);
    p->renderers = n->nodes * each;
    p->workers = p->renderers + n->nodes * n->finishers;
    p->worker = memory_get((size_t)p->workers + 1, sizeof *p->worker);
    p->who = memory_get((size_t)p->workers + 1, sizeof *p->who);
    for (int i = 0; i < p->workers; i++) {
        const int node = i < p->renderers ? i / each : (i - p->renderers) / n->finishers;
        p->worker[i] = (Worker){.node = node, .factor = draw_factor(p, n->worker_sd), .dies_ms = INT64_MAX};
        if (n->script) p->worker[i].dies_ms = ms_of(n->script->dies_s(n->script->self, i + 1));
    }
}

static void set_up(Play *p)
{
    const Night *n = p->n;
    p->factor = draw_factor(p, n->run_sd);
    p->node_fails_s = memory_get((size_t)n->nodes + 1, sizeof *p->node_fails_s);
    p->node_gone = memory_get((size_t)n->nodes + 1, sizeof *p->node_gone);
    p->left = memory_get((size_t)n->shots + 1, sizeof *p->left);
    if (n->trunk) p->trunk_ms = memory_get((size_t)n->shots + 1, sizeof *p->trunk_ms);
    for (int i = 0; i < n->nodes; i++) p->node_fails_s[i] = draw_wait_s(p, n->node_mtbf_s);
    if (n->node_dies_at_s > 0) p->node_fails_s[0] = fmin(p->node_fails_s[0], n->node_dies_at_s);
    p->failing = next_node_to_fail(p);
    p->preempted_s = draw_wait_s(p, n->preempt_mtbf_s);
    p->dies_ms = n->dies_at_s > 0 ? ms_of(n->dies_at_s) : INT64_MAX;
    p->now_ms = ms_of(n->start_s * p->factor);
    for (int64_t i = 0; i < n->shots; i++) {
        p->clips += p->left[i] = n->clips[i];
        if (n->clips[i] > 0) queue_add(&p->queue[LEASE_RENDER], &i, 1);
    }
    for (int64_t i = 0; i < n->waiting; i++) { /* as those of one shot more */
        const int64_t item = clip_item(n->shots, i);
        queue_add(&p->queue[LEASE_FINISH], &item, 1);
    }
    p->clips += p->left[n->shots] = n->waiting;
    p->ready = n->waiting > 0;
    add_workers(p);
    start_job(p);
}

/* The process that dies next; 0: none does. Only tests order deaths, so a search through all ranks is quick enough. */
static int next_rank_to_die(const Play *p)
{
    int first = 0;
    for (int rank = 1; rank < p->roster.count && p->n->script; rank++) {
        const Worker *w = &p->worker[p->who[rank]];
        if (w->dead || w->dies_ms == INT64_MAX) continue;
        if (first == 0 || w->dies_ms < p->worker[p->who[first]].dies_ms) first = rank;
    }
    return first;
}

/* All leases that end now, as the news of one round. */
static void end_leases(Play *p)
{
    for (const SimEvent *e; (e = sim_clock_first(&p->clock)) && e->at_ms == p->now_ms;) {
        Member *m = &p->roster.member[e->rank];
        const bool works = m->state == MEMBER_WORKING && (uint32_t)m->lease == e->lease; /* or it has died since */
        sim_clock_next(&p->clock);
        if (works && p->worker[p->who[m->rank]].dies_ms > p->now_ms) end_lease(p, m);
    }
}

/* Deaths are news after all messages. */
static void lose_workers(Play *p)
{
    for (int rank; (rank = next_rank_to_die(p)) && p->worker[p->who[rank]].dies_ms <= p->now_ms;) lose_worker(p, rank);
}

static int64_t first_of(int64_t a, int64_t b) { return a < b ? a : b; }

/* What happens next. False: nothing. */
static bool go_on(Play *p)
{
    const SimEvent *e = sim_clock_first(&p->clock);
    const int rank = next_rank_to_die(p);
    if (!e) return false;
    const int64_t dies_ms = rank ? p->worker[p->who[rank]].dies_ms : INT64_MAX, stop_ms = ms_of(p->preempted_s),
                  fails_ms = p->failing >= 0 ? ms_of(p->node_fails_s[p->failing]) : INT64_MAX,
                  lost_ms = first_of(first_of(fails_ms, stop_ms), p->dies_ms),
                  next_ms = first_of(first_of(e->at_ms, dies_ms), lost_ms);
    if (next_ms > p->now_ms) p->now_ms = next_ms;
    if (next_ms == lost_ms) {
        lose_job(p, next_ms == fails_ms ? END_NODE : next_ms == stop_ms ? END_PREEMPTION : END_DEATH);
        return true;
    }
    end_leases(p);
    lose_workers(p);
    return true;
}

void night_play(const Night *n, uint64_t seed, NightResult *out)
{
    Play p = {.n = n, .out = out, .random = seed};
    *out = (NightResult){0};
    set_up(&p);
    do {
        const Rules rules = rules_of(&p);
        if (failed(rules_hand_out(&rules))) break; /* cannot be: there are only arrays */
    } while (go_on(&p));
    out->finish_s = p.over == p.clips ? (double)p.now_ms / 1000 + n->end_s * p.factor : INFINITY;
    roster_close(&p.roster);
    sim_clock_clear(&p.clock);
    for (int k = 0; k < LEASE_KINDS; k++) queue_clear(&p.queue[k]);
    void *owned[] = {p.worker,    p.who,     p.left, p.saved,        p.trunk_ms,
                     p.abandoned, p.failure, p.list, p.node_fails_s, p.node_gone};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) free(owned[i]);
}
