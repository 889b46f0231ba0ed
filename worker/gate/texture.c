#include "texture.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/order.h"

enum {
    EDGE_SIDE = 480,  /* edges are measured on a copy of this many pixels */
    EDGE_LEVELS = 24, /* less is texture or noise */
    MAX_EDGES = 1 << 16,
    MIN_EDGES = 24,
    MIN_SIDE = 160,
    MIN_LINES = 7, /* of a grid, else chance makes one */
    MIN_GRID = 4,
    MAX_GRID = 32,
    FLAT = 4,          /* pixels of one value: a step of a stair */
    LEAST_STEP = 3,    /* a gradient in 8 bits has steps of one */
    LARGEST_STEP = 16, /* more is an edge */
    NEAR_PARTS = 120,  /* of the longer side, for a cell's sharpness */
};

struct Texture {
    int width, height, box, small_width, small_height;
    uint8_t *small;
    float *widths; /* of edges */
    int edges;
    float *column, *row, *sorted; /* second differences of each; sorted is as long as the longer side */
};

Texture *texture_new(int width, int height)
{
    Texture *t = memory_get(1, sizeof *t);
    const int longer = width > height ? width : height;
    int box = (longer + EDGE_SIDE - 1) / EDGE_SIDE;
    if (box > width) box = width;
    if (box > height) box = height;
    *t = (Texture){
        .width = width, .height = height, .box = box, .small_width = width / box, .small_height = height / box};
    t->small = memory_get((size_t)t->small_width * (size_t)t->small_height, 1);
    t->widths = memory_get(MAX_EDGES, sizeof *t->widths);
    t->column = memory_get((size_t)width, sizeof *t->column);
    t->row = memory_get((size_t)height, sizeof *t->row);
    t->sorted = memory_get((size_t)longer, sizeof *t->sorted);
    return t;
}

void texture_free(Texture **t)
{
    if (!*t) return;
    free((*t)->small);
    free((*t)->widths);
    free((*t)->column);
    free((*t)->row);
    free((*t)->sorted);
    free(*t);
    *t = NULL;
}

/* The value that `share` of them are below; sorts them. */
static float quantile(float *x, int n, double share)
{
    qsort(x, (size_t)n, sizeof *x, order_floats);
    return x[(int)(share * (n - 1))];
}

/* ---- edges ----------------------------------------------------------------------------------------------------------- */

static void shrink(Texture *t, const uint8_t *luma, int stride)
{
    const int k = t->box;
    for (int y = 0; y < t->small_height; y++)
        for (int x = 0; x < t->small_width; x++) {
            int sum = 0;
            for (int j = 0; j < k; j++)
                for (int i = 0; i < k; i++) sum += luma[(ptrdiff_t)(y * k + j) * stride + x * k + i];
            t->small[y * t->small_width + x] = (uint8_t)((sum + k * k / 2) / (k * k));
        }
}

/* Rises and falls of one line of n pixels, `step` apart. */
static void find_edges(Texture *t, const uint8_t *p, int n, int step)
{
    int start = 0, sign = 0, steepest = 0;
    for (int i = 1; i <= n; i++) {
        const int d = i < n ? p[i * step] - p[(i - 1) * step] : 0;
        const int turn = i == n || (d > 0 && sign < 0) || (d < 0 && sign > 0);
        if (turn) {
            const int height = abs(p[(i - 1) * step] - p[start * step]);
            if (height >= EDGE_LEVELS && steepest > 0 && t->edges < MAX_EDGES)
                t->widths[t->edges++] = (float)height * 2 / (float)steepest;
            start = i - 1;
            steepest = 0;
            sign = 0;
        }
        if (i == n) break;
        if (d) sign = d;
        const int over_two = i + 1 < n ? abs(p[(i + 1) * step] - p[(i - 1) * step]) : abs(d);
        if (over_two > steepest) steepest = over_two;
    }
}

static float edge_width(Texture *t)
{
    const int w = t->small_width, h = t->small_height;
    t->edges = 0;
    for (int y = 0; y < h; y += 2) find_edges(t, t->small + y * w, w, 1);
    for (int x = 0; x < w; x += 2) find_edges(t, t->small + x, h, w);
    if (w < MIN_SIDE && h < MIN_SIDE) return NAN; /* no edge is narrow there */
    if (t->edges < MIN_EDGES || t->edges < (w + h) / 6) return NAN;
    const int longer = w > h ? w : h;
    return quantile(t->widths, t->edges, 0.03) * 1000 / (float)longer;
}

/* ---- sharpness -------------------------------------------------------------------------------------------------------- */

static int beyond(int x, int least) { return x > least ? x - least : 0; }

/* Of one cell, over `near` pixels. Rounding to whole levels gives a slow ramp differences of its own, an encoder more; they do not count. */
static float cell_sharpness(const Texture *t, int near, int x0, int x1, int y0, int y1)
{
    const int w = t->small_width, far = 2 * near;
    int64_t fine = 0, coarse = 0;
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++) {
            const uint8_t *p = t->small + y * w + x;
            fine +=
                beyond(abs(2 * p[0] - p[-near] - p[near]), 2) + beyond(abs(2 * p[0] - p[-near * w] - p[near * w]), 2);
            coarse += beyond(abs(p[far] - p[-far]), 3) + beyond(abs(p[far * w] - p[-far * w]), 3);
        }
    const int64_t pixels = (int64_t)(x1 - x0) * (y1 - y0);
    if (pixels > 0 && 2 * coarse < pixels) return 0;
    return pixels > 0 && coarse >= 2 * pixels ? (float)fine / (float)coarse : NAN;
}

static void sharpness(const Texture *t, float *cell)
{
    const int longer = t->small_width > t->small_height ? t->small_width : t->small_height;
    const int near = longer > NEAR_PARTS ? longer / NEAR_PARTS : 1, border = 2 * near;
    const int w = t->small_width - 2 * border, h = t->small_height - 2 * border;
    for (int i = 0; i < TEXTURE_CELLS * TEXTURE_CELLS; i++) {
        const int x = i % TEXTURE_CELLS, y = i / TEXTURE_CELLS;
        cell[i] = w <= 0 || h <= 0
                      ? NAN
                      : cell_sharpness(t, near, border + w * x / TEXTURE_CELLS, border + w * (x + 1) / TEXTURE_CELLS,
                                       border + h * y / TEXTURE_CELLS, border + h * (y + 1) / TEXTURE_CELLS);
    }
}

static const float floor_levels =
    0.5f; /* below that nobody sees a step; smooth pictures have 0.02 between their lines */

/* ---- blocks ---------------------------------------------------------------------------------------------------------- */

/* line[i]: how much the step from pixel i-1 to i exceeds its neighbours, over all lines across; steps above 20 levels are edges. */
static void second_differences(float *line, const uint8_t *luma, int n, ptrdiff_t step, int lines, ptrdiff_t next)
{
    for (int i = 0; i < n; i++) line[i] = 0;
    int used = 0;
    for (int k = 0; k < lines; k += 2, used++) {
        const uint8_t *p = luma + (ptrdiff_t)k * next;
        for (int i = 2; i < n - 1; i++) {
            const int before = abs(p[(i - 1) * step] - p[(i - 2) * step]), here = abs(p[i * step] - p[(i - 1) * step]);
            const int after = abs(p[(i + 1) * step] - p[i * step]);
            const int more = 2 * here - before - after;
            if (more > 0) line[i] += (float)(more > 40 ? 40 : more) / 2;
        }
    }
    for (int i = 0; i < n && used; i++) line[i] /= (float)used;
}

/* How much the lines of a grid of this period stand out from all n lines, at the phase where they do most. */
static float grid_strength(Texture *t, const float *line, int n, int period, float all)
{
    float best = 0;
    for (int phase = 0; phase < period; phase++) {
        int count = 0;
        for (int i = phase; i < n - 1; i += period)
            if (i >= 2) t->sorted[count++] = line[i];
        if (count >= MIN_LINES) best = fmaxf(best, quantile(t->sorted, count, 0.4) + floor_levels);
    }
    return best / all;
}

static float median_line(Texture *t, const float *line, int n)
{
    for (int i = 0; i < n; i++) t->sorted[i] = line[i];
    return quantile(t->sorted + 2, n - 3, 0.5) + floor_levels;
}

/* The same grid shows in both directions. */
static float blockiness(Texture *t, const uint8_t *luma, int stride)
{
    float best = 1;
    if (t->width < MIN_GRID * MIN_LINES || t->height < MIN_GRID * MIN_LINES) return NAN;
    second_differences(t->column, luma, t->width, 1, t->height, stride);
    second_differences(t->row, luma, t->height, stride, t->width, 1);
    const float all_columns = median_line(t, t->column, t->width), all_rows = median_line(t, t->row, t->height);
    for (int period = MIN_GRID; period <= MAX_GRID; period++) {
        const float across = grid_strength(t, t->column, t->width, period, all_columns);
        if (across > best) best = fmaxf(best, fminf(across, grid_strength(t, t->row, t->height, period, all_rows)));
    }
    return best;
}

/* ---- bands ----------------------------------------------------------------------------------------------------------- */

/* Pixels of one line that lie on a stair. A step is flat to within one level (the encoder's), and the next one begins abruptly: a smooth
 * gradient goes up by one level at a time. */
static int stair_pixels(const uint8_t *p, int n, ptrdiff_t step)
{
    int found = 0, steps = 0, pixels = 0, direction = 0, start = 0;
    for (int i = 1; i <= n; i++) {
        if (i < n && abs(p[i * step] - p[start * step]) <= 1) continue;
        const bool flat = i - start >= FLAT && i - start <= n / 4; /* longer: a sky, no step */
        const int rise = i < n && i >= 2 ? p[i * step] - p[(i - 2) * step] : 0;
        const bool abrupt =
            abs(rise) >= LEAST_STEP && abs(rise) <= LARGEST_STEP && (direction == 0 || (rise > 0) == (direction > 0));
        if (flat) {
            steps++;
            pixels += i - start;
        }
        if (!flat && i - start <= 2 && steps) { /* the slope of a step, smeared by the encoder */
            start = i;
            continue;
        }
        if (!flat || !abrupt) {
            if (steps >= 3) found += pixels;
            steps = pixels = direction = 0;
        } else {
            direction = rise;
        }
        start = i;
    }
    return steps >= 3 ? found + pixels : found;
}

static float banding(const Texture *t, const uint8_t *luma, int stride)
{
    int64_t across = 0, down = 0;
    for (int y = 0; y < t->height; y += 4) across += stair_pixels(luma + (ptrdiff_t)y * stride, t->width, 1);
    for (int x = 0; x < t->width; x += 4) down += stair_pixels(luma + x, t->height, stride);
    return 100 * 4 * (float)(across > down ? across : down) / ((float)t->width * (float)t->height);
}

void texture_measure(Texture *t, const uint8_t *luma, int stride, TextureFigures *out)
{
    shrink(t, luma, stride);
    out->edge = edge_width(t);
    sharpness(t, out->sharp);
    out->block = blockiness(t, luma, stride);
    out->band = banding(t, luma, stride);
}
