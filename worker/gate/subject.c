#include "subject.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/order.h"
#include "worker/gate/follow.h"

enum {
    KEPT = 48,
    PER_S = 24, /* at first; when all places are taken, every second picture goes and half as many come */
    LEAST = 8,
    LEVELS = 8,
    HUES = 12,
    DIRECTIONS = 8,
    FEATURES = LEVELS + HUES + 1 + DIRECTIONS
};

struct Subject {
    int width, height, count;
    double interval_s, next_s;
    uint8_t *rgb[KEPT];
    double at_s[KEPT];
};

Subject *subject_new(int width, int height)
{
    Subject *s = memory_get(1, sizeof *s);
    *s = (Subject){.width = width, .height = height, .interval_s = 1.0 / PER_S};
    return s;
}

void subject_free(Subject **s)
{
    if (!*s) return;
    for (int i = 0; i < (*s)->count; i++) free((*s)->rgb[i]);
    free(*s);
    *s = NULL;
}

static void thin_out(Subject *s)
{
    for (int i = 0; i < KEPT; i++)
        if (i % 2) {
            free(s->rgb[i]);
        } else {
            s->rgb[i / 2] = s->rgb[i];
            s->at_s[i / 2] = s->at_s[i];
        }
    s->count = KEPT / 2;
    s->interval_s *= 2;
    s->next_s = s->at_s[s->count - 1] + s->interval_s;
}

void subject_picture(Subject *s, const float *rgb, double at_s)
{
    const size_t n = (size_t)s->width * (size_t)s->height * 3;
    if (s->count && at_s < s->next_s - 1e-3) return;
    if (s->count == KEPT) thin_out(s);
    if (s->count && at_s < s->next_s - 1e-3) return;
    uint8_t *copy = s->rgb[s->count] = memory_get(n, 1);
    for (size_t i = 0; i < n; i++) copy[i] = (uint8_t)rgb[i];
    s->at_s[s->count++] = at_s;
    s->next_s = at_s + s->interval_s;
}

/* ---- drift ------------------------------------------------------------------------------------------------------------- */

static float luma_of(const uint8_t *p) { return 0.2126f * p[0] + 0.7152f * p[1] + 0.0722f * p[2]; }

static void normalise(double *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += x[i];
    for (int i = 0; i < n; i++) x[i] = sum > 0 ? x[i] / sum : 1.0 / n;
}

/* Levels against the picture's own mean and spread, so that light that changes is no other subject; a thing that enters a flat picture is none
 * either, so that the spread is at least a fifth of the mean. Returns the mean. */
static double add_levels(const Subject *s, const uint8_t *rgb, double *to)
{
    const int n = s->width * s->height;
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++) {
        const double y = luma_of(rgb + 3 * i);
        sum += y;
        squares += y * y;
    }
    const double mean = sum / n, spread = fmax(sqrt(fmax(squares / n - mean * mean, 0)), 4 + mean / 5);
    for (int i = 0; i < n; i++) {
        const double at = ((luma_of(rgb + 3 * i) - mean) / spread + 2) * LEVELS / 4 - 0.5;
        const double inside = at < 0 ? 0 : at > LEVELS - 1 ? LEVELS - 1 : at;
        const int k = (int)inside < LEVELS - 1 ? (int)inside : LEVELS - 2;
        to[k] += 1 - (inside - k);
        to[k + 1] += inside - k;
    }
    normalise(to, LEVELS);
    return mean;
}

/* How much of the picture has which hue, and how much has none; in a picture of this mean level. */
static void add_hues(const Subject *s, const uint8_t *rgb, double mean, double *to)
{
    const int n = s->width * s->height;
    const double full = 2 * mean + 32;
    for (int i = 0; i < n; i++) {
        const double r = rgb[3 * i], g = rgb[3 * i + 1], b = rgb[3 * i + 2];
        const double x = r - (g + b) / 2, y = (g - b) * 0.8660254, chroma = fmin(1, hypot(x, y) / full);
        const double at = (atan2(y, x) / (2 * M_PI) + 1) * HUES;
        const int k = (int)at;
        to[k % HUES] += chroma * (1 - (at - k));
        to[(k + 1) % HUES] += chroma * (at - k);
        to[HUES] += fmax(0, 0.25 - chroma);
    }
    normalise(to, HUES + 1);
}

static void add_directions(const Subject *s, const uint8_t *rgb, double *to)
{
    for (int y = 1; y < s->height - 1; y++)
        for (int x = 1; x < s->width - 1; x++) {
            const uint8_t *p = rgb + 3 * (y * s->width + x);
            const double dx = luma_of(p + 3) - luma_of(p - 3),
                         dy = luma_of(p + 3 * s->width) - luma_of(p - 3 * s->width);
            const double at = (atan2(dy, dx) / M_PI + 1) * DIRECTIONS; /* opposite directions are one */
            const int k = (int)at;
            to[k % DIRECTIONS] += hypot(dx, dy) * (1 - (at - k));
            to[(k + 1) % DIRECTIONS] += hypot(dx, dy) * (at - k);
        }
    normalise(to, DIRECTIONS);
}

static void describe(const Subject *s, int i, double *f)
{
    memset(f, 0, FEATURES * sizeof *f);
    const double mean = add_levels(s, s->rgb[i], f);
    add_hues(s, s->rgb[i], mean, f + LEVELS);
    add_directions(s, s->rgb[i], f + LEVELS + HUES + 1);
}

/* Bhattacharyya: 0 for the same, 100 for nothing in common. */
static double difference(const double *a, const double *b)
{
    double common = 0;
    for (int k = 0; k < FEATURES; k++) common += sqrt(a[k] * b[k]);
    return 100 * fmax(0, 1 - common / 3);
}

static void mean_of(const double (*f)[FEATURES], int first, int n, double *out)
{
    memset(out, 0, FEATURES * sizeof *out);
    for (int i = first; i < first + n; i++)
        for (int k = 0; k < FEATURES; k++) out[k] += f[i][k] / n;
}

/* Leaves out the pictures of a fade from black at the beginning, and into black at the end: they are dim and flat beside the clip's other
 * pictures, and have lost their colours. */
static void trim_fades(const Subject *s, int *first, int *end)
{
    enum { PARTS = 10, LEAST_PARTS = 3 };
    double mean[KEPT], spread[KEPT], middle[2][KEPT];
    const int n = s->width * s->height;
    for (int i = 0; i < s->count; i++) {
        double sum = 0, squares = 0;
        for (int k = 0; k < n; k++) {
            const double y = luma_of(s->rgb[i] + 3 * k);
            sum += y;
            squares += y * y;
        }
        middle[0][i] = mean[i] = sum / n;
        middle[1][i] = spread[i] = sqrt(fmax(0, squares / n - sum * sum / n / n));
    }
    for (int k = 0; k < 2; k++) qsort(middle[k], (size_t)s->count, sizeof **middle, order_doubles);
    const double dim = middle[0][s->count / 2] * LEAST_PARTS / PARTS,
                 flat = middle[1][s->count / 2] * LEAST_PARTS / PARTS;
    for (*first = 0; *first < s->count / 2 && mean[*first] < dim && spread[*first] < flat; ++*first) {
    }
    for (*end = s->count; *end > s->count / 2 && mean[*end - 1] < dim && spread[*end - 1] < flat; --*end) {
    }
}

static const double DRIFT_OF_NOTE = 3; /* a smaller drift is not looked into */

/* Of one quarter of the clip against another, the two that differ most and show other places. */
static double drift_of_quarters(const Follow *shown, const double (*f)[FEATURES], int *at)
{
    double a[FEATURES], b[FEATURES], worst = 0, fastest = -1;
    const int part = shown->count / 4;
    for (int i = 0; i + 2 * part <= shown->count; i++) {
        mean_of(f, i, part, a);
        for (int k = i + part; k + part <= shown->count; k++) {
            mean_of(f, k, part, b);
            double d = difference(a, b);
            if (d > fmax(worst, DRIFT_OF_NOTE) && follow_is_place(shown, i + part / 2, k + part / 2)) d = DRIFT_OF_NOTE;
            worst = fmax(worst, d);
            if (k > i + part || d <= fastest) continue;
            fastest = d;
            *at = k;
        }
    }
    return worst;
}

/* A blend of 10 is as certain as a drift of 5: good clips have up to 8. */
static const double BLEND_SHARE = 0.5;

double subject_drift(const Subject *s, double *at_s)
{
    double features[KEPT][FEATURES];
    int first, end, at = 0, blended = 0;
    if (s->count < LEAST) return NAN;
    trim_fades(s, &first, &end);
    const double length_s = s->at_s[s->count - 1] - s->at_s[0];
    const Follow f = {s->width, s->height, end - first, length_s / (s->count - 1),
                      (const uint8_t *const *)s->rgb + first};
    if (f.count < LEAST || !(f.interval_s > 0)) return NAN;
    for (int i = 0; i < f.count; i++) describe(s, first + i, features[i]);
    double worst = drift_of_quarters(&f, (const double(*)[FEATURES])features, &at);
    if (worst > DRIFT_OF_NOTE && follow_is_camera(&f)) worst = DRIFT_OF_NOTE;
    const double blend = BLEND_SHARE * follow_blend(&f, &blended);
    *at_s = s->at_s[first + (blend > worst ? blended : at)];
    worst = fmax(worst, blend);
    return worst > DRIFT_OF_NOTE && !follow_is_dissolve(&f) ? DRIFT_OF_NOTE : worst;
}

/* ---- permanence ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    const Subject *s;
    uint8_t *still; /* the scene without what moves */
    uint8_t *mask;  /* [count][height][width]: 1 where it moves */
    int size[KEPT]; /* pixels that move */
} Motion;

static int compare(const void *a, const void *b)
{
    const uint8_t x = *(const uint8_t *)a, y = *(const uint8_t *)b;
    return (x > y) - (x < y);
}

static void find_still(Motion *m)
{
    const Subject *s = m->s;
    uint8_t values[KEPT];
    for (int i = 0; i < s->width * s->height * 3; i++) {
        for (int k = 0; k < s->count; k++) values[k] = s->rgb[k][i];
        qsort(values, (size_t)s->count, 1, compare);
        m->still[i] = values[s->count / 2];
    }
}

static bool differs(const uint8_t *p, const uint8_t *q)
{
    enum { LEVELS_APART = 41 }; /* 0.16 of the range */
    return abs(p[0] - q[0]) > LEVELS_APART || abs(p[1] - q[1]) > LEVELS_APART || abs(p[2] - q[2]) > LEVELS_APART;
}

/* What differs from the still scene, for less than three quarters of the time, and is no lone pixel. */
static void find_motion(Motion *m)
{
    const Subject *s = m->s;
    const int w = s->width, h = s->height, n = w * h;
    uint8_t *raw = memory_get((size_t)n * (size_t)s->count, 1);
    for (int i = 0; i < n; i++) {
        int often = 0;
        for (int k = 0; k < s->count; k++) {
            raw[k * n + i] = differs(s->rgb[k] + 3 * i, m->still + 3 * i);
            often += raw[k * n + i];
        }
        for (int k = 0; k < s->count && 4 * often >= 3 * s->count; k++) raw[k * n + i] = 0;
    }
    for (int k = 0; k < s->count; k++)
        for (int y = 1; y < h - 1; y++)
            for (int x = 1; x < w - 1; x++) {
                const uint8_t *p = raw + k * n + y * w + x;
                const bool in = *p && p[-1] + p[1] + p[-w] + p[w] >= 2;
                m->mask[k * n + y * w + x] = in;
                m->size[k] += in;
            }
    free(raw);
}

static int median_size(const Motion *m, int from, int to)
{
    int sorted[KEPT], n = 0;
    for (int i = from; i < to; i++) {
        int at = n++;
        for (; at > 0 && sorted[at - 1] > m->size[i]; at--) sorted[at] = sorted[at - 1];
        sorted[at] = m->size[i];
    }
    return n ? sorted[n / 2] : 0;
}

/* Mean colour of what moves in these pictures. */
static void colour_of(const Motion *m, int from, int to, double out[3])
{
    const int n = m->s->width * m->s->height;
    double sum[3] = {0}, count = 0;
    for (int k = from; k < to; k++)
        for (int i = 0; i < n; i++) {
            if (!m->mask[k * n + i]) continue;
            for (int c = 0; c < 3; c++) sum[c] += m->s->rgb[k][3 * i + c];
            count++;
        }
    for (int c = 0; c < 3; c++) out[c] = count > 0 ? sum[c] / count : 0;
}

static double judge_motion(const Motion *m, double *at_s)
{
    const int n = m->s->count, least = m->s->width * m->s->height / 240;
    const int from[] = {n * 6 / 100, n * 30 / 100, n * 70 / 100, n * 94 / 100};
    const int first = median_size(m, from[0], from[1]), last = median_size(m, from[2], from[3]);
    int hidden = from[1];
    for (int i = from[1]; i < from[2]; i++)
        if (m->size[i] < m->size[hidden]) hidden = i;
    *at_s = m->s->at_s[hidden];
    if (first < least || m->size[hidden] >= 0.3 * first) return NAN;
    if (last < 0.3 * first) return 255;
    double before[3], after[3], most = 0;
    colour_of(m, from[0], from[1], before);
    colour_of(m, from[2], from[3], after);
    for (int c = 0; c < 3; c++) most = fmax(most, fabs(before[c] - after[c]));
    return most;
}

double subject_permanence(const Subject *s, double *at_s)
{
    const size_t n = (size_t)s->width * (size_t)s->height;
    if (s->count < 2 * LEAST) return NAN;
    Motion m = {.s = s, .still = memory_get(3 * n, 1), .mask = memory_get(n * (size_t)s->count, 1)};
    find_still(&m);
    find_motion(&m);
    const double value = judge_motion(&m, at_s);
    free(m.still);
    free(m.mask);
    return value;
}
