#include "series.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/order.h"

static int pictures_of(const Series *s, double seconds)
{
    const int n = (int)lround(seconds / s->picture_s);
    return n < 1 ? 1 : n;
}

/* ---- shares of time ---------------------------------------------------------------------------------------------------- */

/* A hundredth that is lit is a title on black, or lamps. */
static bool is_black(const LookFigures *f)
{
    enum { LIT = 64 };
    return f->dark >= 0.98f && f->bright < LIT;
}

static const double FADED_S = 1.2; /* a second of black, and the last dim pictures before it */

/* How many black pictures at one end (step 1: the beginning, -1: the end) belong to a fade: at most 1.2 seconds, and the picture gets
 * brighter from there for a quarter of a second and more, never by leaps. */
static int faded(const Series *s, int step)
{
    enum { LEAP = 24 };
    const int first = step > 0 ? 0 : s->count - 1, rise = pictures_of(s, 0.25);
    int black = 0;
    while (black < s->count && is_black(s->f + first + step * black)) black++;
    if (black == 0 || black > pictures_of(s, FADED_S) || black + rise >= s->count) return 0;
    for (int i = black; i < black + rise; i++) {
        const float before = s->f[first + step * (i - 1)].mean, now = s->f[first + step * i].mean;
        if (now <= before || now > before + LEAP) return 0;
    }
    return black;
}

double series_black(const Series *s, float *local)
{
    const int from = faded(s, 1), to = s->count - faded(s, -1);
    int found = 0;
    for (int i = from; i < to; i++) found += is_black(s->f + i);
    const double total = found * s->picture_s;
    for (int i = 0; i < s->count; i++) local[i] = i >= from && i < to && is_black(s->f + i) ? (float)total : 0;
    return total;
}

double series_saturated(const Series *s, float *local)
{
    static const float most_pattern =
        0.69f; /* from 0.94 of the picture on it counts: test patterns have 0.93 at most */
    float *sorted = memory_get((size_t)s->count + 1, sizeof *sorted);
    for (int i = 0; i < s->count; i++) sorted[i] = fmaxf(s->f[i].ground, fminf(s->f[i].saturated, most_pattern));
    qsort(sorted, (size_t)s->count, sizeof *sorted, order_floats);
    const float usual = sorted[s->count / 4]; /* a ground or a pattern that is there nearly all the time is drawn so */
    free(sorted);
    const float least = fmaxf(usual + (1 - usual) / 2, fminf(usual + 0.25f, 0.98f));
    int found = 0;
    for (int i = 0; i < s->count; i++) found += s->f[i].saturated >= least;
    const double total = found * s->picture_s;
    for (int i = 0; i < s->count; i++) local[i] = s->f[i].saturated >= least ? (float)total : 0;
    return total;
}

/* How fast the pictures change on one side of a run that stands still. */
typedef struct {
    int pictures;            /* 0: there are too few to tell */
    double rate, near, most; /* change: mean of 0.6 s, of the nearest 0.17 s, and the largest */
} Pace;

/* From picture `first` outward: step -1 or 1. */
static Pace pace_of(const Series *s, int first, int step)
{
    enum { LEAST_PICTURES = 3 };
    const int window = pictures_of(s, 0.6), near = pictures_of(s, 0.17);
    Pace p = {0};
    int nearest = 0;
    for (int i = first; i >= 1 && i < s->count && p.pictures < window; i += step, p.pictures++) {
        const double change = s->f[i].change;
        p.rate += change;
        if (p.pictures < near) p.near += change, nearest++;
        p.most = fmax(p.most, change);
    }
    if (p.pictures < LEAST_PICTURES) return (Pace){0};
    p.rate /= p.pictures;
    p.near /= nearest;
    return p;
}

typedef struct {
    int last, end; /* the last picture that moved, and the next one that does */
    double inside; /* mean change */
} Rest;

/* The next one of at least 0.25 s from picture i on, false when there is none. What stands still is the same picture again, but for what an encoder adds at a
 * key picture; grain is not. */
static bool next_rest(const Series *s, int i, Rest *to)
{
    const int least = pictures_of(s, 0.25);
    while (i < s->count) {
        double change = 0;
        int end = i + 1;
        for (; end < s->count && s->f[end].moved == 0 && !is_black(s->f + end); end++) change += s->f[end].change;
        const int n = end - i - 1;
        *to = (Rest){i, end, n ? change / n : 0};
        if (n >= least && to->inside <= 0.3) return true;
        i = end;
    }
    return false;
}

/* Whether it goes on up to the rest with at least this share of its pace: what is about to rest slows down, and what rests most of the time has none. */
static bool goes_on(const Pace *p, double share)
{
    static const double least_rate = 0.1;
    return !p->pictures || (p->rate >= least_rate && p->near >= share * p->rate);
}

/* Whether a rest is a fault: the clip leaps from it to where it would have been, or goes on at its own pace up to it and from it, and all of the picture had
 * moved, or it rests nowhere else. A clip that stands still from begin to end is a still, and one with a pose that is held a drawing. */
static bool is_freeze(const Series *s, const Rest *r, bool only_rest)
{
    enum { WHOLE = 1 /* level: what a camera that moves changes */ };
    const Pace before = pace_of(s, r->last, -1), after = pace_of(s, r->end + 1, 1);
    if (!before.pictures && !after.pictures) return false;
    const double slower = !before.pictures ? after.rate : !after.pictures ? before.rate : fmin(before.rate, after.rate);
    if (r->inside > slower / 4) return false; /* goes on, so slowly that no part of it moved */
    const double step = fmin(1.5 * fmax(before.most, after.most), 4 * fmax(before.rate, after.rate));
    if (after.pictures && s->f[r->end].change >= step) return goes_on(&before, 0.4) && goes_on(&after, 0.4);
    const bool both = before.pictures && after.pictures;
    return (slower >= WHOLE || (both && only_rest)) && goes_on(&before, 0.7) && goes_on(&after, 0.7);
}

double series_frozen(const Series *s, float *local)
{
    double longest = 0;
    int rests = 0;
    Rest r;
    for (int i = 0; i < s->count; i++) local[i] = 0;
    for (int i = 0; next_rest(s, i, &r); i = r.end) rests++;
    for (int i = 0; next_rest(s, i, &r); i = r.end) {
        if (!is_freeze(s, &r, rests == 1)) continue;
        const double length = (r.end - r.last - 1) * s->picture_s;
        for (int k = r.last; k < r.end; k++) local[k] = (float)length;
        longest = fmax(longest, length);
    }
    return longest;
}

/* ---- flicker ------------------------------------------------------------------------------------------------------------- */

enum { CELLS = LOOK_CELLS * LOOK_CELLS, LEAST_TURNS = 4 };
static const float LEAST_TOGETHER = 0.55f; /* two fifths of the picture in step have 0.63 */

/* What cell c of picture i is above its neighbours in time. */
static float over_neighbours(const Series *s, int i, int c, int reach)
{
    const int first = i - reach < 0 ? 0 : i - reach, last = i + reach >= s->count ? s->count - 1 : i + reach;
    double sum = 0;
    for (int k = first; k <= last; k++) sum += s->f[k].cell[c];
    return s->f[i].cell[c] - (float)(sum / (last - first + 1));
}

/* What is black cannot flicker: mean over pictures [first, first + n). */
static bool is_lit(const Series *s, int first, int n, int c)
{
    enum { BLACK = 6 };
    double sum = 0;
    for (int i = first; i < first + n; i++) sum += s->f[i].cell[c];
    return sum > BLACK * n;
}

/* Of one cell in pictures [first, first + n): peak to peak where it alternates, else 0. */
static float cell_flicker(const float *over, int n)
{
    double squares = 0;
    int turns = 0;
    float side = 0, largest = 0;
    for (int i = 0; i < n; i++) largest = fmaxf(largest, fabsf(over[i * CELLS]));
    const float least =
        fmaxf(0.3f, 0.25f * largest); /* rounding, and what one single flash lifts its neighbours' means by */
    for (int i = 0; i < n; i++) {
        const float x = over[i * CELLS];
        squares += (double)x * x;
        if (fabsf(x) < least) continue;
        turns += x * side < 0;
        side = x;
    }
    return turns >= LEAST_TURNS ? 2 * (float)sqrt(squares / n) : 0;
}

/* Peak to peak of what all cells together do. */
static float common_flicker(const float *over, int n)
{
    double squares = 0;
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int c = 0; c < CELLS; c++) sum += over[i * CELLS + c];
        squares += sum * sum / (CELLS * CELLS);
    }
    return 2 * (float)sqrt(squares / n);
}

/* Of the cells that are lit, whether they go up and down together: 1; a camera that shakes makes one half brighter and the other darker. */
static float together(const float *over, int n, const bool *lit)
{
    double common = 0, each = 0;
    for (int i = 0; i < n; i++) {
        double sum = 0, squares = 0, count = 0;
        for (int c = 0; c < CELLS; c++) {
            if (!lit[c]) continue;
            sum += over[i * CELLS + c];
            squares += (double)over[i * CELLS + c] * over[i * CELLS + c];
            count++;
        }
        common += sum * sum / (count * count);
        each += squares / count;
    }
    return each > 0 ? (float)sqrt(common / each) : 1;
}

/* The eye sees shares of brightness, but for the last few levels: what a picture below 80 levels is counted by. */
static float dark_gain(const Series *s, int first, int n)
{
    double sum = 0;
    for (int i = first; i < first + n; i++) sum += s->f[i].mean;
    return fmaxf(1, 96 / ((float)(sum / n) + 16));
}

double series_flicker(const Series *s, float *local)
{
    int window = pictures_of(s, 1), reach = pictures_of(s, 0.25);
    if (window > s->count) window = s->count;
    if (reach < 1) reach = 1;
    float *over = memory_get((size_t)s->count * CELLS, sizeof *over), cell[CELLS];
    double worst = 0;
    for (int i = 0; i < s->count; i++)
        for (int c = 0; c < CELLS; c++) over[i * CELLS + c] = over_neighbours(s, i, c, reach);
    for (int i = 0; i < s->count; i++) local[i] = 0;
    for (int i = 0; i + window <= s->count; i++) {
        bool takes_part[CELLS];
        int lit = 0;
        for (int c = 0; c < CELLS; c++) {
            takes_part[c] = is_lit(s, i, window, c);
            if (takes_part[c]) cell[lit++] = cell_flicker(over + i * CELLS + c, window);
        }
        if (lit < CELLS / 4 || together(over + i * CELLS, window, takes_part) < LEAST_TOGETHER) continue;
        qsort(cell, (size_t)lit, sizeof *cell, order_floats);
        local[i] = fminf(cell[lit * 6 / 10], 2 * common_flicker(over + i * CELLS, window)) * dark_gain(s, i, window);
        worst = fmax(worst, local[i]);
    }
    free(over);
    return worst;
}

double series_vbench(const Series *s)
{
    double sum = 0;
    for (int i = 1; i < s->count; i++) sum += s->f[i].change;
    return s->count > 1 ? sum / (s->count - 1) : 0;
}

/* ---- jumps --------------------------------------------------------------------------------------------------------------- */

double series_jump(const Series *s, float *local)
{
    enum { REACH = 4 };
    double worst = 0;
    for (int i = 0; i < s->count; i++) {
        float most[2] = {0};
        for (int k = i - REACH; k <= i + REACH; k++)
            if (k >= 1 && k < s->count && k != i) order_keep(most, 2, s->f[k].change);
        const float alone = i && s->f[i].change > 2 * most[1] ? s->f[i].change - most[1] : 0;
        local[i] = fmaxf(alone, s->f[i].back);
        worst = fmax(worst, local[i]);
    }
    return worst;
}

/* ---- texture ------------------------------------------------------------------------------------------------------------- */

/* Of every half second the least, of these the largest: one sample that is off says nothing. value: one a picture, NAN where not sampled. */
static double worst_half_second(const Series *s, const float *value, float *local)
{
    double worst = NAN;
    for (int i = 0; i < s->count; i++) {
        float least = NAN;
        int samples = 0;
        local[i] = NAN;
        for (int k = i; k < s->count && s->f[k].at_s - s->f[i].at_s < 0.5; k++)
            if (!isnan(value[k])) {
                least = fminf(least, value[k]);
                samples++;
            }
        if (samples < 2 && i > 0) continue; /* the end of the clip */
        local[i] = least;
        worst = fmax(worst, least);
    }
    return worst;
}

#define OF_TEXTURE(name, figure)                                                                                       \
    double series_##name(const Series *s, float *local)                                                                \
    {                                                                                                                  \
        float *value = memory_get((size_t)s->count + 1, sizeof *value);                                                \
        for (int i = 0; i < s->count; i++) value[i] = s->f[i].texture.figure;                                          \
        const double worst = worst_half_second(s, value, local);                                                       \
        free(value);                                                                                                   \
        return worst;                                                                                                  \
    }
OF_TEXTURE(blur, edge)
OF_TEXTURE(blockiness, block)
OF_TEXTURE(banding, band)
#undef OF_TEXTURE

/* Of one part: the sharpness that two fifths of its samples exceed; NAN of a part that is flat for half of the time. */
static float usual_sharpness(const Series *s, int part, float *room)
{
    int n = 0, samples = 0;
    for (int i = 0; i < s->count; i++) {
        samples += s->f[i].sampled;
        if (s->f[i].sampled && s->f[i].texture.sharp[part] > 0) room[n++] = s->f[i].texture.sharp[part];
    }
    qsort(room, (size_t)n, sizeof *room, order_floats);
    return 2 * n > samples ? room[n * 6 / 10] : NAN;
}

static float lost_sharpness(const LookFigures *f, const float *usual)
{
    enum { LEAST_PARTS = 6 };
    static const float nothing = 0.02f; /* of a sharp edge: 0.5 */
    float lost[CELLS];
    int n = 0;
    for (int c = 0; c < CELLS; c++) {
        const float sharp = f->texture.sharp[c];
        if (!isnan(usual[c]) && !isnan(sharp)) lost[n++] = (usual[c] + nothing) / (sharp + nothing);
    }
    qsort(lost, (size_t)n, sizeof *lost, order_floats);
    return n >= LEAST_PARTS ? lost[n / 4] : NAN;
}

double series_blur_change(const Series *s, float *local)
{
    float *room = memory_get((size_t)s->count + 1, sizeof *room), usual[CELLS];
    for (int c = 0; c < CELLS; c++) usual[c] = usual_sharpness(s, c, room);
    for (int i = 0; i < s->count; i++) room[i] = s->f[i].mean;
    qsort(room, (size_t)s->count, sizeof *room, order_floats);
    const float dim = s->count ? room[s->count / 2] / 2 : 0; /* a fade takes the texture, too */
    for (int i = 0; i < s->count; i++)
        room[i] = s->f[i].sampled && s->f[i].mean >= dim ? lost_sharpness(s->f + i, usual) : NAN;
    const double worst = worst_half_second(s, room, local);
    free(room);
    return worst;
}

/* Of half a second on both sides of picture i, the least `deep`. */
static float deep_near(const Series *s, int i)
{
    const int reach = pictures_of(s, 0.5);
    float least = s->f[i].deep;
    for (int k = i - reach < 0 ? 0 : i - reach; k <= i + reach && k < s->count; k++) least = fminf(least, s->f[k].deep);
    return least;
}

static float level_of(const Series *s, int i)
{
    static const float bright_ground = 213 /* passes */, most_clipped = 0.1f;
    const LookFigures *f = s->f + i;
    const float deep = deep_near(s, i) + 40, level = fmaxf(fmaxf(f->mean, f->bright / 8), deep);
    return f->clipped < most_clipped ? fminf(level, fmaxf(deep, bright_ground)) : level;
}

double series_exposure(const Series *s, double middle, float *local)
{
    int window = pictures_of(s, 1);
    double furthest = NAN, sum = 0;
    if (window > s->count) window = s->count;
    for (int i = 0; i < s->count; i++) local[i] = NAN;
    for (int i = 0; i < s->count; i++) {
        sum += level_of(s, i);
        if (i >= window) sum -= level_of(s, i - window);
        if (i < window - 1) continue;
        const double mean = sum / window;
        local[i - window + 1] = (float)mean;
        if (isnan(furthest) || fabs(mean - middle) > fabs(furthest - middle)) furthest = mean;
    }
    return furthest;
}
