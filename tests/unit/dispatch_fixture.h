/* dispatch_fixture.h - the real coordinator and the real protocol against workers that work on a clock the test owns. */
#ifndef REELWRIGHT_TESTS_DISPATCH_FIXTURE_H
#define REELWRIGHT_TESTS_DISPATCH_FIXTURE_H

#include "farm_fixture.h"

#include <errno.h>

#include "common/log.h"
#include "coordinator/dispatch/dispatch.h"
#include "tests/farm/sim_worker.h"

enum { MAX_WORKERS = 10, TICK_MS = 20, STEP_MS = 100, BOTH = 1 << LEASE_RENDER | 1 << LEASE_FINISH };

typedef struct Farm Farm;

typedef SimWorker Sim; /* its renders take steps * STEP_MS on the farm's clock, and its finishes finish_steps */

struct Farm {
    char *folder;
    Campaign *campaign;
    Ledger *ledger;
    Events *events;
    LocalNet *net;
    Dispatch *dispatch;
    int workers;
    Sim sim[MAX_WORKERS];
    int64_t now_ms;
    /* how a lease ends (class and reason); NULL: well. May kill the worker. */
    ErrClass (*fate)(Farm *f, Sim *s, const char **reason);
    bool replace;                                   /* there is a launcher */
    bool disk_full;                                 /* what fails, fails because of the campaign's disk */
    void (*spoil)(Farm *f, Sim *s, LeaseResult *r); /* of a result that is to be sent; NULL: nothing */
    bool files;                                     /* workers leave files, and the coordinator moves them */
    int finish_steps;                               /* of a finish; 0 = 1 */
    int tail_ms; /* a render ends with a tail of this length, beside the next lease; 0: it has none */
    int (*steps)(Farm *f, const Sim *s); /* how many the lease in work takes; NULL: as many as it has */
    int finishers; /* of the workers the last ones only finish, the others only render; 0: all do both */
    int fast;      /* report success with too few steps, this many times */
};

static inline bool take_step(SimWorker *s, int step);
static inline void finish_lease(SimWorker *s, bool stopped);
static inline void finish_tail(SimWorker *s, bool stopped);
static const SimCraft fixture_craft = {.unit = take_step, .end = finish_lease, .end_tail = finish_tail};

static inline void start_job(Farm *f, int workers, LocalFaults faults)
{
    DispatchOptions o = {.start_s = 1e9 + (double)f->now_ms / 1000,
                         .start_ms = f->now_ms,
                         .grace_ms = 60000,
                         .wait_ms = -1,
                         .replace = f->replace,
                         .simulated = !f->files,
                         .most_failed = -1};
    f->workers = workers;
    memset(f->sim, 0, sizeof f->sim);
    f->net = local_net_new(workers + 1, faults);
    assert_good(ledger_open(f->folder, LEDGER_WRITE, &f->ledger));
    assert_good(ledger_adopt(f->ledger, f->campaign, o.start_s));
    assert_good(ledger_begin_epoch(f->ledger, "here", 1, o.start_s));
    assert_good(events_open(f->folder, f->campaign->name, &f->events));
    assert_good(dispatch_open(f->ledger, local_net_link(f->net, 0), f->events, &o, &f->dispatch));
    for (int i = 1; i <= workers; i++) {
        int takes = f->finishers == 0 ? BOTH : i > workers - f->finishers ? 1 << LEASE_FINISH : 1 << LEASE_RENDER;
        sim_worker_open(&f->sim[i], local_net_link(f->net, i), (int)ledger_epoch(f->ledger) * 100 + i, takes,
                        &fixture_craft, f);
        f->sim[i].unit_ms = STEP_MS;
    }
}

static inline void end_job(Farm *f)
{
    for (int i = 1; i <= f->workers; i++) sim_worker_close(&f->sim[i]);
    dispatch_close(&f->dispatch);
    events_close(&f->events);
    ledger_close(&f->ledger);
    local_net_free(&f->net);
}

static inline Farm open_farm(int rows, int rows_per_shot, int workers, LocalFaults faults)
{
    Farm f = {.folder = fixture_folder(), .campaign = fixture_campaign("night", rows, rows_per_shot)};
    start_job(&f, workers, faults);
    return f;
}

static inline void close_farm(Farm *f)
{
    end_job(f);
    fixture_campaign_free(f->campaign);
    fixture_remove(f->folder);
}

static inline void kill_worker(Farm *f, Sim *s)
{
    s->dead = true;
    local_net_kill(f->net, s->rank);
}

/* A Farm's fate: the shot of seed 0 kills each worker that ends it. */
static inline ErrClass shot_0_kills(Farm *f, Sim *s, const char **reason)
{
    (void)reason;
    if (s->talk.lease.shot.seed == 0) kill_worker(f, s);
    return OK;
}

static inline LeaseResult good_result(const Lease *l, int steps)
{
    LeaseResult r = {.kind = l->kind, .lease = l->lease, .epoch = l->epoch, .reason = text_copy("")};
    memcpy(r.key, l->key, HASH_TEXT);
    if (l->kind == LEASE_RENDER) {
        r.denoise_s = 1;
        r.steps_done = steps;
        r.master.bytes = 1000;
        memcpy(r.master.sha256, l->key, HASH_TEXT);
        return r;
    }
    r.finish_s = 1;
    r.clip = (ClipResult){.clip_id = text_copy(l->clip_id),
                          .file = text_format("clips/%s.mp4", l->stem),
                          .thumbnail = text_copy(""),
                          .sheet = text_copy(""),
                          .document = text_copy("{}"),
                          .duration_s = 1,
                          .width = 1,
                          .height = 1};
    memcpy(r.clip.sha256, l->key, HASH_TEXT);
    return r;
}

/* What the file of a lease says: who made it. */
static inline void write_work(const Farm *f, const Lease *l, const char *name)
{
    char *work = lease_work_folder(l->lease), *folder = path_join(f->folder, work), *path = path_join(folder, name),
         *text = text_format("%s of lease %d", name, (int)l->lease);
    assert_good(file_make_folders(folder));
    assert_good(file_replace(path, text, strlen(text)));
    free(text);
    free(path);
    free(folder);
    free(work);
}

static inline void leave_files(const Farm *f, const Lease *l, LeaseResult *r)
{
    char *name = l->kind == LEASE_RENDER ? lease_master_name(l->key) : text_format("%s.mp4", l->stem);
    write_work(f, l, name);
    if (l->kind == LEASE_RENDER) {
        char *text = text_format("%s of lease %d", name, (int)l->lease);
        r->master.bytes = (int64_t)strlen(text);
        free(text);
        free(name);
        return;
    }
    r->clip.name = memory_get(1, sizeof(char *));
    r->clip.name[r->clip.name_count++] = name;
}

/* s: as sim_worker_of_tail, for a tail. The worker may have died. */
static inline LeaseResult result_of(Farm *f, Sim *s, bool stopped)
{
    const Lease *l = &s->talk.lease;
    const char *reason = "";
    ErrClass err = stopped ? ERR_STOP : f->fate ? f->fate(f, s, &reason) : OK;
    LeaseResult r = good_result(l, s->work.unit < l->shot.steps ? s->work.unit : l->shot.steps);
    if (s->dead) return r;
    if (err == OK && l->kind == LEASE_RENDER) r.steps_done = l->shot.steps;
    if (err == OK && f->files) leave_files(f, l, &r);
    if (err == OK && f->spoil) f->spoil(f, s, &r);
    if (err != OK) {
        clip_result_clear(&r.clip);
        free(r.reason);
        r.err = (int)err;
        r.reason = text_copy(reason);
        r.disk_full = f->disk_full;
    } else {
        if (l->kind == LEASE_RENDER && f->fast > 0 && f->fast--) r.steps_done = 1;
    }
    return r;
}

static inline void finish_lease(SimWorker *s, bool stopped)
{
    Farm *f = s->self;
    if (!stopped && f->tail_ms > 0 && s->talk.lease.kind == LEASE_RENDER) {
        assert_true(sim_worker_leave_tail(s, f->tail_ms)); /* take_step has waited for that */
        return;
    }
    LeaseResult r = result_of(f, s, stopped);
    if (!s->dead) sim_worker_report(s, &r);
    lease_result_clear(&r);
}

static inline void finish_tail(SimWorker *s, bool stopped)
{
    Sim was = sim_worker_of_tail(s);
    was.work.unit = was.talk.lease.shot.steps;
    LeaseResult r = result_of(s->self, &was, stopped);
    s->dead = was.dead;
    if (!s->dead) sim_worker_report_tail(s, &r);
    lease_result_clear(&r);
}

static inline int steps_of(Farm *f, const Sim *s)
{
    if (f->steps) return f->steps(f, s);
    if (s->talk.lease.kind == LEASE_FINISH) return f->finish_steps ? f->finish_steps : 1;
    return s->talk.lease.shot.steps;
}

static inline bool take_step(SimWorker *s, int step)
{
    const Farm *f = s->self;
    const int steps = steps_of(s->self, s);
    if (step == steps && f->tail_ms > 0 && s->talk.lease.kind == LEASE_RENDER && !talk_may_leave_tail(&s->talk)) {
        s->work.unit = step; /* it waits for the tail before it */
        s->work.begun_ms += STEP_MS;
        sim_worker_progress(s, "decode", 0, 1);
        return true;
    }
    if (step == steps) return false;
    const char *stage = s->talk.lease.kind == LEASE_FINISH ? "finish" : step == 3 ? "decode" : "denoise";
    sim_worker_progress(s, stage, step, steps);
    return true;
}

/* The worker renders, and has taken so many steps. */
static inline bool renders(const Sim *s, int steps)
{
    return s->talk.has_lease && s->talk.lease.kind == LEASE_RENDER && s->work.unit >= steps;
}

static inline void tick_worker(Farm *f, Sim *s)
{
    s->self = f; /* a Farm may have been moved since it was opened */
    assert_good(sim_worker_tick(s, f->now_ms, 0));
}

static inline void tick(Farm *f)
{
    f->now_ms += TICK_MS;
    for (int i = 1; i <= f->workers; i++) tick_worker(f, &f->sim[i]);
    assert_good(dispatch_round(f->dispatch, f->now_ms, 0));
}

static inline void run_farm(Farm *f, int64_t most_s)
{
    for (int64_t end = f->now_ms + most_s * 1000; dispatch_going(f->dispatch);) {
        if (f->now_ms > end) fail_msg("still going after %d s of the test's clock", (int)most_s);
        tick(f);
    }
}

static inline Snapshot look(Farm *f)
{
    Snapshot s;
    assert_good(ledger_read_snapshot(f->ledger, &s));
    assert_good(ledger_check_counts(f->ledger));
    return s;
}

typedef struct { /* of renders: done; of finishes: finished; of both the others */
    int done, finished, failed, lost, stopped, abandoned, running;
} Outcomes;

static inline Status count_lease(void *self, const LeaseRow *row)
{
    Outcomes *o = self;
    o->done += row->kind == LEASE_RENDER && strcmp(row->outcome, "done") == 0;
    o->finished += row->kind == LEASE_FINISH && strcmp(row->outcome, "done") == 0;
    o->failed += strcmp(row->outcome, "failed") == 0;
    o->lost += strcmp(row->outcome, "lost") == 0;
    o->stopped += strcmp(row->outcome, "stopped") == 0;
    o->abandoned += strcmp(row->outcome, "abandoned") == 0;
    o->running += strcmp(row->outcome, "running") == 0;
    return status_ok();
}

static inline Outcomes outcomes(Farm *f)
{
    Outcomes o = {0};
    assert_good(ledger_read_leases(f->ledger, -1, -1, (LeaseSink){count_lease, &o}));
    return o;
}

static inline void assert_counts(Farm *f, int finished, int failed_clips, int left)
{
    Snapshot s = look(f);
    assert_int_equal(s.finished, finished);
    assert_int_equal(s.failed, failed_clips);
    assert_int_equal(s.left, left);
    snapshot_clear(&s);
    assert_good(ledger_check_counts(f->ledger));
}

static inline ErrClass shot_2_is_poison(Farm *f, Sim *s, const char **reason)
{
    (void)f;
    *reason = "prompt of 600 tokens, expected at most 512";
    return s->talk.lease.shot.seed == 2 ? ERR_CLIP : OK;
}

#endif
