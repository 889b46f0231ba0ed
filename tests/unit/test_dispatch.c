/* test_dispatch.c - the real coordinator and the real protocol against workers that work on a clock the test owns. */
#include "farm_fixture.h"

#include <errno.h>

#include "common/log.h"
#include "coordinator/dispatch.h"
#include "worker/talk.h"

enum { MAX_WORKERS = 9, TICK_MS = 20, STEP_MS = 100 };

typedef struct Farm Farm;

typedef struct { /* a worker whose leases take steps * STEP_MS on the farm's clock */
    Talk talk;
    int rank;
    int64_t step_at_ms;
    int step;
    bool dead, hung, gone;
    int leases_done;
} Sim;

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
    bool replace; /* there is a launcher */
    int fast;     /* report success with too few steps, this many times */
};

static void start_job(Farm *f, int workers, LocalFaults faults)
{
    DispatchOptions o = {.start_s = 1e9 + (double)f->now_ms / 1000,
                         .start_ms = f->now_ms,
                         .grace_ms = 60000,
                         .wait_ms = -1,
                         .replace = f->replace,
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
        f->sim[i].rank = i;
        talk_open(&f->sim[i].talk, local_net_link(f->net, i), "sim", (int)ledger_epoch(f->ledger) * 100 + i, 1);
    }
}

static void end_job(Farm *f)
{
    for (int i = 1; i <= f->workers; i++) talk_close(&f->sim[i].talk);
    dispatch_close(&f->dispatch);
    events_close(&f->events);
    ledger_close(&f->ledger);
    local_net_free(&f->net);
}

static Farm open_farm(int rows, int rows_per_shot, int workers, LocalFaults faults)
{
    Farm f = {.folder = fixture_folder(), .campaign = fixture_campaign("night", rows, rows_per_shot)};
    start_job(&f, workers, faults);
    return f;
}

static void close_farm(Farm *f)
{
    end_job(f);
    fixture_campaign_free(f->campaign);
    fixture_remove(f->folder);
}

static void kill_worker(Farm *f, Sim *s)
{
    s->dead = true;
    local_net_kill(f->net, s->rank);
}

static void finish_lease(Farm *f, Sim *s)
{
    const Lease *l = &s->talk.lease;
    const char *reason = "";
    ErrClass err = s->talk.drop || s->talk.stop ? ERR_STOP : f->fate ? f->fate(f, s, &reason) : OK;
    if (s->dead) return;
    LeaseResult r = {.lease = l->lease,
                     .epoch = l->epoch,
                     .err = (int)err,
                     .reason = text_copy(reason),
                     .denoise_s = 1,
                     .steps_done = s->step};
    memcpy(r.key, l->key, HASH_TEXT);
    if (err == OK) {
        r.clip_count = l->clip_count;
        r.clip = memory_get((size_t)l->clip_count, sizeof *r.clip);
        for (int i = 0; i < l->clip_count; i++)
            r.clip[i] = (ClipResult){.clip_id = text_copy(l->clip[i].clip_id),
                                     .file = text_copy("f"),
                                     .thumbnail = text_copy(""),
                                     .sheet = text_copy(""),
                                     .duration_s = 1,
                                     .width = 1,
                                     .height = 1};
        if (f->fast > 0 && f->fast--) r.steps_done = 1;
        s->leases_done++;
    }
    assert_good(talk_finish(&s->talk, &r, f->now_ms));
}

static void tick_worker(Farm *f, Sim *s)
{
    if (s->dead || s->hung || s->gone) return;
    bool had = s->talk.has_lease;
    assert_good(talk_hear(&s->talk, f->now_ms, 0));
    if (!s->talk.has_lease) {
        s->gone = s->talk.stop && !s->talk.owes_result;
        if (s->gone) assert_good(talk_goodbye(&s->talk));
        return;
    }
    if (!had) s->step = 0, s->step_at_ms = f->now_ms;
    if (f->now_ms < s->step_at_ms && !s->talk.drop && !s->talk.stop) return;
    if (s->step == s->talk.lease.shot.steps || s->talk.drop || s->talk.stop) {
        finish_lease(f, s);
        return;
    }
    assert_good(talk_progress(&s->talk, s->step == 3 ? "decode" : "denoise", s->step, s->talk.lease.shot.steps));
    s->step++;
    s->step_at_ms += STEP_MS;
}

static void tick(Farm *f)
{
    f->now_ms += TICK_MS;
    for (int i = 1; i <= f->workers; i++) tick_worker(f, &f->sim[i]);
    assert_good(dispatch_round(f->dispatch, f->now_ms, 0));
}

static void run_farm(Farm *f, int64_t most_s)
{
    for (int64_t end = f->now_ms + most_s * 1000; dispatch_going(f->dispatch);) {
        if (f->now_ms > end) fail_msg("still going after %d s of the test's clock", (int)most_s);
        tick(f);
    }
}

static Snapshot look(Farm *f)
{
    Snapshot s;
    assert_good(ledger_read_snapshot(f->ledger, &s));
    assert_good(ledger_check_counts(f->ledger));
    return s;
}

typedef struct {
    int done, failed, lost, stopped, abandoned, running;
} Outcomes;

static Status count_lease(void *self, const LeaseRow *row)
{
    Outcomes *o = self;
    o->done += strcmp(row->outcome, "done") == 0;
    o->failed += strcmp(row->outcome, "failed") == 0;
    o->lost += strcmp(row->outcome, "lost") == 0;
    o->stopped += strcmp(row->outcome, "stopped") == 0;
    o->abandoned += strcmp(row->outcome, "abandoned") == 0;
    o->running += strcmp(row->outcome, "running") == 0;
    return status_ok();
}

static Outcomes outcomes(Farm *f)
{
    Outcomes o = {0};
    assert_good(ledger_read_leases(f->ledger, -1, (LeaseSink){count_lease, &o}));
    return o;
}

static void assert_counts(Farm *f, int finished, int failed_clips, int left)
{
    Snapshot s = look(f);
    assert_int_equal(s.finished, finished);
    assert_int_equal(s.failed, failed_clips);
    assert_int_equal(s.left, left);
    snapshot_clear(&s);
    assert_good(ledger_check_counts(f->ledger));
}

static void test_a_quiet_night(void **state)
{
    (void)state;
    Farm f = open_farm(30, 3, 3, (LocalFaults){0});
    run_farm(&f, 60);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_DONE);
    assert_true(dispatch_clean(f.dispatch));
    assert_counts(&f, 30, 0, 0);
    Outcomes o = outcomes(&f);
    assert_int_equal(o.done, 10);
    assert_int_equal(o.done + o.failed + o.lost + o.stopped + o.running, 10);
    close_farm(&f);
}

static void test_a_line_that_loses_doubles_and_delays(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        Farm f = open_farm(12, 1, 4,
                           (LocalFaults){.seed = seed, .lose = 0.2, .duplicate = 0.2, .delay = 0.3, .delay_max = 6});
        run_farm(&f, 600);
        assert_counts(&f, 12, 0, 0);
        assert_int_equal(outcomes(&f).done, 12); /* no shot was taken twice */
        int rendered = 0;
        for (int i = 1; i <= 4; i++) rendered += f.sim[i].leases_done;
        assert_int_equal(rendered, 12); /* nor rendered twice */
        close_farm(&f);
    }
}

static void test_a_worker_dies_in_the_middle(void **state)
{
    (void)state;
    Farm f = open_farm(12, 1, 3, (LocalFaults){0});
    while (!f.sim[2].talk.has_lease || f.sim[2].step < 2) tick(&f);
    kill_worker(&f, &f.sim[2]);
    run_farm(&f, 60);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_DONE);
    assert_false(dispatch_clean(f.dispatch));
    assert_counts(&f, 12, 0, 0);
    assert_int_equal(outcomes(&f).lost, 1);
    close_farm(&f);
}

static ErrClass shot_0_kills(Farm *f, Sim *s, const char **reason)
{
    (void)reason;
    if (s->talk.lease.shot.seed == 0) kill_worker(f, s);
    return OK;
}

static void test_a_clip_that_kills_its_workers(void **state)
{
    (void)state;
    Farm f = open_farm(10, 1, 5, (LocalFaults){0});
    f.fate = shot_0_kills;
    run_farm(&f, 60);
    assert_counts(&f, 9, 1, 0);
    assert_int_equal(outcomes(&f).lost, 3);
    close_farm(&f);
}

static ErrClass shot_1_fails(Farm *f, Sim *s, const char **reason)
{
    (void)f;
    *reason = "a weight is not finite";
    return s->talk.lease.shot.seed == 1 ? ERR_RETRY : OK;
}

static Status reason_of_row1(void *self, const ClipRow *row)
{
    if (strcmp(row->clip_id, "row1") == 0) snprintf(self, 64, "%s/%s", row->state, row->reason);
    return status_ok();
}

static void test_three_workers_fail_at_a_shot(void **state)
{
    (void)state;
    Farm f = open_farm(8, 1, 4, (LocalFaults){0});
    char what[64] = "";
    int workers, times;
    f.fate = shot_1_fails;
    run_farm(&f, 60);
    assert_counts(&f, 7, 1, 0);
    assert_good(ledger_failures(f.ledger, 1, &workers, &times));
    assert_int_equal(workers, 3);
    assert_int_equal(times, 3);
    assert_good(ledger_read_clips(f.ledger, NULL, (ClipSink){reason_of_row1, what}));
    assert_string_equal(what, "failed/a weight is not finite");
    close_farm(&f);
}

static void test_fewer_than_three_workers_try_three_times(void **state)
{
    (void)state;
    Farm f = open_farm(4, 1, 1, (LocalFaults){0});
    f.fate = shot_1_fails;
    run_farm(&f, 60);
    assert_counts(&f, 3, 1, 0);
    assert_int_equal(outcomes(&f).failed, 3);
    close_farm(&f);
}

static ErrClass shot_2_is_poison(Farm *f, Sim *s, const char **reason)
{
    (void)f;
    *reason = "prompt of 600 tokens, expected at most 512";
    return s->talk.lease.shot.seed == 2 ? ERR_CLIP : OK;
}

static void test_poison_fails_at_once(void **state)
{
    (void)state;
    Farm f = open_farm(8, 1, 3, (LocalFaults){0});
    f.fate = shot_2_is_poison;
    run_farm(&f, 60);
    assert_counts(&f, 7, 1, 0);
    assert_int_equal(outcomes(&f).failed, 1);
    close_farm(&f);
}

static ErrClass worker_1_fails(Farm *f, Sim *s, const char **reason)
{
    (void)f;
    *reason = "out of memory";
    return s->rank == 1 ? ERR_NODE : OK;
}

static void test_a_worker_that_fails_everything_is_set_aside(void **state)
{
    (void)state;
    Farm f = open_farm(20, 1, 3, (LocalFaults){0});
    f.fate = worker_1_fails;
    run_farm(&f, 60);
    assert_counts(&f, 20, 0, 0);
    assert_int_equal(outcomes(&f).failed, 3);
    close_farm(&f);
}

static ErrClass all_fail(Farm *f, Sim *s, const char **reason)
{
    (void)f, (void)s;
    *reason = "the model folder cannot be read";
    return ERR_NODE;
}

static void test_all_workers_set_aside_is_the_end(void **state)
{
    (void)state;
    Farm f = open_farm(20, 1, 2, (LocalFaults){0});
    f.fate = all_fail;
    run_farm(&f, 60);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_STUCK);
    assert_non_null(strstr(dispatch_reason(f.dispatch), "set aside"));
    close_farm(&f);
}

static ErrClass disk_is_full(Farm *f, Sim *s, const char **reason)
{
    (void)f, (void)s;
    *reason = "cannot write latents/x.h5: No space left on device";
    return ERR_NODE;
}

static void test_a_full_disk_stops_the_farm(void **state)
{
    (void)state;
    Farm f = open_farm(20, 1, 3, (LocalFaults){0});
    f.fate = disk_is_full;
    run_farm(&f, 60);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_STUCK);
    assert_non_null(strstr(dispatch_reason(f.dispatch), "No space left"));
    assert_counts(&f, 0, 0, 20); /* no clip failed for it */
    close_farm(&f);
}

static void test_a_hung_worker_comes_back(void **state)
{
    (void)state;
    Farm f = open_farm(10, 1, 3, (LocalFaults){0});
    while (!f.sim[2].talk.has_lease || f.sim[2].step < 2) tick(&f);
    int64_t lease = f.sim[2].talk.lease.lease;
    f.sim[2].hung = true;
    /* the others finish everything else; the hung one's shot is given away after the limit */
    for (Outcomes o = {0}; o.lost == 0; o = outcomes(&f)) tick(&f);
    f.sim[2].hung = false; /* and now it goes on with its old lease, and reports it */
    run_farm(&f, 600);
    assert_counts(&f, 10, 0, 0);
    Outcomes o = outcomes(&f);
    assert_int_equal(o.lost, 1);
    assert_int_equal(o.done, 10);
    assert_true(f.sim[2].talk.seen >= lease);
    close_farm(&f);
}

static void test_an_old_coordinator_ends(void **state)
{
    (void)state;
    Farm f = open_farm(10, 1, 2, (LocalFaults){0});
    for (int i = 0; i < 10; i++) tick(&f);
    Ledger *other;
    assert_good(ledger_open(f.folder, LEDGER_WRITE, &other));
    assert_good(ledger_begin_epoch(other, "elsewhere", 2, 2e9));
    Status s = status_ok();
    for (int i = 0; i < 100 && !failed(s); i++) {
        f.now_ms += TICK_MS;
        for (int w = 1; w <= f.workers; w++) tick_worker(&f, &f.sim[w]);
        s = dispatch_round(f.dispatch, f.now_ms, 0);
    }
    assert_int_equal(s.err, ERR_FATAL);
    assert_non_null(strstr(s.message, "fenced"));
    ledger_close(&other);
    close_farm(&f);
}

static void test_stop_and_resume(void **state)
{
    (void)state;
    Farm f = open_farm(12, 1, 2, (LocalFaults){0});
    for (int i = 0; i < 60; i++) tick(&f);
    dispatch_stop(f.dispatch);
    run_farm(&f, 5);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_STOPPED);
    assert_true(dispatch_clean(f.dispatch));
    Snapshot s = look(&f);
    assert_in_range(s.finished, 1, 11);
    assert_int_equal(s.clip_count[CLIP_WAITING] + s.clip_count[CLIP_FINISHING], 0);
    snapshot_clear(&s);
    assert_int_equal(outcomes(&f).stopped, 2);
    end_job(&f);
    start_job(&f, 3, (LocalFaults){0});
    run_farm(&f, 60);
    assert_counts(&f, 12, 0, 0);
    assert_int_equal(outcomes(&f).done, 12);
    close_farm(&f);
}

static void test_the_whole_job_dies_and_starts_again(void **state)
{
    (void)state;
    Farm f = open_farm(12, 1, 3, (LocalFaults){0});
    for (int launch = 0; launch < 3; launch++) {
        for (int i = 0; i < 40; i++) tick(&f);
        end_job(&f); /* nothing is said, nothing written: as kill -9 of everything */
        start_job(&f, 3, (LocalFaults){0});
    }
    run_farm(&f, 60);
    assert_counts(&f, 12, 0, 0);
    Outcomes o = outcomes(&f);
    assert_int_equal(o.done, 12);
    assert_int_equal(o.failed + o.lost, 0); /* an innocent clip is not blamed for the job's death */
    assert_in_range(o.abandoned, 1, 9);
    close_farm(&f);
}

static void test_success_faster_than_possible_is_a_failure(void **state)
{
    (void)state;
    Farm f = open_farm(6, 1, 2, (LocalFaults){0});
    f.fast = 1;
    run_farm(&f, 60);
    assert_counts(&f, 6, 0, 0);
    assert_int_equal(outcomes(&f).failed, 1);
    close_farm(&f);
}

/* Of 3 workers one dies after some shots; as the launcher does, another job follows. Returns how many shots that one had left. */
static int night_with_a_loss(int rows, bool launcher, int die_after_ms, DispatchEnd *end)
{
    Farm f = open_farm(rows, 1, 3, (LocalFaults){0});
    end_job(&f);
    f.replace = launcher;
    start_job(&f, 3, (LocalFaults){0});
    while (f.now_ms < die_after_ms) tick(&f);
    kill_worker(&f, &f.sim[3]);
    run_farm(&f, 600);
    *end = dispatch_end(f.dispatch);
    Snapshot s = look(&f);
    int left = (int)s.left;
    snapshot_clear(&s);
    end_job(&f);
    start_job(&f, 3, (LocalFaults){0});
    run_farm(&f, 600);
    assert_counts(&f, rows, 0, 0);
    Outcomes o = outcomes(&f);
    assert_int_equal(o.done, rows);
    assert_int_equal(o.failed, 0);
    close_farm(&f);
    return left;
}

static void test_a_lost_worker_is_replaced_when_it_pays(void **state)
{
    (void)state;
    DispatchEnd end;
    int left = night_with_a_loss(120, true, 8000, &end);
    assert_int_equal(end, DISPATCH_REPLACE);
    assert_in_range(left, 40, 118);                 /* soon after the loss, not at the end */
    left = night_with_a_loss(120, true, 100, &end); /* at once, before anything was rendered: a while later */
    assert_int_equal(end, DISPATCH_REPLACE);
    assert_in_range(left, 40, 117);
    night_with_a_loss(5, true, 600, &end); /* too little is left */
    assert_int_equal(end, DISPATCH_DONE);
    night_with_a_loss(120, false, 8000, &end); /* nobody would start it again */
    assert_int_equal(end, DISPATCH_DONE);
}

static void test_no_worker_is_left(void **state)
{
    (void)state;
    Farm f = open_farm(6, 1, 2, (LocalFaults){0});
    for (int i = 0; i < 10; i++) tick(&f);
    kill_worker(&f, &f.sim[1]);
    kill_worker(&f, &f.sim[2]);
    run_farm(&f, 60);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_NO_WORKERS);
    close_farm(&f);
}

static void request(Farm *f, const char *verb, const char *clip)
{
    Ledger *l;
    assert_good(ledger_open(f->folder, LEDGER_WRITE, &l));
    assert_good(
        ledger_request(l, &(LedgerRequest){.verb = (char *)(uintptr_t)verb, .clip_id = (char *)(uintptr_t)clip}, 1));
    ledger_close(&l);
}

static void test_pause_resume_retry(void **state)
{
    (void)state;
    Farm f = open_farm(6, 1, 2, (LocalFaults){0});
    f.fate = shot_2_is_poison;
    request(&f, "pause", "");
    for (int i = 0; i < 100; i++) tick(&f);
    assert_counts(&f, 0, 0, 6);
    request(&f, "resume", "");
    for (int64_t failed_clips = 0; failed_clips == 0;) {
        tick(&f);
        Snapshot s = look(&f);
        failed_clips = s.failed;
        snapshot_clear(&s);
    }
    f.fate = NULL;
    request(&f, "retry", "row2");
    run_farm(&f, 60);
    assert_counts(&f, 6, 0, 0);
    close_farm(&f);
}

static void ask(Farm *f, LedgerRequest r)
{
    Ledger *l;
    assert_good(ledger_open(f->folder, LEDGER_WRITE, &l));
    assert_good(ledger_request(l, &r, 1));
    ledger_close(&l);
}

static void restart_job(Farm *f, const DispatchOptions *o)
{
    dispatch_close(&f->dispatch);
    assert_good(dispatch_open(f->ledger, local_net_link(f->net, 0), f->events, o, &f->dispatch));
}

static DispatchOptions options_of(const Farm *f)
{
    return (DispatchOptions){.start_s = 1e9 + (double)f->now_ms / 1000,
                             .start_ms = f->now_ms,
                             .grace_ms = 60000,
                             .wait_ms = -1,
                             .most_failed = -1};
}

static int count_events(const Farm *f, const char *event)
{
    char *file = path_join(f->folder, "events.jsonl"), *text, *want = text_format("\"event\":\"%s\"", event);
    size_t bytes;
    int n = 0;
    assert_good(file_read(file, 1 << 24, &text, &bytes));
    for (char *p = text; (p = strstr(p, want)); p++) n++;
    free(want);
    free(text);
    free(file);
    return n;
}

static Status state_of_clip(void *self, const ClipRow *row)
{
    snprintf(self, 64, "%s/%s", row->state, row->reason);
    return status_ok();
}

static void assert_state(Farm *f, const char *clip, const char *want)
{
    char what[64] = "";
    assert_good(ledger_read_clips(f->ledger, clip, (ClipSink){state_of_clip, what}));
    assert_string_equal(what, want);
}

/* row2 and row3 share shot 1: cancelling row2 in work gives the shot back, and it is made for row3 alone. */
static void test_clips_are_paused_and_cancelled_one_by_one(void **state)
{
    (void)state;
    Farm f = open_farm(8, 2, 2, (LocalFaults){0});
    ask(&f, (LedgerRequest){.verb = "pause", .clip_id = "row6"});
    ask(&f, (LedgerRequest){.verb = "pause", .clip_id = "row7"});
    while (!f.sim[2].talk.has_lease || f.sim[2].step < 2) tick(&f);
    assert_int_equal(f.sim[2].talk.lease.shot.seed, 1);
    f.sim[2].hung = true;
    ask(&f, (LedgerRequest){.verb = "cancel", .clip_id = "row2"});
    for (Outcomes o = {0}; o.stopped == 0; o = outcomes(&f)) tick(&f);
    f.sim[2].hung = false;
    for (int i = 0; i < 400; i++) tick(&f);
    assert_counts(&f, 5, 0, 2);
    assert_state(&f, "row2", "cancelled/cancelled");
    assert_state(&f, "row3", "approved/");
    assert_state(&f, "row6", "paused/paused");
    assert_int_equal(outcomes(&f).stopped, 1);
    assert_true(dispatch_going(f.dispatch)); /* it waits for row6 and row7 */
    assert_int_equal(count_events(&f, "run.waiting"), 1);
    Snapshot s = look(&f);
    assert_string_equal(snapshot_waits_for(&s), "resume");
    assert_int_equal(s.shot_count[SHOT_HELD], 1);
    snapshot_clear(&s);
    ask(&f, (LedgerRequest){.verb = "resume", .filter = "[[\"state\",\"=\",\"paused\"]]"});
    run_farm(&f, 60);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_DONE);
    assert_counts(&f, 7, 0, 0);
    end_job(&f); /* a cancelled clip can be taken up again, although its shot is rendered */
    ask(&f, (LedgerRequest){.verb = "resume", .clip_id = "row2"});
    start_job(&f, 2, (LocalFaults){0});
    run_farm(&f, 60);
    assert_counts(&f, 8, 0, 0);
    close_farm(&f);
}

static void test_a_pilot_waits_for_approval(void **state)
{
    (void)state;
    /* the pilot ends in the middle of shot 1 */
    Farm f = {.folder = fixture_folder(), .campaign = fixture_campaign("night", 12, 3)};
    f.campaign->settings.pilot = 4;
    start_job(&f, 3, (LocalFaults){0});
    for (int i = 0; i < 200; i++) tick(&f);
    assert_counts(&f, 4, 0, 8);
    assert_int_equal(count_events(&f, "pilot.ready"), 1);
    Snapshot s = look(&f);
    assert_string_equal(snapshot_waits_for(&s), "approval");
    snapshot_clear(&s);
    DispatchOptions o = options_of(&f);
    o.wait_ms = 1000; /* a run that does not wait ends, and says why */
    end_job(&f);
    start_job(&f, 3, (LocalFaults){0});
    restart_job(&f, &o);
    run_farm(&f, 10);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_WAITING);
    assert_non_null(strstr(dispatch_reason(f.dispatch), "approval"));
    end_job(&f);
    start_job(&f, 3, (LocalFaults){0});
    ask(&f, (LedgerRequest){.verb = "approve"});
    run_farm(&f, 60);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_DONE);
    assert_counts(&f, 12, 0, 0);
    assert_int_equal(outcomes(&f).done, 5); /* shot 1 was decoded again for the two clips beyond the pilot */
    close_farm(&f);
}

static void test_a_rejected_pilot_cancels_the_campaign(void **state)
{
    (void)state;
    Farm f = {.folder = fixture_folder(), .campaign = fixture_campaign("night", 6, 1)};
    f.campaign->settings.pilot = 2;
    start_job(&f, 2, (LocalFaults){0});
    for (int i = 0; i < 100; i++) tick(&f);
    ask(&f, (LedgerRequest){.verb = "reject"});
    run_farm(&f, 60);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_CANCELLED);
    assert_counts(&f, 2, 0, 4);
    end_job(&f); /* and a change of mind goes on with it */
    start_job(&f, 2, (LocalFaults){0});
    ask(&f, (LedgerRequest){.verb = "approve"});
    run_farm(&f, 60);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_DONE);
    assert_counts(&f, 6, 0, 0);
    close_farm(&f);
}

static ErrClass odd_shots_are_poison(Farm *f, Sim *s, const char **reason)
{
    (void)f;
    *reason = "a weight is not finite";
    return s->talk.lease.shot.seed % 2 ? ERR_CLIP : OK;
}

static void test_too_many_failures_stop_the_night(void **state)
{
    (void)state;
    Farm f = open_farm(40, 1, 3, (LocalFaults){0});
    DispatchOptions o = options_of(&f);
    o.most_failed = 4;
    restart_job(&f, &o);
    f.fate = odd_shots_are_poison;
    run_farm(&f, 60);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_TOO_MANY);
    assert_non_null(strstr(dispatch_reason(f.dispatch), "6 clips failed, and at most 4 may"));
    assert_non_null(strstr(dispatch_reason(f.dispatch), "row1, row3, row5 and 3 more: a weight is not finite"));
    Snapshot s = look(&f);
    assert_int_equal(s.failed, 6); /* two of them in one round */
    assert_in_range(s.left, 20, 34);
    snapshot_clear(&s);
    assert_int_equal(count_events(&f, "run.max_fails"), 1);
    assert_int_equal(count_events(&f, "clip.failed"), 6);
    f.fate = NULL; /* mended, and tried again: the old failures no longer count */
    end_job(&f);
    ask(&f, (LedgerRequest){.verb = "retry", .filter = "[[\"$[0]\",\"!=\",\"row1\"]]"});
    start_job(&f, 3, (LocalFaults){0});
    o.start_ms = f.now_ms;
    restart_job(&f, &o);
    run_farm(&f, 60);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_DONE);
    assert_counts(&f, 39, 1, 0);
    close_farm(&f);
}

static void test_each_stage_has_its_own_limit(void **state)
{
    (void)state;
    Farm f = open_farm(6, 1, 2, (LocalFaults){0});
    DispatchOptions o = options_of(&f);
    o.step_limit_ms = 30000;
    o.limit_ms[STAGE_DENOISE] = 2000;
    restart_job(&f, &o);
    while (!f.sim[2].talk.has_lease || f.sim[2].step != 2) tick(&f); /* denoising */
    f.sim[2].hung = true;
    int64_t since_ms = f.now_ms;
    for (Outcomes s = {0}; s.lost == 0; s = outcomes(&f)) tick(&f);
    assert_in_range(f.now_ms - since_ms, 1900, 2500);
    f.sim[2].hung = false;
    while (!f.sim[1].talk.has_lease || f.sim[1].step != 4) tick(&f); /* decoding: the general limit */
    f.sim[1].hung = true;
    since_ms = f.now_ms;
    for (Outcomes s = {0}; s.lost < 2; s = outcomes(&f)) tick(&f);
    assert_in_range(f.now_ms - since_ms, 29000, 31000);
    close_farm(&f);
}

/* ---- the invariant: when a lease or an acknowledgement is sent, another process can already read it in the ledger ---- */

static Farm *watched;
static int leases_seen, acks_seen;
static Status (*plain_send)(Link *l, int peer, const void *data, size_t bytes);

static Status find_lease(void *self, const LeaseRow *row)
{
    const WireMessage *m = self;
    if (row->lease != m->lease) return status_ok();
    bool running = strcmp(row->outcome, "running") == 0;
    if (m->kind == WIRE_LEASE && running) leases_seen++;
    if (m->kind == WIRE_ACK && !running) acks_seen++;
    return status_ok();
}

static Status watching_send(Link *l, int peer, const void *data, size_t bytes)
{
    WireMessage m;
    Ledger *reader;
    assert_good(wire_decode(data, bytes, &m));
    int before = leases_seen + acks_seen;
    if (m.kind == WIRE_LEASE || m.kind == WIRE_ACK) {
        assert_good(ledger_open(watched->folder, LEDGER_READ, &reader));
        assert_good(ledger_read_leases(reader, -1, (LeaseSink){find_lease, &m}));
        assert_int_equal(leases_seen + acks_seen, before + 1);
        ledger_close(&reader);
    }
    wire_clear(&m);
    return plain_send(l, peer, data, bytes);
}

static void test_the_ledger_is_written_before_the_world_is_told(void **state)
{
    (void)state;
    Farm f = open_farm(6, 1, 2, (LocalFaults){0});
    Link *l = local_net_link(f.net, 0);
    LinkHome home = *l->home;
    plain_send = home.send;
    home.send = watching_send;
    l->home = &home;
    watched = &f;
    run_farm(&f, 60);
    assert_int_equal(leases_seen, 6);
    assert_int_equal(acks_seen, 6);
    close_farm(&f);
}

/* ---- nights with several faults each, all drawn from a seed ---- */

static uint64_t dice;
static int roll(int sides)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (int)((dice >> 33) % (uint64_t)sides);
}

static ErrClass random_fate(Farm *f, Sim *s, const char **reason)
{
    int n = roll(30);
    *reason = "bad luck";
    if (n == 0) kill_worker(f, s);
    if (n == 1) s->hung = true;
    return n == 2 ? ERR_RETRY : n == 3 ? ERR_NODE : OK;
}

static void test_random_nights(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        dice = seed;
        LocalFaults faults = {.seed = seed, .lose = 0.05, .duplicate = 0.05, .delay = 0.1, .delay_max = 4};
        Farm f = open_farm(20, 1 + roll(2), 4, faults);
        f.fate = random_fate;
        for (int launch = 0; launch < 30; launch++) {
            int ticks = roll(200) + 20;
            for (int i = 0; i < ticks && dispatch_going(f.dispatch); i++) {
                tick(&f);
                if (roll(100) == 0) f.sim[1 + roll(4)].hung = false;
            }
            if (dispatch_end(f.dispatch) == DISPATCH_DONE) break;
            end_job(&f);
            start_job(&f, 4, faults);
        }
        Snapshot s = look(&f);
        assert_int_equal(s.left, 0);
        assert_int_equal(s.finished + s.failed, 20);
        assert_int_equal(s.shot_count[SHOT_RENDERED] + s.shot_count[SHOT_FAILED], s.shots);
        assert_int_equal(outcomes(&f).done, s.shot_count[SHOT_RENDERED]); /* no finished shot was rendered again */
        snapshot_clear(&s);
        close_farm(&f);
    }
}

int main(void)
{
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_quiet_night),
        cmocka_unit_test(test_a_line_that_loses_doubles_and_delays),
        cmocka_unit_test(test_a_worker_dies_in_the_middle),
        cmocka_unit_test(test_a_clip_that_kills_its_workers),
        cmocka_unit_test(test_three_workers_fail_at_a_shot),
        cmocka_unit_test(test_fewer_than_three_workers_try_three_times),
        cmocka_unit_test(test_poison_fails_at_once),
        cmocka_unit_test(test_a_worker_that_fails_everything_is_set_aside),
        cmocka_unit_test(test_all_workers_set_aside_is_the_end),
        cmocka_unit_test(test_a_full_disk_stops_the_farm),
        cmocka_unit_test(test_a_hung_worker_comes_back),
        cmocka_unit_test(test_an_old_coordinator_ends),
        cmocka_unit_test(test_stop_and_resume),
        cmocka_unit_test(test_the_whole_job_dies_and_starts_again),
        cmocka_unit_test(test_success_faster_than_possible_is_a_failure),
        cmocka_unit_test(test_a_lost_worker_is_replaced_when_it_pays),
        cmocka_unit_test(test_no_worker_is_left),
        cmocka_unit_test(test_pause_resume_retry),
        cmocka_unit_test(test_clips_are_paused_and_cancelled_one_by_one),
        cmocka_unit_test(test_a_pilot_waits_for_approval),
        cmocka_unit_test(test_a_rejected_pilot_cancels_the_campaign),
        cmocka_unit_test(test_too_many_failures_stop_the_night),
        cmocka_unit_test(test_each_stage_has_its_own_limit),
        cmocka_unit_test(test_the_ledger_is_written_before_the_world_is_told),
        cmocka_unit_test(test_random_nights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
