/* test_dispatch_steer.c - a night that people steer: paused, piloted, cancelled clip by clip, with limits of their own. */
#include "dispatch_fixture.h"

#include "coordinator/ledger/steer.h"

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
                             .simulated = true,
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

/* row2 and row3 share shot 1: cancelling row2 while it is rendered leaves it to row3; when both are cancelled nobody wants it. */
static void test_clips_are_paused_and_cancelled_one_by_one(void **state)
{
    (void)state;
    Farm f = open_farm(8, 2, 2, (LocalFaults){0});
    ask(&f, (LedgerRequest){.verb = "pause", .clip_id = "row6"});
    ask(&f, (LedgerRequest){.verb = "pause", .clip_id = "row7"});
    while (!renders(&f.sim[2], 2)) tick(&f);
    assert_int_equal(f.sim[2].talk.lease.shot.seed, 1);
    ask(&f, (LedgerRequest){.verb = "cancel", .clip_id = "row2"});
    for (int i = 0; i < 400; i++) tick(&f);
    assert_counts(&f, 5, 0, 2);
    assert_state(&f, "row2", "cancelled/cancelled");
    assert_state(&f, "row3", "approved/");
    assert_state(&f, "row6", "paused/paused");
    assert_int_equal(outcomes(&f).stopped, 0);
    assert_int_equal(outcomes(&f).done, 3);
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
    end_job(&f); /* a cancelled clip can be taken up again, although its shot is rendered and its master gone */
    ask(&f, (LedgerRequest){.verb = "resume", .clip_id = "row2"});
    start_job(&f, 2, (LocalFaults){0});
    run_farm(&f, 60);
    assert_counts(&f, 8, 0, 0);
    assert_int_equal(outcomes(&f).done, 5);
    close_farm(&f);
}

/* What is in work is given back when the last clip that wants it is cancelled: a render, and a finish. */
static void test_what_nobody_wants_is_stopped(void **state)
{
    (void)state;
    Farm f = open_farm(4, 2, 2, (LocalFaults){0});
    f.finish_steps = 20;
    while (!renders(&f.sim[2], 2)) tick(&f);
    f.sim[2].wake_ms = INT64_MAX;
    ask(&f, (LedgerRequest){.verb = "cancel", .clip_id = "row2"});
    ask(&f, (LedgerRequest){.verb = "cancel", .clip_id = "row3"});
    for (Outcomes o = {0}; o.stopped == 0; o = outcomes(&f)) tick(&f);
    f.sim[2].wake_ms = 0;
    Snapshot s = look(&f);
    assert_true(s.shot_count[SHOT_HELD] == 1 && s.cancelled == 2);
    snapshot_clear(&s);
    while (!f.sim[1].talk.has_lease || f.sim[1].talk.lease.kind != LEASE_FINISH || f.sim[1].work.unit < 2) tick(&f);
    ask(&f, (LedgerRequest){.verb = "cancel", .clip_id = f.sim[1].talk.lease.clip_id});
    run_farm(&f, 60);
    assert_counts(&f, 1, 0, 0);
    assert_int_equal(outcomes(&f).stopped, 2);
    close_farm(&f);
}

static void test_a_pilot_waits_for_approval(void **state)
{
    (void)state;
    /* one clip of each of the four shots, and the second of the first */
    Farm f = {.folder = fixture_folder(), .campaign = fixture_campaign("night", 12, 3)};
    f.campaign->settings.pilot = 5;
    start_job(&f, 3, (LocalFaults){0});
    for (int i = 0; i < 200; i++) tick(&f);
    assert_counts(&f, 5, 0, 7);
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
    assert_int_equal(outcomes(&f).done, 4); /* the masters waited for the clips beyond the pilot */
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
    Snapshot s = look(&f);
    assert_in_range(s.failed, 5, 6); /* two of them may have come in one round */
    assert_in_range(s.left, 20, 35);
    char *says = text_format("%d clips failed, and at most 4 may", (int)s.failed),
         *which = text_format("row1, row3, row5 and %d more: a weight is not finite", (int)s.failed - 3);
    assert_non_null(strstr(dispatch_reason(f.dispatch), says));
    assert_non_null(strstr(dispatch_reason(f.dispatch), which));
    assert_int_equal(count_events(&f, "run.max_fails"), 1);
    assert_int_equal(count_events(&f, "clip.failed"), s.failed);
    snapshot_clear(&s);
    free(says);
    free(which);
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
    while (!f.sim[2].talk.has_lease || f.sim[2].work.unit != 2) tick(&f); /* denoising */
    f.sim[2].wake_ms = INT64_MAX;
    int64_t since_ms = f.now_ms;
    for (Outcomes s = {0}; s.lost == 0; s = outcomes(&f)) tick(&f);
    assert_in_range(f.now_ms - since_ms, 1900, 2500);
    f.sim[2].wake_ms = 0;
    while (!f.sim[1].talk.has_lease || f.sim[1].work.unit != 4) tick(&f); /* decoding: the general limit */
    f.sim[1].wake_ms = INT64_MAX;
    since_ms = f.now_ms;
    for (Outcomes s = {0}; s.lost < 2; s = outcomes(&f)) tick(&f);
    assert_in_range(f.now_ms - since_ms, 29000, 31000);
    close_farm(&f);
}

int main(void)
{
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pause_resume_retry),
        cmocka_unit_test(test_clips_are_paused_and_cancelled_one_by_one),
        cmocka_unit_test(test_what_nobody_wants_is_stopped),
        cmocka_unit_test(test_a_pilot_waits_for_approval),
        cmocka_unit_test(test_a_rejected_pilot_cancels_the_campaign),
        cmocka_unit_test(test_too_many_failures_stop_the_night),
        cmocka_unit_test(test_each_stage_has_its_own_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
