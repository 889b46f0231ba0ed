#include "rate.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include "common/file.h"
#include "worker/pictures/pixels.h"

typedef enum { PASS, REPEAT, BLEND, MOTION } How;

struct Rate {
    How how;
    int from_fps, to_fps, width, height;
    RateFrame *emit;
    void *self;
    int64_t put, given; /* frames in, frames out */
    float *last, *mixed;
    /* motion */
    AVFilterGraph *graph;
    AVFilterContext *source, *sink;
    Pixels *to_yuv;
    AVFrame *yuv, *got;
    struct SwsContext *to_rgb;
    uint8_t *rgb8;
};

int64_t rate_count(int64_t frames, int from_fps, int to_fps) { return (frames * to_fps + from_fps / 2) / from_fps; }

Status rate_open(const char *how, int from_fps, int to_fps, RateFrame *emit, void *self, Rate **out)
{
    How h = strcmp(how, "motion") == 0   ? MOTION
            : strcmp(how, "blend") == 0  ? BLEND
            : strcmp(how, "repeat") == 0 ? REPEAT
                                         : PASS;
    *out = NULL;
    if (h == PASS) return status_fail(ERR_INPUT, "frames by \"%s\", expected motion, blend or repeat", how);
    Rate *r = *out = memory_get(1, sizeof *r);
    *r = (Rate){
        .how = from_fps == to_fps ? PASS : h, .from_fps = from_fps, .to_fps = to_fps, .emit = emit, .self = self};
    return status_ok();
}

void rate_close(Rate **rate)
{
    Rate *r = *rate;
    if (!r) return;
    avfilter_graph_free(&r->graph);
    pixels_close(&r->to_yuv);
    av_frame_free(&r->yuv);
    av_frame_free(&r->got);
    sws_freeContext(r->to_rgb);
    free(r->rgb8);
    free(r->last);
    free(r->mixed);
    free(r);
    *rate = NULL;
}

static size_t values(const Rate *r) { return (size_t)r->width * (size_t)r->height * 3; }

static Status give(Rate *r, const float *rgb)
{
    r->given++;
    return r->emit(r->self, rgb, r->height, r->width);
}

/* ---- motion ------------------------------------------------------------------------------------------------------------- */

static Status av_failed(int code, const char *what)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(code, text, sizeof text);
    return status_fail(ERR_NODE, "cannot change the frame rate: %s: %s", what, text);
}

static Status build_graph(Rate *r)
{
    AVFilterContext *motion = NULL;
    char in[160], how[160];
    const AVFilter *filter = avfilter_get_by_name("minterpolate");
    if (!filter)
        return status_fail(ERR_NODE, "this libavfilter has no minterpolate: set convert: blend in the rendition");
    r->graph = avfilter_graph_alloc();
    if (!r->graph) return av_failed(AVERROR(ENOMEM), "graph");
    r->graph->nb_threads = 1;
    snprintf(in, sizeof in, "video_size=%dx%d:pix_fmt=yuv444p:time_base=1/%d:frame_rate=%d/1", r->width, r->height,
             r->from_fps, r->from_fps);
    snprintf(how, sizeof how, "fps=%d:mi_mode=mci:mc_mode=obmc:me_mode=bilat:mb_size=8:scd=fdiff:scd_threshold=10",
             r->to_fps);
    int code = avfilter_graph_create_filter(&r->source, avfilter_get_by_name("buffer"), "in", in, NULL, r->graph);
    if (code >= 0) code = avfilter_graph_create_filter(&motion, filter, "motion", how, NULL, r->graph);
    if (code >= 0)
        code = avfilter_graph_create_filter(&r->sink, avfilter_get_by_name("buffersink"), "out", NULL, NULL, r->graph);
    if (code >= 0) code = avfilter_link(r->source, 0, motion, 0);
    if (code >= 0) code = avfilter_link(motion, 0, r->sink, 0);
    if (code >= 0) code = avfilter_graph_config(r->graph, NULL);
    return code < 0 ? av_failed(code, "minterpolate") : status_ok();
}

static Status open_motion(Rate *r)
{
    const int *bt709 = sws_getCoefficients(SWS_CS_ITU709);
    TRY(build_graph(r));
    TRY(pixels_open(r->width, r->height, r->width, r->height, AV_PIX_FMT_YUV444P, &r->to_yuv));
    r->got = av_frame_alloc();
    r->to_rgb = sws_getContext(r->width, r->height, AV_PIX_FMT_YUV444P, r->width, r->height, AV_PIX_FMT_RGB24,
                               SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    r->rgb8 = malloc(values(r) + 64);
    if (!r->got || !r->to_rgb || !r->rgb8)
        return status_fail(ERR_NODE, "out of memory for frames of %dx%d", r->width, r->height);
    sws_setColorspaceDetails(r->to_rgb, bt709, 0, bt709, 1, 0, 1 << 16, 1 << 16);
    return status_ok();
}

static Status take_frames(Rate *r, int64_t most)
{
    for (;;) {
        int code = av_buffersink_get_frame(r->sink, r->got);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return status_ok();
        if (code < 0) return av_failed(code, "minterpolate");
        sws_scale(r->to_rgb, (const uint8_t *const *)r->got->data, r->got->linesize, 0, r->height,
                  (uint8_t *[]){r->rgb8}, (int[]){3 * r->width});
        av_frame_unref(r->got);
        for (size_t i = 0; i < values(r); i++) r->mixed[i] = (float)r->rgb8[i] / 255;
        if (r->given < most) TRY(give(r, r->mixed));
    }
}

static Status send_motion(Rate *r, const float *rgb, int64_t number)
{
    if (!r->graph) TRY(open_motion(r));
    av_frame_free(&r->yuv);
    TRY(pixels_frame(r->width, r->height, AV_PIX_FMT_YUV444P, &r->yuv));
    TRY(pixels_convert(r->to_yuv, rgb, r->yuv, 0, 0));
    r->yuv->pts = number;
    int code = av_buffersrc_add_frame(r->source, r->yuv);
    if (code < 0) return av_failed(code, "minterpolate");
    return take_frames(r, INT64_MAX);
}

/* The filter holds back what it would need a next frame for: the last one is shown to it again, and what comes of that beyond the
 * clip's end is left out. What is still missing then is the last frame. */
static Status end_motion(Rate *r, int64_t most)
{
    for (int i = 0; i < 4 && r->given < most; i++) {
        av_frame_free(&r->yuv);
        TRY(pixels_frame(r->width, r->height, AV_PIX_FMT_YUV444P, &r->yuv));
        TRY(pixels_convert(r->to_yuv, r->last, r->yuv, 0, 0));
        r->yuv->pts = r->put + i;
        int code = av_buffersrc_add_frame(r->source, r->yuv);
        av_frame_free(&r->yuv);
        if (code < 0) return av_failed(code, "minterpolate");
        TRY(take_frames(r, most));
    }
    for (size_t i = 0; r->given < most && i < values(r); i++) /* of 8 bits, as all others */
        r->mixed[i] = (float)lrintf(fminf(fmaxf(r->last[i], 0), 1) * 255) / 255;
    while (r->given < most) TRY(give(r, r->mixed));
    return status_ok();
}

/* ---- the simple ones ------------------------------------------------------------------------------------------------------ */

/* The frames between the last one and this, with blend; those up to this one, with repeat. */
static Status send_simple(Rate *r, const float *rgb)
{
    for (;;) {
        double at =
            (double)r->given * r->from_fps / r->to_fps - (double)(r->put - 1); /* 0: the last one, 1: this one */
        if (r->put == 0 || at >= 1 - 1e-9) return status_ok();
        if (r->how == REPEAT || at < 1e-9) {
            TRY(give(r, r->last));
            continue;
        }
        for (size_t i = 0; i < values(r); i++) r->mixed[i] = r->last[i] + (float)at * (rgb[i] - r->last[i]);
        TRY(give(r, r->mixed));
    }
}

Status rate_put(Rate *r, const float *rgb, int height, int width)
{
    if (r->how == PASS) return r->emit(r->self, rgb, height, width);
    if (!r->last) {
        r->width = width;
        r->height = height;
        r->last = malloc(values(r) * sizeof *r->last);
        r->mixed = malloc(values(r) * sizeof *r->mixed);
        if (!r->last || !r->mixed) return status_fail(ERR_NODE, "out of memory for frames of %dx%d", width, height);
    }
    if (width != r->width || height != r->height)
        return status_fail(ERR_CLIP, "a frame of %dx%d after frames of %dx%d", width, height, r->width, r->height);
    TRY(r->how == MOTION ? send_motion(r, rgb, r->put) : send_simple(r, rgb));
    memcpy(r->last, rgb, values(r) * sizeof *rgb);
    r->put++;
    return status_ok();
}

Status rate_end(Rate *r)
{
    int64_t most = rate_count(r->put, r->from_fps, r->to_fps);
    if (r->how == PASS || r->put == 0) return status_ok();
    if (r->how == MOTION) return end_motion(r, most);
    while (r->given < most) TRY(give(r, r->last));
    return status_ok();
}
