#include "codes.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>

#include "common/file.h"
#include "common/json_member.h"
#include "worker/finish/legible.h"
#include "worker/pictures/container.h"

typedef struct {
    const char *path;
    AVFormatContext *file;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    int stream;
} Film;

/* ---- a frame of the file ---- */

static Status unreadable(const Film *f)
{
    return status_fail(ERR_CLIP, "%s: it cannot be read back", path_name(f->path));
}

static Status open_film(Film *f)
{
    const AVCodec *decoder = NULL;
    if (container_open(f->path, NULL, &f->file) < 0 || avformat_find_stream_info(f->file, NULL) < 0)
        return unreadable(f);
    f->stream = av_find_best_stream(f->file, AVMEDIA_TYPE_VIDEO, -1, -1, &decoder, 0);
    if (f->stream < 0 || !decoder) return unreadable(f);
    f->codec = avcodec_alloc_context3(decoder);
    f->packet = av_packet_alloc();
    f->frame = av_frame_alloc();
    if (!f->codec || !f->packet || !f->frame) return status_fail(ERR_NODE, "out of memory for a frame");
    f->codec->thread_count = 1; /* the caller has threads of its own */
    if (avcodec_parameters_to_context(f->codec, f->file->streams[f->stream]->codecpar) < 0) return unreadable(f);
    return avcodec_open2(f->codec, decoder, NULL) < 0 ? unreadable(f) : status_ok();
}

static void close_film(Film *f)
{
    avcodec_free_context(&f->codec);
    av_packet_free(&f->packet);
    av_frame_free(&f->frame);
    avformat_close_input(&f->file);
}

/* The next frame; false: there is none. */
static bool next_frame(Film *f)
{
    for (bool ended = false;;) {
        const int code = avcodec_receive_frame(f->codec, f->frame);
        if (code >= 0) return true;
        if (code != AVERROR(EAGAIN) || ended) return false;
        while (!ended && (ended = av_read_frame(f->file, f->packet) < 0, !ended) &&
               f->packet->stream_index != f->stream)
            av_packet_unref(f->packet);
        if (avcodec_send_packet(f->codec, ended ? NULL : f->packet) < 0) return false;
        av_packet_unref(f->packet);
    }
}

/* The first frame at this moment or after it, else the last. Its half second begins with a key frame. */
static Status seek_frame(Film *f, double at_s)
{
    const AVRational base = f->file->streams[f->stream]->time_base;
    const int64_t at = (int64_t)floor(at_s / av_q2d(base));
    if (at_s > 0 && av_seek_frame(f->file, f->stream, at, AVSEEK_FLAG_BACKWARD) < 0) return unreadable(f);
    avcodec_flush_buffers(f->codec);
    AVFrame *last = av_frame_alloc();
    if (!last) return status_fail(ERR_NODE, "out of memory for a frame");
    bool found = false;
    while (!found && next_frame(f)) {
        found = at_s <= 0 || f->frame->best_effort_timestamp >= at;
        av_frame_unref(last);
        av_frame_move_ref(last, f->frame);
    }
    const bool any = last->width > 0;
    av_frame_unref(f->frame);
    av_frame_move_ref(f->frame, last);
    av_frame_free(&last);
    return any ? status_ok() : unreadable(f);
}

/* ---- its codes ---- */

static Status to_grey(const AVFrame *f, uint8_t **grey)
{
    struct SwsContext *to = sws_getContext(f->width, f->height, (enum AVPixelFormat)f->format, f->width, f->height,
                                           AV_PIX_FMT_GRAY8, SWS_POINT, NULL, NULL, NULL);
    *grey = malloc((size_t)f->width * (size_t)f->height);
    if (!to || !*grey) {
        sws_freeContext(to);
        return status_fail(ERR_NODE, "out of memory for a frame");
    }
    sws_scale(to, (const uint8_t *const *)f->data, f->linesize, 0, f->height, (uint8_t *[]){*grey}, (int[]){f->width});
    sws_freeContext(to);
    return status_ok();
}

static Status read_code(Film *f, const char *text, double at_s, bool *is_read)
{
    uint8_t *grey = NULL;
    TRY(seek_frame(f, at_s));
    const int width = f->frame->width, height = f->frame->height;
    TRY(to_grey(f->frame, &grey));
    *is_read = legible_code((Box){0, 0, width, height}, text, &(Grey){grey, width, width, height});
    free(grey);
    return status_ok();
}

/* ---- all of them ---- */

Status codes_read(const char *path, const json_t *overlays, double duration_s, CodesRead *out)
{
    Film f = {.path = path};
    Status status = status_ok();
    size_t i;
    json_t *o;
    *out = (CodesRead){0};
    json_array_foreach(overlays, i, o)
    {
        const char *text = json_string_value(json_object_get(o, "qr"));
        const double from = member_number(o, "from", 0), to = member_number(o, "to", 0),
                     end = to > 0 && to < duration_s ? to : duration_s, at_s = duration_s > 0 ? (from + end) / 2 : 0;
        bool is_read = true;
        if (!text || failed(status) || (duration_s > 0 && from >= end)) continue;
        if (!f.file) status = open_film(&f);
        if (!failed(status)) status = read_code(&f, text, at_s, &is_read);
        out->count++;
        if (is_read || out->unread++) continue;
        out->overlay = i;
        out->at_s = at_s;
    }
    close_film(&f);
    return status;
}
