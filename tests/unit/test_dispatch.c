/* test_dispatch.c - nights with lost, hung, failing and replaced workers; what the world is told, and when. */
#include "dispatch_fixture.h"

#include "common/moment.h"
#include "coordinator/dispatch/rules.h"
#include "coordinator/ledger/sql.h"

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
    assert_int_equal(o.finished, 30);
    assert_int_equal(o.failed + o.lost + o.stopped + o.running, 0);
    Snapshot s = look(&f);
    assert_int_equal(s.shot_count[SHOT_DONE], 10); /* no master is left */
    snapshot_clear(&s);
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
        assert_int_equal(outcomes(&f).finished, 12);
        int made[LEASE_KINDS] = {0};
        for (int i = 1; i <= 4; i++)
            for (int k = 0; k < LEASE_KINDS; k++) made[k] += f.sim[i].made[k];
        assert_int_equal(made[LEASE_RENDER], 12); /* nor rendered twice, nor a clip finished twice */
        assert_int_equal(made[LEASE_FINISH], 12);
        close_farm(&f);
    }
}

static void test_a_worker_dies_in_the_middle(void **state)
{
    (void)state;
    Farm f = open_farm(12, 1, 3, (LocalFaults){0});
    while (!renders(&f.sim[2], 2)) tick(&f);
    kill_worker(&f, &f.sim[2]);
    run_farm(&f, 60);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_DONE);
    assert_false(dispatch_clean(f.dispatch));
    assert_counts(&f, 12, 0, 0);
    assert_int_equal(outcomes(&f).lost, 1);
    close_farm(&f);
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
    assert_good(ledger_failures(f.ledger, LEASE_RENDER, 1, &workers, &times));
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

/* Whatever kind of failure it is but ERR_CLIP: check has accepted the campaign, so a worker that finds its input wrong may be what is
 * wrong (a file system that is not mounted there). */
static ErrClass finish_of_row1_has_bad_input(Farm *f, Sim *s, const char **reason)
{
    (void)f;
    *reason = "voices/row1.wav: no such file";
    return s->talk.lease.kind == LEASE_FINISH && strcmp(s->talk.lease.clip_id, "row1") == 0 ? ERR_INPUT : OK;
}

static void test_a_finish_is_tried_three_times(void **state)
{
    (void)state;
    for (int workers = 1; workers <= 4; workers++) {
        Farm f = open_farm(8, 4, workers, (LocalFaults){0});
        int different, times;
        char what[64] = "";
        f.fate = finish_of_row1_has_bad_input;
        run_farm(&f, 120);
        assert_int_equal(dispatch_end(f.dispatch), DISPATCH_DONE);
        assert_counts(&f, 7, 1, 0);
        assert_good(ledger_failures(f.ledger, LEASE_FINISH, 1, &different, &times));
        assert_int_equal(different, workers < 3 ? workers : 3);
        assert_int_equal(times, 3);
        assert_good(ledger_read_clips(f.ledger, NULL, (ClipSink){reason_of_row1, what}));
        assert_string_equal(what, "failed/voices/row1.wav: no such file");
        close_farm(&f);
    }
}

/* A shot that only another version of the program could read is a failure as any other, and the farm does not wait for it. */
static void test_a_lease_that_no_worker_can_read(void **state)
{
    (void)state;
    Farm f = open_farm(6, 1, 2, (LocalFaults){0});
    char what[64] = "";
    assert_good(ledger_db_exec(f.ledger, "UPDATE specs SET spec = '{\"steps\": 4}' WHERE shot = 1", "test"));
    run_farm(&f, 60);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_DONE);
    assert_counts(&f, 5, 1, 0);
    assert_int_equal(outcomes(&f).failed, 3);
    assert_good(ledger_read_clips(f.ledger, NULL, (ClipSink){reason_of_row1, what}));
    assert_string_equal(what, "failed/the worker cannot read its lease: message of kind 2: bad"); /* cut */
    close_farm(&f);
}

/* Leases would else begin and end up to a wait too early, a tenth of a second. */
static void test_a_round_notes_the_time_after_its_wait(void **state)
{
    (void)state;
    Farm f = open_farm(3, 1, 1, (LocalFaults){0});
    assert_good(dispatch_round(f.dispatch, 1000, 50)); /* nobody says anything */
    Snapshot s = look(&f);
    assert_true(s.heard_s >= 1e9 + 1.05 - 1e-6);
    snapshot_clear(&s);
    close_farm(&f);
}

/* ---- another process holds the ledger ---- */

static void tick_often(Farm *f, int times)
{
    for (int i = 0; i < times; i++) tick(f);
}

/* A writer has it, and meanwhile results come and a worker dies. */
static void night_with_a_writer(void)
{
    Farm f = open_farm(6, 1, 3, (LocalFaults){0});
    Ledger *other;
    while (outcomes(&f).finished == 0) tick(&f);
    assert_good(ledger_open(f.folder, LEDGER_WRITE, &other));
    assert_good(ledger_db_begin(other, 1e9));
    const Outcomes before = outcomes(&f);
    kill_worker(&f, &f.sim[2]);
    tick_often(&f, 200);
    const int64_t begin_ms = moment_ms();
    assert_good(dispatch_round(f.dispatch, f.now_ms, 60));
    assert_true(moment_ms() - begin_ms >= 60); /* it waits, asleep */
    const Outcomes after = outcomes(&f);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_WORKING);
    ledger_rollback(other);
    ledger_close(&other);
    run_farm(&f, 60);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_DONE);
    assert_counts(&f, 6, 0, 0);
    assert_in_range(outcomes(&f).lost, 0, 1);
    close_farm(&f);
}

static Status tick_while_reading(void *self, const ClipRow *row)
{
    if (strcmp(row->clip_id, "row0") == 0) tick_often(self, 200);
    return status_ok();
}

/* With a rollback journal a commit waits for a reader. */
static void night_with_a_reader(void)
{
    Farm f = open_farm(6, 1, 3, (LocalFaults){0});
    Ledger *other;
    while (outcomes(&f).finished == 0) tick(&f);
    assert_good(ledger_open(f.folder, LEDGER_READ, &other));
    assert_good(ledger_read_clips(other, NULL, (ClipSink){tick_while_reading, &f}));
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_WORKING);
    ledger_close(&other);
    run_farm(&f, 60);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_DONE);
    assert_counts(&f, 6, 0, 0);
    assert_int_equal(outcomes(&f).done, 6);
    close_farm(&f);
}

/* With a rollback journal nobody reads either while a writer is at its commit. */
static void night_with_an_exclusive_lock(void)
{
    Farm f = open_farm(6, 1, 3, (LocalFaults){0});
    Ledger *other;
    Snapshot s;
    while (outcomes(&f).finished == 0) tick(&f);
    assert_good(ledger_open(f.folder, LEDGER_WRITE, &other));
    assert_good(ledger_db_exec(other, "BEGIN EXCLUSIVE", "test"));
    kill_worker(&f, &f.sim[3]);
    tick_often(&f, 200);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_WORKING);
    assert_true(ledger_is_locked(ledger_read_snapshot(f.ledger, &s))); /* what a launcher reads */
    assert_good(ledger_db_exec(other, "ROLLBACK", "test"));
    ledger_close(&other);
    run_farm(&f, 60);
    assert_counts(&f, 6, 0, 0);
    close_farm(&f);
}

static void test_a_locked_ledger_is_waited_for(void **state)
{
    (void)state;
    night_with_a_writer();
    assert_int_equal(setenv("REELWRIGHT_JOURNAL", "rollback", 1), 0);
    night_with_a_writer();
    night_with_a_reader();
    night_with_an_exclusive_lock();
    assert_int_equal(unsetenv("REELWRIGHT_JOURNAL"), 0);
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

/* A full disk of one node is no reason to stop the others (disk_full says whose it is). */
static ErrClass scratch_of_worker_1_is_full(Farm *f, Sim *s, const char **reason)
{
    (void)f;
    *reason = "cannot write a temporary file in /scratch: No space left on device";
    return s->rank == 1 ? ERR_NODE : OK;
}

static void test_a_full_scratch_disk_is_one_node_s(void **state)
{
    (void)state;
    Farm f = open_farm(20, 1, 3, (LocalFaults){0});
    f.fate = scratch_of_worker_1_is_full;
    run_farm(&f, 60);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_DONE);
    assert_counts(&f, 20, 0, 0);
    assert_int_equal(outcomes(&f).failed, 3); /* then it is set aside */
    close_farm(&f);
}

static void test_a_full_disk_stops_the_farm(void **state)
{
    (void)state;
    Farm f = open_farm(20, 1, 3, (LocalFaults){0});
    f.fate = disk_is_full;
    f.disk_full = true;
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
    while (!renders(&f.sim[2], 2)) tick(&f);
    int64_t lease = f.sim[2].talk.lease.lease;
    f.sim[2].wake_ms = INT64_MAX;
    /* the others finish everything else; the hung one's shot is given away after the limit */
    for (Outcomes o = {0}; o.lost == 0; o = outcomes(&f)) tick(&f);
    f.sim[2].wake_ms = 0; /* and now it goes on with its old lease, and reports it */
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
    assert_in_range(outcomes(&f).stopped, 1, 2); /* what was in work; the other may just have been between two */
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
    assert_in_range(left, 40, 118);
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

/* ---- renders and finishes ---- */

typedef struct {
    int64_t first_ms, last_ms; /* the first render begins, the last one ends */
    int64_t busy_ms;           /* of all renderers together, in between */
    int most_masters;
} Work;

static bool is_rendering(const Sim *s) { return s->talk.has_lease && s->talk.lease.kind == LEASE_RENDER; }

/* A night in which a render takes render_steps and each of its clips a finish of finish_steps. */
static Work night_of_work(int rows, int rows_per_shot, int renderers, int finishers, int render_steps, int finish_steps)
{
    Farm f = {.folder = fixture_folder(), .campaign = fixture_campaign("night", rows, rows_per_shot)};
    Work w = {.first_ms = -1};
    for (int i = 0; i < f.campaign->shot_count; i++) f.campaign->shot[i].spec.steps = render_steps;
    f.finishers = finishers;
    f.finish_steps = finish_steps;
    start_job(&f, renderers + finishers, (LocalFaults){0});
    int64_t rendered_ms = 0;
    while (dispatch_going(f.dispatch)) {
        int busy = 0;
        if (f.now_ms > 600000) fail_msg("still going after 600 s of the test's clock: %d clips", outcomes(&f).finished);
        for (int i = 1; i <= f.workers; i++) busy += is_rendering(&f.sim[i]);
        if (busy > 0 && w.first_ms < 0) w.first_ms = f.now_ms;
        if (w.first_ms >= 0) rendered_ms += busy * TICK_MS;
        if (busy > 0) w.last_ms = f.now_ms, w.busy_ms = rendered_ms;
        if (ledger_ready_masters(f.ledger) > w.most_masters) w.most_masters = ledger_ready_masters(f.ledger);
        for (int i = 1; i <= renderers; i++)
            assert_true(f.finishers == 0 || !f.sim[i].talk.has_lease || is_rendering(&f.sim[i]));
        tick(&f);
    }
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_DONE);
    assert_counts(&f, rows, 0, 0);
    close_farm(&f);
    return w;
}

/* The share of the renderers' time from the first step to the last in which they render. */
static double busy_share(const Work *w, int renderers)
{
    return (double)w->busy_ms / (renderers * (double)(w->last_ms - w->first_ms));
}

/* Finishes take longer than renders, and there are just enough finishers. */
static void test_renderers_do_not_wait_for_finishers(void **state)
{
    (void)state;
    static const struct {
        int rows, rows_per_shot, renderers, finishers, render_steps, finish_steps;
    } night[] = {{60, 1, 2, 7, 40, 120}, /* the work of 6 finishers */
                 {60, 1, 1, 3, 40, 120}, /* of 3 */
                 {40, 1, 1, 8, 40, 300}, /* of 7.5 */
                 {80, 4, 1, 8, 40, 75},  /* of 7.5: four clips of each shot */
                 {60, 1, 3, 6, 60, 110}};
    for (size_t i = 0; i < sizeof night / sizeof *night; i++) {
        const Work w = night_of_work(night[i].rows, night[i].rows_per_shot, night[i].renderers, night[i].finishers,
                                     night[i].render_steps, night[i].finish_steps);
        const double busy = busy_share(&w, night[i].renderers);
        if (busy < 0.97) fail_msg("night %d: renderers were busy %.1f %%, expected 97", (int)i, 100 * busy);
        assert_true(w.most_masters <= RULES_MASTERS * (night[i].renderers + night[i].finishers));
    }
}

/* Too few finishers: the disk holds no more masters than the bound, and renderers wait. */
static void test_masters_that_wait_are_bounded(void **state)
{
    (void)state;
    Work w = night_of_work(60, 1, 4, 1, 4, 40);
    assert_in_range(w.most_masters, RULES_MASTERS * 5 - 1, RULES_MASTERS * 5);
    assert_true(busy_share(&w, 4) < 0.1);
}

/* One shot for many clips: all that finish have work, also those who render where workers do both. */
static void test_one_shot_keeps_everybody_busy(void **state)
{
    (void)state;
    Farm f = open_farm(200, 200, 6, (LocalFaults){0});
    f.finish_steps = 5;
    int64_t busy = 0, ticks = 0, made[MAX_WORKERS] = {0};
    while (outcomes(&f).done == 0) tick(&f);
    while (dispatch_going(f.dispatch) && dispatch_end(f.dispatch) == DISPATCH_WORKING) {
        for (int i = 1; i <= f.workers; i++) busy += f.sim[i].talk.has_lease;
        ticks += f.workers;
        tick(&f);
    }
    run_farm(&f, 60);
    assert_counts(&f, 200, 0, 0);
    assert_int_equal(outcomes(&f).done, 1);
    for (int i = 1; i <= f.workers; i++) made[i] = f.sim[i].made[LEASE_FINISH];
    for (int i = 1; i <= f.workers; i++) assert_in_range(made[i], 30, 37);
    assert_true(busy * 100 >= ticks * 90); /* a tick or two between two leases of 25 */
    close_farm(&f);
}

/* When the last finisher is gone, those who render finish as well. */
static void test_renderers_take_over_from_lost_finishers(void **state)
{
    (void)state;
    Farm f = {.folder = fixture_folder(), .campaign = fixture_campaign("night", 12, 3), .finishers = 1};
    start_job(&f, 3, (LocalFaults){0});
    while (!f.sim[3].talk.has_lease) tick(&f);
    assert_int_equal(f.sim[3].talk.lease.kind, LEASE_FINISH);
    kill_worker(&f, &f.sim[3]);
    run_farm(&f, 60);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_DONE);
    assert_counts(&f, 12, 0, 0);
    assert_int_equal(f.sim[1].made[LEASE_FINISH] + f.sim[2].made[LEASE_FINISH], 12);
    close_farm(&f);
}

/* Finishers cannot render: when the last renderer is gone they finish what there is, and the job ends for another launch. */
static void test_finishers_finish_what_there_is(void **state)
{
    (void)state;
    Farm f = {.folder = fixture_folder(), .campaign = fixture_campaign("night", 12, 3), .finishers = 2};
    start_job(&f, 3, (LocalFaults){0});
    f.finish_steps = 10;
    while (outcomes(&f).done == 0) tick(&f);
    kill_worker(&f, &f.sim[1]);
    run_farm(&f, 60);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_NO_WORKERS);
    assert_counts(&f, 3, 0, 9);
    close_farm(&f);
}

static ErrClass finish_of_row1_fails(Farm *f, Sim *s, const char **reason)
{
    (void)f;
    *reason = "no font has this glyph";
    return s->talk.lease.kind == LEASE_FINISH && strcmp(s->talk.lease.clip_id, "row1") == 0 ? ERR_RETRY : OK;
}

static void test_a_clip_fails_alone_after_three_finishers(void **state)
{
    (void)state;
    Farm f = open_farm(8, 4, 4, (LocalFaults){0});
    char what[64] = "";
    int workers, times;
    f.fate = finish_of_row1_fails;
    run_farm(&f, 60);
    assert_counts(&f, 7, 1, 0);
    assert_good(ledger_failures(f.ledger, LEASE_FINISH, 1, &workers, &times));
    assert_true(workers == 3 && times == 3);
    assert_good(ledger_read_clips(f.ledger, NULL, (ClipSink){reason_of_row1, what}));
    assert_string_equal(what, "failed/no font has this glyph");
    assert_int_equal(outcomes(&f).done, 2);
    close_farm(&f);
}

/* One worker is there before the others: it may not fail a shot three times by itself. */
static void test_who_comes_first_does_not_decide_alone(void **state)
{
    (void)state;
    Farm f = open_farm(4, 1, 3, (LocalFaults){0});
    f.fate = shot_1_fails;
    f.sim[2].wake_ms = f.sim[3].wake_ms = INT64_MAX; /* not heard yet */
    for (int i = 0; i < 400; i++) tick(&f);
    Snapshot s = look(&f);
    assert_true(s.failed == 0 && s.finished == 3);
    snapshot_clear(&s);
    assert_int_equal(outcomes(&f).failed, 1);
    f.sim[2].wake_ms = f.sim[3].wake_ms = 0;
    run_farm(&f, 60);
    assert_counts(&f, 3, 1, 0);
    int workers, times;
    assert_good(ledger_failures(f.ledger, LEASE_RENDER, 1, &workers, &times));
    assert_int_equal(workers, 3);
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
        assert_good(ledger_read_leases(reader, -1, -1, (LeaseSink){find_lease, &m}));
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
    assert_int_equal(leases_seen, 12); /* six renders, six finishes */
    assert_int_equal(acks_seen, 12);
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
    if (n == 1) s->wake_ms = INT64_MAX;
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
                if (roll(100) == 0) f.sim[1 + roll(4)].wake_ms = 0;
            }
            if (dispatch_end(f.dispatch) == DISPATCH_DONE) break;
            end_job(&f);
            start_job(&f, 4, faults);
        }
        Snapshot s = look(&f);
        assert_int_equal(s.left, 0);
        assert_int_equal(s.finished + s.failed, 20);
        assert_int_equal(s.shot_count[SHOT_DONE] + s.shot_count[SHOT_FAILED], s.shots);
        assert_int_equal(outcomes(&f).done, s.shot_count[SHOT_DONE]); /* no rendered shot was rendered again */
        assert_int_equal(outcomes(&f).finished, s.finished);          /* and no finished clip finished again */
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
        cmocka_unit_test(test_a_finish_is_tried_three_times),
        cmocka_unit_test(test_a_lease_that_no_worker_can_read),
        cmocka_unit_test(test_a_locked_ledger_is_waited_for),
        cmocka_unit_test(test_poison_fails_at_once),
        cmocka_unit_test(test_a_worker_that_fails_everything_is_set_aside),
        cmocka_unit_test(test_all_workers_set_aside_is_the_end),
        cmocka_unit_test(test_a_full_disk_stops_the_farm),
        cmocka_unit_test(test_a_full_scratch_disk_is_one_node_s),
        cmocka_unit_test(test_a_hung_worker_comes_back),
        cmocka_unit_test(test_an_old_coordinator_ends),
        cmocka_unit_test(test_stop_and_resume),
        cmocka_unit_test(test_the_whole_job_dies_and_starts_again),
        cmocka_unit_test(test_success_faster_than_possible_is_a_failure),
        cmocka_unit_test(test_a_lost_worker_is_replaced_when_it_pays),
        cmocka_unit_test(test_no_worker_is_left),
        cmocka_unit_test(test_a_round_notes_the_time_after_its_wait),
        cmocka_unit_test(test_renderers_do_not_wait_for_finishers),
        cmocka_unit_test(test_masters_that_wait_are_bounded),
        cmocka_unit_test(test_one_shot_keeps_everybody_busy),
        cmocka_unit_test(test_renderers_take_over_from_lost_finishers),
        cmocka_unit_test(test_finishers_finish_what_there_is),
        cmocka_unit_test(test_a_clip_fails_alone_after_three_finishers),
        cmocka_unit_test(test_who_comes_first_does_not_decide_alone),
        cmocka_unit_test(test_the_ledger_is_written_before_the_world_is_told),
        cmocka_unit_test(test_random_nights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
