#include "sequence.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/file.h"

enum {
    KEPT = 17 /* pictures that are compared with one another */,
    LAGS = KEPT - 1,
    BOX = 2,
    LONG = 14 /* pictures */
};
static const float FEW = 30; /* per cent, fewer than two of six */

struct Sequence {
    int width, height; /* of what is given */
    int size;          /* bytes of a picture here */
    uint8_t *kept[KEPT];
    float (*apart)[LAGS]; /* [count]: from the picture 1, 2 ... before it, levels */
    int count, room;
};

Sequence *sequence_new(int width, int height)
{
    Sequence *s = memory_get(1, sizeof *s);
    *s = (Sequence){.width = width, .height = height, .size = (width / BOX) * (height / BOX) * 3};
    for (int i = 0; i < KEPT; i++) s->kept[i] = memory_get((size_t)s->size + 1, 1);
    return s;
}

void sequence_free(Sequence **s)
{
    if (!*s) return;
    for (int i = 0; i < KEPT; i++) free((*s)->kept[i]);
    free((*s)->apart);
    free(*s);
    *s = NULL;
}

static void shrink(const Sequence *s, const float *rgb, uint8_t *to)
{
    const int row = 3 * s->width;
    for (int y = 0; y + BOX <= s->height; y += BOX)
        for (int x = 0; x + BOX <= s->width; x += BOX)
            for (int c = 0; c < 3; c++) {
                const float *p = rgb + (ptrdiff_t)y * row + 3 * x + c;
                *to++ = (uint8_t)((p[0] + p[3] + p[row] + p[row + 3]) / 4 + 0.5f);
            }
}

static float apart(const uint8_t *a, const uint8_t *b, int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++) sum += abs(a[i] - b[i]);
    return n ? (float)sum / (float)n : 0;
}

void sequence_picture(Sequence *s, const float *rgb)
{
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->apart = memory_resize(s->apart, (size_t)s->room, sizeof *s->apart);
    }
    uint8_t *now = s->kept[s->count % KEPT];
    shrink(s, rgb, now);
    for (int lag = 1; lag <= LAGS; lag++)
        s->apart[s->count][lag - 1] = lag <= s->count ? apart(now, s->kept[(s->count - lag) % KEPT], s->size) : 0;
    s->count++;
}

static float between(const Sequence *s, int a, int b)
{
    const int later = a > b ? a : b, lag = later - (a > b ? b : a);
    return lag > 0 ? s->apart[later][lag - 1] : 0;
}

/* How much nearer pictures are to others than to those beside them: 0 where they are not. */
static float nearer(float beside, float others)
{
    const float noise = 0.1f; /* levels */
    return beside > 0 ? fmaxf(0, 100 * (1 - (others + noise) / (beside + noise))) : 0;
}

/* Of the pictures from i on, how many are followed by one that is further away than the one after it. Where something moves on, the one after
 * the next is the furthest; where all is grain, they are equally far; where it turns round, one picture is not. */
static float shuffled(const Sequence *s, int first)
{
    enum { WINDOW = 8, TRIPLES = WINDOW - 2 };
    static const float least = 10; /* per cent nearer */
    int turns = 0;
    if (first + WINDOW > s->count) return 0;
    for (int i = first; i < first + TRIPLES; i++)
        turns += nearer(fmaxf(between(s, i, i + 1), between(s, i + 1, i + 2)), between(s, i, i + 2)) > least;
    return 100.0f * (float)turns / TRIPLES;
}

/* Pictures i + 1 to j in backward order: both ends leap, the same way, and what is between does not. */
static float reversed(const Sequence *s, int i)
{
    float best = 0, inside = 0;
    for (int j = i + 2; j + 1 < s->count && j + 1 - i <= LAGS; j++) {
        const float first = between(s, i, i + 1), last = between(s, j, j + 1);
        inside = fmaxf(inside, between(s, j - 1, j));
        if (j < i + 3 || inside > 0.5f * fminf(first, last)) continue;
        best = fmaxf(best, nearer(first + last, between(s, i, j) + between(s, i + 1, j + 1)));
    }
    return best;
}

static bool is_shuffled(const Sequence *s, int i) { return i >= 0 && shuffled(s, i) > FEW; }

/* Whether pictures come so for longer than anybody shuffles them: a wheel, a hand that shakes, a train that rushes by, light that varies. */
static bool goes_on(const Sequence *s, int i)
{
    int first = i, last = i;
    while (i - first <= LONG && is_shuffled(s, first - 1)) first--;
    while (last - i <= LONG && is_shuffled(s, last + 1)) last++;
    return last - first + 1 > LONG;
}

float sequence_at(const Sequence *s, int i)
{
    const float turned = shuffled(s, i);
    return fmaxf(turned > FEW && goes_on(s, i) ? FEW : turned, reversed(s, i));
}
