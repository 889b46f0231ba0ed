#include "series.h"

#include <math.h>
#include <stdlib.h>

#include "common/file.h"

static int pictures_of(const Series *s, double seconds)
{
    const int n = (int)lround(seconds / s->picture_s);
    return n < 1 ? 1 : n;
}

/* ---- shares of time ---------------------------------------------------------------------------------------------------- */

double series_black(const Series *s, float *local)
{
    int found = 0;
    for (int i = 0; i < s->count; i++) found += s->f[i].dark >= 0.98f;
    const double total = found * s->picture_s;
    for (int i = 0; i < s->count; i++) local[i] = s->f[i].dark >= 0.98f ? (float)total : 0;
    return total;
}

double series_saturated(const Series *s, float *local)
{
    int found = 0;
    for (int i = 0; i < s->count; i++) found += s->f[i].saturated >= 0.5f;
    const double total = found * s->picture_s;
    for (int i = 0; i < s->count; i++) local[i] = s->f[i].saturated >= 0.5f ? (float)total : 0;
    return total;
}

double series_frozen(const Series *s, float *local)
{
    double longest = 0;
    for (int i = 0; i < s->count; i++) local[i] = 0;
    for (int i = 0; i < s->count;) {
        int end = i + 1;
        while (end < s->count && s->f[end].still) end++;
        const double length = (end - i - 1) * s->picture_s;
        for (int k = i; k < end; k++) local[k] = (float)length;
        longest = fmax(longest, length);
        i = end;
    }
    return longest;
}

/* ---- flicker ------------------------------------------------------------------------------------------------------------- */

enum { CELLS = LOOK_CELLS * LOOK_CELLS, LEAST_TURNS = 4 };

/* What cell c of picture i is above its neighbours in time. */
static float over_neighbours(const Series *s, int i, int c, int reach)
{
    const int first = i - reach < 0 ? 0 : i - reach, last = i + reach >= s->count ? s->count - 1 : i + reach;
    double sum = 0;
    for (int k = first; k <= last; k++) sum += s->f[k].cell[c];
    return s->f[i].cell[c] - (float)(sum / (last - first + 1));
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

static int compare(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
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
        for (int c = 0; c < CELLS; c++) cell[c] = cell_flicker(over + i * CELLS + c, window);
        qsort(cell, CELLS, sizeof *cell, compare);
        local[i] = cell[CELLS * 6 / 10];
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
        float first = 0, second = 0;
        for (int k = i - REACH; k <= i + REACH; k++) {
            if (k < 1 || k >= s->count || k == i) continue;
            const float x = s->f[k].change;
            if (x > first) {
                second = first;
                first = x;
            } else if (x > second) {
                second = x;
            }
        }
        local[i] = i && s->f[i].change > 2 * second ? s->f[i].change - second : 0;
        worst = fmax(worst, local[i]);
    }
    return worst;
}

/* ---- texture ------------------------------------------------------------------------------------------------------------- */

static float edge_of(const LookFigures *f) { return f->edge; }
static float block_of(const LookFigures *f) { return f->block; }
static float band_of(const LookFigures *f) { return f->band; }

/* Of every half second the least, of these the largest: one sample that is off says nothing. */
static double worst_half_second(const Series *s, float (*value)(const LookFigures *), float *local)
{
    double worst = NAN;
    for (int i = 0; i < s->count; i++) {
        float least = NAN;
        int samples = 0;
        local[i] = NAN;
        for (int k = i; k < s->count && s->f[k].at_s - s->f[i].at_s < 0.5; k++)
            if (!isnan(value(s->f + k))) {
                least = fminf(least, value(s->f + k));
                samples++;
            }
        if (samples < 2 && i > 0) continue; /* the end of the clip */
        local[i] = least;
        worst = fmax(worst, least);
    }
    return worst;
}

double series_blur(const Series *s, float *local) { return worst_half_second(s, edge_of, local); }
double series_blockiness(const Series *s, float *local) { return worst_half_second(s, block_of, local); }
double series_banding(const Series *s, float *local) { return worst_half_second(s, band_of, local); }

double series_blur_change(const Series *s, float *local)
{
    float *edge = memory_get((size_t)s->count + 1, sizeof *edge);
    int n = 0;
    for (int i = 0; i < s->count; i++)
        if (!isnan(s->f[i].edge)) edge[n++] = s->f[i].edge;
    const double worst = worst_half_second(s, edge_of, local);
    qsort(edge, (size_t)n, sizeof *edge, compare);
    const float sharp = n ? edge[n * 4 / 10] : NAN;
    free(edge);
    for (int i = 0; i < s->count; i++) local[i] /= sharp;
    return worst / sharp;
}

double series_exposure(const Series *s, double middle, float *local)
{
    int window = pictures_of(s, 1);
    double furthest = NAN, sum = 0;
    if (window > s->count) window = s->count;
    for (int i = 0; i < s->count; i++) local[i] = NAN;
    for (int i = 0; i < s->count; i++) {
        sum += s->f[i].mean;
        if (i >= window) sum -= s->f[i - window].mean;
        if (i < window - 1) continue;
        const double mean = sum / window;
        local[i - window + 1] = (float)mean;
        if (isnan(furthest) || fabs(mean - middle) > fabs(furthest - middle)) furthest = mean;
    }
    return furthest;
}
