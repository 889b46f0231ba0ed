#include "look.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "worker/gate/pdq.h"
#include "worker/gate/sequence.h"
#include "worker/gate/slip.h"

enum { SMALL_EDGE = 160, SAMPLES_PER_S = 6, LEAST_HASHED = 16, PICTURES = 5 };

/* A part counts as moved when its mean differs by this many levels: what x264 changes at an IDR picture of a still scene stays below
 * (1.6 measured at CRF 23 in the smallest pictures). */
static const float moved_levels = 2.0f;

struct Look {
    int width, height; /* 0 before the first picture */
    int box;           /* pixels of the picture to one of the small copy, on each side */
    int small_width, small_height;
    float *y;                 /* small copies: luma */
    float *rgb[PICTURES];     /* R, G, B interleaved, of this picture and those before: picture i is at i % PICTURES */
    float *light[2], *red[2]; /* luminance and red, likewise */
    float *anchor;            /* luma when something last moved */
    int current;              /* which of the two */
    double next_sample_s;
    Texture *texture;
    Subject *subject;
    Slip *slip;
    Sequence *sequence;
    Looks looks;
    double next_hash_s, hash_interval_s;
    LookFigures *list;
    int count, room;
    float linear[256]; /* sRGB to light */
};

Look *look_new(void)
{
    Look *l = memory_get(1, sizeof *l);
    for (int i = 0; i < 256; i++) {
        const double x = i / 255.0;
        l->linear[i] = (float)(x <= 0.04045 ? x / 12.92 : pow((x + 0.055) / 1.055, 2.4));
    }
    return l;
}

void look_free(Look **look)
{
    Look *l = *look;
    if (!l) return;
    free(l->y);
    free(l->anchor);
    for (int i = 0; i < PICTURES; i++) free(l->rgb[i]);
    for (int i = 0; i < 2; i++) {
        free(l->light[i]);
        free(l->red[i]);
    }
    texture_free(&l->texture);
    subject_free(&l->subject);
    slip_free(&l->slip);
    sequence_free(&l->sequence);
    free(l->list);
    free(l);
    *look = NULL;
}

const LookFigures *look_figures(const Look *l, int *count)
{
    *count = l->count;
    return l->list;
}

const Looks *look_looks(const Look *l) { return &l->looks; }
const Subject *look_subject(const Look *l) { return l->subject; }
const Slip *look_slip(const Look *l) { return l->slip; }
const Sequence *look_sequence(const Look *l) { return l->sequence; }

static void set_size(Look *l, const FilmPicture *p)
{
    const int longer = p->width > p->height ? p->width : p->height;
    l->width = p->width;
    l->height = p->height;
    l->box = (longer + SMALL_EDGE - 1) / SMALL_EDGE;
    if (l->box > p->width) l->box = p->width;
    if (l->box > p->height) l->box = p->height;
    l->small_width = p->width / l->box;
    l->small_height = p->height / l->box;
    const size_t n = (size_t)l->small_width * (size_t)l->small_height;
    l->y = memory_get(n, sizeof(float));
    l->anchor = memory_get(n, sizeof(float));
    for (int i = 0; i < PICTURES; i++) l->rgb[i] = memory_get(3 * n, sizeof(float));
    for (int i = 0; i < 2; i++) {
        l->light[i] = memory_get(n, sizeof(float));
        l->red[i] = memory_get(n, sizeof(float));
    }
    l->texture = texture_new(p->width, p->height);
    l->subject = subject_new(l->small_width, l->small_height);
    l->slip = slip_new(l->small_width, l->small_height);
    l->sequence = sequence_new(l->small_width, l->small_height);
    l->hash_interval_s = 1;
}

/* Mean of a box of a plane. */
static float box_mean(const uint8_t *plane, int stride, int x, int y, int width, int height)
{
    unsigned sum = 0;
    for (int j = 0; j < height; j++) {
        const uint8_t *row = plane + (ptrdiff_t)(y + j) * stride + x;
        for (int i = 0; i < width; i++) sum += row[i];
    }
    return (float)sum / (float)(width * height);
}

static float clip(float x) { return x < 0 ? 0 : x > 255 ? 255 : x; }

/* BT.709, limited range, to levels of 0 to 255. */
static void shrink(Look *l, const FilmPicture *p)
{
    const int half = l->box > 1 ? l->box / 2 : 1;
    float *rgb = l->rgb[l->count % PICTURES];
    for (int y = 0; y < l->small_height; y++)
        for (int x = 0; x < l->small_width; x++) {
            const int i = y * l->small_width + x, cx = x * l->box / 2, cy = y * l->box / 2;
            const float luma =
                (box_mean(p->plane[0], p->stride[0], x * l->box, y * l->box, l->box, l->box) - 16) * 255 / 219;
            const float u = (box_mean(p->plane[1], p->stride[1], cx, cy, half, half) - 128) * 255 / 224;
            const float v = (box_mean(p->plane[2], p->stride[2], cx, cy, half, half) - 128) * 255 / 224;
            l->y[i] = clip(luma);
            rgb[3 * i] = clip(luma + 1.5748f * v);
            rgb[3 * i + 1] = clip(luma - 0.1873f * u - 0.4681f * v);
            rgb[3 * i + 2] = clip(luma + 1.8556f * u);
        }
}

static bool is_end(float x) { return x <= 4 || x >= 251; }

static void measure_light(Look *l, LookFigures *f)
{
    const int n = l->small_width * l->small_height;
    const float *rgb = l->rgb[l->count % PICTURES], *old_light = l->light[!l->current], *old_red = l->red[!l->current];
    double light = 0, red = 0, luma = 0;
    int light_changed = 0, red_changed = 0, dark = 0, saturated = 0, ground = 0, clipped = 0;
    int levels[256] = {0}, at_ends[8] = {0};
    for (int i = 0; i < n; i++) {
        const float *p = rgb + 3 * i;
        const float r = l->linear[(int)p[0]], g = l->linear[(int)p[1]], b = l->linear[(int)p[2]];
        const float shine = 0.2126f * r + 0.7152f * g + 0.0722f * b;
        const float redness = r > 0 && r >= 0.8f * (r + g + b) ? fmaxf(0, (r - g - b) * 320) : 0;
        l->light[l->current][i] = shine;
        l->red[l->current][i] = redness;
        light += shine;
        red += redness;
        luma += l->y[i];
        levels[(int)l->y[i]]++;
        light_changed += fabsf(shine - old_light[i]) > 0.01f; /* less is the encoder's noise */
        red_changed += fabsf(redness - old_red[i]) > 1;
        dark += l->y[i] <= 25; /* a tenth of the range, as blackdetect has it */
        if (l->y[i] > 4) {
            const int ends = is_end(p[0]) + is_end(p[1]) + is_end(p[2]);
            if (ends == 3) at_ends[(p[0] > 128) * 4 + (p[1] > 128) * 2 + (p[2] > 128)]++;
            clipped += ends == 1 || ends == 2;
        }
    }
    for (int i = 0; i < 8; i++) {
        saturated += at_ends[i];
        if (at_ends[i] > ground) ground = at_ends[i];
    }
    int bright = 255;
    for (int above = levels[255]; bright > 0 && above * 100 < n; above += levels[bright]) bright--;
    int deep = 0;
    for (int below = levels[0]; deep < 255 && below * 100 < n; below += levels[deep]) deep++;
    f->bright = (float)bright;
    f->deep = (float)deep;
    f->luminance = (float)(light / n);
    f->red = (float)(red / n);
    f->mean = (float)(luma / n);
    f->dark = (float)dark / (float)n;
    f->saturated = (float)saturated / (float)n;
    f->ground = (float)ground / (float)n;
    f->clipped = (float)clipped / (float)n;
    f->luminance_area = l->count ? (float)light_changed / (float)n : 0;
    f->red_area = l->count ? (float)red_changed / (float)n : 0;
}

/* Means over a grid of cells: cell (x, y) of columns x rows. */
static float cell_mean(const Look *l, const float *y, int column, int columns, int row, int rows)
{
    const int x0 = column * l->small_width / columns, x1 = (column + 1) * l->small_width / columns;
    const int y0 = row * l->small_height / rows, y1 = (row + 1) * l->small_height / rows;
    double sum = 0;
    for (int j = y0; j < y1; j++)
        for (int i = x0; i < x1; i++) sum += y[j * l->small_width + i];
    const int n = (x1 - x0) * (y1 - y0);
    return n > 0 ? (float)(sum / n) : 0;
}

static float moved_share(const Look *l)
{
    const int longer = l->small_width > l->small_height ? l->small_width : l->small_height;
    const int side = longer / 20 > 2 ? longer / 20 : 2;
    const int columns = (l->small_width + side - 1) / side, rows = (l->small_height + side - 1) / side;
    int moved = 0;
    for (int j = 0; j < rows; j++)
        for (int i = 0; i < columns; i++)
            moved += fabsf(cell_mean(l, l->y, i, columns, j, rows) - cell_mean(l, l->anchor, i, columns, j, rows)) >
                     moved_levels;
    return (float)moved / (float)(columns * rows);
}

/* Mean absolute difference of R, G and B between this picture and the one `lag` before it. */
static float change_over(const Look *l, int lag)
{
    if (lag > l->count) return 0;
    const int n = 3 * l->small_width * l->small_height;
    const float *now = l->rgb[l->count % PICTURES], *before = l->rgb[(l->count - lag) % PICTURES];
    double sum = 0;
    for (int i = 0; i < n; i++) sum += fabsf(now[i] - before[i]);
    return (float)(sum / n);
}

/* How far the pictures went away from an earlier one and came back to it: the smaller of both changes, less twice the difference that is left between
 * that picture and this one. A thing that moves on never comes back. Grain differs from all pictures alike. A movement that repeats, such as a waving
 * hand, does come back, but it takes longer. */
static float come_back(const Look *l, float change, double at_s)
{
    static const double longest_s = 0.17; /* four pictures of 24 a second */
    float most = 0;
    for (int lag = 2; lag < PICTURES && lag < l->count; lag++) {
        if (lag > 2 && at_s - l->list[l->count - lag].at_s > longest_s) break;
        const float left = l->list[l->count - lag + 1].change, least = fminf(left, change);
        if (least > most) most = fmaxf(most, least - 2 * change_over(l, lag));
    }
    return most;
}

static void measure_change(Look *l, LookFigures *f)
{
    const int n = l->small_width * l->small_height;
    f->change = change_over(l, 1);
    f->back = come_back(l, f->change, f->at_s);
    f->moved = l->count ? moved_share(l) : 1;
    if (f->moved > 0) memcpy(l->anchor, l->y, (size_t)n * sizeof *l->anchor);
    for (int j = 0; j < LOOK_CELLS; j++)
        for (int i = 0; i < LOOK_CELLS; i++)
            f->cell[j * LOOK_CELLS + i] = cell_mean(l, l->y, i, LOOK_CELLS, j, LOOK_CELLS);
}

/* Of a clip with more seconds than there are places, every second hash goes. */
static void hash_picture(Look *l, double at_s)
{
    Looks *k = &l->looks;
    if (l->small_width < LEAST_HASHED || l->small_height < LEAST_HASHED || at_s < l->next_hash_s - 1e-6) return;
    if (k->count == LOOKS_MAX) {
        for (int i = 0; i < LOOKS_MAX / 2; i++) k->hash[i] = k->hash[2 * i];
        k->count = LOOKS_MAX / 2;
        l->hash_interval_s *= 2;
    }
    l->next_hash_s = at_s + l->hash_interval_s;
    k->count += pdq_hash(l->y, l->small_width, l->small_height, &k->hash[k->count]) >= PDQ_LEAST_QUALITY;
}

Status look_at(Look *l, const FilmPicture *p)
{
    if (!l->width) set_size(l, p);
    if (p->width != l->width || p->height != l->height)
        return status_fail(ERR_INPUT, "a picture of %dx%d after pictures of %dx%d", p->width, p->height, l->width,
                           l->height);
    if (l->count == l->room) {
        l->room = l->room ? 2 * l->room : 256;
        l->list = memory_resize(l->list, (size_t)l->room, sizeof *l->list);
    }
    LookFigures f = {.at_s = p->at_s, .texture = {.edge = NAN, .block = NAN, .band = NAN}};
    shrink(l, p);
    measure_light(l, &f);
    measure_change(l, &f);
    if (l->count == 0 || p->at_s >= l->next_sample_s - 1e-6) {
        texture_measure(l->texture, p->plane[0], p->stride[0], &f.texture);
        f.sampled = true;
        l->next_sample_s = p->at_s + 1.0 / SAMPLES_PER_S;
    }
    subject_picture(l->subject, l->rgb[l->count % PICTURES], p->at_s);
    slip_picture(l->slip, l->rgb[l->count % PICTURES]);
    sequence_picture(l->sequence, l->rgb[l->count % PICTURES]);
    hash_picture(l, p->at_s); /* writes over l->y */
    l->list[l->count++] = f;
    l->current = !l->current;
    return status_ok();
}
