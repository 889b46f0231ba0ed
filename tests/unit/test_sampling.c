/* test_sampling.c - how many clips of a lot are looked at: what the standards say of their own tables, and their switching rules. */
#include "farm_fixture.h"

#include <math.h>

#include "coordinator/campaign/sampling.h"

/* Chance that a sample without replacement holds at most `accept` of the lot's bad ones. */
static double passes(int64_t lot, int64_t bad, SamplingPlan p)
{
    double sum = 0;
    for (int64_t k = 0; k <= p.accept && k <= bad; k++) {
        if (p.size - k > lot - bad) continue;
        const double ways = lgamma((double)bad + 1) - lgamma((double)k + 1) - lgamma((double)(bad - k) + 1) +
                            lgamma((double)(lot - bad) + 1) - lgamma((double)(p.size - k) + 1) -
                            lgamma((double)(lot - bad - p.size + k) + 1) - lgamma((double)lot + 1) +
                            lgamma((double)p.size + 1) + lgamma((double)(lot - p.size) + 1);
        sum += exp(ways);
    }
    return sum;
}

static void check_plan(int64_t lot, double lq, int64_t size, int accept)
{
    const SamplingPlan p = sampling_isolated(lot, lq);
    if (p.size != size || p.accept != accept)
        fail_msg("lot %lld at %g %%: %lld, %d; expected %lld, %d", (long long)lot, lq, (long long)p.size, p.accept,
                 (long long)size, accept);
}

static void one_campaign_has_the_plans_of_2859_2(void **state)
{
    (void)state;
    check_plan(0, 5, 0, 0);
    check_plan(12, 5, 12, 0); /* small: all of it */
    check_plan(20, 5, 20, 0);
    check_plan(20, 12.5, 13, 0);
    check_plan(50, 5, 28, 0);
    check_plan(400, 5, 50, 0);
    check_plan(1000, 5, 80, 1);
    check_plan(1000, 3.15, 125, 1);
    check_plan(10000, 5, 200, 5);
    check_plan(10000, 2, 200, 1);
    check_plan(1000000, 0.5, 1250, 3);
    check_plan(400, 6, 50, 0); /* between two: the stricter one */
    check_plan(400, 50, 20, 3);
    check_plan(1000, 0.1, 900, 0); /* below the table: one bad clip of a thousand is found in nine cases of ten */
}

/* "The consumer's risk is usually below 10 %, but always below 13 %", where the lot is large enough for whole clips to say it. */
static void a_lot_as_bad_as_that_seldom_passes(void **state)
{
    static const double lq[] = {0.5, 0.8, 1.25, 2, 3.15, 5, 8, 12.5, 20, 31.5};
    static const int64_t lot[] = {1201, 3200, 3201, 10000, 10001, 35000, 35001, 150000, 500001};
    (void)state;
    for (size_t i = 0; i < sizeof lot / sizeof *lot; i++)
        for (size_t k = 0; k < sizeof lq / sizeof *lq; k++) {
            const int64_t bad = (int64_t)floor((double)lot[i] * lq[k] / 100);
            const double risk = passes(lot[i], bad, sampling_isolated(lot[i], lq[k]));
            if (risk > 0.1305 || risk < 0.02)
                fail_msg("lot %lld at %g %%: passes with %.4f", (long long)lot[i], lq[k], risk);
        }
}

static void check_series(int64_t lot, double aql, SamplingSeverity s, int64_t size, int accept)
{
    const SamplingPlan p = sampling_series(lot, aql, s);
    if (p.size != size || p.accept != accept)
        fail_msg("lot %lld, AQL %g, %s: %lld, %d; expected %lld, %d", (long long)lot, aql, sampling_severity_name(s),
                 (long long)p.size, p.accept, (long long)size, accept);
}

static void a_series_has_the_plans_of_2859_1(void **state)
{
    (void)state;
    check_series(1000, 1, SAMPLING_NORMAL, 80, 2); /* letter J */
    check_series(1000, 1, SAMPLING_TIGHTENED, 80, 1);
    check_series(1000, 1, SAMPLING_REDUCED, 32, 2);
    check_series(10000, 1, SAMPLING_NORMAL, 200, 5); /* L */
    check_series(10000, 1, SAMPLING_TIGHTENED, 200, 3);
    check_series(10000, 1, SAMPLING_REDUCED, 80, 5);
    check_series(100, 1, SAMPLING_NORMAL, 13, 0);        /* F: the arrow leads up */
    check_series(200, 1, SAMPLING_NORMAL, 50, 1);        /* G: down */
    check_series(200, 1, SAMPLING_TIGHTENED, 80, 1);     /* G: down, twice */
    check_series(20, 1, SAMPLING_NORMAL, 13, 0);         /* C: down to E */
    check_series(600000, 2.5, SAMPLING_NORMAL, 500, 21); /* Q: up to N */
    check_series(600000, 2.5, SAMPLING_TIGHTENED, 500, 18);
    check_series(5, 0.01, SAMPLING_NORMAL, 5, 0); /* more than there are: all */
    check_series(1000, 1, SAMPLING_STOPPED, 1000, 0);
    check_series(1, 1, SAMPLING_NORMAL, 1, 0);
    check_series(3, 10, SAMPLING_NORMAL, 3, 1);
    for (int s = SAMPLING_NORMAL; s < SAMPLING_STOPPED; s++) /* never out of the tables */
        for (int64_t lot = 1; lot < 2000000; lot = lot * 3 / 2 + 1)
            for (double aql = 0.01; aql < 11; aql *= 1.4) {
                const SamplingPlan p = sampling_series(lot, aql, (SamplingSeverity)s);
                assert_true(p.size >= 1 && p.size <= lot && p.accept >= 0 && p.accept <= 21 && p.accept < p.size);
            }
    assert_true(fabs(sampling_tighter(1) - 0.65) < 1e-9);
    assert_true(fabs(sampling_tighter(0.01) - 0.01) < 1e-9);
}

static const SamplingResult good = {true, 0, true}, bad = {false, 0, false};

static void feed(SamplingSeries *s, const SamplingResult *lot, int times)
{
    for (int i = 0; i < times; i++) sampling_next(s, lot);
}

static void two_rejected_of_five_tighten(void **state)
{
    (void)state;
    SamplingSeries s = {0};
    feed(&s, &bad, 1);
    feed(&s, &good, 4);
    feed(&s, &bad, 1); /* the first one is five lots away */
    assert_int_equal(s.severity, SAMPLING_NORMAL);
    feed(&s, &good, 3);
    feed(&s, &bad, 1);
    assert_int_equal(s.severity, SAMPLING_TIGHTENED);
    feed(&s, &good, 4);
    feed(&s, &bad, 1);
    feed(&s, &good, 4);
    assert_int_equal(s.severity, SAMPLING_TIGHTENED); /* five one after another */
    feed(&s, &good, 1);
    assert_int_equal(s.severity, SAMPLING_NORMAL);
    feed(&s, &bad, 1);
    assert_int_equal(s.severity, SAMPLING_NORMAL); /* lots of before count no more */
}

static void five_rejected_on_tightened_stop(void **state)
{
    (void)state;
    SamplingSeries s = {.severity = SAMPLING_TIGHTENED};
    for (int i = 0; i < 4; i++) {
        feed(&s, &bad, 1);
        feed(&s, &good, 2);
    }
    assert_int_equal(s.severity, SAMPLING_TIGHTENED);
    feed(&s, &bad, 1);
    assert_int_equal(s.severity, SAMPLING_STOPPED);
    feed(&s, &good, 50);
    assert_int_equal(s.severity, SAMPLING_STOPPED);
}

static void a_good_record_reduces(void **state)
{
    (void)state;
    SamplingSeries s = {0};
    const SamplingResult wide = {true, 2, true}, close = {true, 2, false};
    feed(&s, &good, 14); /* two points each */
    assert_int_equal(s.severity, SAMPLING_NORMAL);
    feed(&s, &good, 1);
    assert_int_equal(s.severity, SAMPLING_REDUCED);
    feed(&s, &good, 20);
    feed(&s, &bad, 1);
    assert_int_equal(s.severity, SAMPLING_NORMAL);
    feed(&s, &wide, 9);  /* three each */
    feed(&s, &close, 1); /* accepted, but not with the AQL one step tighter: from the beginning */
    feed(&s, &wide, 9);
    assert_int_equal(s.severity, SAMPLING_NORMAL);
    feed(&s, &wide, 1);
    assert_int_equal(s.severity, SAMPLING_REDUCED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_campaign_has_the_plans_of_2859_2), cmocka_unit_test(a_lot_as_bad_as_that_seldom_passes),
        cmocka_unit_test(a_series_has_the_plans_of_2859_1),     cmocka_unit_test(two_rejected_of_five_tighten),
        cmocka_unit_test(five_rejected_on_tightened_stop),      cmocka_unit_test(a_good_record_reduces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
