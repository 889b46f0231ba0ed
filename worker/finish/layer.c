#include "layer.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

static int min_of(int a, int b) { return a < b ? a : b; }
static int max_of(int a, int b) { return a > b ? a : b; }

static uint8_t scaled(unsigned a, unsigned b) { return (uint8_t)((a * b + 127) / 255); }

static Box common_box(Box a, Box b)
{
    int x = max_of(a.x, b.x), y = max_of(a.y, b.y);
    int right = min_of(a.x + a.width, b.x + b.width), bottom = min_of(a.y + a.height, b.y + b.height);
    return (Box){x, y, max_of(0, right - x), max_of(0, bottom - y)};
}

Layer *layer_new(Box box)
{
    Layer *l = memory_get(1, sizeof *l);
    int right = box.x + max_of(box.width, 1), bottom = box.y + max_of(box.height, 1);
    l->box.x = box.x & ~1;
    l->box.y = box.y & ~1;
    l->box.width = (right - l->box.x + 1) & ~1;
    l->box.height = (bottom - l->box.y + 1) & ~1;
    l->rgba = memory_get((size_t)l->box.width * (size_t)l->box.height, 4);
    return l;
}

static void forget_planes(Layer *l)
{
    free(l->alpha);
    free(l->luma);
    free(l->alpha_4);
    free(l->blue);
    free(l->red);
    l->alpha = l->luma = l->alpha_4 = l->blue = l->red = NULL;
}

void layer_free(Layer **l)
{
    if (!*l) return;
    forget_planes(*l);
    free((*l)->rgba);
    free(*l);
    *l = NULL;
}

static uint8_t *pixel_at(const Layer *l, int x, int y)
{
    return l->rgba + ((size_t)(y - l->box.y) * (size_t)l->box.width + (size_t)(x - l->box.x)) * 4;
}

static void over(uint8_t *to, const uint8_t *premultiplied)
{
    unsigned left = 255u - premultiplied[3];
    for (int c = 0; c < 4; c++) to[c] = (uint8_t)min_of(255, premultiplied[c] + scaled(to[c], left));
}

static void over_color(uint8_t *to, uint32_t color, unsigned alpha)
{
    unsigned a = scaled(alpha, color & 255);
    over(to,
         (uint8_t[]){scaled(color >> 24, a), scaled(color >> 16 & 255, a), scaled(color >> 8 & 255, a), (uint8_t)a});
}

void layer_add_mask(Layer *l, const uint8_t *mask, int stride, Box at, uint32_t color)
{
    Box part = common_box(l->box, at);
    for (int y = part.y; y < part.y + part.height; y++)
        for (int x = part.x; x < part.x + part.width; x++) {
            unsigned a = mask[(ptrdiff_t)(y - at.y) * stride + (x - at.x)];
            if (a) over_color(pixel_at(l, x, y), color, a);
        }
}

/* How much of a pixel lies inside a corner's circle, 0 to 255, by its middle's distance. */
static unsigned corner_share(double dx, double dy, double radius)
{
    double inside = radius + 0.5 - sqrt(dx * dx + dy * dy);
    return inside >= 1 ? 255 : inside <= 0 ? 0 : (unsigned)lrint(inside * 255);
}

void layer_add_box(Layer *l, Box at, int radius, uint32_t color)
{
    Box part = common_box(l->box, at);
    radius = min_of(radius, min_of(at.width, at.height) / 2);
    for (int y = part.y; y < part.y + part.height; y++)
        for (int x = part.x; x < part.x + part.width; x++) {
            int from_x = min_of(x - at.x, at.x + at.width - 1 - x), from_y = min_of(y - at.y, at.y + at.height - 1 - y);
            bool corner = from_x < radius && from_y < radius;
            unsigned a = corner ? corner_share(radius - from_x - 0.5, radius - from_y - 0.5, radius) : 255;
            if (a) over_color(pixel_at(l, x, y), color, a);
        }
}

void layer_add_rgba(Layer *l, const uint8_t *rgba, Box at)
{
    Box part = common_box(l->box, at);
    for (int y = part.y; y < part.y + part.height; y++)
        for (int x = part.x; x < part.x + part.width; x++)
            over(pixel_at(l, x, y), rgba + ((size_t)(y - at.y) * (size_t)at.width + (size_t)(x - at.x)) * 4);
}

Box layer_extent(const Layer *l)
{
    int left = l->box.width, right = -1, top = l->box.height, bottom = -1;
    for (int y = 0; y < l->box.height; y++)
        for (int x = 0; x < l->box.width; x++) {
            if (!l->rgba[((size_t)y * (size_t)l->box.width + (size_t)x) * 4 + 3]) continue;
            left = min_of(left, x);
            right = max_of(right, x);
            top = min_of(top, y);
            bottom = max_of(bottom, y);
        }
    if (right < 0) return (Box){l->box.x, l->box.y, 0, 0};
    return (Box){l->box.x + left, l->box.y + top, right - left + 1, bottom - top + 1};
}

/* ---- blending -------------------------------------------------------------------------------------------------------- */

/* BT.709, of premultiplied values: the offsets (16, 128) are premultiplied too. */
static double luma_of(const double p[4])
{
    return 16 * p[3] / 255 + (0.2126 * p[0] + 0.7152 * p[1] + 0.0722 * p[2]) * 219 / 255;
}
static double blue_of(const double p[4])
{
    return 128 * p[3] / 255 + (p[2] - (0.2126 * p[0] + 0.7152 * p[1] + 0.0722 * p[2])) / 1.8556 * 224 / 255;
}
static double red_of(const double p[4])
{
    return 128 * p[3] / 255 + (p[0] - (0.2126 * p[0] + 0.7152 * p[1] + 0.0722 * p[2])) / 1.5748 * 224 / 255;
}

static uint8_t rounded(double x) { return x <= 0 ? 0 : x >= 255 ? 255 : (uint8_t)lrint(x); }

void layer_ready(Layer *l)
{
    size_t width = (size_t)l->box.width, height = (size_t)l->box.height, half = width / 2;
    forget_planes(l);
    l->alpha = memory_get(width * height, 1);
    l->luma = memory_get(width * height, 1);
    l->alpha_4 = memory_get(half * (height / 2), 1);
    l->blue = memory_get(half * (height / 2), 1);
    l->red = memory_get(half * (height / 2), 1);
    for (size_t y = 0; y < height; y += 2)
        for (size_t x = 0; x < width; x += 2) {
            double sum[4] = {0};
            for (size_t k = 0; k < 4; k++) {
                size_t at = (y + k / 2) * width + x + k % 2;
                double p[4];
                for (int c = 0; c < 4; c++) sum[c] += (p[c] = l->rgba[at * 4 + (size_t)c]) / 4;
                l->alpha[at] = l->rgba[at * 4 + 3];
                l->luma[at] = rounded(luma_of(p));
            }
            size_t at = y / 2 * half + x / 2;
            l->alpha_4[at] = rounded(sum[3]);
            l->blue[at] = rounded(blue_of(sum));
            l->red[at] = rounded(red_of(sum));
        }
}

static uint8_t mixed(unsigned below, unsigned premultiplied, unsigned alpha, unsigned strength)
{
    unsigned sum = below * (255 * 256 - alpha * strength) + premultiplied * strength * 255;
    sum = (sum + 255 * 128) / (255 * 256);
    return (uint8_t)(sum > 255 ? 255 : sum);
}

typedef struct { /* one plane of a layer, and where it goes */
    const uint8_t *alpha, *value;
    int step; /* bytes from one pixel to the next, of both */
    Box box;
} Plane;

static void blend_plane(Plane p, uint8_t *to, int stride, int to_step, int width, int height, int strength)
{
    Box part = common_box(p.box, (Box){0, 0, width, height});
    for (int y = part.y; y < part.y + part.height; y++)
        for (int x = part.x; x < part.x + part.width; x++) {
            ptrdiff_t at = ((ptrdiff_t)(y - p.box.y) * p.box.width + (x - p.box.x)) * p.step;
            uint8_t *below = to + (ptrdiff_t)y * stride + (ptrdiff_t)x * to_step;
            if (p.alpha[at]) *below = mixed(*below, p.value[at], p.alpha[at], (unsigned)strength);
        }
}

Status layer_blend(const Layer *l, AVFrame *f, int strength)
{
    Box half = {l->box.x / 2, l->box.y / 2, l->box.width / 2, l->box.height / 2};
    if (strength <= 0) return status_ok();
    if (f->format == AV_PIX_FMT_RGB24) {
        for (int c = 0; c < 3; c++)
            blend_plane((Plane){l->rgba + 3, l->rgba + c, 4, l->box}, f->data[0] + c, f->linesize[0], 3, f->width,
                        f->height, strength);
        return status_ok();
    }
    if (f->format != AV_PIX_FMT_YUV420P || !l->alpha)
        return status_fail(ERR_NODE, "a layer cannot be laid over frames of this format");
    blend_plane((Plane){l->alpha, l->luma, 1, l->box}, f->data[0], f->linesize[0], 1, f->width, f->height, strength);
    blend_plane((Plane){l->alpha_4, l->blue, 1, half}, f->data[1], f->linesize[1], 1, (f->width + 1) / 2,
                (f->height + 1) / 2, strength);
    blend_plane((Plane){l->alpha_4, l->red, 1, half}, f->data[2], f->linesize[2], 1, (f->width + 1) / 2,
                (f->height + 1) / 2, strength);
    return status_ok();
}

/* ---- contrast -------------------------------------------------------------------------------------------------------- */

static double linear(double v) { return v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4); }

static double luminance(double r, double g, double b)
{
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
}

double layer_luminance(uint32_t color)
{
    return luminance((color >> 24) / 255.0, (color >> 16 & 255) / 255.0, (color >> 8 & 255) / 255.0);
}

double layer_contrast(double a, double b) { return (fmax(a, b) + 0.05) / (fmin(a, b) + 0.05); }

static double clipped(double v) { return v < 0 ? 0 : v > 1 ? 1 : v; }

static double luminance_at(const AVFrame *f, int x, int y)
{
    if (f->format == AV_PIX_FMT_RGB24) {
        const uint8_t *p = f->data[0] + (ptrdiff_t)y * f->linesize[0] + 3 * (ptrdiff_t)x;
        return luminance(p[0] / 255.0, p[1] / 255.0, p[2] / 255.0);
    }
    double luma = (f->data[0][(ptrdiff_t)y * f->linesize[0] + x] - 16) / 219.0;
    double blue = (f->data[1][(ptrdiff_t)(y / 2) * f->linesize[1] + x / 2] - 128) / 224.0;
    double red = (f->data[2][(ptrdiff_t)(y / 2) * f->linesize[2] + x / 2] - 128) / 224.0;
    double r = luma + 1.5748 * red, b = luma + 1.8556 * blue;
    return luminance(clipped(r), clipped((luma - 0.2126 * r - 0.0722 * b) / 0.7152), clipped(b));
}

double layer_share_below(const AVFrame *f, Box at, uint32_t color, double least)
{
    Box part = common_box(at, (Box){0, 0, f->width, f->height});
    int step = max_of(1, min_of(part.width, part.height) / 24); /* a few thousand pixels say it */
    double own = layer_luminance(color);
    int count = 0, poor = 0;
    for (int y = part.y; y < part.y + part.height; y += step)
        for (int x = part.x; x < part.x + part.width; x += step, count++)
            poor += layer_contrast(own, luminance_at(f, x, y)) < least;
    return count ? (double)poor / count : 0;
}
