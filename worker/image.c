#include "image.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include "common/file.h"

enum { MAX_SIDE = 1 << 14 };
static const char formats[] = "png_pipe,jpeg_pipe,webp_pipe,mov,mp4,matroska,webm,avi";

typedef struct { /* one file being decoded */
    const char *path;
    AVFormatContext *file;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    int stream;
} Source;

void image_list_clear(ImageList *list)
{
    for (int i = 0; i < list->count; i++) free((void *)(uintptr_t)list->picture[i].rgb);
    free(list->picture);
    *list = (ImageList){0};
}

static void close_source(Source *s)
{
    av_frame_free(&s->frame);
    av_packet_free(&s->packet);
    avcodec_free_context(&s->codec);
    avformat_close_input(&s->file);
}

static Status open_source(const char *path, Source *s)
{
    const AVCodec *decoder = NULL;
    AVDictionary *options = NULL;
    *s = (Source){.path = path};
    av_log_set_level(AV_LOG_FATAL);
    av_dict_set(&options, "format_whitelist", formats, 0);
    av_dict_set(&options, "protocol_whitelist", "file", 0);
    int code = avformat_open_input(&s->file, path, NULL, &options);
    av_dict_free(&options);
    if (code < 0)
        return status_fail(ERR_INPUT, "%s: %s", path, file_exists(path) ? "no picture or video" : "no such file");
    s->stream = av_find_best_stream(s->file, AVMEDIA_TYPE_VIDEO, -1, -1, &decoder, 0);
    s->codec = s->stream < 0 ? NULL : avcodec_alloc_context3(decoder);
    s->packet = av_packet_alloc();
    s->frame = av_frame_alloc();
    if (!s->codec || !s->packet || !s->frame ||
        avcodec_parameters_to_context(s->codec, s->file->streams[s->stream]->codecpar) < 0)
        return status_fail(ERR_INPUT, "%s: holds no picture", path);
    s->codec->thread_count = 1;
    s->codec->max_pixels = (int64_t)MAX_SIDE * MAX_SIDE;
    if (avcodec_open2(s->codec, decoder, NULL) < 0) return status_fail(ERR_INPUT, "%s: cannot be decoded", path);
    return status_ok();
}

/* The next picture in s->frame; *got false at the end. */
static Status next_frame(Source *s, bool *got)
{
    *got = false;
    for (int code = AVERROR(EAGAIN); code == AVERROR(EAGAIN);) {
        code = avcodec_receive_frame(s->codec, s->frame);
        if (code == AVERROR_EOF) return status_ok();
        if (code < 0 && code != AVERROR(EAGAIN)) return status_fail(ERR_INPUT, "%s: a damaged picture", s->path);
        if (code == 0) {
            *got = true;
            return status_ok();
        }
        bool more = av_read_frame(s->file, s->packet) >= 0;
        bool ours = more && s->packet->stream_index == s->stream;
        if ((!more || ours) && avcodec_send_packet(s->codec, more ? s->packet : NULL) < 0 && more)
            return status_fail(ERR_INPUT, "%s: a damaged picture", s->path);
        av_packet_unref(s->packet);
    }
    return status_ok();
}

/* Grey pictures and RGB use all values; of the rest the file says whether they do. */
static bool is_full_range(const AVFrame *f)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get((enum AVPixelFormat)f->format);
    return f->color_range == AVCOL_RANGE_JPEG || d->nb_components < 3 || d->flags & AV_PIX_FMT_FLAG_RGB;
}

/* Any pixel format -> RGB, 8 bits, packed rows. Transparency is dropped, as Pillow's convert("RGB") does. */
static Status append_frame(const Source *s, ImageList *list)
{
    const AVFrame *f = s->frame;
    if (f->width < 1 || f->height < 1 || f->width > MAX_SIDE || f->height > MAX_SIDE)
        return status_fail(ERR_INPUT, "%s: %dx%d pixels, expected 1 to %d a side", s->path, f->width, f->height,
                           MAX_SIDE);
    uint8_t *rgb = malloc((size_t)f->width * (size_t)f->height * 3);
    struct SwsContext *convert =
        sws_getContext(f->width, f->height, (enum AVPixelFormat)f->format, f->width, f->height, AV_PIX_FMT_RGB24,
                       SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    Picture *more = realloc(list->picture, (size_t)(list->count + 1) * sizeof *more);
    if (more) list->picture = more;
    Status status = rgb && convert && more ? status_ok() : status_fail(ERR_NODE, "%s: out of memory", s->path);
    if (!failed(status)) {
        const int *matrix = sws_getCoefficients(f->colorspace == AVCOL_SPC_BT709 ? SWS_CS_ITU709 : SWS_CS_ITU601);
        sws_setColorspaceDetails(convert, matrix, is_full_range(f), matrix, 1, 0, 1 << 16, 1 << 16);
        sws_scale(convert, (const uint8_t *const *)f->data, f->linesize, 0, f->height, (uint8_t *[]){rgb},
                  (int[]){3 * f->width});
        list->picture[list->count++] = (Picture){f->width, f->height, rgb};
    } else {
        free(rgb);
    }
    sws_freeContext(convert);
    return status;
}

/* Up to `frames` pictures of one file. */
static Status read_file(const char *path, int frames, ImageList *list, int *read)
{
    Source s;
    bool got = true;
    Status status = open_source(path, &s);
    for (*read = 0; !failed(status) && got && *read < frames;) {
        status = next_frame(&s, &got);
        if (failed(status) || !got) break;
        status = append_frame(&s, list);
        ++*read;
    }
    close_source(&s);
    return status;
}

Status image_read(const char *path, ImageList *list)
{
    int read;
    TRY(read_file(path, 1, list, &read));
    return read == 1 ? status_ok() : status_fail(ERR_INPUT, "%s: holds no picture", path);
}

static int is_name(const struct dirent *d) { return d->d_name[0] != '.'; }

static Status read_folder(const char *folder, int frames, ImageList *list, int *read)
{
    struct dirent **name = NULL;
    Status status = status_ok();
    int count = scandir(folder, &name, is_name, alphasort);
    if (count < 0) return status_errno(ERR_INPUT, "cannot read %s", folder);
    for (*read = 0; *read < frames && *read < count && !failed(status); ++*read) {
        char *path = path_join(folder, name[*read]->d_name);
        status = image_read(path, list);
        free(path);
    }
    for (int i = 0; i < count; i++) free(name[i]);
    free(name);
    return status;
}

Status image_read_sequence(const char *path, int frames, ImageList *list)
{
    int read = 0;
    TRY(file_is_folder(path) ? read_folder(path, frames, list, &read) : read_file(path, frames, list, &read));
    if (read < frames) return status_fail(ERR_INPUT, "%s: %d frames, expected %d as the clip has", path, read, frames);
    return status_ok();
}
