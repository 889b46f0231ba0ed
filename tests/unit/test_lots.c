/* test_lots.c - campaigns that follow one another: what became of each lot is noted once, and says how strictly the next one is looked at. */
#include "ledger_fixture.h"

#include "coordinator/deliver/lots.h"
#include "coordinator/ledger/sql.h"
#include "coordinator/ledger/steer.h"
#include "trust/chain.h"

typedef struct {
    Fixture f;
    int64_t created_s;
} Night;

static Night open_night(const char *series, int64_t created_s)
{
    enum { ROWS = 30 };
    Night n = {.f = {.folder = fixture_folder(), .campaign = fixture_campaign("weekly", ROWS, ROWS)},
               .created_s = created_s};
    n.f.campaign->settings.review =
        (ReviewSettings){.policy = REVIEW_SAMPLE,
                         .lq = 5,
                         .aql = 4,
                         .series = (char *)(uintptr_t)series}; /* letter E: 13 clips, 1 may be bad */
    assert_good(ledger_open(n.f.folder, LEDGER_WRITE, &n.f.ledger));
    assert_good(ledger_adopt(n.f.ledger, n.f.campaign, (double)created_s));
    assert_good(lots_begin(n.f.folder, 0));
    assert_good(lots_begin(n.f.folder, 0)); /* the next run asks again */
    assert_good(ledger_begin_epoch(n.f.ledger, "host", 1, (double)created_s + 1));
    assert_good(ledger_begin(n.f.ledger, (double)created_s + 2));
    fixture_render(n.f.ledger, 0, "host:7");
    for (int i = 0; i < ROWS; i++) fixture_finish(n.f.ledger, i, "host:7");
    assert_good(ledger_commit(n.f.ledger));
    return n;
}

static void decide_all(Ledger *l, const char *verb, int most)
{
    for (int i = 0; i < most; i++) {
        char *id = NULL;
        int64_t changed;
        Query q = ledger_sql_query(l, "SELECT clip_id FROM clips WHERE state = 'in review' LIMIT 1", "");
        if (!ledger_sql_next(&q)) return;
        id = text_copy(ledger_sql_text(&q, 0));
        ledger_sql_end(&q);
        assert_good(ledger_begin(l, 200));
        assert_good(ledger_apply_request(l,
                                         &(LedgerRequest){.verb = (char *)(uintptr_t)verb,
                                                          .clip_id = id,
                                                          .filter = (char *)(uintptr_t) "",
                                                          .reviewer = (char *)(uintptr_t) "eva",
                                                          .reason = (char *)(uintptr_t) "because"},
                                         &changed));
        assert_good(ledger_commit(l));
        free(id);
    }
}

static ReviewLot end_night(Night *n)
{
    ReviewLot lot;
    assert_good(ledger_read_lot(n->f.ledger, &lot));
    assert_good(lots_note(n->f.ledger));
    assert_good(lots_note(n->f.ledger));
    close_fixture(&n->f);
    return lot;
}

static int64_t count_lines(const char *series)
{
    TrustChain c;
    assert_good(trust_chain_read(series, (TrustChainSink){0}, &c));
    return c.count;
}

static void two_bad_weeks_make_the_third_tightened(void **state)
{
    (void)state;
    char *folder = fixture_folder(), *series = path_join(folder, "weekly.lots");
    for (int week = 0; week < 2; week++) {
        Night n = open_night(series, 1000 * (week + 1));
        ReviewLot lot;
        assert_good(ledger_read_lot(n.f.ledger, &lot));
        assert_true(lot.plan.size == 13 && lot.plan.accept == 1 && lot.severity == SAMPLING_NORMAL);
        assert_good(lots_note(n.f.ledger)); /* nothing is decided yet */
        assert_int_equal(count_lines(series), week);
        decide_all(n.f.ledger, "review reject", 2);
        lot = end_night(&n);
        assert_true(lot.verdict == LOT_REJECTED && lot.bad == 2);
        assert_int_equal(count_lines(series), week + 1);
    }
    Night third = open_night(series, 3000);
    ReviewLot lot;
    assert_good(ledger_read_lot(third.f.ledger, &lot));
    assert_int_equal(lot.severity, SAMPLING_TIGHTENED);
    assert_true(lot.plan.size == 20 && lot.plan.accept == 1); /* F */
    decide_all(third.f.ledger, "review approve", 100);
    lot = end_night(&third);
    assert_true(lot.verdict == LOT_ACCEPTED && lot.bad == 0);
    assert_int_equal(count_lines(series), 3);
    free(series);
    fixture_remove(folder);
}

static void a_damaged_series_is_said(void **state)
{
    (void)state;
    char *folder = fixture_folder(), *series = path_join(folder, "weekly.lots");
    Night n = open_night(series, 1000);
    decide_all(n.f.ledger, "review approve", 100);
    end_night(&n);
    assert_good(file_replace(series, "{}\n", 3));
    Fixture f = {.folder = fixture_folder(), .campaign = fixture_campaign("weekly", 3, 1)};
    f.campaign->settings.review = (ReviewSettings){.policy = REVIEW_SAMPLE, .lq = 5, .aql = 4, .series = series};
    assert_good(ledger_open(f.folder, LEDGER_WRITE, &f.ledger));
    assert_good(ledger_adopt(f.ledger, f.campaign, 5000));
    assert_refused(lots_begin(f.folder, 0), ERR_INPUT, "weekly.lots");
    close_fixture(&f);
    free(series);
    fixture_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_bad_weeks_make_the_third_tightened),
        cmocka_unit_test(a_damaged_series_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
