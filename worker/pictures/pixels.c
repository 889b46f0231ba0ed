#include "pixels.h"

#include <stdbool.h>
#include <stdlib.h>

#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include "common/file.h"

struct Pixels {
    int width, height;                /* of what is taken */
    int source_width, from_x, from_y; /* and where that is in a frame */
    struct SwsContext *scale;
    uint16_t *rgb48; /* [height,width,3]: 16 bits keep what 8 would band when the picture is enlarged */
};

Status pixels_open(int width, int height, int to_width, int to_height, enum AVPixelFormat to_format, Pixels **out)
{
    const int *bt709 = sws_getCoefficients(SWS_CS_ITU709);
    const bool full = to_format == AV_PIX_FMT_RGB24, halved = to_format == AV_PIX_FMT_YUV420P;
    Pixels *p = memory_get(1, sizeof *p);
    *out = p;
    p->width = p->source_width = width;
    p->height = height;
    p->rgb48 = malloc((size_t)width * (size_t)height * 3 * sizeof *p->rgb48);
    p->scale = sws_alloc_context();
    if (!p->rgb48 || !p->scale) {
        pixels_close(out);
        return status_fail(ERR_NODE, "out of memory for frames of %dx%d", width, height);
    }
    const struct {
        const char *name;
        int64_t value;
    } option[] = {
        {"srcw", width},
        {"srch", height},
        {"src_format", AV_PIX_FMT_RGB48},
        {"dstw", to_width},
        {"dsth", to_height},
        {"dst_format", to_format},
        {"sws_flags", SWS_LANCZOS | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP},
        {"dst_h_chr_pos", halved ? 0 : -513}, /* chroma sits left, between two lines, as H.264 has it by default */
        {"dst_v_chr_pos", halved ? 128 : -513}};
    for (size_t i = 0; i < sizeof option / sizeof *option; i++)
        av_opt_set_int(p->scale, option[i].name, option[i].value, 0);
    sws_setColorspaceDetails(p->scale, bt709, 1, bt709, full, 0, 1 << 16, 1 << 16);
    if (sws_init_context(p->scale, NULL, NULL) < 0) {
        pixels_close(out);
        return status_fail(ERR_INPUT, "cannot scale frames of %dx%d to %dx%d", width, height, to_width, to_height);
    }
    return status_ok();
}

void pixels_close(Pixels **p)
{
    if (!*p) return;
    sws_freeContext((*p)->scale);
    free((*p)->rgb48);
    free(*p);
    *p = NULL;
}

void pixels_take(Pixels *p, int source_width, int x, int y)
{
    p->source_width = source_width;
    p->from_x = x;
    p->from_y = y;
}

static uint16_t to_16_bits(float x)
{
    if (!(x > 0)) return 0; /* NaN too */
    return x < 1 ? (uint16_t)(x * 65535.0f + 0.5f) : 65535;
}

Status pixels_convert(Pixels *p, const float *rgb, AVFrame *to, int x, int y)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get((enum AVPixelFormat)to->format);
    for (int row = 0; row < p->height; row++) {
        const float *source = rgb + ((size_t)(p->from_y + row) * (size_t)p->source_width + (size_t)p->from_x) * 3;
        uint16_t *line = p->rgb48 + (size_t)row * (size_t)p->width * 3;
        for (int i = 0; i < p->width * 3; i++) line[i] = to_16_bits(source[i]);
    }
    const uint8_t *from[4] = {(const uint8_t *)p->rgb48};
    const int from_stride[4] = {p->width * 6};
    uint8_t *plane[4] = {0};
    for (int i = 0; i < av_pix_fmt_count_planes((enum AVPixelFormat)to->format); i++) {
        bool chroma = i > 0;
        int column = (chroma ? x >> d->log2_chroma_w : x) * d->comp[i].step;
        plane[i] = to->data[i] + (ptrdiff_t)(chroma ? y >> d->log2_chroma_h : y) * to->linesize[i] + column;
    }
    if (sws_scale(p->scale, from, from_stride, 0, p->height, plane, to->linesize) < 0)
        return status_fail(ERR_NODE, "cannot convert frames of %dx%d", p->width, p->height);
    return status_ok();
}

void pixels_fit(int width, int height, int room_width, int room_height, int *fit_width, int *fit_height)
{
    int64_t by_height = (int64_t)width * room_height, by_width = (int64_t)height * room_width;
    /* 64x112, the nearest that a model of 16-pixel steps has to 9:16, is 1.6 % off: nobody sees that stretched, and
     * everybody a thin black line above and below */
    if (llabs(by_height - by_width) * 50 <= by_width) by_height = by_width;
    *fit_width = by_height < by_width ? (int)(by_height / height) & ~1 : room_width & ~1;
    *fit_height = by_width < by_height ? (int)(by_width / width) & ~1 : room_height & ~1;
    if (*fit_width < 2) *fit_width = 2;
    if (*fit_height < 2) *fit_height = 2;
}

Status pixels_frame(int width, int height, enum AVPixelFormat format, AVFrame **out)
{
    AVFrame *f = av_frame_alloc();
    if (f) {
        f->width = width;
        f->height = height;
        f->format = format;
    }
    if (!f || av_frame_get_buffer(f, 0) < 0) {
        av_frame_free(&f);
        return status_fail(ERR_NODE, "out of memory for a frame of %dx%d", width, height);
    }
    *out = f;
    return status_ok();
}
