#include "follow.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/order.h"

static float luma_of(const uint8_t *p) { return 0.2126f * p[0] + 0.7152f * p[1] + 0.0722f * p[2]; }

/* ---- a camera that moves -------------------------------------------------------------------------------------------------------------- */

enum { SHRINK = 4, MOST_SIDE = 64 };
static const double PAN_LAG_S = 0.4, PAN_REACH = 0.35 /* of a side, in that time */;
static const double PAN_LEAST_AGREEMENT = 0.89, PAN_LEAST_WAY = 0.5 /* of a side */, PAN_SAME_LEVELS = 8;
static const double ZOOM_LEAST = 1.3, ZOOM_STEP = 1.05,
                    ZOOM_REACH = 0.1 /* of a side: the middle is not quite in the middle */;
enum { ZOOM_STEPS = 4 };

typedef struct {
    int width, height;
    float y[MOST_SIDE][MOST_SIDE], rgb[MOST_SIDE][MOST_SIDE][3];
} Tiny;

static void shrink(const Follow *f, int picture, Tiny *to)
{
    const uint8_t *from = f->rgb[picture];
    to->width = f->width / SHRINK < MOST_SIDE ? f->width / SHRINK : MOST_SIDE;
    to->height = f->height / SHRINK < MOST_SIDE ? f->height / SHRINK : MOST_SIDE;
    for (int y = 0; y < to->height; y++)
        for (int x = 0; x < to->width; x++) {
            float luma = 0, *rgb = to->rgb[y][x];
            rgb[0] = rgb[1] = rgb[2] = 0;
            for (int j = 0; j < SHRINK; j++)
                for (int i = 0; i < SHRINK; i++) {
                    const uint8_t *p = from + 3 * ((y * SHRINK + j) * f->width + x * SHRINK + i);
                    luma += luma_of(p) / (SHRINK * SHRINK);
                    for (int c = 0; c < 3; c++) rgb[c] += (float)p[c] / (SHRINK * SHRINK);
                }
            to->y[y][x] = luma;
        }
}

typedef struct { /* what both show of a, where b is a, moved by (dx, dy) */
    int x0, x1, y0, y1;
} Common;

static Common common_of(const Tiny *a, int dx, int dy)
{
    return (Common){dx > 0 ? dx : 0, a->width + (dx < 0 ? dx : 0), dy > 0 ? dy : 0, a->height + (dy < 0 ? dy : 0)};
}

/* Correlation of what both show. Differences of two levels are noise. */
static double agreement(const Tiny *a, const Tiny *b, int dx, int dy)
{
    const double noise = 4;
    const Common o = common_of(a, dx, dy);
    double sa = 0, sb = 0, aa = 0, bb = 0, ab = 0;
    for (int y = o.y0; y < o.y1; y++)
        for (int x = o.x0; x < o.x1; x++) {
            const double p = a->y[y][x], q = b->y[y - dy][x - dx];
            sa += p;
            sb += q;
            aa += p * p;
            bb += q * q;
            ab += p * q;
        }
    const double n = (double)(o.x1 - o.x0) * (o.y1 - o.y0);
    return (ab - sa * sb / n) / sqrt((aa - sa * sa / n + noise * n) * (bb - sb * sb / n + noise * n));
}

/* A ground without texture may become another one behind a thing that moves: no correlation tells that. */
static bool same_colours(const Tiny *a, const Tiny *b, int dx, int dy)
{
    const Common o = common_of(a, dx, dy);
    const double n = (double)(o.x1 - o.x0) * (o.y1 - o.y0);
    for (int c = 0; c < 3; c++) {
        double more = 0;
        for (int y = o.y0; y < o.y1; y++)
            for (int x = o.x0; x < o.x1; x++) more += b->rgb[y - dy][x - dx][c] - a->rgb[y][x][c];
        if (fabs(more) > PAN_SAME_LEVELS * n) return false;
    }
    return true;
}

typedef struct {
    double agreement; /* the best one, -1 where the colours are others */
    int dx, dy;
    int zoom; /* steps that b is magnified by, against a */
} Found;

/* The middle of a picture, magnified. */
static void magnify(const Tiny *from, double by, Tiny *to)
{
    to->width = from->width;
    to->height = from->height;
    for (int y = 0; y < to->height; y++)
        for (int x = 0; x < to->width; x++) {
            const double fx = (x - (to->width - 1) / 2.0) / by + (to->width - 1) / 2.0,
                         fy = (y - (to->height - 1) / 2.0) / by + (to->height - 1) / 2.0;
            const int x0 = (int)fx, y0 = (int)fy, x1 = x0 + 1 < to->width ? x0 + 1 : x0,
                      y1 = y0 + 1 < to->height ? y0 + 1 : y0;
            const float u = (float)(fx - x0), v = (float)(fy - y0);
            for (int c = 0; c < 3; c++)
                to->rgb[y][x][c] = (from->rgb[y0][x0][c] * (1 - u) + from->rgb[y0][x1][c] * u) * (1 - v) +
                                   (from->rgb[y1][x0][c] * (1 - u) + from->rgb[y1][x1][c] * u) * v;
            to->y[y][x] = (from->y[y0][x0] * (1 - u) + from->y[y0][x1] * u) * (1 - v) +
                          (from->y[y1][x0] * (1 - u) + from->y[y1][x1] * u) * v;
        }
}

static void find_moved(const Tiny *a, const Tiny *b, int zoom, Found *best)
{
    const double reach = zoom ? ZOOM_REACH : PAN_REACH;
    const int reach_x = (int)(a->width * reach), reach_y = (int)(a->height * reach);
    for (int dy = -reach_y; dy <= reach_y; dy++)
        for (int dx = -reach_x; dx <= reach_x; dx++) {
            const double found = agreement(a, b, dx, dy);
            if (found <= best->agreement) continue;
            *best = (Found){found, dx, dy, zoom};
            if (!same_colours(a, b, dx, dy)) best->agreement = -1;
        }
}

/* room: one picture. */
static Found find_again(const Tiny *a, const Tiny *b, Tiny *room)
{
    Found best = {.agreement = -1};
    find_moved(a, b, 0, &best);
    for (int zoom = 1; zoom <= ZOOM_STEPS && best.agreement < 0.98; zoom++) {
        magnify(a, pow(ZOOM_STEP, zoom), room);
        find_moved(room, b, zoom, &best);
        magnify(b, pow(ZOOM_STEP, zoom), room);
        find_moved(a, room, -zoom, &best);
    }
    return best;
}

bool follow_is_camera(const Follow *f)
{
    const int lag = (int)lround(PAN_LAG_S / f->interval_s) > 1 ? (int)lround(PAN_LAG_S / f->interval_s) : 1;
    const int step = lag / 2 > 1 ? lag / 2 : 1;
    double least = 1, x = 0, y = 0, zoom = 0;
    if (f->width < 4 * SHRINK || f->height < 4 * SHRINK || f->count <= lag) return false;
    Tiny *a = memory_get(3, sizeof *a), *b = a + 1;
    for (int i = 0; i + lag < f->count && least >= PAN_LEAST_AGREEMENT; i += step) {
        shrink(f, i, a);
        shrink(f, i + lag, b);
        const Found found = find_again(a, b, a + 2);
        least = fmin(least, found.agreement);
        x += (double)found.dx / a->width * step / lag;
        y += (double)found.dy / a->height * step / lag;
        zoom += (double)found.zoom * step / lag;
    }
    free(a);
    return least >= PAN_LEAST_AGREEMENT &&
           (hypot(x, y) >= PAN_LEAST_WAY || fabs(zoom) * log(ZOOM_STEP) >= log(ZOOM_LEAST));
}

/* ---- a place that stays -------------------------------------------------------------------------------------------------- */

enum { PLACE_SIDE = 10 /* of a part, in small pixels */, PLACE_LEAST_PARTS = 12 };
static const double PLACE_AGREEMENT = 0.7, PLACE_SHARE = 0.5, PLACE_TEXTURE = 3 /* levels, root mean square */,
                    PLACE_HUE = 0.08;

typedef struct { /* one part of a picture: sums over its pixels */
    double y, ramp_x, ramp_y, colour[3];
} Part;

static float ramp_of(int i) { return (float)i - (PLACE_SIDE - 1) / 2.0f; }

static Part part_of(const Follow *f, const uint8_t *rgb)
{
    Part s = {0};
    for (int y = 0; y < PLACE_SIDE; y++)
        for (int x = 0; x < PLACE_SIDE; x++) {
            const uint8_t *p = rgb + 3 * (y * f->width + x);
            const float luma = luma_of(p);
            s.y += luma;
            s.ramp_x += luma * ramp_of(x);
            s.ramp_y += luma * ramp_of(y);
            for (int c = 0; c < 3; c++) s.colour[c] += p[c];
        }
    return s;
}

/* The mean product of both parts' luma, after the plane that fits each part best is taken away: such a plane may be light. */
static double product_of(const Follow *f, const uint8_t *a, const uint8_t *b, const Part *pa, const Part *pb)
{
    const double n = PLACE_SIDE * PLACE_SIDE, ramp = n * (PLACE_SIDE * PLACE_SIDE - 1) / 12.0;
    double ab = 0;
    for (int y = 0; y < PLACE_SIDE; y++)
        for (int x = 0; x < PLACE_SIDE; x++)
            ab += luma_of(a + 3 * (y * f->width + x)) * luma_of(b + 3 * (y * f->width + x));
    return (ab - pa->y * pb->y / n - (pa->ramp_x * pb->ramp_x + pa->ramp_y * pb->ramp_y) / ramp) / n;
}

/* The same shares of red, green and blue, but for four levels of noise. */
static bool same_hue(const Part *a, const Part *b)
{
    const double n = PLACE_SIDE * PLACE_SIDE, of_a = a->colour[0] + a->colour[1] + a->colour[2] + 12 * n,
                 of_b = b->colour[0] + b->colour[1] + b->colour[2] + 12 * n;
    for (int c = 0; c < 3; c++)
        if (fabs((a->colour[c] + 4 * n) / of_a - (b->colour[c] + 4 * n) / of_b) > PLACE_HUE) return false;
    return true;
}

/* Of one part: whether it is the same; -1 where neither has texture. */
static int is_same_part(const Follow *f, const uint8_t *a, const uint8_t *b)
{
    const Part pa = part_of(f, a), pb = part_of(f, b);
    const double va = product_of(f, a, a, &pa, &pa), vb = product_of(f, b, b, &pb, &pb);
    if (fmax(va, vb) < PLACE_TEXTURE * PLACE_TEXTURE) return -1;
    const double found = product_of(f, a, b, &pa, &pb) / sqrt((va + 1) * (vb + 1)); /* a level is noise */
    return found >= PLACE_AGREEMENT && same_hue(&pa, &pb);
}

bool follow_is_place(const Follow *f, int a, int b)
{
    int parts = 0, same = 0;
    for (int y = 0; y + PLACE_SIDE <= f->height; y += PLACE_SIDE)
        for (int x = 0; x + PLACE_SIDE <= f->width; x += PLACE_SIDE) {
            const ptrdiff_t at = 3 * ((ptrdiff_t)y * f->width + x);
            const int found = is_same_part(f, f->rgb[a] + at, f->rgb[b] + at);
            parts += found >= 0;
            same += found > 0;
        }
    return parts >= PLACE_LEAST_PARTS && same >= PLACE_SHARE * parts;
}

/* ---- fading over ------------------------------------------------------------------------------------------------------- */

static const double BLEND_LAG_S = 0.6;
enum { PLACE_LAGS = 3 }; /* so far from a picture, on both sides, a slow fade has ended */

/* A picture's luma less its mean; returns the deviation. */
static double centre(const uint8_t *rgb, int n, float *to)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++) sum += to[i] = luma_of(rgb + 3 * i);
    const float mean = (float)(sum / n);
    for (int i = 0; i < n; i++) {
        to[i] -= mean;
        squares += (double)to[i] * to[i];
    }
    return sqrt(squares / n);
}

/* before, now, after: n pixels each, their means removed; the deviation of the first and the last. */
static double blend_of(const float *before, const float *now, const float *after, int n, double sa, double sb)
{
    const double spread_a = sa + 1, spread_b = sb + 1; /* levels: noise */
    double product = 0, off = 0, other = 0;
    for (int i = 0; i < n; i++) product += (after[i] - before[i]) / 2.0 * before[i];
    const double gain = product / n / (spread_a * spread_a); /* light that changed */
    for (int i = 0; i < n; i++) {
        const double change = (after[i] - before[i]) / 2.0 - gain * before[i],
                     rest = now[i] - (before[i] + after[i]) / 2.0;
        other += change * change;
        off += rest * rest;
    }
    other = sqrt(other / n);
    off = sqrt(off / n);
    const double share = 1 - off / (other + 0.5);
    return share > 0 ? 100 * share * other / ((spread_a + spread_b) / 2 + 4) : 0;
}

double follow_blend(const Follow *f, int *at)
{
    const int n = f->width * f->height, lag = (int)lround(BLEND_LAG_S / f->interval_s);
    double worst = 0;
    if (lag < 1 || f->count <= 2 * lag) return 0;
    float *y = memory_get((size_t)n * (size_t)f->count, sizeof *y);
    double *spread = memory_get((size_t)f->count, 2 * sizeof *spread), *sorted = spread + f->count;
    for (int i = 0; i < f->count; i++) spread[i] = centre(f->rgb[i], n, y + (ptrdiff_t)i * n);
    memcpy(sorted, spread, (size_t)f->count * sizeof *sorted);
    qsort(sorted, (size_t)f->count, sizeof *sorted, order_doubles);
    const double flat = 0.6 * sorted[f->count / 2]; /* what comes out of black or goes there is a fade */
    for (int i = lag; i + lag < f->count; i++) {
        if (spread[i - lag] < flat || spread[i + lag] < flat) continue;
        const double blend = blend_of(y + (ptrdiff_t)(i - lag) * n, y + (ptrdiff_t)i * n, y + (ptrdiff_t)(i + lag) * n,
                                      n, spread[i - lag], spread[i + lag]);
        const int before = i - PLACE_LAGS * lag, after = i + PLACE_LAGS * lag;
        if (blend <= worst || follow_is_place(f, before > 0 ? before : 0, after < f->count ? after : f->count - 1))
            continue;
        worst = blend;
        *at = i;
    }
    free(spread);
    free(y);
    return worst;
}

/* ---- a dissolve ---------------------------------------------------------------------------------------------------------- */

/* Mean square of the differences between neighbours, as shares of their brightness: light that wanders does not change it. */
static double edges_of(const uint8_t *rgb, int width, int height)
{
    const double dark = 16;
    double sum = 0;
    for (int y = 0; y + 1 < height; y++)
        for (int x = 0; x + 1 < width; x++) {
            const uint8_t *p = rgb + 3 * (y * width + x), *below = p + 3 * width;
            double squares = 0;
            for (int c = 0; c < 3; c++) {
                const double across = p[c + 3] - p[c], down = below[c] - p[c];
                squares += across * across + down * down;
            }
            const double light = luma_of(p) + dark;
            sum += squares / (light * light);
        }
    return sum / (3.0 * (width - 1) * (height - 1));
}

bool follow_is_dissolve(const Follow *f)
{
    static const double deepest = 0.7, noise = 4e-4 /* two per cent */, least_half_s = 0.5;
    const int least = (int)lround(least_half_s / f->interval_s), from = least > 2 ? least : 2;
    bool found = false;
    if (f->width < 2 || f->height < 2) return false;
    double *raw = memory_get((size_t)f->count, 2 * sizeof *raw), *edges = raw + f->count;
    for (int i = 0; i < f->count; i++) raw[i] = edges_of(f->rgb[i], f->width, f->height) + noise;
    for (int i = 0; i < f->count; i++)
        edges[i] = (raw[i > 0 ? i - 1 : 0] + raw[i] + raw[i + 1 < f->count ? i + 1 : i]) / 3;
    for (int half = from; half <= f->count / 2 && !found; half++)
        for (int i = half; i + half < f->count && !found; i++)
            found = edges[i] <= deepest * (edges[i - half] + edges[i + half]) / 2;
    free(raw);
    return found;
}
