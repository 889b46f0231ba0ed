#include "canvas.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>

#include "common/file.h"
#include "worker/pictures/pixels.h"

typedef enum { PAD, BLUR, CROP, FOLLOW } Fit;
static const char *const fits[] = {"pad", "blur", "crop", "follow"};
enum { BLUR_BY = 24, BACK_PER_CENT = 55 };

struct Canvas {
    CanvasOptions o;
    Fit fit;
    enum AVPixelFormat format;
    int width, height;           /* of the source */
    Pixels *pixels;              /* the picture itself */
    AVFrame *inner;              /* pad, blur: the picture alone, since swscale writes beyond a line's end */
    int x, y;                    /* where it goes */
    int part_width, part_height; /* of the source that is shown */
    double at;                   /* follow: where that begins, along the axis that is cut */
    Pixels *to_small;            /* blur: the background, tiny */
    AVFrame *small;
    struct SwsContext *enlarge;
};

void canvas_close(Canvas **canvas)
{
    Canvas *c = *canvas;
    if (!c) return;
    pixels_close(&c->pixels);
    pixels_close(&c->to_small);
    av_frame_free(&c->inner);
    av_frame_free(&c->small);
    sws_freeContext(c->enlarge);
    free(c);
    *canvas = NULL;
}

/* The largest part of the source that has the frame's aspect. */
static void choose_part(Canvas *c)
{
    int64_t by_height = (int64_t)c->height * c->o.width, by_width = (int64_t)c->width * c->o.height;
    c->part_width = by_height < by_width ? (int)(by_height / c->o.height) : c->width;
    c->part_height = by_height < by_width ? c->height : (int)(by_width / c->o.width);
    if (c->part_width < 2) c->part_width = 2 < c->width ? 2 : c->width;
    if (c->part_height < 2) c->part_height = 2 < c->height ? 2 : c->height;
}

static Status open_blur(Canvas *c)
{
    int width = (c->o.width / BLUR_BY + 2) & ~1, height = (c->o.height / BLUR_BY + 2) & ~1;
    choose_part(c);
    TRY(pixels_open(c->part_width, c->part_height, width, height, c->format, &c->to_small));
    pixels_take(c->to_small, c->width, (c->width - c->part_width) / 2, (c->height - c->part_height) / 2);
    TRY(pixels_frame(width, height, c->format, &c->small));
    c->enlarge = sws_getContext(width, height, c->format, c->o.width, c->o.height, c->format,
                                SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT, NULL, NULL, NULL);
    return c->enlarge ? status_ok()
                      : status_fail(ERR_NODE, "out of memory for frames of %dx%d", c->o.width, c->o.height);
}

static Status open_all(Canvas *c)
{
    int width = c->o.width, height = c->o.height;
    if (c->fit == PAD || c->fit == BLUR) {
        pixels_fit(c->width, c->height, c->o.width, c->o.height, &width, &height);
        c->x = (c->o.width - width) / 2 & ~1;
        c->y = (c->o.height - height) / 2 & ~1;
        if (width == c->o.width && height == c->o.height) c->fit = PAD; /* nothing is left beside it */
        TRY(pixels_open(c->width, c->height, width, height, c->format, &c->pixels));
        TRY(pixels_frame(width, height, c->format, &c->inner));
        return c->fit == BLUR ? open_blur(c) : status_ok();
    }
    choose_part(c);
    TRY(pixels_open(c->part_width, c->part_height, width, height, c->format, &c->pixels));
    c->at = -1;
    return status_ok();
}

Status canvas_open(int width, int height, const CanvasOptions *o, enum AVPixelFormat format, Canvas **out)
{
    int fit = 0;
    *out = NULL;
    while (fit < 4 && strcmp(fits[fit], o->fit) != 0) fit++;
    if (fit == 4) return status_fail(ERR_INPUT, "fit = %s, expected pad, blur, crop or follow", o->fit);
    Canvas *c = *out = memory_get(1, sizeof *c);
    *c = (Canvas){.o = *o, .fit = (Fit)fit, .format = format, .width = width, .height = height};
    Status status = open_all(c);
    if (failed(status)) canvas_close(out);
    return status;
}

/* ---- backgrounds ---------------------------------------------------------------------------------------------------------- */

static void fill_plane(uint8_t *to, int stride, int width, int height, int value)
{
    for (int y = 0; y < height; y++) memset(to + (ptrdiff_t)y * stride, value, (size_t)width);
}

static void fill_color(const Canvas *c, AVFrame *f)
{
    double r = (double)(c->o.color >> 24), g = (double)(c->o.color >> 16 & 255), b = (double)(c->o.color >> 8 & 255);
    double luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    if (c->format == AV_PIX_FMT_RGB24) {
        for (int y = 0; y < f->height; y++)
            for (int x = 0; x < f->width; x++) {
                uint8_t *p = f->data[0] + (ptrdiff_t)y * f->linesize[0] + 3 * (ptrdiff_t)x;
                p[0] = (uint8_t)r, p[1] = (uint8_t)g, p[2] = (uint8_t)b;
            }
        return;
    }
    fill_plane(f->data[0], f->linesize[0], f->width, f->height, (int)lrint(16 + luma * 219 / 255));
    fill_plane(f->data[1], f->linesize[1], (f->width + 1) / 2, (f->height + 1) / 2,
               (int)lrint(128 + (b - luma) / 1.8556 * 224 / 255));
    fill_plane(f->data[2], f->linesize[2], (f->width + 1) / 2, (f->height + 1) / 2,
               (int)lrint(128 + (r - luma) / 1.5748 * 224 / 255));
}

static Status fill_blur(Canvas *c, const float *rgb, AVFrame *f)
{
    const bool yuv = c->format == AV_PIX_FMT_YUV420P;
    TRY(pixels_convert(c->to_small, rgb, c->small, 0, 0));
    /* darkened, so that the picture stands out from it; a tiny frame is quick to go over */
    for (int y = 0; y < c->small->height; y++)
        for (int x = 0; x < c->small->width * (yuv ? 1 : 3); x++) {
            uint8_t *p = c->small->data[0] + (ptrdiff_t)y * c->small->linesize[0] + x;
            *p = (uint8_t)(yuv ? 16 + (*p - 16) * BACK_PER_CENT / 100 : *p * BACK_PER_CENT / 100);
        }
    if (sws_scale(c->enlarge, (const uint8_t *const *)c->small->data, c->small->linesize, 0, c->small->height, f->data,
                  f->linesize) < 0)
        return status_fail(ERR_NODE, "cannot enlarge a background");
    return status_ok();
}

/* ---- following --------------------------------------------------------------------------------------------------------------- */

static float grey(const float *p) { return p[0] + p[1] + p[2]; }

/* How much there is to see in each column (or row) of the source: differences of neighbours. */
static void measure_axis(const Canvas *c, const float *rgb, bool columns, double *sum)
{
    for (int y = 1; y < c->height; y++)
        for (int x = 1; x < c->width; x++) {
            const float *p = rgb + ((size_t)y * (size_t)c->width + (size_t)x) * 3;
            sum[columns ? x : y] += fabsf(grey(p) - grey(p - 3)) + fabsf(grey(p) - grey(p - 3 * (size_t)c->width));
        }
}

/* Where the part begins that shows most; the middle counts for more, by a quarter. */
static int best_begin(const Canvas *c, const float *rgb, bool columns)
{
    int whole = columns ? c->width : c->height, part = columns ? c->part_width : c->part_height, best = 0;
    double *sum = memory_get((size_t)whole, sizeof *sum), most = -1, window = 0;
    measure_axis(c, rgb, columns, sum);
    for (int i = 0; i < part; i++) window += sum[i];
    for (int i = 0; i + part <= whole; i++) {
        double off = whole > part ? fabs(2.0 * i / (whole - part) - 1) : 0;
        if (window * (1 - 0.25 * off) > most) most = window * (1 - 0.25 * off), best = i;
        if (i + part < whole) window += sum[i + part] - sum[i];
    }
    free(sum);
    return best;
}

static void choose_crop(Canvas *c, const float *rgb)
{
    bool columns = c->part_width < c->width;
    int spare = columns ? c->width - c->part_width : c->height - c->part_height;
    if (c->fit == CROP) {
        c->at = spare / 2;
    } else {
        int goal = best_begin(c, rgb, columns);
        double most = (columns ? c->width : c->height) * 0.01; /* a hundredth of the picture a frame */
        c->at = c->at < 0 ? goal : c->at + fmax(-most, fmin(most, 0.1 * (goal - c->at)));
    }
    int at = (int)lrint(c->at);
    pixels_take(c->pixels, c->width, columns ? at : 0, columns ? 0 : at);
}

/* x and y are even. */
static void copy_inner(const Canvas *c, AVFrame *to)
{
    const bool yuv = c->format == AV_PIX_FMT_YUV420P;
    for (int i = 0; i < (yuv ? 3 : 1); i++) {
        const int part = i ? 2 : 1, step = yuv ? 1 : 3;
        uint8_t *at = to->data[i] + (ptrdiff_t)(c->y / part) * to->linesize[i] + c->x / part * step;
        av_image_copy_plane(at, to->linesize[i], c->inner->data[i], c->inner->linesize[i],
                            c->inner->width / part * step, c->inner->height / part);
    }
}

Status canvas_draw(Canvas *c, const float *rgb, AVFrame *to)
{
    if (c->fit == CROP || c->fit == FOLLOW) {
        choose_crop(c, rgb);
        return pixels_convert(c->pixels, rgb, to, 0, 0);
    }
    if (c->fit == BLUR)
        TRY(fill_blur(c, rgb, to));
    else
        fill_color(c, to);
    TRY(pixels_convert(c->pixels, rgb, c->inner, 0, 0));
    copy_inner(c, to);
    return status_ok();
}
