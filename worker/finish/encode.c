#include "encode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>

#include "common/file.h"
#include "common/provoke.h"
#include "worker/finish/canvas.h"
#include "worker/finish/codec.h"
#include "worker/pictures/pixels.h"

struct Encode {
    EncodeOptions o; /* its texts are not used after encode_begin */
    char *path, *draft;
    Mux *mux; /* NULL until the first frame */
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    Canvas *canvas;
    int source_width, source_height; /* 0 until the first frame */
    int64_t count;                   /* frames so far */
    char preset[32], codec_name[16], fit[16];
};

EncodeOptions encode_defaults(void)
{
    return (EncodeOptions){.crf = 17, .preset = "veryfast" /* SPEED.md */, .codec = "h264", .fit = "pad", .color = 255};
}

/* libav's reason; a full disk is the machine's fault, not the input's. */
static Status av_failed(const Encode *e, int code, const char *what)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(code, text, sizeof text);
    Status status = status_fail(ERR_NODE, "%s: cannot %s: %s", e->path, what, text);
    status.error = AVUNERROR(code);
    return status;
}

static bool is_preset(const char *name)
{
    static const char *const known[] = {"ultrafast", "superfast", "veryfast", "faster",  "fast",
                                        "medium",    "slow",      "slower",   "veryslow"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], name) == 0) return true;
    return false;
}

static Status check_options(const EncodeOptions *o, const char *path)
{
    if (!is_preset(o->preset))
        return status_fail(ERR_INPUT, "%s: preset = %s, expected one of x264's, ultrafast to veryslow", path,
                           o->preset);
    if (!codec_is_known(o->codec))
        return status_fail(ERR_INPUT, "%s: codec = %s, expected h264, h265, av1 or vp9", path, o->codec);
    if (o->width < 0 || o->height < 0 || o->width > 8192 || o->height > 8192 || o->width % 2 || o->height % 2 ||
        !o->width != !o->height)
        return status_fail(ERR_INPUT, "%s: size %dx%d, expected even numbers up to 8192", path, o->width, o->height);
    if (o->fps < 1 || o->fps > 240) return status_fail(ERR_INPUT, "%s: fps = %d, expected 1 to 240", path, o->fps);
    if (o->crf < 0 || o->crf > 63) return status_fail(ERR_INPUT, "%s: crf = %d, expected 0 to 63", path, o->crf);
    if (o->max_kbps < 0) return status_fail(ERR_INPUT, "%s: max_kbps = %d, expected 0 or more", path, o->max_kbps);
    return status_ok();
}

Status encode_begin(const char *path, const EncodeOptions *o, Encode **out)
{
    *out = NULL;
    TRY(check_options(o, path));
    av_log_set_level(AV_LOG_FATAL); /* its lines would mix with ours; what matters comes back as a code */
    Encode *e = memory_get(1, sizeof *e);
    e->o = *o;
    e->path = text_copy(path);
    e->draft = file_draft(path);
    snprintf(e->preset, sizeof e->preset, "%s", o->preset);
    snprintf(e->codec_name, sizeof e->codec_name, "%s", o->codec);
    snprintf(e->fit, sizeof e->fit, "%s", o->fit);
    e->o.fit = e->fit;
    FILE *f = fopen(e->draft, "wb"); /* now, so that an unwritable folder is known before anything is rendered */
    if (!f) {
        Status status = status_errno(ERR_INPUT, "cannot write %s", path);
        free(e->path);
        free(e->draft);
        free(e);
        return status;
    }
    fclose(f);
    *out = e;
    return status_ok();
}

static Status open_all(Encode *e, int height, int width)
{
    e->source_width = width;
    e->source_height = height;
    if (!e->o.width) {
        e->o.width = width;
        e->o.height = height;
        TRY(check_options(&e->o, e->path));
    }
    CanvasOptions canvas = {e->o.width, e->o.height, e->o.fit, e->o.color};
    TRY(canvas_open(width, height, &canvas, AV_PIX_FMT_YUV420P, &e->canvas));
    TRY(pixels_frame(e->o.width, e->o.height, AV_PIX_FMT_YUV420P, &e->frame));
    e->packet = av_packet_alloc();
    if (!e->packet) return status_fail(ERR_NODE, "%s: out of memory", e->path);
    CodecOptions codec = {e->o.width, e->o.height, e->o.fps, e->o.crf, e->o.max_kbps, e->codec_name, e->preset};
    TRY(status_at(codec_open(&codec, &e->codec), "%s", e->path));
    return mux_begin(e->draft, e->path, e->codec, &e->o.extras, &e->mux);
}

static Status write_packets(Encode *e)
{
    for (;;) {
        int code = avcodec_receive_packet(e->codec, e->packet);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return status_ok();
        if (code < 0) return av_failed(e, code, "encode");
        TRY(mux_picture(e->mux, e->packet));
    }
}

static Status put_one(Encode *e, const float *rgb)
{
    TRY(provoke_at("encode", NULL, e->count));
    if (av_frame_make_writable(e->frame) < 0) return status_fail(ERR_NODE, "%s: out of memory", e->path);
    TRY(canvas_draw(e->canvas, rgb, e->frame));
    if (e->o.paint) TRY(e->o.paint(e->o.self, e->frame, e->count));
    e->frame->pts = e->count++;
    int code = avcodec_send_frame(e->codec, e->frame);
    if (code < 0) return av_failed(e, code, "encode");
    return write_packets(e);
}

Status encode_put(Encode *e, const float *frames, int n, int height, int width)
{
    if (!e->source_width) TRY(open_all(e, height, width));
    if (height != e->source_height || width != e->source_width)
        return status_fail(ERR_CLIP, "%s: a frame of %dx%d after frames of %dx%d", e->path, width, height,
                           e->source_width, e->source_height);
    for (int i = 0; i < n; i++) TRY(put_one(e, frames + (size_t)i * 3 * (size_t)height * (size_t)width));
    return status_ok();
}

static Status finish_file(Encode *e)
{
    if (!e->mux) return status_fail(ERR_CLIP, "%s: no frame was given", e->path);
    int code = avcodec_send_frame(e->codec, NULL);
    if (code < 0) return av_failed(e, code, "encode");
    TRY(write_packets(e));
    TRY(mux_end(&e->mux));
    return file_publish(e->draft, e->path);
}

Status encode_end(Encode **encode)
{
    Status status = finish_file(*encode);
    encode_abandon(encode);
    return status;
}

void encode_abandon(Encode **encode)
{
    Encode *e = *encode;
    if (!e) return;
    mux_abandon(&e->mux);
    avcodec_free_context(&e->codec);
    av_packet_free(&e->packet);
    av_frame_free(&e->frame);
    canvas_close(&e->canvas);
    unlink(e->draft); /* not there any more when it was published */
    free(e->draft);
    free(e->path);
    free(e);
    *encode = NULL;
}
