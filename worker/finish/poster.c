#include "poster.h"

#include <stdlib.h>

#include <libavcodec/avcodec.h>
#include <libswscale/swscale.h>

#include "common/file.h"
#include "worker/pictures/pixels.h"

static int encode(const AVFrame *f, AVPacket *packet)
{
    const AVCodec *mjpeg = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
    AVCodecContext *c = mjpeg ? avcodec_alloc_context3(mjpeg) : NULL;
    if (!c) return AVERROR_ENCODER_NOT_FOUND;
    c->width = f->width;
    c->height = f->height;
    c->pix_fmt = AV_PIX_FMT_YUVJ420P;
    c->color_range = AVCOL_RANGE_JPEG;
    c->time_base = (AVRational){1, 1};
    c->thread_count = 1;
    c->flags |= (int)(AV_CODEC_FLAG_BITEXACT | AV_CODEC_FLAG_QSCALE);
    c->global_quality = 3 * FF_QP2LAMBDA; /* of 2 (best) to 31 */
    int code = avcodec_open2(c, mjpeg, NULL);
    if (code >= 0) code = avcodec_send_frame(c, f);
    if (code >= 0) code = avcodec_receive_packet(c, packet);
    avcodec_free_context(&c);
    return code;
}

Status poster_write(const char *path, const AVFrame *frame)
{
    AVFrame *yuv = NULL;
    AVPacket *packet = av_packet_alloc();
    Status status = packet ? pixels_frame(frame->width, frame->height, AV_PIX_FMT_YUVJ420P, &yuv)
                           : status_fail(ERR_NODE, "out of memory");
    struct SwsContext *convert =
        failed(status)
            ? NULL
            : sws_getContext(frame->width, frame->height, AV_PIX_FMT_RGB24, frame->width, frame->height,
                             AV_PIX_FMT_YUVJ420P, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT, NULL, NULL, NULL);
    if (!failed(status) && !convert) status = status_fail(ERR_NODE, "out of memory for a poster");
    if (!failed(status)) {
        sws_scale(convert, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height, yuv->data,
                  yuv->linesize);
        yuv->quality = 3 * FF_QP2LAMBDA;
        yuv->pts = 0;
        if (encode(yuv, packet) < 0)
            status = status_fail(ERR_NODE, "%s: cannot encode a JPEG of %dx%d", path, frame->width, frame->height);
    }
    if (!failed(status)) status = file_replace(path, packet->data, (size_t)packet->size);
    sws_freeContext(convert);
    av_frame_free(&yuv);
    av_packet_free(&packet);
    return status;
}
