#include "defects.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

static int frames_of(const Case *c, double seconds)
{
    const int n = (int)lround(seconds * c->scene.fps);
    return n < 1 ? 1 : n;
}

/* Somewhere inside, never at the border. */
static int somewhere(Case *c, int length)
{
    const int room = c->scene.count - length - 2;
    return 1 + (room > 0 ? (int)(scene_random(&c->random) % (unsigned)room) : 0);
}

static void fill(Scene *s, int i, int luma, int u, int v)
{
    memset(scene_plane(s, i, 0), luma, (size_t)s->width * (size_t)s->height);
    memset(scene_plane(s, i, 1), u, (size_t)s->width * (size_t)s->height / 4);
    memset(scene_plane(s, i, 2), v, (size_t)s->width * (size_t)s->height / 4);
}

static void put_black(Case *c, double seconds)
{
    const int n = frames_of(c, seconds), first = somewhere(c, n);
    for (int i = first; i < first + n; i++) fill(&c->scene, i, 16, 128, 128);
}

static void put_saturated(Case *c,
                          double seconds) /* what numbers that ran over look like: red, green, white by blocks */
{
    const int n = frames_of(c, seconds), first = somewhere(c, n);
    static const uint8_t luma[] = {63, 173, 235}, u[] = {102, 42, 128}, v[] = {240, 26, 128};
    for (int i = first; i < first + n; i++)
        for (int p = 0; p < 3; p++) {
            uint8_t *to = scene_plane(&c->scene, i, p);
            const int w = scene_plane_width(&c->scene, p), h = scene_plane_height(&c->scene, p);
            for (int y = 0; y < h; y++)
                for (int x = 0; x < w; x++) {
                    const int k = (x * 4 / w + y * 4 / h) % 3;
                    to[y * w + x] = p == 0 ? luma[k] : p == 1 ? u[k] : v[k];
                }
        }
}

static void put_frozen(Case *c, double seconds)
{
    const int n = frames_of(c, seconds), first = somewhere(c, n);
    for (int i = first; i < first + n; i++)
        memcpy(scene_plane(&c->scene, i, 0), scene_plane(&c->scene, first - 1, 0), scene_bytes(&c->scene));
}

static uint8_t level(double x) { return (uint8_t)(x < 16 ? 16 : x > 235 ? 235 : x + 0.5); }

static void add_light(Scene *s, int i, double gain, double offset)
{
    uint8_t *p = scene_plane(s, i, 0);
    for (int k = 0; k < s->width * s->height; k++) p[k] = level(16 + gain * (p[k] - 16) + offset);
}

/* Brightness that goes up and down by so many per cent, a third of the frame rate, at most 8 Hz, for 1.5 s. */
static void put_flicker(Case *c, double percent)
{
    const int n = frames_of(c, 1.5), first = somewhere(c, n);
    const double hz = fmin(8, c->scene.fps / 2.0);
    for (int i = first; i < first + n; i++)
        add_light(&c->scene, i, 1 + percent / 100 * (sin(2 * M_PI * hz * (i - first) / c->scene.fps + 1) > 0 ? 1 : -1),
                  0);
}

static void put_cut(Case *c, double share) /* to another clip, mixed in by this share */
{
    const int first = frames_of(c, 1) + somewhere(c, frames_of(c, 2)) / 2;
    Scene other = scene_scale(c->other, c->scene.width, c->scene.height);
    for (int i = first; i < c->scene.count; i++)
        for (size_t k = 0; k < scene_bytes(&c->scene); k++) {
            uint8_t *to = scene_plane(&c->scene, i, 0) + k;
            *to = (uint8_t)lround(*to * (1 - share) + share * scene_plane(&other, i % other.count, 0)[k]);
        }
    scene_free(&other);
}

/* Box filters three times: as good as a Gaussian of this many per cent of the longer side. */
static void blur_line(uint8_t *p, int n, int step, int radius, int *sums)
{
    for (int pass = 0; pass < 3; pass++) {
        sums[0] = 0;
        for (int i = 0; i < n; i++) sums[i + 1] = sums[i] + p[i * step];
        for (int i = 0; i < n; i++) {
            const int a = i - radius < 0 ? 0 : i - radius, b = i + radius >= n ? n - 1 : i + radius;
            p[i * step] = (uint8_t)((sums[b + 1] - sums[a] + (b - a + 1) / 2) / (b - a + 1));
        }
    }
}

static void blur(Scene *s, int i, double percent)
{
    const int longer = s->width > s->height ? s->width : s->height;
    const double sigma = percent / 100 * longer;
    int *sums = memory_get((size_t)longer + 1, sizeof *sums);
    for (int k = 0; k < 3; k++) {
        /* three boxes of width 2r+1 have a variance of r(r+1) */
        int radius = (int)lround((sqrt(1 + 4 * sigma * sigma / (k ? 4 : 1)) - 1) / 2);
        if (radius < 1 && k == 0) radius = 1;
        const int w = scene_plane_width(s, k), h = scene_plane_height(s, k);
        for (int y = 0; y < h; y++) blur_line(scene_plane(s, i, k) + (ptrdiff_t)y * w, w, 1, radius, sums);
        for (int x = 0; x < w; x++) blur_line(scene_plane(s, i, k) + x, h, w, radius, sums);
    }
    free(sums);
}

static void put_blur(Case *c, double percent)
{
    for (int i = 0; i < c->scene.count; i++) blur(&c->scene, i, percent);
}

static void put_blur_second(Case *c, double percent)
{
    const int n = frames_of(c, 1.2), first = somewhere(c, n);
    for (int i = first; i < first + n; i++) blur(&c->scene, i, percent);
}

/* Every block goes to its mean by this share. */
static void put_blocks(Case *c, double share)
{
    Scene *s = &c->scene;
    for (int i = 0; i < s->count; i++) {
        uint8_t *p = scene_plane(s, i, 0);
        for (int by = 0; by + 8 <= s->height; by += 8)
            for (int bx = 0; bx + 8 <= s->width; bx += 8) {
                int sum = 0;
                for (int k = 0; k < 64; k++) sum += p[(by + k / 8) * s->width + bx + k % 8];
                for (int k = 0; k < 64; k++) {
                    uint8_t *q = &p[(by + k / 8) * s->width + bx + k % 8];
                    *q = level(*q * (1 - share) + share * sum / 64.0);
                }
            }
    }
}

/* A smooth gradient instead of the upper half, in steps of so many levels. */
static void put_bands(Case *c, double step)
{
    Scene *s = &c->scene;
    for (int i = 0; i < s->count; i++)
        for (int y = 0; y < s->height / 2; y++)
            for (int x = 0; x < s->width; x++) {
                const double smooth = 60 + 45.0 * y / s->height + 15.0 * x / s->width;
                scene_plane(s, i, 0)[y * s->width + x] = level(floor(smooth / step) * step);
            }
}

/* Into another clip, for a second and a half: no cut, but another scene at its end. */
static void put_slide(Case *c, double share)
{
    const int n = frames_of(c, 1.5) < c->scene.count / 2 ? frames_of(c, 1.5) : c->scene.count / 2;
    const int first = (c->scene.count - n) / 2;
    Scene other = scene_scale(c->other, c->scene.width, c->scene.height);
    for (int i = first; i < c->scene.count; i++) {
        const double part = share * fmin(1, (double)(i - first) / n);
        uint8_t *to = scene_plane(&c->scene, i, 0);
        const uint8_t *from = scene_plane(&other, i % other.count, 0);
        for (size_t k = 0; k < scene_bytes(&c->scene); k++)
            to[k] = (uint8_t)lround(to[k] * (1 - part) + part * from[k]);
    }
    scene_free(&other);
}

static void flash(Case *c, double hz, int luma, int u, int v)
{
    Scene *s = &c->scene;
    for (int i = 0; i < s->count; i++)
        if (fmod((double)i / s->fps * hz, 1) >= 0.5) fill(s, i, luma, u, v);
}

static void put_flash(Case *c, double hz) { flash(c, hz, 235, 128, 128); }
static void put_red_flash(Case *c, double hz) { flash(c, hz, 63, 102, 240); }

static void put_over(Case *c, double gain)
{
    for (int i = 0; i < c->scene.count; i++) add_light(&c->scene, i, 1, gain);
}

static void put_under(Case *c, double gain)
{
    for (int i = 0; i < c->scene.count; i++) add_light(&c->scene, i, gain, 0);
}

static void put_short(Case *c, double seconds) { c->scene.count -= frames_of(c, seconds); }

static void put_gain(Case *c, double db)
{
    const float gain = powf(10, (float)db / 20);
    for (int i = 0; i < c->samples; i++) c->sound[i] = fmaxf(-1, fminf(1, c->sound[i] * gain));
}

static void put_silence(Case *c, double seconds)
{
    const int n = (int)(seconds * SOUND_RATE), first = c->samples / 4;
    for (int i = first; i < first + n && i < c->samples; i++) c->sound[i] = 0;
}

/* Pictures in another order: order[i] comes i pictures after first. */
static void reorder(Scene *s, int first, const int *order, int n)
{
    Scene old = scene_copy(s);
    for (int i = 0; i < n; i++)
        memcpy(scene_plane(s, first + i, 0), scene_plane(&old, first + order[i], 0), scene_bytes(s));
    scene_free(&old);
}

enum { MOST_REORDERED = 16 };

/* Drawn again until half of the pictures are followed by a step back. */
static void put_wrong_order(Case *c, double pictures)
{
    const int n = (int)pictures, first = somewhere(c, n);
    int order[MOST_REORDERED], turns = 0;
    while (2 * turns < n) {
        turns = 0;
        for (int i = 0; i < n; i++) order[i] = i;
        for (int i = n - 1; i > 0; i--) {
            const int k = (int)(scene_random(&c->random) % (unsigned)(i + 1)), old = order[i];
            order[i] = order[k];
            order[k] = old;
        }
        for (int i = 1; i + 1 < n; i++) turns += (order[i] > order[i - 1]) != (order[i + 1] > order[i]);
    }
    reorder(&c->scene, first, order, n);
}

static void put_backwards(Case *c, double pictures)
{
    const int n = (int)pictures, first = somewhere(c, n);
    int order[MOST_REORDERED];
    for (int i = 0; i < n; i++) order[i] = n - 1 - i;
    reorder(&c->scene, first, order, n);
}

typedef struct {
    int luma, u, v;
} Colour;

/* A disc of so many per cent of the picture, that goes slowly to the right; in pictures [first, end). */
static void draw_disc(Scene *s, double percent, int first, int end, Colour colour)
{
    const double radius = sqrt(percent / 100 * s->width * s->height / M_PI);
    for (int i = first; i < end; i++)
        for (int k = 0; k < 3; k++) {
            const int half = k ? 2 : 1, w = scene_plane_width(s, k), h = scene_plane_height(s, k);
            const double x0 = s->width * (0.3 + 0.05 * i / s->fps), y0 = s->height * 0.45;
            uint8_t *p = scene_plane(s, i, k);
            for (int y = 0; y < h; y++)
                for (int x = 0; x < w; x++)
                    if (hypot(half * x - x0, half * y - y0) <= radius)
                        p[y * w + x] = (uint8_t)(k == 0 ? colour.luma : k == 1 ? colour.u : colour.v);
        }
}

static const Colour disc_is = {150, 90, 180}, disc_becomes = {110, 180, 80};

static void put_vanish(Case *c, double percent)
{
    draw_disc(&c->scene, percent, 0, frames_of(c, 1) + somewhere(c, frames_of(c, 2)) / 2, disc_is);
}

static void put_recolour(Case *c, double percent)
{
    const int at = frames_of(c, 1) + somewhere(c, frames_of(c, 2)) / 2;
    draw_disc(&c->scene, percent, 0, at, disc_is);
    draw_disc(&c->scene, percent, at, c->scene.count, disc_becomes);
}

const Defect defect[DEFECTS] = {
    {"black", "s", "black", put_black, {0.04, 0.25, 1.0}, 0},
    {"saturated", "s", "saturated", put_saturated, {0.04, 0.25, 1.0}, 1},
    {"frozen", "s", "frozen", put_frozen, {0.2, 0.5, 1.0}, 1},
    {"flicker", "% of brightness", "flicker flash", put_flicker, {1, 5, 12}, 1},
    {"cut to another clip", "mixed in", "jump", put_cut, {0.15, 0.5, 1.0}, 1},
    {"slides into another clip", "mixed in", "subject jump", put_slide, {0.3, 0.7, 1.0}, 2},
    {"wrong order", "pictures", "order jump", put_wrong_order, {6, 8, 10}, 2},
    {"backwards", "pictures", "order jump", put_backwards, {4, 8, 12}, 2},
    {"a thing vanishes", "% of the picture", "slip jump", put_vanish, {0.6, 3, 6}, 2},
    {"a thing of another colour", "% of the picture", "slip jump", put_recolour, {0.6, 3, 6}, 2},
    {"blur", "% of the longer side", "blur", put_blur, {0.5, 2, 3.5}, 1},
    {"blur for 1.2 s", "% of the longer side", "blur_change blur", put_blur_second, {0.4, 2, 3.5}, 1},
    {"blocks of 8", "of their mean", "blockiness", put_blocks, {0.4, 0.8, 1.0}, 1},
    {"bands", "levels", "banding", put_bands, {1, 4, 8}, 1},
    {"flashes", "Hz", "flash", put_flash, {2, 3, 4}, 2},
    {"red flashes", "Hz", "red_flash", put_red_flash, {2, 3, 4}, 2},
    {"too bright", "levels", "exposure", put_over, {40, 110, 160}, 2},
    {"too dark", "times", "exposure black", put_under, {0.5, 0.05, 0.02}, 1},
    {"too short", "s", "length", put_short, {0.1, 0.3, 1}, 1},
    {"quieter", "dB", "loudness", put_gain, {-6, -20, -30}, 1},
    {"cut off (gain)", "dB", "clipping loudness", put_gain, {3, 14, 24}, 1},
    {"silence", "s", "silence", put_silence, {0.3, 1.0, 2.0}, 1},
};
