#include "slip.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/order.h"

enum { PLANES = 4 /* luma, R, G, B */, PARTS = 20, STROKES = 20 /* along the longer side */, REACH = 4 /* pictures */ };
static const float SEARCH = 0.04f /* of the longer side */, NOISE = 6 /* levels */,
                   OFTEN = 0.4f /* of what happens again and again */;

enum { WIDE = 1, HIGH = 2, DIFFERS = 4 };

struct Slip {
    int width, height, side, columns, rows, search, stroke;
    uint8_t *now, *before; /* [PLANES][height][width] */
    uint8_t *solid;        /* [height][width]: WIDE, HIGH, DIFFERS */
    uint8_t *left;         /* [count][rows][columns]: levels that no movement explains */
    float *light;          /* [count]: mean luma */
    int count, room;
};

Slip *slip_new(int width, int height)
{
    Slip *s = memory_get(1, sizeof *s);
    const int longer = width > height ? width : height;
    int side = longer / PARTS > 4 ? longer / PARTS : 4;
    if (side > width) side = width;
    if (side > height) side = height;
    *s = (Slip){.width = width, .height = height, .side = side, .columns = width / side, .rows = height / side};
    s->search = (int)lroundf(SEARCH * (float)longer);
    s->stroke = longer / STROKES;
    const size_t n = (size_t)width * (size_t)height * PLANES;
    s->now = memory_get(n, 1);
    s->before = memory_get(n, 1);
    s->solid = memory_get(n / PLANES, 1);
    return s;
}

void slip_free(Slip **slip)
{
    if (!*slip) return;
    free((*slip)->now);
    free((*slip)->before);
    free((*slip)->solid);
    free((*slip)->light);
    free((*slip)->left);
    free(*slip);
    *slip = NULL;
}

/* Sum of absolute differences of two squares. */
static int apart(const Slip *s, const uint8_t *a, const uint8_t *b)
{
    int sum = 0;
    for (int y = 0; y < s->side; y++, a += s->width, b += s->width)
        for (int x = 0; x < s->side; x++) sum += abs(a[x] - b[x]);
    return sum;
}

/* Levels, the mean of R, G and B; the squares begin at these places. */
static float colours_apart(const Slip *s, const uint8_t *a, ptrdiff_t at_a, const uint8_t *b, ptrdiff_t at_b)
{
    const ptrdiff_t plane = (ptrdiff_t)s->width * s->height;
    int sum = 0;
    for (int k = 1; k < PLANES; k++) sum += apart(s, a + k * plane + at_a, b + k * plane + at_b);
    return (float)sum / (float)(3 * s->side * s->side);
}

/* What is left of the square at (x, y) of a where it is found again in b. */
static float left_of(const Slip *s, const uint8_t *a, const uint8_t *b, int x, int y)
{
    const ptrdiff_t at = (ptrdiff_t)y * s->width + x;
    int least = apart(s, a + at, b + at);
    ptrdiff_t best = at;
    for (int j = y - s->search; j <= y + s->search; j++)
        for (int i = x - s->search; i <= x + s->search; i++) {
            if (j < 0 || i < 0 || j + s->side > s->height || i + s->side > s->width) continue;
            const ptrdiff_t to = (ptrdiff_t)j * s->width + i;
            const int found = apart(s, a + at, b + to);
            if (found >= least) continue;
            least = found;
            best = to;
        }
    return colours_apart(s, a, at, b, best);
}

/* Of one row or column, marks what differs in runs that are longer than a stroke. */
static void mark_runs(const Slip *s, ptrdiff_t from, int count, int step, uint8_t bit)
{
    const ptrdiff_t plane = (ptrdiff_t)s->width * s->height;
    const uint8_t *a = s->now + from, *b = s->before + from;
    for (int i = 0, start = 0; i <= count; i++) {
        bool differs = false;
        for (int k = 1; k < PLANES && i < count; k++)
            differs |= abs(a[k * plane + i * step] - b[k * plane + i * step]) > NOISE;
        if (differs) continue;
        for (int j = start; j < i; j++)
            s->solid[from + j * step] |= (uint8_t)((i - start > s->stroke ? bit : 0) | DIFFERS);
        start = i + 1;
    }
}

/* The share of what differs in a part that is no stroke: letters come and go. */
static float solid_share(const Slip *s, int x, int y)
{
    int differs = 0, solid = 0;
    for (int j = y; j < y + s->side; j++)
        for (int i = x; i < x + s->side; i++) {
            const uint8_t p = s->solid[j * s->width + i];
            differs += p != 0;
            solid += p == (WIDE | HIGH | DIFFERS);
        }
    return differs ? (float)solid / (float)differs : 0;
}

static void compare(const Slip *s, uint8_t *left)
{
    memset(s->solid, 0, (size_t)s->width * (size_t)s->height);
    for (int y = 0; y < s->height; y++) mark_runs(s, (ptrdiff_t)y * s->width, s->width, 1, WIDE);
    for (int x = 0; x < s->width; x++) mark_runs(s, x, s->height, s->width, HIGH);
    for (int j = 0; j < s->rows; j++)
        for (int i = 0; i < s->columns; i++) {
            const int x = i * s->side, y = j * s->side;
            const ptrdiff_t at = (ptrdiff_t)y * s->width + x;
            float found = colours_apart(s, s->now, at, s->before, at);
            const float solid = found > NOISE ? solid_share(s, x, y) : 1;
            if (found > NOISE && solid > 0)
                found = fminf(found, fmaxf(left_of(s, s->now, s->before, x, y), left_of(s, s->before, s->now, x, y)));
            found *= solid;
            left[j * s->columns + i] = (uint8_t)lroundf(found);
        }
}

void slip_picture(Slip *s, const float *rgb)
{
    const int n = s->width * s->height, parts = s->columns * s->rows;
    uint8_t *old = s->before;
    double light = 0;
    s->before = s->now;
    s->now = old;
    for (int i = 0; i < n; i++) {
        const float r = rgb[3 * i], g = rgb[3 * i + 1], b = rgb[3 * i + 2];
        s->now[i] = (uint8_t)(0.2126f * r + 0.7152f * g + 0.0722f * b);
        light += s->now[i];
        s->now[n + i] = (uint8_t)r;
        s->now[2 * n + i] = (uint8_t)g;
        s->now[3 * n + i] = (uint8_t)b;
    }
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->left = memory_resize(s->left, (size_t)s->room * (size_t)parts, 1);
        s->light = memory_resize(s->light, (size_t)s->room, sizeof *s->light);
    }
    s->light[s->count] = (float)(light / n);
    uint8_t *left = s->left + (ptrdiff_t)s->count * parts;
    if (s->count)
        compare(s, left);
    else
        memset(left, 0, (size_t)parts);
    s->count++;
}

/* Of a part and those beside it, in one picture. */
static int most_around(const Slip *s, int picture, int column, int row)
{
    const uint8_t *left = s->left + (ptrdiff_t)picture * s->columns * s->rows;
    int most = 0;
    for (int j = row > 0 ? row - 1 : 0; j <= row + 1 && j < s->rows; j++)
        for (int i = column > 0 ? column - 1 : 0; i <= column + 1 && i < s->columns; i++)
            if (left[j * s->columns + i] > most) most = left[j * s->columns + i];
    return most;
}

/* Whether the whole picture gets brighter, or darker, in each of these steps. */
static bool is_fading(const Slip *s, int first, int steps)
{
    static const float least = 0.7f; /* levels from picture to picture */
    int up = 0, down = 0;
    if (first < 0 || first + steps >= s->count) return false;
    for (int k = first; k < first + steps; k++) {
        up += s->light[k + 1] - s->light[k] > least;
        down += s->light[k] - s->light[k + 1] > least;
    }
    return up == steps || down == steps;
}

/* Of one picture, what stands alone: levels, mean of the picture. None where much more of the picture is found nowhere, for where all rushes by
 * no thing can be told from the rest; none either where most of the picture is another one, which is what `jump` measures. */
static float alone(const Slip *s, int picture)
{
    enum { RUSH = 5 /* times what stands alone */ };
    static const float most_parts = 0.4f;
    const int parts = s->columns * s->rows;
    if (is_fading(s, picture - REACH, REACH) || is_fading(s, picture - 1, REACH)) return 0;
    const uint8_t *left = s->left + (ptrdiff_t)picture * s->columns * s->rows;
    int total = 0, lost = 0, counted = 0;
    for (int j = 0; j < s->rows; j++)
        for (int i = 0; i < s->columns; i++) {
            const int here = left[j * s->columns + i];
            if (here <= NOISE) continue;
            lost++;
            float most[2] = {0};
            for (int k = picture - REACH; k <= picture + REACH; k++)
                if (k >= 1 && k < s->count && k != picture) order_keep(most, 2, (float)most_around(s, k, i, j));
            const int second = (int)most[1];
            if (here <= 2 * second) continue;
            total += here - second;
            counted++;
        }
    if (lost > RUSH * counted || (float)counted > most_parts * (float)parts) return 0;
    return (float)total / (float)parts;
}

double slip_measure(const Slip *s, float *local)
{
    float most[3] = {0};
    for (int i = 0; i < s->count; i++) {
        local[i] = alone(s, i);
        order_keep(most, 3, local[i]);
    }
    for (int i = 0; i < s->count; i++) local[i] = fmaxf(local[i] - most[2], local[i] * OFTEN);
    return s->count ? fmaxf(most[0] - most[2], most[0] * OFTEN) : NAN;
}
