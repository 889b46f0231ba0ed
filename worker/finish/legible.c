#include "legible.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <zbar.h>

#include "common/file.h"
#include "common/order.h"

/* ---- brightness ------------------------------------------------------------------------------------------------------------- */

static double luminance_of(double luma)
{
    const double x = fmax(0, fmin(1, (luma - 16) / 219));
    return x <= 0.04045 ? x / 12.92 : pow((x + 0.055) / 1.055, 2.4);
}

static double contrast_of(double a_luma, double b_luma)
{
    return layer_contrast(luminance_of(a_luma), luminance_of(b_luma));
}

static int inside(int x, int most) { return x < 0 ? 0 : x > most ? most : x; }

/* The part of a layer's box that is in the picture. */
static Box visible(Box b, const Grey *g)
{
    const int x = inside(b.x, g->width), y = inside(b.y, g->height);
    return (Box){x, y, inside(b.x + b.width, g->width) - x, inside(b.y + b.height, g->height) - y};
}

static const uint8_t *pixel_of(const Layer *l, int x, int y)
{
    return l->rgba + 4 * ((ptrdiff_t)(y - l->box.y) * l->box.width + x - l->box.x);
}

/* ---- letters ------------------------------------------------------------------------------------------------------------------ */

enum { OPAQUE = 250, LIKE = 24, RING = 2 /* pixels around a letter */, LEAST_PIXELS = 8 };

static bool is_letter(const uint8_t *p, uint32_t color)
{
    return p[3] >= OPAQUE && abs(p[0] - (int)(color >> 24)) <= LIKE && abs(p[1] - (int)(color >> 16 & 255)) <= LIKE &&
           abs(p[2] - (int)(color >> 8 & 255)) <= LIKE;
}

/* 2 on letters, 1 near them, 0 elsewhere. The pixels between both are neither, half letter, half ground. */
static uint8_t *classify(const Layer *l, uint32_t color, Box v)
{
    uint8_t *class = memory_get((size_t)v.width * (size_t)v.height + 1, 1);
    for (int y = 0; y < v.height; y++)
        for (int x = 0; x < v.width; x++) {
            if (!is_letter(pixel_of(l, v.x + x, v.y + y), color)) continue;
            class[y * v.width + x] = 2;
            for (int j = -RING; j <= RING; j++)
                for (int i = -RING; i <= RING; i++) {
                    const int cx = inside(x + i, v.width - 1), cy = inside(y + j, v.height - 1);
                    const uint8_t *p = pixel_of(l, v.x + cx, v.y + cy);
                    const bool half = p[3] > 0 && p[3] < OPAQUE;
                    if (class[cy * v.width + cx] == 0 && !half) class[cy * v.width + cx] = 1;
                }
        }
    return class;
}

static double tile_contrast(const uint8_t *class, Box v, const Grey *g, int x0, int y0, int side)
{
    double sum[3] = {0};
    int count[3] = {0};
    for (int y = y0; y < y0 + side && y < v.height; y++)
        for (int x = x0; x < x0 + side && x < v.width; x++) {
            const int k = class[y * v.width + x];
            sum[k] += g->luma[(ptrdiff_t)(v.y + y) * g->stride + v.x + x];
            count[k]++;
        }
    if (count[1] < LEAST_PIXELS || count[2] < LEAST_PIXELS) return NAN;
    return contrast_of(sum[1] / count[1], sum[2] / count[2]);
}

double legible_letters(const Layer *letters, uint32_t color, const Grey *g)
{
    const Box v = visible(letters->box, g);
    const int side = v.height > 48 ? v.height / 3 : 16;
    if (v.width < 1 || v.height < 1) return NAN;
    uint8_t *class = classify(letters, color, v);
    const int most = (v.width / side + 1) * (v.height / side + 1);
    double *tile = memory_get((size_t)most, sizeof *tile), value = NAN;
    int n = 0;
    for (int y = 0; y < v.height; y += side)
        for (int x = 0; x < v.width; x += side) {
            const double c = tile_contrast(class, v, g, x, y, side);
            if (!isnan(c)) tile[n++] = c;
        }
    qsort(tile, (size_t)n, sizeof *tile, order_doubles);
    if (n) value = tile[n / 10];
    free(tile);
    free(class);
    return value;
}

double legible_layer(const Layer *l, const Grey *g)
{
    enum { BRIGHT = 200, DARK = 60, SOLID = 230 };
    const Box v = visible(l->box, g);
    double bright = 0, dark = 0;
    int brights = 0, darks = 0;
    for (int y = v.y; y < v.y + v.height; y++)
        for (int x = v.x; x < v.x + v.width; x++) {
            const uint8_t *p = pixel_of(l, x, y);
            const uint8_t luma = g->luma[(ptrdiff_t)y * g->stride + x];
            if (p[3] < SOLID) continue;
            if (p[1] >= BRIGHT) bright += luma, brights++;
            if (p[1] <= DARK) dark += luma, darks++;
        }
    if (brights < LEAST_PIXELS || darks < LEAST_PIXELS) return NAN;
    bright /= brights;
    dark /= darks;
    return bright > dark ? contrast_of(bright, dark) : 1;
}

/* ---- codes ---------------------------------------------------------------------------------------------------------------------- */

/* Enlarged by repeating pixels: the scanner misses squares of two or three. */
static bool scan(Box v, int times, const char *text, const Grey *g)
{
    const unsigned width = (unsigned)(v.width * times), height = (unsigned)(v.height * times);
    uint8_t *copy = memory_get((size_t)width * height, 1);
    bool found = false;
    for (unsigned y = 0; y < height; y++)
        for (unsigned x = 0; x < width; x++)
            copy[(size_t)y * width + x] = g->luma[(ptrdiff_t)(v.y + (int)y / times) * g->stride + v.x + (int)x / times];
    zbar_image_scanner_t *scanner = zbar_image_scanner_create();
    zbar_image_t *image = zbar_image_create();
    zbar_image_scanner_set_config(scanner, ZBAR_NONE, ZBAR_CFG_ENABLE, 0);
    zbar_image_scanner_set_config(scanner, ZBAR_QRCODE, ZBAR_CFG_ENABLE, 1);
    zbar_image_scanner_set_config(scanner, ZBAR_QRCODE, ZBAR_CFG_BINARY, 1); /* bytes, not what it guesses of them */
    zbar_image_scanner_request_dbus(scanner, 0);
    zbar_image_set_format(image, 0x30303859); /* Y800 */
    zbar_image_set_size(image, width, height);
    zbar_image_set_data(image, copy, (unsigned long)width * height, NULL);
    zbar_scan_image(scanner, image);
    for (const zbar_symbol_t *s = zbar_image_first_symbol(image); s; s = zbar_symbol_next(s)) {
        const unsigned n = zbar_symbol_get_data_length(s);
        found = found || (n == strlen(text) && memcmp(zbar_symbol_get_data(s), text, n) == 0);
    }
    zbar_image_destroy(image);
    zbar_image_scanner_destroy(scanner);
    free(copy);
    return found;
}

bool legible_code(Box at, const char *text, const Grey *g)
{
    const int edge = at.width / 12; /* some of the picture around it, as a camera sees it */
    const Box v = visible((Box){at.x - edge, at.y - edge, at.width + 2 * edge, at.height + 2 * edge}, g);
    if (v.width < 1 || v.height < 1) return false;
    return scan(v, 1, text, g) || scan(v, 2, text, g) || scan(v, 3, text, g);
}
