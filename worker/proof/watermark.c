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
    float *part;     /* and how far it is from its centre to the next one's */
    float *line;     /* one row of cells between two */
    float *added;    /* one row of pixels */
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
    w->line = memory_get((size_t)w->columns + 2, sizeof *w->line);
    w->column = memory_get((size_t)width, sizeof *w->column);
    w->part = memory_get((size_t)width, sizeof *w->part);
    w->added = memory_get((size_t)width, sizeof *w->added);
    for (int x = 0; x < width; x++) {
        const float at = ((float)x + 0.5f) / w->cell_px + 0.5f; /* the border cell's centre is at 0 */
        w->column[x] = (int)at;
        w->part[x] = at - (float)w->column[x];
    }
    lay_cells(w, key, payload);
    *out = w;
    return status_ok();
}

void watermark_free(Watermark **w)
{
    if (!*w) return;
    free((*w)->signs);
    free((*w)->strength);
    free((*w)->line);
    free((*w)->column);
    free((*w)->part);
    free((*w)->added);
    free(*w);
    *w = NULL;
}

/* What a cell hides: its mean absolute gradient, of every second pixel. */
static float hidden_levels(const Watermark *w, const uint8_t *luma, int stride, int cx, int cy)
{
    const int x0 = (int)((float)cx * w->cell_px), y0 = (int)((float)cy * w->cell_px);
    int x1 = (int)((float)(cx + 1) * w->cell_px), y1 = (int)((float)(cy + 1) * w->cell_px), sum = 0, count = 0;
    if (x1 > w->width - 1) x1 = w->width - 1;
    if (y1 > w->height - 1) y1 = w->height - 1;
    for (int y = y0; y < y1; y += 2)
        for (int x = x0; x < x1; x += 2, count++) {
            const uint8_t *p = luma + (ptrdiff_t)y * stride + x;
            sum += abs(p[1] - p[0]) + abs(p[stride] - p[0]);
        }
    const float texture =
        count ? (float)sum / (float)count * w->cell_px / 4 : 0; /* over a quarter of a cell, whatever the size */
    return fminf(most_levels, flat_levels + texture_share * texture);
}

static void measure_strength(Watermark *w, const uint8_t *luma, int stride)
{
    const int wide = w->columns + 2;
    double squares = 0;
    for (int y = 0; y < w->rows; y++)
        for (int x = 0; x < w->columns; x++) {
            const float levels = hidden_levels(w, luma, stride, x, y);
            w->strength[(y + 1) * wide + x + 1] = levels;
            squares += (double)levels * levels;
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

void watermark_embed(Watermark *w, uint8_t *luma, int stride)
{
    const int wide = w->columns + 2;
    measure_strength(w, luma, stride);
    for (int y = 0; y < w->height; y++) {
        const float at = ((float)y + 0.5f) / w->cell_px + 0.5f;
        const int row = (int)at;
        const float part = at - (float)row, *above = w->strength + row * wide, *below = above + wide;
        uint8_t *p = luma + (ptrdiff_t)y * stride;
        for (int x = 0; x < wide; x++) w->line[x] = above[x] + (below[x] - above[x]) * part;
        for (int x = 0; x < w->width; x++) {
            const float *q = w->line + w->column[x];
            w->added[x] = q[0] + (q[1] - q[0]) * w->part[x];
        }
        for (int x = 0; x < w->width; x++) {
            const float v = (float)p[x] + w->added[x] + 0.5f;
            p[x] = (uint8_t)(v < 1 ? 1 : v > 254 ? 254 : v);
        }
    }
}
