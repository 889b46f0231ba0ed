#include "profile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "common/bytes.h"
#include "common/file.h"
#include "worker/pictures/container.h"

typedef struct {
    const char *path; /* its name */
    const Rendition *r;
    const ProfileWish *wish;
    AVFormatContext *file;
    const AVStream *video, *sound, *text;
} Reader;

static Status wrong(const Reader *p, const char *what, double is, double want)
{
    return status_fail(ERR_CLIP, "%s: its %s is %.10g, expected %.10g", p->path, what, is, want);
}

/* ---- boxes ----------------------------------------------------------------------------------------------------------------- */

typedef struct {
    int moov_at, mdat_at, count;
    bool edits;
} Boxes;

/* Boxes of one level, and those inside of moov and trak. */
static void walk(FILE *f, int64_t from, int64_t to, bool inside, Boxes *b)
{
    unsigned char head[16];
    while (from + 8 <= to && fseeko(f, from, SEEK_SET) == 0 && fread(head, 8, 1, f) == 1) {
        int64_t size = (int64_t)bytes_be(head, 4);
        if (size == 1 && fread(head + 8, 8, 1, f) == 1) size = (int64_t)bytes_be(head + 8, 8);
        if (size == 0) size = to - from;
        if (size < 8 || size > to - from) return;
        if (!inside) b->count++;
        if (memcmp(head + 4, "moov", 4) == 0) b->moov_at = b->count;
        if (memcmp(head + 4, "mdat", 4) == 0 && !b->mdat_at) b->mdat_at = b->count;
        if (memcmp(head + 4, "edts", 4) == 0) b->edits = true;
        if (memcmp(head + 4, "moov", 4) == 0 || memcmp(head + 4, "trak", 4) == 0)
            walk(f, from + 8, from + size, true, b);
        from += size;
    }
}

static Status check_boxes(const Reader *p, const char *path)
{
    Boxes b = {0};
    int64_t bytes;
    TRY(file_size(path, &bytes));
    FILE *f = fopen(path, "rb");
    if (!f) return status_errno(ERR_NODE, "cannot read %s", path);
    walk(f, 0, bytes, false, &b);
    fclose(f);
    if (!b.moov_at || !b.mdat_at || b.moov_at > b.mdat_at)
        return status_fail(ERR_CLIP, "%s: its index does not stand before its pictures (faststart)", p->path);
    if (b.edits) return status_fail(ERR_CLIP, "%s: it has an edit list", p->path);
    if (p->r->max_mb > 0 && (double)bytes > p->r->max_mb * 1e6)
        return status_fail(ERR_CLIP, "%s: %.1f MB, the rendition %s takes at most %g MB", p->path, (double)bytes / 1e6,
                           p->r->name, p->r->max_mb);
    return status_ok();
}

/* ---- streams ---------------------------------------------------------------------------------------------------------------- */

static Status check_picture(const Reader *p)
{
    static const struct {
        const char *name;
        enum AVCodecID id;
    } codecs[] = {
        {"h264", AV_CODEC_ID_H264}, {"h265", AV_CODEC_ID_HEVC}, {"av1", AV_CODEC_ID_AV1}, {"vp9", AV_CODEC_ID_VP9}};
    const AVCodecParameters *c = p->video->codecpar;
    const char *name = *p->r->codec ? p->r->codec : "h264";
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++)
        if (strcmp(codecs[i].name, name) == 0 && codecs[i].id != c->codec_id)
            return status_fail(ERR_CLIP, "%s: it is coded as %s, expected %s", p->path, avcodec_get_name(c->codec_id),
                               name);
    if (p->r->width && c->width != p->r->width) return wrong(p, "width", c->width, p->r->width);
    if (p->r->height && c->height != p->r->height) return wrong(p, "height", c->height, p->r->height);
    if (c->format != AV_PIX_FMT_YUV420P) return status_fail(ERR_CLIP, "%s: its pixels are not yuv420p", p->path);
    if (c->color_primaries != AVCOL_PRI_BT709 || c->color_trc != AVCOL_TRC_BT709 || c->color_space != AVCOL_SPC_BT709)
        return status_fail(ERR_CLIP, "%s: its colours are not said to be bt709", p->path);
    if (c->color_range == AVCOL_RANGE_JPEG) return status_fail(ERR_CLIP, "%s: its colours are of full range", p->path);
    if (p->video->nb_frames != p->wish->frames)
        return wrong(p, "number of frames", (double)p->video->nb_frames, (double)p->wish->frames);
    double fps = av_q2d(p->video->avg_frame_rate);
    if (fabs(fps - p->wish->fps) > 0.01) return wrong(p, "frame rate", fps, p->wish->fps);
    if (p->video->start_time != 0) return wrong(p, "first moment", (double)p->video->start_time, 0);
    return status_ok();
}

static Status check_length(const Reader *p)
{
    double seconds = (double)p->wish->frames / p->wish->fps;
    if (p->r->min_s > 0 && seconds < p->r->min_s - 1e-6)
        return status_fail(ERR_CLIP, "%s: %.2f s long, the rendition %s takes %g s and more", p->path, seconds,
                           p->r->name, p->r->min_s);
    if (p->r->max_s > 0 && seconds > p->r->max_s + 1e-6)
        return status_fail(ERR_CLIP, "%s: %.2f s long, the rendition %s takes %g s and less", p->path, seconds,
                           p->r->name, p->r->max_s);
    return status_ok();
}

/* AAC comes in packets of 21 ms: so much the sound may be longer. */
static Status check_sound(const Reader *p)
{
    if (!p->wish->sound != !p->sound)
        return status_fail(ERR_CLIP, "%s: it has %s sound track", p->path, p->sound ? "a" : "no");
    if (!p->sound) return status_ok();
    const AVCodecParameters *c = p->sound->codecpar;
    if (c->codec_id != AV_CODEC_ID_AAC) return status_fail(ERR_CLIP, "%s: its sound is not AAC", p->path);
    if (c->sample_rate != 48000) return wrong(p, "sampling rate", c->sample_rate, 48000);
    double begin_ms = (double)p->sound->start_time * av_q2d(p->sound->time_base) * 1000;
    if (fabs(begin_ms) > 20) return wrong(p, "sound's first moment (ms)", begin_ms, 0);
    double length = (double)p->sound->duration * av_q2d(p->sound->time_base),
           want = (double)p->wish->frames / p->wish->fps;
    if (fabs(length - want) > 0.05) return wrong(p, "sound's length", length, want);
    return status_ok();
}

/* Frames come evenly, and a key frame every half second. */
static Status check_packets(const Reader *p)
{
    AVPacket *packet = av_packet_alloc();
    Status status = packet ? status_ok() : status_fail(ERR_NODE, "out of memory for a packet");
    const int gop = (p->wish->fps + 1) / 2;
    int64_t count = 0;
    while (!failed(status) && av_read_frame(p->file, packet) >= 0) {
        if (packet->stream_index == p->video->index) {
            double at = (double)packet->pts * av_q2d(p->video->time_base) * p->wish->fps;
            bool key = packet->flags & AV_PKT_FLAG_KEY;
            if (fabs(at - round(at)) > 0.02 || at < -0.02) status = wrong(p, "frame's moment", at, round(at));
            if (count == 0 && !key) status = status_fail(ERR_CLIP, "%s: its first frame is no key frame", p->path);
            if (key && strcmp(p->r->codec, "vp9") != 0 && llrint(at) % gop != 0)
                status = wrong(p, "key frame's number", round(at), round(at / gop) * gop);
            count++;
        }
        av_packet_unref(packet);
    }
    av_packet_free(&packet);
    if (!failed(status) && count != p->wish->frames)
        status = wrong(p, "number of frames read", (double)count, (double)p->wish->frames);
    return status;
}

static Status check_all(Reader *p, const char *path)
{
    TRY(check_boxes(p, path));
    if (container_open(path, NULL, &p->file) < 0 || avformat_find_stream_info(p->file, NULL) < 0)
        return status_fail(ERR_CLIP, "%s: it cannot be read back", p->path);
    for (unsigned i = 0; i < p->file->nb_streams; i++) {
        const AVStream *s = p->file->streams[i];
        if (s->codecpar->codec_type == AVMEDIA_TYPE_VIDEO) p->video = s;
        if (s->codecpar->codec_type == AVMEDIA_TYPE_AUDIO) p->sound = s;
        if (s->codecpar->codec_type == AVMEDIA_TYPE_SUBTITLE) p->text = s;
    }
    if (!p->video) return status_fail(ERR_CLIP, "%s: it holds no pictures", p->path);
    TRY(check_picture(p));
    TRY(check_length(p));
    TRY(check_sound(p));
    if (!p->wish->subtitles != !p->text)
        return status_fail(ERR_CLIP, "%s: it has %s track of subtitles", p->path, p->text ? "a" : "no");
    return check_packets(p);
}

Status profile_check(const char *path, const Rendition *r, const ProfileWish *wish)
{
    Reader p = {.path = path_name(path), .r = r, .wish = wish};
    Status status = check_all(&p, path);
    avformat_close_input(&p.file);
    return status;
}

/* ---- stills ------------------------------------------------------------------------------------------------------------------ */

static Status check_still(Reader *p, const char *path)
{
    const bool gif = strcmp(p->r->kind, "gif") == 0;
    int64_t bytes;
    TRY(file_size(path, &bytes));
    if (p->r->max_mb > 0 && (double)bytes > p->r->max_mb * 1e6)
        return status_fail(ERR_CLIP, "%s: %.2f MB, the rendition %s takes at most %g MB", p->path, (double)bytes / 1e6,
                           p->r->name, p->r->max_mb);
    if (container_open(path, NULL, &p->file) < 0 || avformat_find_stream_info(p->file, NULL) < 0 ||
        p->file->nb_streams != 1)
        return status_fail(ERR_CLIP, "%s: it cannot be read back", p->path);
    const AVCodecParameters *c = p->file->streams[0]->codecpar;
    if (c->codec_id != (gif ? AV_CODEC_ID_GIF : AV_CODEC_ID_MJPEG))
        return status_fail(ERR_CLIP, "%s: it is coded as %s", p->path, avcodec_get_name(c->codec_id));
    if (!gif && c->width != p->r->width) return wrong(p, "width", c->width, p->r->width);
    if (!gif && c->height != p->r->height) return wrong(p, "height", c->height, p->r->height);
    if (gif && (c->width > p->r->width || c->width < 16)) return wrong(p, "width", c->width, p->r->width);
    return status_ok();
}

Status profile_check_still(const char *path, const Rendition *r)
{
    Reader p = {.path = path_name(path), .r = r};
    Status status = check_still(&p, path);
    avformat_close_input(&p.file);
    return status;
}
