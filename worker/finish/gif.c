#include "gif.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavformat/avformat.h>

#include "common/file.h"

typedef struct { /* one attempt */
    int every;   /* takes one frame of so many */
    int colors;
    int per_cent; /* of the width */
} Attempt;

static const Attempt attempts[] = {{1, 128, 100}, {1, 64, 100}, {2, 64, 100}, {2, 64, 75},
                                   {2, 48, 60},   {3, 32, 50},  {4, 32, 35},  {8, 16, 25}};
enum { ATTEMPTS = (int)(sizeof attempts / sizeof *attempts) };

typedef struct {
    const char *path;
    AVFilterGraph *graph;
    AVFilterContext *source, *sink;
    AVCodecContext *codec;
    AVFormatContext *file;
    AVPacket *packet;
    AVFrame *frame;
} Gif;

static Status av_failed(const Gif *g, int code)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(code, text, sizeof text);
    return status_fail(ERR_NODE, "%s: cannot make a GIF: %s", g->path, text);
}

static int build_graph(Gif *g, const AVFrame *f, int fps, const Attempt *a)
{
    AVFilterInOut *in = avfilter_inout_alloc(), *out = avfilter_inout_alloc();
    char *source = text_format("video_size=%dx%d:pix_fmt=rgb24:time_base=1/%d", f->width, f->height, fps);
    char *text = text_format(
        "scale=%d:-2:flags=area+accurate_rnd+bitexact,split[a][b];[a]palettegen=max_colors=%d:stats_mode=full[p];"
        "[b][p]paletteuse=dither=bayer:bayer_scale=4:diff_mode=rectangle",
        (f->width * a->per_cent / 100) & ~1, a->colors);
    g->graph = avfilter_graph_alloc();
    int code = g->graph && in && out ? 0 : AVERROR(ENOMEM);
    if (code >= 0) g->graph->nb_threads = 1;
    if (code >= 0)
        code = avfilter_graph_create_filter(&g->source, avfilter_get_by_name("buffer"), "in", source, NULL, g->graph);
    if (code >= 0)
        code = avfilter_graph_create_filter(&g->sink, avfilter_get_by_name("buffersink"), "out", NULL, NULL, g->graph);
    if (code >= 0) {
        *out = (AVFilterInOut){.name = av_strdup("in"), .filter_ctx = g->source};
        *in = (AVFilterInOut){.name = av_strdup("out"), .filter_ctx = g->sink};
        code = avfilter_graph_parse_ptr(g->graph, text, &in, &out, NULL);
    }
    if (code >= 0) code = avfilter_graph_config(g->graph, NULL);
    avfilter_inout_free(&in);
    avfilter_inout_free(&out);
    free(text);
    free(source);
    return code;
}

static int open_output(Gif *g, const char *draft, int fps)
{
    const AVCodec *gif = avcodec_find_encoder(AV_CODEC_ID_GIF);
    AVCodecContext *c = g->codec = gif ? avcodec_alloc_context3(gif) : NULL;
    if (!c) return AVERROR_ENCODER_NOT_FOUND;
    c->width = av_buffersink_get_w(g->sink);
    c->height = av_buffersink_get_h(g->sink);
    c->pix_fmt = (enum AVPixelFormat)av_buffersink_get_format(g->sink);
    c->time_base = (AVRational){1, fps};
    c->thread_count = 1;
    c->flags |= (int)AV_CODEC_FLAG_BITEXACT;
    int code = avcodec_open2(c, gif, NULL);
    char *address = text_format("file:%s", draft); /* a name with a colon would pass for another protocol's */
    if (code >= 0) code = avformat_alloc_output_context2(&g->file, NULL, "gif", address);
    free(address);
    AVStream *s = code < 0 ? NULL : avformat_new_stream(g->file, NULL);
    if (code >= 0 && !s) code = AVERROR(ENOMEM);
    if (code < 0) return code;
    g->file->flags |= AVFMT_FLAG_BITEXACT;
    s->time_base = c->time_base;
    code = avcodec_parameters_from_context(s->codecpar, c);
    if (code >= 0) code = avio_open(&g->file->pb, g->file->url, AVIO_FLAG_WRITE);
    return code < 0 ? code : avformat_write_header(g->file, NULL);
}

static int send_frames(Gif *g, AVFrame *const *frames, int count, const Attempt *a)
{
    for (int i = 0; i < count; i += a->every) {
        AVFrame *f = av_frame_clone(frames[i]);
        if (!f) return AVERROR(ENOMEM);
        f->pts = i;
        int code = av_buffersrc_add_frame(g->source, f);
        av_frame_free(&f);
        if (code < 0) return code;
    }
    return av_buffersrc_add_frame(g->source, NULL);
}

static int write_packets(Gif *g)
{
    int code;
    while ((code = avcodec_receive_packet(g->codec, g->packet)) >= 0) {
        av_packet_rescale_ts(g->packet, g->codec->time_base, g->file->streams[0]->time_base);
        code = av_write_frame(g->file, g->packet);
        av_packet_unref(g->packet);
        if (code < 0) return code;
    }
    return code == AVERROR(EAGAIN) || code == AVERROR_EOF ? 0 : code;
}

static int write_all(Gif *g)
{
    int code;
    while ((code = av_buffersink_get_frame(g->sink, g->frame)) >= 0) {
        g->frame->pict_type = AV_PICTURE_TYPE_NONE;
        code = avcodec_send_frame(g->codec, g->frame);
        av_frame_unref(g->frame);
        if (code >= 0) code = write_packets(g);
        if (code < 0) return code;
    }
    if (code != AVERROR_EOF) return code;
    code = avcodec_send_frame(g->codec, NULL);
    if (code >= 0) code = write_packets(g);
    if (code >= 0) code = av_write_trailer(g->file);
    return code >= 0 ? g->file->pb->error : code;
}

static void close_gif(Gif *g)
{
    avfilter_graph_free(&g->graph);
    avcodec_free_context(&g->codec);
    if (g->file && g->file->pb) avio_closep(&g->file->pb);
    avformat_free_context(g->file);
    av_packet_free(&g->packet);
    av_frame_free(&g->frame);
}

static Status try_once(const char *path, const char *draft, AVFrame *const *frames, int count, int fps,
                       const Attempt *a)
{
    Gif g = {.path = path, .packet = av_packet_alloc(), .frame = av_frame_alloc()};
    int code = g.packet && g.frame ? build_graph(&g, frames[0], fps, a) : AVERROR(ENOMEM);
    if (code >= 0) code = open_output(&g, draft, fps);
    if (code >= 0) code = send_frames(&g, frames, count, a);
    if (code >= 0) code = write_all(&g);
    Status status = code < 0 ? av_failed(&g, code) : status_ok();
    close_gif(&g);
    return status;
}

/* About how large an attempt's file is beside another's. */
static double weight(const Attempt *a) { return log2(a->colors) * a->per_cent * a->per_cent / a->every; }

/* The first attempt after `now` that shall fit, by what that one took. */
static int next_attempt(int now, int64_t bytes, int64_t most_bytes)
{
    int i = now + 1;
    while (i + 1 < ATTEMPTS &&
           (double)bytes * weight(&attempts[i]) / weight(&attempts[now]) > 0.95 * (double)most_bytes)
        i++;
    return i;
}

Status gif_write(const char *path, AVFrame *const *frames, int count, int fps, int64_t most_bytes, int64_t *bytes)
{
    char *draft = file_draft(path);
    Status status = status_ok();
    av_log_set_level(AV_LOG_FATAL);
    *bytes = 0;
    for (int i = 0; i < ATTEMPTS && !failed(status); i = next_attempt(i, *bytes, most_bytes)) {
        status = try_once(path, draft, frames, count, fps, &attempts[i]);
        if (!failed(status)) status = file_size(draft, bytes);
        if (!most_bytes || *bytes <= most_bytes) break;
    }
    if (!failed(status) && most_bytes && *bytes > most_bytes)
        status = status_fail(ERR_CLIP, "%s: a GIF of %lld bytes, however small; expected at most %lld", path_name(path),
                             (long long)*bytes, (long long)most_bytes);
    if (failed(status))
        unlink(draft);
    else
        status = file_publish(draft, path);
    free(draft);
    return status;
}
