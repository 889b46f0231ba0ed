#include "watermark.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/hash.h"
#include "worker/proof/pattern.h"

/* Levels of luma. A flat area hides 1.6 at this size of cells; texture hides a share of its own strength. The whole stays at or below
 * `most_rms`: 10 log10(255^2 / 1.85^2) = 42.8 dB. */
static const float flat_levels = 1.6f, most_levels = 5.0f, texture_share = 0.5f, most_rms = 1.85f;
enum { LARGE_EDGE = 1000 }; /* from here on 256 cells: 4 to 8 pixels each; below 128 */

struct Watermark {
    int width, height, cells, columns, rows;
    float cell_px;
    float *signs;    /* of the cells that the picture covers, and one more on each side: the payload is in them */
    float *strength; /* the same, times what the picture hides there */
    int *column;     /* of each pixel column: which cell lies left of it */
    int *part;       /* and how far it is from its centre to the next one's, of 32768 */
    int16_t *wide;   /* [rows + 2][width]: the rows of cells, drawn out to pixels; 128 to a level */
    int16_t *slope;  /* of one row of pixels: changes from pixel to pixel, summed up */
    int *cell;       /* of one row of cells */
    int *edge;       /* of each column of cells: its first pixel, and where the last one ends */
    uint8_t *luma;   /* of a picture of RGB */
};

/* ---- payload ------------------------------------------------------------------------------------------------------------- */

/* CRC-16/CCITT-FALSE over the upper 48 bits. */
static uint16_t check_of(uint64_t payload)
{
    uint16_t crc = 0xffff;
    for (int i = 63; i >= 16; i--) {
        const unsigned bit = (unsigned)(payload >> i & 1) ^ (crc >> 15);
        crc = (uint16_t)(crc << 1);
        if (bit) crc ^= 0x1021;
    }
    return crc;
}

bool watermark_is_payload(uint64_t payload) { return check_of(payload) == (payload & 0xffff); }

uint64_t watermark_payload(const char *campaign, const char *clip)
{
    unsigned char mac[HASH_BYTES];
    uint64_t id = 0;
    hash_sign(campaign, strlen(campaign), clip, strlen(clip), mac);
    for (int i = 0; i < 6; i++) id = id << 8 | mac[i];
    return id << 16 | check_of(id << 16);
}

void watermark_key(const void *secret, size_t bytes, uint8_t key[WATERMARK_KEY_BYTES])
{
    static const char purpose[] = "reelwright watermark 1";
    hash_sign(secret, bytes, purpose, sizeof purpose - 1, key);
}

/* ---- embedding ------------------------------------------------------------------------------------------------------------ */

static void lay_cells(Watermark *w, const uint8_t key[WATERMARK_KEY_BYTES], uint64_t payload)
{
    Pattern *p = memory_get(1, sizeof *p);
    const int wide = w->columns + 2;
    uint8_t coded[CONVOLUTION_CODED];
    convolution_encode(payload, coded);
    pattern_make(key, w->cells, p);
    for (int y = 0; y < w->rows + 2; y++)
        for (int x = 0; x < wide; x++) {
            const int cx = x - 1 < 0 ? 0 : x - 1 >= w->columns ? w->columns - 1 : x - 1;
            const int cy = y - 1 < 0 ? 0 : y - 1 >= w->rows ? w->rows - 1 : y - 1;
            const int i = cy * w->cells + cx, part = p->part[i];
            const int one = part == PATTERN_PILOT || coded[part];
            w->signs[y * wide + x] = (float)(one ? p->sign[i] : -p->sign[i]);
        }
    free(p);
}

/* Of a column or row of cells; the last pixel has no neighbour and counts for none. */
static int first_pixel(const Watermark *w, int cell, int size)
{
    const int at = (int)((float)cell * w->cell_px);
    return at < size - 1 ? at : size - 1;
}

Status watermark_new(const uint8_t key[WATERMARK_KEY_BYTES], uint64_t payload, int width, int height, Watermark **out)
{
    const int longer = width > height ? width : height, shorter = width > height ? height : width;
    *out = NULL;
    if (longer < WATERMARK_LEAST_EDGE || shorter < WATERMARK_LEAST_EDGE / 4 || longer > FILM_MAX_EDGE)
        return status_fail(ERR_INPUT, "watermark: pictures of %dx%d, expected a longer side of %d to %d", width, height,
                           WATERMARK_LEAST_EDGE, FILM_MAX_EDGE);
    Watermark *w = memory_get(1, sizeof *w);
    w->width = width;
    w->height = height;
    w->cells = longer >= LARGE_EDGE ? PATTERN_MAX_CELLS : PATTERN_MAX_CELLS / 2;
    w->cell_px = (float)longer / (float)w->cells;
    w->columns = (int)ceilf((float)width / w->cell_px - 1e-3f);
    w->rows = (int)ceilf((float)height / w->cell_px - 1e-3f);
    const size_t count = (size_t)(w->columns + 2) * (size_t)(w->rows + 2);
    w->signs = memory_get(count, sizeof *w->signs);
    w->strength = memory_get(count, sizeof *w->strength);
    w->wide = memory_get((size_t)(w->rows + 2) * (size_t)width, sizeof *w->wide);
    w->slope = memory_get((size_t)width, sizeof *w->slope);
    w->cell = memory_get((size_t)w->columns + 2, sizeof *w->cell);
    w->edge = memory_get((size_t)w->columns + 1, sizeof *w->edge);
    w->column = memory_get((size_t)width, sizeof *w->column);
    w->part = memory_get((size_t)width, sizeof *w->part);
    for (int x = 0; x < width; x++) {
        const float at = ((float)x + 0.5f) / w->cell_px + 0.5f; /* the border cell's centre is at 0 */
        w->column[x] = (int)at;
        w->part[x] = (int)((at - (float)w->column[x]) * 32768);
    }
    for (int c = 0; c <= w->columns; c++) w->edge[c] = first_pixel(w, c, width);
    lay_cells(w, key, payload);
    *out = w;
    return status_ok();
}

void watermark_free(Watermark **w)
{
    if (!*w) return;
    free((*w)->signs);
    free((*w)->strength);
    free((*w)->wide);
    free((*w)->slope);
    free((*w)->cell);
    free((*w)->edge);
    free((*w)->luma);
    free((*w)->column);
    free((*w)->part);
    free(*w);
    *w = NULL;
}

/* How much a row's pixels change to the right and downwards. */
static void measure_slope(int16_t *restrict to, const uint8_t *restrict p, const uint8_t *restrict below, int width)
{
    for (int x = 0; x < width - 1; x++) to[x] = (int16_t)(abs(p[x + 1] - p[x]) + abs(below[x] - p[x]));
}

/* What each cell of a row hides: its mean absolute gradient, of every second row of pixels. */
static void measure_row(Watermark *w, const uint8_t *luma, int stride, int row, float *levels)
{
    const int y0 = first_pixel(w, row, w->height), y1 = first_pixel(w, row + 1, w->height);
    memset(w->cell, 0, (size_t)w->columns * sizeof *w->cell);
    for (int y = y0; y < y1; y += 2) {
        const uint8_t *p = luma + (ptrdiff_t)y * stride;
        measure_slope(w->slope, p, p + stride, w->width);
        for (int c = 0; c < w->columns; c++)
            for (int x = w->edge[c]; x < w->edge[c + 1]; x++) w->cell[c] += w->slope[x];
    }
    for (int c = 0; c < w->columns; c++) {
        const int count = (w->edge[c + 1] - w->edge[c]) * ((y1 - y0 + 1) / 2);
        const float texture = count ? (float)w->cell[c] / (float)count * w->cell_px / 4
                                    : 0; /* over a quarter of a cell, whatever the size */
        levels[c] = fminf(most_levels, flat_levels + texture_share * texture);
    }
}

static void measure_strength(Watermark *w, const uint8_t *luma, int stride)
{
    const int wide = w->columns + 2;
    double squares = 0;
    for (int y = 0; y < w->rows; y++) {
        float *levels = w->strength + (y + 1) * wide + 1;
        measure_row(w, luma, stride, y, levels);
        for (int x = 0; x < w->columns; x++) squares += (double)levels[x] * levels[x];
    }
    /* between two cells of random signs the mean square is 4/9 of theirs */
    const float rms = (float)sqrt(squares / (w->rows * w->columns)) * 2 / 3,
                scale = rms > most_rms ? most_rms / rms : 1;
    for (int y = 0; y < w->rows + 2; y++)
        for (int x = 0; x < wide; x++) {
            const int ix = x < 1 ? 1 : x > w->columns ? w->columns : x, iy = y < 1 ? 1 : y > w->rows ? w->rows : y;
            if (ix == x && iy == y) w->strength[y * wide + x] *= scale * w->signs[y * wide + x];
        }
    for (int y = 0; y < w->rows + 2; y++)
        for (int x = 0; x < wide; x++) {
            const int ix = x < 1 ? 1 : x > w->columns ? w->columns : x, iy = y < 1 ? 1 : y > w->rows ? w->rows : y;
            w->strength[y * wide + x] = w->strength[iy * wide + ix];
        }
}

/* 128 to a level; at most 5 levels are 640. */
static void draw_out(Watermark *w)
{
    const int wide = w->columns + 2;
    for (int y = 0; y < w->rows + 2; y++) {
        const float *strength = w->strength + y * wide;
        int16_t *to = w->wide + (ptrdiff_t)y * w->width;
        for (int x = 0; x < wide; x++) w->cell[x] = (int)(128 * strength[x] + 1024.5f) - 1024;
        for (int x = 0; x < w->width; x++) {
            const int *q = w->cell + w->column[x];
            to[x] = (int16_t)(q[0] + ((q[1] - q[0]) * w->part[x] >> 15));
        }
    }
}

/* part: of 32768, how far from `above` to `below`. In whole numbers, which any compiler makes vectors of: at most 5 levels are 640, their
 * difference 1280; a pixel is 64 to a level, so that all stays within 16 bits. */
static void add_row(uint8_t *restrict p, const int16_t *restrict above, const int16_t *restrict below, int part,
                    int width)
{
    const int16_t share = (int16_t)part;
    for (int x = 0; x < width; x++) {
        const int16_t change = (int16_t)(below[x] - above[x]);
        const int16_t added = (int16_t)((above[x] >> 1) + (int16_t)((change * share) >> 16));
        const int16_t v = (int16_t)((int16_t)(p[x] * 64 + added + 32) >> 6);
        p[x] = (uint8_t)(v < 1 ? 1 : v > 254 ? 254 : v);
    }
}

void watermark_embed(Watermark *w, uint8_t *luma, int stride)
{
    measure_strength(w, luma, stride);
    draw_out(w);
    for (int y = 0; y < w->height; y++) {
        const float at = ((float)y + 0.5f) / w->cell_px + 0.5f;
        const int row = (int)at;
        const int16_t *above = w->wide + (ptrdiff_t)row * w->width;
        add_row(luma + (ptrdiff_t)y * stride, above, above + w->width, (int)((at - (float)row) * 32767), w->width);
    }
}

/* BT.709, of 256. */
static uint8_t luma_of(const uint8_t *p) { return (uint8_t)((54 * p[0] + 183 * p[1] + 19 * p[2] + 128) >> 8); }

void watermark_embed_rgb(Watermark *w, uint8_t *rgb, int stride)
{
    if (!w->luma) w->luma = memory_get((size_t)w->width * (size_t)w->height, 1);
    for (int y = 0; y < w->height; y++)
        for (int x = 0; x < w->width; x++)
            w->luma[y * w->width + x] = luma_of(rgb + (ptrdiff_t)y * stride + 3 * (ptrdiff_t)x);
    watermark_embed(w, w->luma, w->width);
    for (int y = 0; y < w->height; y++)
        for (int x = 0; x < w->width; x++) {
            uint8_t *p = rgb + (ptrdiff_t)y * stride + 3 * (ptrdiff_t)x;
            const int change = w->luma[y * w->width + x] - luma_of(p);
            for (int c = 0; c < 3; c++) {
                const int v = p[c] + change;
                p[c] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
            }
        }
}
