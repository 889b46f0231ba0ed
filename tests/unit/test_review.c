/* test_review.c - who is asked about which clip, and what becomes of the answers. */
#include "ledger_fixture.h"

#include "coordinator/campaign/sampling.h"
#include "coordinator/ledger/lost.h"
#include "coordinator/ledger/lot.h"
#include "coordinator/ledger/merge.h"
#include "coordinator/ledger/review.h"

static Fixture open_with(ReviewPolicy policy, bool four_eyes, int rows)
{
    Fixture f = {.folder = fixture_folder(), .campaign = fixture_campaign("summer", rows, 1)};
    f.campaign->settings.review = (ReviewSettings){.policy = policy, .lq = 5, .four_eyes = four_eyes};
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

static RequestAnswer ask(Ledger *l, LedgerRequest r)
{
    int64_t changed = 0, first;
    RequestAnswer answer;
    r.filter = (char *)(uintptr_t) "";
    assert_good(ledger_request_all(l, &r, 1, 199, &first));
    assert_good(ledger_read_answers(l, first, 1, &answer));
    assert_int_equal(answer.outcome, OUTCOME_OPEN);
    r.id = first;
    assert_good(ledger_begin(l, 200));
    assert_good(ledger_apply_request(l, &r, &changed));
    assert_good(ledger_commit(l));
    assert_good(ledger_read_answers(l, first, 1, &answer));
    assert_int_equal(answer.changed, changed);
    return answer;
}

static int64_t decide(Ledger *l, const char *verb, const char *clip, const char *by)
{
    return ask(l, (LedgerRequest){.verb = (char *)(uintptr_t)verb,
                                  .clip_id = (char *)(uintptr_t)clip,
                                  .reviewer = (char *)(uintptr_t)by,
                                  .reason = (char *)(uintptr_t) "because"})
        .changed;
}

/* pause, resume, cancel */
static void steer(Ledger *l, const char *verb, const char *clip, double now_s)
{
    int64_t changed = 0, id;
    LedgerRequest r = {
        .verb = (char *)(uintptr_t)verb, .clip_id = (char *)(uintptr_t)clip, .filter = (char *)(uintptr_t) ""};
    assert_good(ledger_request_all(l, &r, 1, now_s, &id));
    r.id = id;
    assert_good(ledger_begin(l, now_s));
    assert_good(ledger_apply_request(l, &r, &changed));
    assert_good(ledger_commit(l));
    assert_int_equal(changed, 1);
}

static char *text_of(Ledger *l, const char *sql)
{
    Query q = ledger_sql_query(l, sql, "");
    char *text = NULL;
    assert_true(ledger_sql_next(&q));
    text = text_copy(ledger_sql_text(&q, 0));
    ledger_sql_end(&q);
    return text;
}

static void is_text(Ledger *l, const char *sql, const char *expected)
{
    char *text = text_of(l, sql);
    assert_string_equal(text, expected);
    free(text);
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
    assert_int_equal(decide(f.ledger, "review approve", "row0", " Jo"), 0); /* the same person */
    assert_int_equal(decide(f.ledger, "review approve", "row0", "eva"), 1);
    is_text(f.ledger, "SELECT group_concat(verb || ' ' || reviewer, ', ') FROM decisions",
            "approve eva, reject jo, approve jo, approve eva"); /* each word once */
    close_fixture(&f);
}

/* A noted approval is taken back like any other decision; a second time there is nothing to take back. */
static void a_noted_approval_can_be_taken_back(void **state)
{
    (void)state;
    Fixture f = open_with(REVIEW_ALL, true, 2);
    const LedgerRequest reopen = {.verb = "review reopen", .clip_id = "row0", .reviewer = "eva"};
    bool noted;
    assert_good(ledger_begin(f.ledger, 102));
    finish_with(f.ledger, 0, "{}");
    finish_with(f.ledger, 1, "{\"held_by\": [\"flicker\"]}");
    assert_good(ledger_commit(f.ledger));
    assert_int_equal(ask(f.ledger, reopen).outcome, OUTCOME_NOTHING);
    assert_int_equal(decide(f.ledger, "review approve", "row0", "eva"), 0);
    assert_good(ledger_may_take_back(f.ledger, "row0", &noted));
    assert_true(noted);
    assert_int_equal(ask(f.ledger, reopen).outcome, OUTCOME_DONE);
    assert_int_equal(ask(f.ledger, reopen).outcome, OUTCOME_NOTHING);
    assert_good(ledger_may_take_back(f.ledger, "row0", &noted));
    assert_false(noted);
    assert_int_equal(decide(f.ledger, "review approve", "row0", "jo"), 0); /* is the first one again */
    assert_int_equal(decide(f.ledger, "review approve", "row0", "eva"), 1);
    assert_int_equal(decide(f.ledger, "review approve", "row1", "eva"), 0);
    assert_int_equal(decide(f.ledger, "review reopen", "row1", "eva"), 0);
    is_text(f.ledger, "SELECT state || ' ' || reason FROM clips WHERE clip = 1", "held held by flicker");
    is_text(f.ledger, "SELECT group_concat(verb || ' ' || reviewer, ', ') FROM decisions WHERE clip = 0",
            "approve eva, reopen eva, approve jo, approve eva");
    close_fixture(&f);
}

/* What nobody sees in a name makes no second person. */
static void one_person_has_many_spellings(void **state)
{
    (void)state;
    static const char *const same[] = {"AL\u00d6",       " al\u00f6 ",     "Al\u00d6\u200b", "\ufeffAl\u00d6",
                                       "A\u00adl\u00d6", "A\u2060l\u00d6", "AlO\u0308",      "Al\u00d6\u00a0"};
    Fixture f = open_with(REVIEW_ALL, true, 1);
    assert_good(ledger_begin(f.ledger, 102));
    finish_with(f.ledger, 0, "{}");
    assert_good(ledger_commit(f.ledger));
    assert_int_equal(decide(f.ledger, "review approve", "row0", "Al\u00d6"), 0);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_int_equal(decide(f.ledger, "review approve", "row0", same[i]), 0);
    assert_int_equal(decide(f.ledger, "review approve", "row0", "Alo"), 1);
    close_fixture(&f);
}

static void is_rendered_again_with_another_seed(void **state)
{
    (void)state;
    Fixture f = open_with(REVIEW_ALL, false, 2);
    int64_t seed, old, other;
    assert_good(ledger_begin(f.ledger, 102));
    finish_with(f.ledger, 0, "{}");
    finish_with(f.ledger, 1, "{}");
    assert_good(ledger_commit(f.ledger));
    assert_good(ledger_sql_number(f.ledger, &old, "SELECT json_extract(spec, '$.seed') FROM specs WHERE shot = 0", ""));
    assert_int_equal(decide(f.ledger, "review rerender", "row0", "eva"), 1);
    Snapshot s = look(f.ledger);
    assert_true(s.left == 1 && s.shots == 3);
    snapshot_clear(&s);
    assert_good(ledger_sql_number(
        f.ledger, &seed, "SELECT json_extract(spec, '$.seed') FROM specs JOIN clips USING(shot) WHERE clip = 0", ""));
    assert_true(seed != old && seed > 0);
    is_text(f.ledger, "SELECT reason || ' ' || reviewer || ' ' || state || (file IS NULL) FROM clips WHERE clip = 0",
            "because eva planned1");
    is_text(f.ledger, "SELECT group_concat(kind || ' ' || name) FROM leavings", "clip stem0"); /* files of before */
    assert_int_equal(decide(f.ledger, "review rerender", "row1", "eva"), 1);
    assert_good(ledger_sql_number(
        f.ledger, &other, "SELECT json_extract(spec, '$.seed') FROM specs JOIN clips USING(shot) WHERE clip = 1", ""));
    assert_true(other != seed);
    assert_good(ledger_begin(f.ledger, 300));
    fixture_render(f.ledger, 2, "host:7");
    fixture_finish(f.ledger, 0, "host:7");
    assert_good(ledger_commit(f.ledger));
    s = look(f.ledger);
    assert_true(s.clip_count[CLIP_REVIEW] == 1);
    snapshot_clear(&s);
    close_fixture(&f);
}

/* While nobody has begun the new render: the clip has its file, its gates and its shot as before. */
static void a_render_again_can_be_taken_back(void **state)
{
    (void)state;
    Fixture f = open_with(REVIEW_ALL, false, 2);
    static const char *const what =
        "SELECT shot || file || sha256 || result || ifnull(seed, '-') FROM clips WHERE clip = 1";
    bool yes;
    assert_good(ledger_begin(f.ledger, 102));
    finish_with(f.ledger, 0, "{}");
    finish_with(f.ledger, 1, "{\"held_by\": [\"flicker\"]}");
    assert_good(ledger_commit(f.ledger));
    char *before = text_of(f.ledger, what);
    assert_int_equal(decide(f.ledger, "review rerender", "row1", "eva"), 1);
    assert_good(ledger_may_take_back(f.ledger, "row1", &yes));
    assert_true(yes);
    assert_int_equal(decide(f.ledger, "review reopen", "row1", "eva"), 1);
    is_text(f.ledger, what, before);
    is_text(f.ledger, "SELECT state || ' ' || reason FROM clips WHERE clip = 1", "held held by flicker");
    Snapshot s = look(f.ledger);
    assert_true(s.left == 0 && s.undecided == 2);
    snapshot_clear(&s);
    assert_int_equal(decide(f.ledger, "review reopen", "row1", "eva"), 0);

    assert_int_equal(decide(f.ledger, "review rerender", "row1", "eva"), 1); /* paused, gone on, paused again */
    steer(f.ledger, "pause", "row1", 210);
    steer(f.ledger, "resume", "row1", 220);
    steer(f.ledger, "pause", "row1", 230);
    is_text(f.ledger, "SELECT state FROM clips WHERE clip = 1", "paused");
    assert_int_equal(decide(f.ledger, "review reopen", "row1", "eva"), 1);
    is_text(f.ledger, what, before);
    is_text(f.ledger, "SELECT state || ' ' || reason FROM clips WHERE clip = 1", "held held by flicker");
    s = look(f.ledger);
    assert_true(s.left == 0 && s.undecided == 2 && s.clip_count[CLIP_PAUSED] == 0);
    snapshot_clear(&s);
    assert_int_equal(decide(f.ledger, "review rerender", "row1", "eva"), 1); /* cancelled */
    steer(f.ledger, "cancel", "row1", 240);
    assert_int_equal(decide(f.ledger, "review reopen", "row1", "eva"), 0);
    steer(f.ledger, "resume", "row1", 250);

    assert_int_equal(decide(f.ledger, "review rerender", "row1", "eva"), 0); /* planned: nothing to decide about */
    s = look(f.ledger);
    assert_true(s.left == 1);
    snapshot_clear(&s);
    assert_good(ledger_begin(f.ledger, 300));
    fixture_render(f.ledger, 2, "host:7");
    assert_good(ledger_commit(f.ledger));
    assert_int_equal(decide(f.ledger, "review reopen", "row1", "eva"), 0);
    assert_good(ledger_begin(f.ledger, 301));
    fixture_finish(f.ledger, 1, "host:7");
    assert_good(ledger_lose_clip(f.ledger, 1, "its file is damaged"));
    assert_good(ledger_commit(f.ledger));
    is_text(f.ledger, "SELECT state FROM clips WHERE clip = 1", "planned");
    assert_int_equal(decide(f.ledger, "review reopen", "row1", "eva"), 0); /* its files of before are gone */
    free(before);
    close_fixture(&f);
}

/* Who looked at what is not there any more is told, and nothing happens. */
static void of_two_at_once_the_second_is_told(void **state)
{
    (void)state;
    Fixture f = open_with(REVIEW_ALL, false, 1);
    assert_good(ledger_begin(f.ledger, 102));
    finish_with(f.ledger, 0, "{}");
    assert_good(ledger_commit(f.ledger));
    char *seen = text_of(f.ledger, "SELECT state || ' ' || substr(sha256, 1, 16) FROM clips");
    LedgerRequest reject = {.verb = "review reject", .clip_id = "row0", .reviewer = "eva", .reason = "x", .seen = seen},
                  approve = {.verb = "review approve", .clip_id = "row0", .reviewer = "jo", .seen = seen};
    assert_int_equal(ask(f.ledger, reject).outcome, OUTCOME_DONE);
    assert_int_equal(ask(f.ledger, approve).outcome, OUTCOME_OTHER);
    is_text(f.ledger, "SELECT state || ' ' || reviewer FROM clips", "rejected eva");
    is_text(f.ledger, "SELECT count(*) FROM decisions", "1");
    approve.seen = NULL; /* who insists */
    assert_int_equal(ask(f.ledger, approve).outcome, OUTCOME_DONE);
    assert_int_equal(ask(f.ledger, approve).outcome, OUTCOME_NOTHING);
    free(seen);
    close_fixture(&f);
}

static void what_was_held_is_held_again(void **state)
{
    (void)state;
    Fixture f = open_with(REVIEW_ALL, false, 1);
    assert_good(ledger_begin(f.ledger, 102));
    finish_with(f.ledger, 0, "{\"held_by\": [\"flicker\"]}");
    assert_good(ledger_commit(f.ledger));
    assert_int_equal(decide(f.ledger, "review approve", "row0", "eva"), 1);
    is_text(f.ledger, "SELECT state || ifnull(reason, '') FROM clips", "approved");
    assert_int_equal(decide(f.ledger, "review reopen", "row0", "eva"), 1);
    is_text(f.ledger, "SELECT state || ' ' || reason FROM clips", "held held by flicker");
    close_fixture(&f);
}

/* The campaign asks for a look only after some were approved. */
static void a_policy_of_later_shows_what_was_approved(void **state)
{
    (void)state;
    Fixture f = open_with(REVIEW_NONE, false, 2);
    assert_good(ledger_begin(f.ledger, 102));
    finish_with(f.ledger, 0, "{}");
    assert_good(ledger_commit(f.ledger));
    f.campaign->settings.review.policy = REVIEW_ALL;
    assert_good(ledger_adopt(f.ledger, f.campaign, 103));
    assert_good(ledger_begin_epoch(f.ledger, "host", 1, 104));
    Snapshot s = look(f.ledger);
    assert_true(s.clip_count[CLIP_REVIEW] == 1 && s.clip_count[CLIP_APPROVED] == 0);
    snapshot_clear(&s);
    close_fixture(&f);
}

static void a_rejected_sample_sends_the_lot_to_review(void **state)
{
    (void)state;
    enum { ROWS = 60 };
    Fixture f = open_with(REVIEW_SAMPLE, false, ROWS);
    const int64_t sample = sampling_isolated(ROWS, 5).size; /* 34, and not one may be bad */
    ReviewLot lot;
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
    assert_good(ledger_read_lot(f.ledger, &lot));
    assert_true(lot.bad == 1 && lot.verdict == LOT_REJECTED && lot.plan.size == sample && lot.clips == ROWS);
    assert_int_equal(decide(f.ledger, "review reopen", id, "eva"), 1 + ROWS - 1 - shown); /* a slip of the finger */
    assert_good(ledger_read_lot(f.ledger, &lot));
    assert_true(lot.bad == 0 && lot.verdict == LOT_OPEN);
    s = look(f.ledger);
    assert_true(s.clip_count[CLIP_REVIEW] == shown && s.clip_count[CLIP_APPROVED] == ROWS - 1 - shown);
    snapshot_clear(&s);
    assert_int_equal(decide(f.ledger, "review rerender", id, "eva"), 1 + ROWS - 1 - shown); /* found bad, too */
    assert_good(ledger_begin(f.ledger, 299));
    fixture_render(f.ledger, ROWS, "host:7");
    Query again = ledger_sql_query(f.ledger, "SELECT clip FROM clips WHERE state = 'waiting'", "");
    assert_true(ledger_sql_next(&again));
    const int64_t clip = ledger_sql_int(&again, 0);
    ledger_sql_end(&again);
    fixture_finish(f.ledger, clip, "host:7");
    assert_good(ledger_commit(f.ledger));
    assert_int_equal(decide(f.ledger, "review reject", id, "eva"), 1);
    assert_good(ledger_begin(f.ledger, 300));
    finish_with(f.ledger, ROWS - 1, "{}");
    assert_good(ledger_commit(f.ledger));
    s = look(f.ledger);
    assert_true(s.clip_count[CLIP_APPROVED] == 0 && s.clip_count[CLIP_REVIEW] == ROWS - 1 && s.rejected == 1);
    snapshot_clear(&s);
    close_fixture(&f);
}

/* A part's words and new shots come into the whole, beside those of the others. */
static void parts_bring_their_decisions(void **state)
{
    (void)state;
    char *whole = fixture_folder(), *part[2];
    for (int i = 0; i < 2; i++) {
        part[i] = fixture_folder();
        Campaign *c = fixture_campaign("summer", 4, 1);
        Ledger *l;
        c->part = (Part){i + 1, 2};
        c->settings.review = (ReviewSettings){.policy = REVIEW_ALL, .lq = 5};
        assert_good(ledger_open(part[i], LEDGER_WRITE, &l));
        assert_good(ledger_adopt(l, c, 100));
        assert_good(ledger_begin_epoch(l, "host", 1, 101));
        assert_good(ledger_begin(l, 102));
        finish_with(l, i, "{}");
        finish_with(l, i + 2, "{}");
        assert_good(ledger_commit(l));
        char *first = text_format("row%d", i), *second = text_format("row%d", i + 2);
        assert_int_equal(decide(l, "review approve", first, "eva"), 1);
        assert_int_equal(decide(l, "review rerender", second, "jo"), 1);
        assert_int_equal(decide(l, "review reopen", first, "eva"), 1);
        free(first);
        free(second);
        ledger_close(&l);
        fixture_campaign_free(c);
    }
    assert_good(ledger_merge(whole, part, 2));
    Ledger *l;
    assert_good(ledger_open(whole, LEDGER_READ, &l));
    is_text(l,
            "SELECT count(*) || ' ' || count(DISTINCT d.id) || ' ' || count(c.clip) FROM decisions d LEFT JOIN clips c "
            "USING(clip)",
            "6 6 6");
    is_text(l,
            "SELECT group_concat(clip_id || ' ' || verb) FROM (SELECT clip_id, verb FROM decisions JOIN clips "
            "USING(clip) ORDER BY clip, id)",
            "row0 approve,row0 reopen,row1 approve,row1 reopen,row2 rerender,row3 rerender");
    is_text(l, "SELECT count(DISTINCT shot) FROM specs", "6");
    ledger_close(&l);
    for (int i = 0; i < 2; i++) fixture_remove(part[i]);
    fixture_remove(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_gate_holds_waits_whatever_the_policy),
        cmocka_unit_test(every_clip_is_shown_and_answers_stay),
        cmocka_unit_test(four_eyes_are_those_of_two),
        cmocka_unit_test(a_noted_approval_can_be_taken_back),
        cmocka_unit_test(one_person_has_many_spellings),
        cmocka_unit_test(is_rendered_again_with_another_seed),
        cmocka_unit_test(a_render_again_can_be_taken_back),
        cmocka_unit_test(of_two_at_once_the_second_is_told),
        cmocka_unit_test(what_was_held_is_held_again),
        cmocka_unit_test(a_policy_of_later_shows_what_was_approved),
        cmocka_unit_test(parts_bring_their_decisions),
        cmocka_unit_test(a_rejected_sample_sends_the_lot_to_review),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
