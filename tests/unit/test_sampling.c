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

/* "The consumer's risk is usually below 10 %, but always below 13 %." Where the limiting quality is no whole number of clips, the risk of the next
 * whole number of bad ones. Two plans for small lots have more: 50 of 90 at 2 % (0.195) and 90 of 150 at 1.25 % (0.158). */
static void a_lot_as_bad_as_that_seldom_passes(void **state)
{
    static const double lq[] = {0.5, 0.8, 1.25, 2, 3.15, 5, 8, 12.5, 20, 31.5};
    static const int64_t lot[] = {16,    25,    26,    50,     51,     90,     91,     150,    151,
                                  280,   281,   500,   501,    1200,   1201,   3200,   3201,   10000,
                                  10001, 35000, 35001, 150000, 150001, 500000, 500001, 5000000};
    (void)state;
    for (size_t i = 0; i < sizeof lot / sizeof *lot; i++)
        for (size_t k = 0; k < sizeof lq / sizeof *lq; k++) {
            const int64_t bad = (int64_t)ceil((double)lot[i] * lq[k] / 100 - 1e-9);
            const SamplingPlan plan = sampling_isolated(lot[i], lq[k]);
            const double risk = passes(lot[i], bad, plan);
            const bool looser = (lot[i] == 90 && plan.size == 50) || (lot[i] == 150 && plan.size == 90);
            if (risk > (looser ? 0.195 : 0.1305) || (lot[i] >= 1201 && risk < 0.02))
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
    check_series(1000, 1, SAMPLING_REDUCED, 32, 1);
    check_series(10000, 1, SAMPLING_NORMAL, 200, 5); /* L */
    check_series(10000, 1, SAMPLING_TIGHTENED, 200, 3);
    check_series(10000, 1, SAMPLING_REDUCED, 80, 3);
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

/* ISO 2859-1:1999 tables 2-A to 2-C, arrows followed: for the lots of each code letter A to Q (a line) and each AQL from 0.010 to 10 (a column) the
 * letter whose sample is taken and how many bad ones of it are accepted. They agree with two copies that others have typed: GB/T 2828.1-2012, which is
 * the same standard; and MIL-STD-105E (public domain; as the R package AQLSchemes 1.7-2 has it) in normal and tightened inspection but for one plan
 * (letter A, AQL 10, tightened). Reduced inspection was another one there. */
static const char *const plan_of_letter[SAMPLING_STOPPED][15] = {
    [SAMPLING_NORMAL] =
        {
            "Q0 P0 N0 M0 L0 K0 J0 H0 G0 F0 E0 D0 C0 B0 A0 C1",
            "Q0 P0 N0 M0 L0 K0 J0 H0 G0 F0 E0 D0 C0 B0 A0 C1",
            "Q0 P0 N0 M0 L0 K0 J0 H0 G0 F0 E0 D0 C0 B0 D1 C1",
            "Q0 P0 N0 M0 L0 K0 J0 H0 G0 F0 E0 D0 C0 E1 D1 D2",
            "Q0 P0 N0 M0 L0 K0 J0 H0 G0 F0 E0 D0 F1 E1 E2 E3",
            "Q0 P0 N0 M0 L0 K0 J0 H0 G0 F0 E0 G1 F1 F2 F3 F5",
            "Q0 P0 N0 M0 L0 K0 J0 H0 G0 F0 H1 G1 G2 G3 G5 G7",
            "Q0 P0 N0 M0 L0 K0 J0 H0 G0 J1 H1 H2 H3 H5 H7 H10",
            "Q0 P0 N0 M0 L0 K0 J0 H0 K1 J1 J2 J3 J5 J7 J10 J14",
            "Q0 P0 N0 M0 L0 K0 J0 L1 K1 K2 K3 K5 K7 K10 K14 K21",
            "Q0 P0 N0 M0 L0 K0 M1 L1 L2 L3 L5 L7 L10 L14 L21 K21",
            "Q0 P0 N0 M0 L0 N1 M1 M2 M3 M5 M7 M10 M14 M21 L21 K21",
            "Q0 P0 N0 M0 P1 N1 N2 N3 N5 N7 N10 N14 N21 M21 L21 K21",
            "Q0 P0 N0 Q1 P1 P2 P3 P5 P7 P10 P14 P21 N21 M21 L21 K21",
            "Q0 P0 R1 Q1 Q2 Q3 Q5 Q7 Q10 Q14 Q21 P21 N21 M21 L21 K21",
        },
    [SAMPLING_TIGHTENED] =
        {
            "R0 Q0 P0 N0 M0 L0 K0 J0 H0 G0 F0 E0 D0 C0 B0 A0",
            "R0 Q0 P0 N0 M0 L0 K0 J0 H0 G0 F0 E0 D0 C0 B0 D1",
            "R0 Q0 P0 N0 M0 L0 K0 J0 H0 G0 F0 E0 D0 C0 E1 D1",
            "R0 Q0 P0 N0 M0 L0 K0 J0 H0 G0 F0 E0 D0 F1 E1 D1",
            "R0 Q0 P0 N0 M0 L0 K0 J0 H0 G0 F0 E0 G1 F1 E1 E2",
            "R0 Q0 P0 N0 M0 L0 K0 J0 H0 G0 F0 H1 G1 F1 F2 F3",
            "R0 Q0 P0 N0 M0 L0 K0 J0 H0 G0 J1 H1 G1 G2 G3 G5",
            "R0 Q0 P0 N0 M0 L0 K0 J0 H0 K1 J1 H1 H2 H3 H5 H8",
            "R0 Q0 P0 N0 M0 L0 K0 J0 L1 K1 J1 J2 J3 J5 J8 J12",
            "R0 Q0 P0 N0 M0 L0 K0 M1 L1 K1 K2 K3 K5 K8 K12 K18",
            "R0 Q0 P0 N0 M0 L0 N1 M1 L1 L2 L3 L5 L8 L12 L18 K18",
            "R0 Q0 P0 N0 M0 P1 N1 M1 M2 M3 M5 M8 M12 M18 L18 K18",
            "R0 Q0 P0 N0 Q1 P1 N1 N2 N3 N5 N8 N12 N18 M18 L18 K18",
            "R0 Q0 P0 R1 Q1 P1 P2 P3 P5 P8 P12 P18 N18 M18 L18 K18",
            "R0 Q0 S1 R1 Q1 Q2 Q3 Q5 Q8 Q12 Q18 P18 N18 M18 L18 K18",
        },
    [SAMPLING_REDUCED] =
        {
            "Q0 P0 N0 M0 L0 K0 J0 H0 G0 F0 E0 D0 C0 B0 A0 D1",
            "Q0 P0 N0 M0 L0 K0 J0 H0 G0 F0 E0 D0 C0 B0 A0 D1",
            "Q0 P0 N0 M0 L0 K0 J0 H0 G0 F0 E0 D0 C0 B0 E1 D1",
            "Q0 P0 N0 M0 L0 K0 J0 H0 G0 F0 E0 D0 C0 F1 E1 D1",
            "Q0 P0 N0 M0 L0 K0 J0 H0 G0 F0 E0 D0 G1 F1 E1 E2",
            "Q0 P0 N0 M0 L0 K0 J0 H0 G0 F0 E0 H1 G1 F1 F2 F3",
            "Q0 P0 N0 M0 L0 K0 J0 H0 G0 F0 J1 H1 G1 G2 G3 G5",
            "Q0 P0 N0 M0 L0 K0 J0 H0 G0 K1 J1 H1 H2 H3 H5 H6",
            "Q0 P0 N0 M0 L0 K0 J0 H0 L1 K1 J1 J2 J3 J5 J6 J8",
            "Q0 P0 N0 M0 L0 K0 J0 M1 L1 K1 K2 K3 K5 K6 K8 K10",
            "Q0 P0 N0 M0 L0 K0 N1 M1 L1 L2 L3 L5 L6 L8 L10 K10",
            "Q0 P0 N0 M0 L0 P1 N1 M1 M2 M3 M5 M6 M8 M10 L10 K10",
            "Q0 P0 N0 M0 Q1 P1 N1 N2 N3 N5 N6 N8 N10 M10 L10 K10",
            "Q0 P0 N0 R1 Q1 P1 P2 P3 P5 P6 P8 P10 N10 M10 L10 K10",
            "Q0 P0 N0 R1 Q1 Q2 Q3 Q5 Q6 Q8 Q10 P10 N10 M10 L10 K10",
        },
};

static void every_plan_of_a_series_is_the_standards(void **state)
{
    static const double aql[] = {0.010, 0.015, 0.025, 0.040, 0.065, 0.10, 0.15, 0.25,
                                 0.40,  0.65,  1.0,   1.5,   2.5,   4.0,  6.5,  10};
    static const int64_t lot_from[] = {2,   9,    16,   26,    51,    91,     151,    281,
                                       501, 1201, 3201, 10001, 35001, 150001, 500001, 5000001};
    static const char letters[] = "ABCDEFGHJKLMNPQRS";
    static const int size[] = {2, 3, 5, 8, 13, 20, 32, 50, 80, 125, 200, 315, 500, 800, 1250, 2000, 3150};
    static const int reduced[] = {2, 2, 2, 3, 5, 8, 13, 20, 32, 50, 80, 125, 200, 315, 500, 800};
    (void)state;
    for (int s = 0; s < SAMPLING_STOPPED; s++)
        for (int row = 0; row < 15; row++) {
            const char *at = plan_of_letter[s][row];
            for (int k = 0; k < 16; k++) {
                const ptrdiff_t letter = strchr(letters, *at) - letters;
                const int64_t n = s == SAMPLING_REDUCED ? reduced[letter] : size[letter];
                char *end;
                const int accept = (int)strtol(at + 1, &end, 10);
                for (int64_t lot = lot_from[row]; lot < lot_from[row + 1]; lot = lot_from[row + 1] - 1) {
                    check_series(lot, aql[k], (SamplingSeverity)s, n < lot ? n : lot, accept);
                    if (lot == lot_from[row + 1] - 1) break;
                }
                at = end + (*end == ' ');
            }
            assert_int_equal(*at, 0);
        }
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
        cmocka_unit_test(one_campaign_has_the_plans_of_2859_2),
        cmocka_unit_test(a_lot_as_bad_as_that_seldom_passes),
        cmocka_unit_test(a_series_has_the_plans_of_2859_1),
        cmocka_unit_test(every_plan_of_a_series_is_the_standards),
        cmocka_unit_test(two_rejected_of_five_tighten),
        cmocka_unit_test(five_rejected_on_tightened_stop),
        cmocka_unit_test(a_good_record_reduces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
