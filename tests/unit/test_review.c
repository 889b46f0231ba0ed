/* test_review.c - who is asked about which clip, and what becomes of the answers. */
#include "ledger_fixture.h"

#include "coordinator/ledger/review.h"
#include "coordinator/ledger/steer.h"

static Fixture open_with(ReviewPolicy policy, bool four_eyes, int rows)
{
    Fixture f = {.folder = fixture_folder(), .campaign = fixture_campaign("summer", rows, 1)};
    f.campaign->settings.review = (ReviewSettings){policy, 5, four_eyes};
    assert_good(ledger_open(f.folder, LEDGER_WRITE, &f.ledger));
    assert_good(ledger_adopt(f.ledger, f.campaign, 100));
    assert_good(ledger_begin_epoch(f.ledger, "host", 1, 101));
    return f;
}

static void finish_with(Ledger *l, int64_t clip, const char *document)
{
    Lease lease;
    bool gone;
    int64_t shot;
    fixture_render(l, clip, "host:7");
    assert_good(ledger_give_finish(l, clip, "host:7", &lease, &shot));
    LeaseResult r = fixture_finish_result(&lease);
    free(r.clip.document);
    r.clip.document = text_copy(document);
    assert_good(ledger_take_result(l, &r, &gone));
    lease_result_clear(&r);
    lease_clear(&lease);
}

static Snapshot look(Ledger *l)
{
    Snapshot s;
    assert_good(ledger_read_snapshot(l, &s));
    assert_good(ledger_check_counts(l));
    return s;
}

static int64_t decide(Ledger *l, const char *verb, const char *clip, const char *by)
{
    int64_t changed = 0;
    LedgerRequest r = {.verb = (char *)(uintptr_t)verb,
                       .clip_id = (char *)(uintptr_t)clip,
                       .filter = (char *)(uintptr_t) "",
                       .reviewer = (char *)(uintptr_t)by,
                       .reason = (char *)(uintptr_t) "because"};
    assert_good(ledger_begin(l, 200));
    assert_good(ledger_apply_request(l, &r, &changed));
    assert_good(ledger_commit(l));
    return changed;
}

static void what_a_gate_holds_waits_whatever_the_policy(void **state)
{
    (void)state;
    Fixture f = open_with(REVIEW_NONE, false, 3);
    assert_good(ledger_begin(f.ledger, 102));
    finish_with(f.ledger, 0, "{}");
    finish_with(f.ledger, 1, "{\"held_by\": [\"flicker\", \"jump\"]}");
    finish_with(f.ledger, 2, "not JSON at all");
    assert_good(ledger_commit(f.ledger));
    Snapshot s = look(f.ledger);
    assert_true(s.clip_count[CLIP_APPROVED] == 2 && s.clip_count[CLIP_HELD] == 1);
    assert_true(s.undecided == 1 && s.left == 0 && s.finished == 2);
    snapshot_clear(&s);
    assert_int_equal(decide(f.ledger, "review approve", "row1", "eva"), 1);
    s = look(f.ledger);
    assert_true(s.undecided == 0 && s.finished == 3);
    snapshot_clear(&s);
    close_fixture(&f);
}

static void every_clip_is_shown_and_answers_stay(void **state)
{
    (void)state;
    Fixture f = open_with(REVIEW_ALL, false, 2);
    int64_t count;
    assert_good(ledger_begin(f.ledger, 102));
    finish_with(f.ledger, 0, "{}");
    finish_with(f.ledger, 1, "{}");
    assert_good(ledger_commit(f.ledger));
    assert_int_equal(decide(f.ledger, "review reject", "row0", "eva"), 1);
    assert_int_equal(decide(f.ledger, "review reject", "row0", "eva"), 0); /* it is rejected already */
    Snapshot s = look(f.ledger);
    assert_true(s.rejected == 1 && s.undecided == 1 && s.left == 0);
    snapshot_clear(&s);
    assert_int_equal(decide(f.ledger, "review approve", "row0", "jo"), 1); /* taken back */
    assert_good(ledger_sql_number(
        f.ledger, &count, "SELECT count(*) FROM decisions WHERE clip = 0 AND sha256 <> '' AND reason = 'because'", ""));
    assert_int_equal(count, 2);
    close_fixture(&f);
}

static void four_eyes_are_those_of_two(void **state)
{
    (void)state;
    Fixture f = open_with(REVIEW_ALL, true, 1);
    assert_good(ledger_begin(f.ledger, 102));
    finish_with(f.ledger, 0, "{}");
    assert_good(ledger_commit(f.ledger));
    assert_int_equal(decide(f.ledger, "review approve", "row0", "eva"), 0);
    assert_int_equal(decide(f.ledger, "review approve", "row0", "eva"), 0);
    assert_int_equal(decide(f.ledger, "review reject", "row0", "jo"), 1); /* what was approved before counts no more */
    assert_int_equal(decide(f.ledger, "review approve", "row0", "jo"), 0);
    assert_int_equal(decide(f.ledger, "review approve", "row0", "eva"), 1);
    close_fixture(&f);
}

static void is_rendered_again_with_another_seed(void **state)
{
    (void)state;
    Fixture f = open_with(REVIEW_ALL, false, 2);
    int64_t seed, old;
    assert_good(ledger_begin(f.ledger, 102));
    finish_with(f.ledger, 0, "{}");
    assert_good(ledger_commit(f.ledger));
    assert_good(ledger_sql_number(f.ledger, &old, "SELECT json_extract(spec, '$.seed') FROM specs WHERE shot = 0", ""));
    assert_int_equal(decide(f.ledger, "review rerender", "row0", "eva"), 1);
    Snapshot s = look(f.ledger);
    assert_true(s.left == 2 && s.shots == 3);
    snapshot_clear(&s);
    assert_good(ledger_sql_number(
        f.ledger, &seed, "SELECT json_extract(spec, '$.seed') FROM specs JOIN clips USING(shot) WHERE clip = 0", ""));
    assert_true(seed > old);
    assert_good(ledger_begin(f.ledger, 300));
    fixture_render(f.ledger, 2, "host:7");
    fixture_finish(f.ledger, 0, "host:7");
    assert_good(ledger_commit(f.ledger));
    s = look(f.ledger);
    assert_true(s.clip_count[CLIP_REVIEW] == 1);
    snapshot_clear(&s);
    close_fixture(&f);
}

/* 1000 clips, of which 5 % bad: 44 without a bad one have a chance of 10 % at most (0.95^44 = 0.105, and without putting back less). */
static void takes_as_many_as_the_lot_needs(void **state)
{
    (void)state;
    assert_int_equal(ledger_review_sample_size(1000, 5), 44);
    assert_int_equal(ledger_review_sample_size(1000000, 5), 45); /* ln 0.1 / ln 0.95 = 44.9 */
    assert_int_equal(ledger_review_sample_size(1, 5), 1);
    assert_int_equal(ledger_review_sample_size(0, 5), 0);
    assert_true(ledger_review_sample_size(20, 5) == 18); /* one bad of twenty: 18 looked at leave it out with 10 % */
    assert_true(ledger_review_sample_size(1000, 20) < 12);
}

static void a_rejected_sample_sends_the_lot_to_review(void **state)
{
    (void)state;
    enum { ROWS = 60 };
    Fixture f = open_with(REVIEW_SAMPLE, false, ROWS);
    const int64_t sample = ledger_review_sample_size(ROWS, 5);
    assert_good(ledger_begin(f.ledger, 102));
    for (int i = 0; i < ROWS - 1; i++) finish_with(f.ledger, i, "{}");
    assert_good(ledger_commit(f.ledger));
    Snapshot s = look(f.ledger);
    const int64_t shown = s.clip_count[CLIP_REVIEW];
    assert_true(shown >= sample - 1 && shown <= sample && s.clip_count[CLIP_APPROVED] == ROWS - 1 - shown &&
                s.by_sample);
    snapshot_clear(&s);
    char id[16] = "";
    Query q = ledger_sql_query(f.ledger, "SELECT clip_id FROM clips WHERE state = 'in review' LIMIT 1", "");
    assert_true(ledger_sql_next(&q));
    snprintf(id, sizeof id, "%s", ledger_sql_text(&q, 0));
    ledger_sql_end(&q);
    assert_int_equal(decide(f.ledger, "review reject", id, "eva"), 1 + ROWS - 1 - shown);
    assert_good(ledger_begin(f.ledger, 300));
    finish_with(f.ledger, ROWS - 1, "{}");
    assert_good(ledger_commit(f.ledger));
    s = look(f.ledger);
    assert_true(s.clip_count[CLIP_APPROVED] == 0 && s.clip_count[CLIP_REVIEW] == ROWS - 1 && s.rejected == 1);
    snapshot_clear(&s);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_gate_holds_waits_whatever_the_policy),
        cmocka_unit_test(every_clip_is_shown_and_answers_stay),
        cmocka_unit_test(four_eyes_are_those_of_two),
        cmocka_unit_test(is_rendered_again_with_another_seed),
        cmocka_unit_test(takes_as_many_as_the_lot_needs),
        cmocka_unit_test(a_rejected_sample_sends_the_lot_to_review),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
