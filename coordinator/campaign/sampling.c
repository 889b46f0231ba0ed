#include "sampling.h"

#include <math.h>
#include <string.h>

static const char *const severity_name[SAMPLING_SEVERITIES] = {[SAMPLING_NORMAL] = "normal",
                                                               [SAMPLING_TIGHTENED] = "tightened",
                                                               [SAMPLING_REDUCED] = "reduced",
                                                               [SAMPLING_STOPPED] = "stopped"};

const char *sampling_severity_name(SamplingSeverity s) { return severity_name[s]; }

SamplingSeverity sampling_find_severity(const char *name)
{
    for (int i = 0; i < SAMPLING_SEVERITIES; i++)
        if (name && strcmp(name, severity_name[i]) == 0) return (SamplingSeverity)i;
    return SAMPLING_NORMAL;
}

static SamplingPlan at_most(int64_t lot, int64_t size, int accept)
{
    return size < lot ? (SamplingPlan){size, accept} : (SamplingPlan){lot, accept};
}

/* ---- ISO 2859-2, procedure A ---- */

enum { LQ_COUNT = 10, LOT_ROWS = 13 };
static const double limiting_quality[LQ_COUNT] = {0.5, 0.8, 1.25, 2.0, 3.15, 5.0, 8.0, 12.5, 20.0, 31.5};
static const struct {
    int64_t from;              /* lot size; the first row begins at 16 */
    int16_t plan[LQ_COUNT][2]; /* sample size, acceptance number; 0: all of the lot */
} table_a[LOT_ROWS] = {
    {16, {{0}, {0}, {0}, {0}, {0}, {0}, {17, 0}, {13, 0}, {9, 0}, {6, 0}}},
    {26, {{0}, {0}, {0}, {0}, {0}, {28, 0}, {22, 0}, {15, 0}, {10, 0}, {6, 0}}},
    {51, {{0}, {0}, {0}, {50, 0}, {44, 0}, {34, 0}, {24, 0}, {16, 0}, {10, 0}, {8, 0}}},
    {91, {{0}, {0}, {90, 0}, {80, 0}, {55, 0}, {38, 0}, {26, 0}, {18, 0}, {13, 0}, {13, 1}}},
    {151, {{0}, {170, 0}, {130, 0}, {95, 0}, {65, 0}, {42, 0}, {28, 0}, {20, 0}, {20, 1}, {13, 1}}},
    {281, {{280, 0}, {220, 0}, {155, 0}, {105, 0}, {80, 0}, {50, 0}, {32, 0}, {32, 1}, {20, 1}, {20, 3}}},
    {501, {{380, 0}, {255, 0}, {170, 0}, {125, 0}, {125, 1}, {80, 1}, {50, 1}, {32, 1}, {32, 3}, {32, 5}}},
    {1201, {{430, 0}, {280, 0}, {200, 0}, {200, 1}, {125, 1}, {125, 3}, {80, 3}, {50, 3}, {50, 5}, {50, 10}}},
    {3201, {{450, 0}, {315, 0}, {315, 1}, {200, 1}, {200, 3}, {200, 5}, {125, 5}, {80, 5}, {80, 10}, {80, 18}}},
    {10001, {{500, 0}, {500, 1}, {315, 1}, {315, 3}, {315, 5}, {315, 10}, {200, 10}, {125, 10}, {125, 18}, {80, 18}}},
    {35001, {{800, 1}, {500, 1}, {500, 3}, {500, 5}, {500, 10}, {500, 18}, {315, 18}, {200, 18}, {125, 18}, {80, 18}}},
    {150001,
     {{800, 1}, {800, 3}, {800, 5}, {800, 10}, {800, 18}, {500, 18}, {315, 18}, {200, 18}, {125, 18}, {80, 18}}},
    {500001,
     {{1250, 3}, {1250, 5}, {1250, 10}, {1250, 18}, {800, 18}, {500, 18}, {315, 18}, {200, 18}, {125, 18}, {80, 18}}},
};

/* Below the table: P(no bad one in n) = prod (lot - bad - i) / (lot - i) <= 0.10. */
static SamplingPlan without_table(int64_t lot, double lq)
{
    const int64_t bad = (int64_t)fmax(1, floor((double)lot * lq / 100));
    double passes = 1;
    int64_t n = 0;
    for (; n < lot && passes > 0.10; n++) passes *= (double)(lot - bad - n) / (double)(lot - n);
    return (SamplingPlan){n, 0};
}

SamplingPlan sampling_isolated(int64_t lot, double lq)
{
    int column = -1, row = -1;
    while (column + 1 < LQ_COUNT && limiting_quality[column + 1] <= lq) column++;
    while (row + 1 < LOT_ROWS && table_a[row + 1].from <= lot) row++;
    if (row < 0) return (SamplingPlan){lot, 0};
    if (column < 0) return without_table(lot, lq);
    const int16_t *plan = table_a[row].plan[column];
    return plan[0] ? at_most(lot, plan[0], plan[1]) : (SamplingPlan){lot, 0};
}

/* ---- ISO 2859-1 ---- */

enum {
    AQL_COUNT = 16,
    LETTERS = 17 /* A to S without I and O */,
    LAST_REDUCED = 15 /* R */,
    LETTER_ROWS = 15,
    STEPS = 11
};
static const double aql_series[AQL_COUNT] = {0.010, 0.015, 0.025, 0.040, 0.065, 0.10, 0.15, 0.25,
                                             0.40,  0.65,  1.0,   1.5,   2.5,   4.0,  6.5,  10};
/* Table 1, level II: the lot size at which each code letter begins: A, B, C ... Q. */
static const int64_t letter_from[LETTER_ROWS] = {2,   9,    16,   26,    51,    91,     151,   281,
                                                 501, 1201, 3201, 10001, 35001, 150001, 500001};
static const int sample_size[LETTERS] = {2, 3, 5, 8, 13, 20, 32, 50, 80, 125, 200, 315, 500, 800, 1250, 2000, 3150};
static const int reduced_size[LAST_REDUCED + 1] = {2, 2, 2, 3, 5, 8, 13, 20, 32, 50, 80, 125, 200, 315, 500, 800};
/* Tables 2-A to 2-C have the same numbers along each diagonal: letter + place of the AQL - 14. An arrow says which neighbour's plan is
 * taken instead. */
enum { UP = -1, DOWN = -2 };
static const int diagonal[SAMPLING_STOPPED][STEPS] = {
    [SAMPLING_NORMAL] = {0, UP, DOWN, 1, 2, 3, 5, 7, 10, 14, 21},
    [SAMPLING_TIGHTENED] = {DOWN, 0, DOWN, DOWN, 1, 2, 3, 5, 8, 12, 18},
    [SAMPLING_REDUCED] = {0, UP, DOWN, DOWN, 1, 2, 3, 5, 6, 8, 10},
};

static int place_of_aql(double aql)
{
    int i = 0;
    while (i + 1 < AQL_COUNT && aql_series[i + 1] <= aql) i++;
    return i;
}

double sampling_tighter(double aql)
{
    const int i = place_of_aql(aql);
    return aql_series[i > 0 ? i - 1 : 0];
}

SamplingPlan sampling_series(int64_t lot, double aql, SamplingSeverity s)
{
    int letter = 0;
    if (lot < letter_from[0] || s == SAMPLING_STOPPED) return (SamplingPlan){lot, 0};
    while (letter + 1 < LETTER_ROWS && letter_from[letter + 1] <= lot) letter++;
    const int zero = 14 - place_of_aql(aql); /* the letter of the diagonal's first place */
    int step = letter - zero;
    if (step < 0) step = 0;
    if (step >= STEPS) step = STEPS - 1;
    while (diagonal[s][step] == UP && zero + step > 0) step--;
    while (diagonal[s][step] < 0) step++; /* DOWN, or UP in the first row */
    if (s == SAMPLING_REDUCED && zero + step > LAST_REDUCED)
        step = 0; /* Q at 0.025 has no plan below it, so the plan above it is taken */
    letter = zero + step < LETTERS ? zero + step : LETTERS - 1;
    return at_most(lot, s == SAMPLING_REDUCED ? reduced_size[letter] : sample_size[letter], diagonal[s][step]);
}

/* ---- switching ---- */

static void on_normal(SamplingSeries *s, const SamplingResult *lot)
{
    enum { LATEST = 31 /* five lots */, TWO = 2, ENOUGH = 30 };
    const bool good = lot->accept >= 2 ? lot->accepted && lot->tighter : lot->accepted;
    s->score = good ? s->score + (lot->accept >= 2 ? 3 : 2) : 0;
    s->rejected = (s->rejected << 1 | !lot->accepted) & LATEST;
    if (__builtin_popcount(s->rejected) >= TWO)
        *s = (SamplingSeries){.severity = SAMPLING_TIGHTENED};
    else if (s->score >= ENOUGH)
        *s = (SamplingSeries){.severity = SAMPLING_REDUCED};
}

static void on_tightened(SamplingSeries *s, const SamplingResult *lot)
{
    enum { FIVE = 5 };
    s->accepted = lot->accepted ? s->accepted + 1 : 0;
    s->rejected_tight += !lot->accepted;
    if (s->accepted >= FIVE)
        *s = (SamplingSeries){.severity = SAMPLING_NORMAL};
    else if (s->rejected_tight >= FIVE)
        *s = (SamplingSeries){.severity = SAMPLING_STOPPED};
}

void sampling_next(SamplingSeries *s, const SamplingResult *lot)
{
    if (s->severity == SAMPLING_NORMAL)
        on_normal(s, lot);
    else if (s->severity == SAMPLING_TIGHTENED)
        on_tightened(s, lot);
    else if (s->severity == SAMPLING_REDUCED && !lot->accepted)
        *s = (SamplingSeries){.severity = SAMPLING_NORMAL};
}
