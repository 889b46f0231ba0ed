/* test_dispatch_tail.c - workers that still decode a render (its tail) while they have the next lease: what is given, lost, stopped. */
#include "dispatch_fixture.h"

#include "coordinator/dispatch/roster.h"

enum { TAIL_MS = 250 };

static Farm open_tails(int rows, int workers, LocalFaults faults)
{
    Farm f = open_farm(rows, 1, workers, faults);
    f.tail_ms = TAIL_MS;
    return f;
}

static bool has_both(const Sim *s) { return s->talk.tail.has_lease && renders(s, 1); }

static Sim *wait_for_both(Farm *f)
{
    for (int i = 1;; i = i % f->workers + 1) {
        if (has_both(&f->sim[i])) return &f->sim[i];
        if (i == f->workers) tick(f);
        assert_true(dispatch_going(f->dispatch));
    }
}

static void test_a_tail_overlaps_with_the_next_render(void **state)
{
    (void)state;
    Farm f = open_tails(12, 2, (LocalFaults){0});
    int both = 0;
    while (dispatch_going(f.dispatch)) {
        tick(&f);
        both += has_both(&f.sim[1]) && f.sim[1].talk.lease.lease != f.sim[1].talk.tail.lease.lease;
    }
    assert_true(both * TICK_MS > TAIL_MS);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_DONE);
    assert_true(dispatch_clean(f.dispatch));
    assert_counts(&f, 12, 0, 0);
    Outcomes o = outcomes(&f);
    assert_int_equal(o.done, 12);
    assert_int_equal(o.finished, 12);
    assert_int_equal(o.failed + o.lost + o.stopped + o.running, 0);
    close_farm(&f);
}

static void test_status_shows_both(void **state)
{
    (void)state;
    Farm f = open_tails(12, 1, (LocalFaults){0});
    f.tail_ms = 5000;
    const Sim *s = wait_for_both(&f);
    const int64_t tail = s->talk.tail.lease.lease, lease = s->talk.lease.lease;
    for (int i = 0; i < 1100 / TICK_MS; i++) tick(&f); /* lines are a second old at most */
    Snapshot now = look(&f);
    assert_int_equal(now.worker_count, 2);
    assert_true(!now.worker[0].is_tail && now.worker[1].is_tail);
    assert_int_equal(now.worker[1].rank, 1);
    assert_int_equal(now.worker[1].takes, 0);
    assert_int_equal(now.worker[1].lease, tail);
    assert_int_equal(now.worker[0].lease, lease);
    snapshot_clear(&now);
    run_farm(&f, 60);
    now = look(&f);
    assert_int_equal(now.worker_count, 1); /* its line goes with it */
    snapshot_clear(&now);
    close_farm(&f);
}

static void test_a_line_that_loses_doubles_and_delays(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        Farm f =
            open_tails(12, 4, (LocalFaults){.seed = seed, .lose = 0.2, .duplicate = 0.2, .delay = 0.3, .delay_max = 6});
        run_farm(&f, 600);
        assert_counts(&f, 12, 0, 0);
        assert_int_equal(outcomes(&f).done, 12);
        int made[LEASE_KINDS] = {0};
        for (int i = 1; i <= 4; i++)
            for (int k = 0; k < LEASE_KINDS; k++) made[k] += f.sim[i].made[k];
        assert_int_equal(made[LEASE_RENDER], 12); /* none rendered twice, nor a clip finished twice */
        assert_int_equal(made[LEASE_FINISH], 12);
        close_farm(&f);
    }
}

static void test_a_death_loses_both(void **state)
{
    (void)state;
    Farm f = open_tails(12, 3, (LocalFaults){0});
    kill_worker(&f, wait_for_both(&f));
    run_farm(&f, 60);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_DONE);
    assert_counts(&f, 12, 0, 0);
    assert_int_equal(outcomes(&f).lost, 2);
    close_farm(&f);
}

/* Each death is counted against both shots. The other one is not given up for it: what has failed once is done alone. */
static void test_a_tail_that_kills_takes_no_other_shot_with_it(void **state)
{
    (void)state;
    Farm f = open_tails(10, 5, (LocalFaults){0});
    f.fate = shot_0_kills;
    run_farm(&f, 60);
    assert_counts(&f, 9, 1, 0);
    close_farm(&f);
}

static void test_a_shot_that_kills_takes_no_tail_with_it(void **state)
{
    (void)state;
    for (int victim = 0; victim < 8; victim++) {
        Farm f = open_tails(8, 5, (LocalFaults){0});
        int killed = 0;
        while (dispatch_going(f.dispatch)) {
            tick(&f);
            for (int i = 1; i <= f.workers; i++) {
                Sim *s = &f.sim[i];
                if (s->dead || !renders(s, 2) || s->talk.lease.shot.seed != (uint64_t)victim) continue;
                kill_worker(&f, s);
                killed++;
            }
        }
        assert_int_equal(killed, 3);
        assert_counts(&f, 7, 1, 0);
        close_farm(&f);
    }
}

static int failures_of_shot_1;

static ErrClass shot_1_fails_at_first(Farm *f, Sim *s, const char **reason)
{
    (void)f;
    *reason = "a bad night";
    return s->talk.lease.shot.seed == 1 && failures_of_shot_1++ == 0 ? ERR_RETRY : OK;
}

static bool is_shot_1(bool there, const Lease *l) { return there && l->kind == LEASE_RENDER && l->shot.seed == 1; }

static void do_shot_1_alone(int rows_per_shot, int tail_ms, int finish_steps)
{
    Farm f = open_farm(12 * rows_per_shot, rows_per_shot, 2, (LocalFaults){0});
    int alone = 0;
    f.tail_ms = tail_ms;
    f.finish_steps = finish_steps;
    failures_of_shot_1 = 0;
    f.fate = shot_1_fails_at_first;
    while (dispatch_going(f.dispatch)) {
        tick(&f);
        for (int i = 1; i <= f.workers && failures_of_shot_1 == 1; i++) {
            const Talk *t = &f.sim[i].talk;
            const bool is_lease = is_shot_1(t->has_lease, &t->lease),
                       is_tail = is_shot_1(t->tail.has_lease, &t->tail.lease);
            alone += is_lease || is_tail;
            assert_false((is_lease || is_tail) && t->has_lease && t->tail.has_lease);
        }
    }
    assert_true(alone > 0);
    assert_counts(&f, 12 * rows_per_shot, 0, 0);
    close_farm(&f);
}

static void test_what_has_failed_once_is_done_alone(void **state)
{
    (void)state;
    do_shot_1_alone(1, 900, 1);     /* whoever asks for a lease has a tail, until all others are rendered */
    do_shot_1_alone(2, TAIL_MS, 4); /* a worker asks without one, and there is more to do beside the shot */
}

static void test_a_failed_tail_is_tried_again(void **state)
{
    (void)state;
    Farm f = open_tails(6, 2, (LocalFaults){0});
    f.fate = shot_2_is_poison;
    run_farm(&f, 60);
    assert_counts(&f, 5, 1, 0);
    assert_int_equal(outcomes(&f).failed, 1);
    close_farm(&f);
}

static void test_a_silent_tail_is_given_away(void **state)
{
    (void)state;
    Farm f = open_tails(12, 2, (LocalFaults){0});
    f.tail_ms = 1 << 30;
    wait_for_both(&f);
    for (int64_t end = f.now_ms + 2 * ROSTER_LEAST_LIMIT_MS; outcomes(&f).lost == 0; f.now_ms += 500) {
        assert_true(f.now_ms < end);
        tick(&f);
    }
    f.tail_ms = TAIL_MS;
    run_farm(&f, 600);
    assert_counts(&f, 12, 0, 0);
    close_farm(&f);
}

static void test_a_stop_ends_both(void **state)
{
    (void)state;
    Farm f = open_tails(12, 1, (LocalFaults){0});
    wait_for_both(&f);
    dispatch_stop(f.dispatch);
    run_farm(&f, 10);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_STOPPED);
    assert_true(dispatch_clean(f.dispatch));
    assert_int_equal(outcomes(&f).stopped, 2);
    assert_int_equal(outcomes(&f).running, 0);
    close_farm(&f);
}

/* A signal reaches a worker before its coordinator: it gives both back, and gets no third one to give back. */
static void test_who_was_stopped_gets_no_more(void **state)
{
    (void)state;
    Farm f = open_tails(12, 2, (LocalFaults){0});
    wait_for_both(&f)->talk.stop = true;
    run_farm(&f, 60);
    assert_int_equal(dispatch_end(f.dispatch), DISPATCH_DONE);
    assert_counts(&f, 12, 0, 0);
    assert_int_equal(outcomes(&f).stopped, 2);
    close_farm(&f);
}

static void test_a_dead_coordinator_frees_both(void **state)
{
    (void)state;
    Farm f = open_tails(12, 2, (LocalFaults){0});
    wait_for_both(&f);
    end_job(&f);
    start_job(&f, 2, (LocalFaults){0});
    run_farm(&f, 60);
    assert_counts(&f, 12, 0, 0);
    assert_true(outcomes(&f).abandoned >= 2);
    close_farm(&f);
}

static void test_a_cancelled_clip_ends_its_tail_alone(void **state)
{
    (void)state;
    Farm f = open_tails(6, 1, (LocalFaults){0});
    f.tail_ms = 5000;
    const Sim *s = wait_for_both(&f);
    char *clip = text_copy(s->talk.tail.lease.clip_id);
    LedgerRequest r = {.verb = (char *)(uintptr_t) "cancel", .clip_id = clip, .filter = (char *)(uintptr_t) ""};
    Ledger *other;
    assert_good(ledger_open(f.folder, LEDGER_WRITE, &other));
    assert_good(ledger_request(other, &r, 1e9));
    ledger_close(&other);
    const int64_t lease = s->talk.lease.lease;
    while (s->talk.tail.has_lease) tick(&f);
    assert_int_equal(s->talk.lease.lease, lease); /* goes on */
    f.tail_ms = TAIL_MS;
    run_farm(&f, 60);
    assert_counts(&f, 5, 0, 0);
    assert_int_equal(outcomes(&f).stopped, 1);
    free(clip);
    close_farm(&f);
}

int main(void)
{
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_tail_overlaps_with_the_next_render),
        cmocka_unit_test(test_status_shows_both),
        cmocka_unit_test(test_a_line_that_loses_doubles_and_delays),
        cmocka_unit_test(test_a_death_loses_both),
        cmocka_unit_test(test_a_tail_that_kills_takes_no_other_shot_with_it),
        cmocka_unit_test(test_a_shot_that_kills_takes_no_tail_with_it),
        cmocka_unit_test(test_what_has_failed_once_is_done_alone),
        cmocka_unit_test(test_a_failed_tail_is_tried_again),
        cmocka_unit_test(test_a_silent_tail_is_given_away),
        cmocka_unit_test(test_a_stop_ends_both),
        cmocka_unit_test(test_who_was_stopped_gets_no_more),
        cmocka_unit_test(test_a_dead_coordinator_frees_both),
        cmocka_unit_test(test_a_cancelled_clip_ends_its_tail_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
