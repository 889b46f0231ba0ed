#include "footage.h"

#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>

#include "common/file.h"
#include "common/moment.h"
#include "worker/pictures/exif.h"
#include "worker/pictures/photo.h"

enum { BUFFER = 64 << 10 };

typedef struct { /* one file being decoded */
    const char *path;
    int fd;
    double until_s;
    AVIOContext *io;
    AVFormatContext *file;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    int stream;
} Source;

Status footage_parse_crop(const char *text, FootageCrop *out)
{
    char rest;
    FootageCrop c;
    if (sscanf(text, "%6d,%6d,%6d,%6d%c", &c.x, &c.y, &c.width, &c.height, &rest) != 4 || c.x < 0 || c.y < 0 ||
        c.width < FOOTAGE_LEAST_SIDE || c.height < FOOTAGE_LEAST_SIDE)
        return status_fail(ERR_INPUT, "--crop %.40s: expected X,Y,W,H in pixels, W and H at least %d", text,
                           FOOTAGE_LEAST_SIDE);
    *out = c;
    return status_ok();
}

/* ---- the file, through our own hands ---- */

static int read_some(void *self, uint8_t *to, int bytes)
{
    const Source *s = self;
    ssize_t n = moment_s() > s->until_s ? -1 : read(s->fd, to, (size_t)bytes);
    return n > 0 ? (int)n : n == 0 ? AVERROR_EOF : AVERROR(EIO);
}

static int64_t seek_to(void *self, int64_t offset, int whence)
{
    const Source *s = self;
    struct stat info;
    if (whence == AVSEEK_SIZE) return fstat(s->fd, &info) == 0 ? info.st_size : -1;
    return lseek(s->fd, offset, whence & ~AVSEEK_FORCE);
}

static int is_late(void *self) { return moment_s() > ((const Source *)self)->until_s; }

static void close_source(Source *s)
{
    av_frame_free(&s->frame);
    av_packet_free(&s->packet);
    avcodec_free_context(&s->codec);
    avformat_close_input(&s->file);
    if (s->io) av_freep(&s->io->buffer);
    avio_context_free(&s->io);
    if (s->fd >= 0) close(s->fd);
}

static Status open_bytes(Source *s)
{
    struct stat info;
    s->fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (s->fd < 0) return status_errno(ERR_INPUT, "cannot read %s", s->path);
    if (fstat(s->fd, &info) != 0 || !S_ISREG(info.st_mode))
        return status_fail(ERR_INPUT, "%s: expected a file", s->path);
    if (info.st_size > (int64_t)FOOTAGE_MAX_MB << 20)
        return status_fail(ERR_INPUT, "%s: larger than %d MB", s->path, FOOTAGE_MAX_MB);
    unsigned char *buffer = av_malloc(BUFFER);
    s->io = buffer ? avio_alloc_context(buffer, BUFFER, 0, s, read_some, NULL, seek_to) : NULL;
    s->file = s->io ? avformat_alloc_context() : NULL;
    return s->file ? status_ok() : status_fail(ERR_NODE, "out of memory");
}

static Status open_file(const char *path, Source *s)
{
    *s = (Source){.path = path, .fd = -1, .until_s = moment_s() + FOOTAGE_WORK_S};
    av_log_set_level(AV_LOG_QUIET);
    TRY(open_bytes(s));
    s->file->pb = s->io;
    s->file->interrupt_callback = (AVIOInterruptCB){is_late, s};
    AVDictionary *options = NULL;
    av_dict_set(&options, "protocol_whitelist", "none", 0); /* nothing but the bytes that we hand over */
    int code = avformat_open_input(&s->file, NULL, NULL, &options);
    av_dict_free(&options);
    if (code < 0 || avformat_find_stream_info(s->file, NULL) < 0)
        return status_fail(ERR_INPUT, "%s: no picture, video or sound that can be read", path);
    return status_ok();
}

static Status open_video(const char *path, Source *s)
{
    const AVCodec *decoder = NULL;
    TRY(open_file(path, s));
    s->stream = av_find_best_stream(s->file, AVMEDIA_TYPE_VIDEO, -1, -1, &decoder, 0);
    if (s->stream < 0) return status_fail(ERR_INPUT, "%s: holds no picture", path);
    const AVCodecParameters *p = s->file->streams[s->stream]->codecpar;
    if (p->width > FOOTAGE_MAX_SIDE || p->height > FOOTAGE_MAX_SIDE)
        return status_fail(ERR_INPUT, "%s: %dx%d pixels, expected at most %d a side", path, p->width, p->height,
                           FOOTAGE_MAX_SIDE);
    s->codec = avcodec_alloc_context3(decoder);
    s->packet = av_packet_alloc();
    s->frame = av_frame_alloc();
    if (!s->codec || !s->packet || !s->frame || avcodec_parameters_to_context(s->codec, p) < 0)
        return status_fail(ERR_NODE, "out of memory");
    s->codec->thread_count = 2;
    s->codec->max_pixels = (int64_t)FOOTAGE_MAX_SIDE * FOOTAGE_MAX_SIDE;
    if (avcodec_open2(s->codec, decoder, NULL) < 0) return status_fail(ERR_INPUT, "%s: cannot be decoded", path);
    return status_ok();
}

/* The next picture in s->frame; *got false at the end. A damaged stretch of a video is passed over. */
static Status next_frame(Source *s, bool *got)
{
    *got = false;
    for (int damaged = 0;;) {
        if (is_late(s))
            return status_fail(ERR_INPUT, "%s: took longer than %d s; expected a shorter video", s->path,
                               FOOTAGE_WORK_S);
        int code = avcodec_receive_frame(s->codec, s->frame);
        if (code == 0) return *got = true, status_ok();
        if (code == AVERROR_EOF) return status_ok();
        if (code != AVERROR(EAGAIN) && ++damaged > 1000) return status_fail(ERR_INPUT, "%s: damaged", s->path);
        bool more = av_read_frame(s->file, s->packet) >= 0;
        if (!more)
            avcodec_send_packet(s->codec, NULL);
        else if (s->packet->stream_index == s->stream)
            avcodec_send_packet(s->codec, s->packet);
        av_packet_unref(s->packet);
    }
}

static double frame_time(const Source *s)
{
    const AVStream *stream = s->file->streams[s->stream];
    int64_t at = s->frame->best_effort_timestamp, start = stream->start_time == AV_NOPTS_VALUE ? 0 : stream->start_time;
    return at == AV_NOPTS_VALUE ? 0 : (double)(at - start) * av_q2d(stream->time_base);
}

/* As Exif counts: what a phone notes instead of turning the pixels. */
static int orientation_of(const Source *s)
{
    const AVFrameSideData *side = av_frame_get_side_data(s->frame, AV_FRAME_DATA_DISPLAYMATRIX);
    const uint8_t *matrix =
        side ? side->data : av_stream_get_side_data(s->file->streams[s->stream], AV_PKT_DATA_DISPLAYMATRIX, NULL);
    const AVDictionaryEntry *e = av_dict_get(s->frame->metadata, "Orientation", NULL, 0);
    if (!matrix) return e ? (int)strtol(e->value, NULL, 10) : 1;
    int32_t copy[9];
    memcpy(copy, matrix, sizeof copy);
    double turned = av_display_rotation_get(copy); /* counterclockwise, -180 to 180 */
    int quarter = isnan(turned) ? 0 : (int)lround(-turned / 90) & 3;
    static const int orientation[4] = {1, 6, 3, 8};
    return orientation[quarter];
}

/* ---- pixels ---- */

static void wipe(Picture *p)
{
    if (p->rgb) explicit_bzero((void *)(uintptr_t)p->rgb, 3 * (size_t)p->width * (size_t)p->height);
    free((void *)(uintptr_t)p->rgb);
    *p = (Picture){0};
}

static Status to_rgb(const Source *s, Picture *out)
{
    const AVFrame *f = s->frame;
    if (f->width < 1 || f->height < 1 || f->width > FOOTAGE_MAX_SIDE || f->height > FOOTAGE_MAX_SIDE)
        return status_fail(ERR_INPUT, "%s: %dx%d pixels, expected 1 to %d a side", s->path, f->width, f->height,
                           FOOTAGE_MAX_SIDE);
    uint8_t *rgb = malloc(3 * (size_t)f->width * (size_t)f->height);
    struct SwsContext *convert =
        sws_getContext(f->width, f->height, (enum AVPixelFormat)f->format, f->width, f->height, AV_PIX_FMT_RGB24,
                       SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    if (!rgb || !convert) {
        free(rgb);
        sws_freeContext(convert);
        return status_fail(rgb ? ERR_INPUT : ERR_NODE, "%s: pixels that cannot be converted", s->path);
    }
    const int *matrix = sws_getCoefficients(f->colorspace == AVCOL_SPC_BT709 ||
                                                    (f->colorspace == AVCOL_SPC_UNSPECIFIED && f->height >= 720)
                                                ? SWS_CS_ITU709
                                                : SWS_CS_ITU601);
    sws_setColorspaceDetails(convert, matrix, f->color_range == AVCOL_RANGE_JPEG, matrix, 1, 0, 1 << 16, 1 << 16);
    sws_scale(convert, (const uint8_t *const *)f->data, f->linesize, 0, f->height, (uint8_t *[]){rgb},
              (int[]){3 * f->width});
    sws_freeContext(convert);
    *out = (Picture){f->width, f->height, rgb};
    exif_turn(out, orientation_of(s));
    return status_ok();
}

static Status crop_picture(const char *path, const FootageCrop *c, Picture *p)
{
    if (c->width == 0) return status_ok();
    if (c->x + c->width > p->width || c->y + c->height > p->height)
        return status_fail(ERR_INPUT, "%s: --crop %d,%d,%d,%d does not lie in its %dx%d pixels", path, c->x, c->y,
                           c->width, c->height, p->width, p->height);
    uint8_t *rgb = memory_get(3 * (size_t)c->width, (size_t)c->height);
    for (int y = 0; y < c->height; y++)
        memcpy(rgb + 3 * (size_t)y * (size_t)c->width,
               p->rgb + 3 * ((size_t)(c->y + y) * (size_t)p->width + (size_t)c->x), 3 * (size_t)c->width);
    wipe(p);
    *p = (Picture){c->width, c->height, rgb};
    return status_ok();
}

/* ---- how good a frame is ---- */

typedef struct { /* brightness at a small size */
    int width, height;
    uint8_t *grey;
} Small;

static Status make_small(const Picture *p, Small *out)
{
    int longer = p->width > p->height ? p->width : p->height;
    int w = longer > FOOTAGE_MEASURE ? p->width * FOOTAGE_MEASURE / longer : p->width,
        h = longer > FOOTAGE_MEASURE ? p->height * FOOTAGE_MEASURE / longer : p->height;
    *out = (Small){w > 3 ? w : 3, h > 3 ? h : 3, NULL};
    struct SwsContext *shrink = sws_getContext(p->width, p->height, AV_PIX_FMT_RGB24, out->width, out->height,
                                               AV_PIX_FMT_GRAY8, SWS_AREA, NULL, NULL, NULL);
    if (!shrink) return status_fail(ERR_NODE, "out of memory");
    out->grey = memory_get((size_t)out->width, (size_t)out->height);
    sws_scale(shrink, (const uint8_t *[]){p->rgb}, (int[]){3 * p->width}, 0, p->height, (uint8_t *[]){out->grey},
              (int[]){out->width});
    sws_freeContext(shrink);
    return status_ok();
}

static double laplacian_variance(const Small *s)
{
    double sum = 0, squares = 0;
    const int64_t count = (int64_t)(s->width - 2) * (s->height - 2);
    for (int y = 1; y + 1 < s->height; y++)
        for (int x = 1; x + 1 < s->width; x++) {
            const uint8_t *at = s->grey + (size_t)y * (size_t)s->width + x;
            int v = 4 * at[0] - at[-1] - at[1] - at[-s->width] - at[s->width];
            sum += v;
            squares += (double)v * v;
        }
    double mean = sum / (double)count;
    return squares / (double)count - mean * mean;
}

static double mean_difference(const Small *a, const Small *b)
{
    if (!b->grey || a->width != b->width || a->height != b->height) return 0;
    double sum = 0;
    const size_t count = (size_t)a->width * (size_t)a->height;
    for (size_t i = 0; i < count; i++) sum += abs(a->grey[i] - b->grey[i]);
    return sum / (double)count;
}

static double score(const FootageFrame *f) { return f->sharpness / (1 + f->motion * f->motion); }

/* Upright, cropped, measured; *last is the frame before and becomes this one. */
static Status measure(const Source *s, const FootageCrop *crop, Small *last, FootageFrame *out)
{
    Small small;
    *out = (FootageFrame){.at_s = frame_time(s)};
    TRY(to_rgb(s, &out->picture));
    TRY(crop_picture(s->path, crop, &out->picture));
    TRY(make_small(&out->picture, &small));
    out->sharpness = laplacian_variance(&small);
    out->motion = mean_difference(&small, last);
    free(last->grey);
    *last = small;
    return status_ok();
}

/* ---- choosing ---- */

/* The frame is better than one of its neighbours in time, or there is room for it. Pictures of those that fall out are wiped. */
static void offer(Footage *f, int most, double apart_s, FootageFrame *one)
{
    int near = -1, worst = -1;
    for (int i = 0; i < f->count; i++) {
        if (fabs(f->frame[i].at_s - one->at_s) < apart_s && (near < 0 || score(&f->frame[i]) < score(&f->frame[near])))
            near = i;
        if (worst < 0 || score(&f->frame[i]) < score(&f->frame[worst])) worst = i;
    }
    int place = near >= 0 ? near : f->count < most ? f->count++ : worst;
    bool taken = place == f->count - 1 && !f->frame[place].picture.rgb;
    if (!taken && score(one) <= score(&f->frame[place])) {
        wipe(&one->picture);
        return;
    }
    wipe(&f->frame[place].picture);
    f->frame[place] = *one;
}

/* What is much worse than the best is left out: fewer good pictures are better than more. */
static void drop_poor(Footage *f)
{
    double best = 0;
    int kept = 0;
    for (int i = 0; i < f->count; i++) best = fmax(best, score(&f->frame[i]));
    for (int i = 0; i < f->count; i++) {
        if (score(&f->frame[i]) >= best / 4)
            f->frame[kept++] = f->frame[i];
        else
            wipe(&f->frame[i].picture);
    }
    f->count = kept;
}

static int compare_times(const void *a, const void *b)
{
    double d = ((const FootageFrame *)a)->at_s - ((const FootageFrame *)b)->at_s;
    return d < 0 ? -1 : d > 0;
}

static double length_of(const Source *s)
{
    return s->file->duration == AV_NOPTS_VALUE || s->file->duration < 0 ? 0 : (double)s->file->duration / AV_TIME_BASE;
}

static Status choose(Source *s, const FootageCrop *crop, int most, Footage *out)
{
    Small last = {0};
    bool got = true;
    const double apart_s = out->seconds / (2 * most);
    Status status = status_ok();
    while (!failed(status)) {
        FootageFrame one = {0};
        status = next_frame(s, &got);
        if (failed(status) || !got) break;
        if (++out->looked_at > FOOTAGE_MAX_FRAMES || frame_time(s) > FOOTAGE_MAX_S)
            status =
                status_fail(ERR_INPUT, "%s: longer than %d s or %d frames", s->path, FOOTAGE_MAX_S, FOOTAGE_MAX_FRAMES);
        if (!failed(status)) status = measure(s, crop, &last, &one);
        if (failed(status))
            wipe(&one.picture);
        else
            offer(out, most, apart_s, &one);
    }
    free(last.grey);
    return status;
}

Status footage_read_video(const char *path, const FootageCrop *crop, int most, Footage *out)
{
    Source s;
    *out = (Footage){.frame = memory_get((size_t)most, sizeof *out->frame)};
    Status status = open_video(path, &s);
    if (!failed(status)) {
        out->seconds = length_of(&s);
        if (out->seconds > FOOTAGE_MAX_S)
            status = status_fail(ERR_INPUT, "%s: %.0f s long, expected at most %d", path, out->seconds, FOOTAGE_MAX_S);
    }
    if (!failed(status)) status = choose(&s, crop, most, out);
    if (!failed(status) && out->count == 0) status = status_fail(ERR_INPUT, "%s: holds no picture", path);
    close_source(&s);
    if (!failed(status)) drop_poor(out);
    if (failed(status))
        footage_clear(out);
    else
        qsort(out->frame, (size_t)out->count, sizeof *out->frame, compare_times);
    return status;
}

static Status read_photo_pixels(const char *path, Picture *p)
{
    Source s;
    bool got = false;
    if (photo_is_jpeg(path)) return photo_read(path, FOOTAGE_MAX_SIDE, p);
    Status status = open_video(path, &s);
    if (!failed(status)) status = next_frame(&s, &got);
    if (!failed(status) && !got) status = status_fail(ERR_INPUT, "%s: holds no picture", path);
    if (!failed(status)) status = to_rgb(&s, p);
    close_source(&s);
    if (!failed(status)) exif_turn(p, exif_of_png(path));
    return status;
}

Status footage_read_photo(const char *path, const FootageCrop *crop, Footage *out)
{
    Small small = {0};
    *out = (Footage){.frame = memory_get(1, sizeof *out->frame), .count = 1, .looked_at = 1};
    Status status = read_photo_pixels(path, &out->frame[0].picture);
    if (!failed(status)) status = crop_picture(path, crop, &out->frame[0].picture);
    if (!failed(status)) status = make_small(&out->frame[0].picture, &small);
    if (!failed(status)) out->frame[0].sharpness = laplacian_variance(&small);
    free(small.grey);
    if (failed(status)) footage_clear(out);
    return status;
}

Status footage_probe(const char *path, double *seconds, bool *has_video, bool *has_sound)
{
    Source s;
    *has_video = *has_sound = false;
    *seconds = 0;
    Status status = open_file(path, &s);
    for (unsigned i = 0; !failed(status) && i < s.file->nb_streams; i++) {
        enum AVMediaType kind = s.file->streams[i]->codecpar->codec_type;
        *has_video = *has_video || kind == AVMEDIA_TYPE_VIDEO;
        *has_sound = *has_sound || kind == AVMEDIA_TYPE_AUDIO;
    }
    if (!failed(status)) *seconds = length_of(&s);
    if (!failed(status) && *seconds > FOOTAGE_MAX_S)
        status = status_fail(ERR_INPUT, "%s: %.0f s long, expected at most %d", path, *seconds, FOOTAGE_MAX_S);
    close_source(&s);
    return status;
}

void footage_clear(Footage *f)
{
    for (int i = 0; i < f->count; i++) wipe(&f->frame[i].picture);
    free(f->frame);
    *f = (Footage){0};
}

/* ---- as files in memory ---- */

Status footage_png(const Picture *p, unsigned char **data, size_t *bytes)
{
    const AVCodec *png = avcodec_find_encoder(AV_CODEC_ID_PNG);
    AVCodecContext *c = png ? avcodec_alloc_context3(png) : NULL;
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    int code = c && packet && frame ? 0 : AVERROR(ENOMEM);
    if (code == 0) {
        c->width = frame->width = p->width;
        c->height = frame->height = p->height;
        c->pix_fmt = AV_PIX_FMT_RGB24;
        frame->format = AV_PIX_FMT_RGB24;
        c->time_base = (AVRational){1, 1};
        c->thread_count = 1;
        code = avcodec_open2(c, png, NULL);
    }
    if (code >= 0) code = av_frame_get_buffer(frame, 0);
    if (code >= 0) {
        av_image_copy_plane(frame->data[0], frame->linesize[0], p->rgb, 3 * p->width, 3 * p->width, p->height);
        code = avcodec_send_frame(c, frame);
        explicit_bzero(frame->data[0], (size_t)frame->linesize[0] * (size_t)p->height);
    }
    if (code >= 0) code = avcodec_receive_packet(c, packet);
    Status status = code < 0 ? status_fail(ERR_NODE, "cannot make a PNG of %dx%d", p->width, p->height) : status_ok();
    if (!failed(status)) {
        *bytes = (size_t)packet->size;
        *data = memory_get(*bytes, 1);
        memcpy(*data, packet->data, *bytes);
    }
    av_frame_free(&frame);
    av_packet_free(&packet);
    avcodec_free_context(&c);
    return status;
}

Status footage_contact(const Footage *f, unsigned char **data, size_t *bytes)
{
    enum { HIGH = 256, GAP = 4 };
    int width = GAP, x = GAP;
    for (int i = 0; i < f->count; i++) width += f->frame[i].picture.width * HIGH / f->frame[i].picture.height + GAP;
    uint8_t *rgb = memory_get(3 * (size_t)width, HIGH);
    Picture sheet = {width, HIGH, rgb};
    for (int i = 0; i < f->count; i++) {
        const Picture *p = &f->frame[i].picture;
        int w = p->width * HIGH / p->height;
        struct SwsContext *shrink = w > 0 ? sws_getContext(p->width, p->height, AV_PIX_FMT_RGB24, w, HIGH,
                                                           AV_PIX_FMT_RGB24, SWS_AREA, NULL, NULL, NULL)
                                          : NULL;
        if (shrink)
            sws_scale(shrink, (const uint8_t *[]){p->rgb}, (int[]){3 * p->width}, 0, p->height,
                      (uint8_t *[]){rgb + 3 * x}, (int[]){3 * width});
        sws_freeContext(shrink);
        x += w + GAP;
    }
    Status status = footage_png(&sheet, data, bytes);
    wipe(&sheet);
    return status;
}
