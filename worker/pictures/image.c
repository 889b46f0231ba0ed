#include "image.h"

#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include "common/file.h"
#include "common/log.h"
#include "common/shot_file.h"
#include "worker/pictures/container.h"
#include "worker/pictures/exif.h"
#include "worker/pictures/heic.h"
#include "worker/pictures/photo.h"
#include "worker/pictures/webp.h"

enum { MAX_SIDE = 1 << 14, MAX_WEBP = 1 << 28 };
static const char formats[] = "png_pipe,apng,webp_pipe,gif,bmp_pipe,tiff_pipe,mov,mp4,matroska,webm,avi";
static const char expected[] =
    "expected PNG, JPEG, WebP, AVIF, HEIC, GIF, BMP or TIFF, or a video in MP4, QuickTime, Matroska, "
    "WebM or AVI";

typedef struct { /* one file being decoded */
    const char *path;
    AVFormatContext *file;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    int stream;
    int orientation; /* of a video's display matrix, as Exif counts */
    bool still;      /* a picture, whatever container it is in */
    bool told;       /* that its colours are taken as they are */
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

/* Telephones note how they were held instead of turning the pixels; players turn them. */
static int orientation_of_stream(const AVStream *stream)
{
    const uint8_t *matrix = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, NULL);
    int32_t number[9];
    if (!matrix) return 1;
    memcpy(number, matrix, sizeof number);
    return exif_of_matrix(number);
}

static bool is_still(const AVFormatContext *file)
{
    const AVDictionaryEntry *brand = av_dict_get(file->metadata, "major_brand", NULL, 0);
    const char *name = file->iformat->name;
    return (brand && strncmp(brand->value, "avi", 3) == 0) || strstr(name, "_pipe") || strstr(name, "png");
}

static Status open_source(const char *path, Source *s)
{
    const AVCodec *decoder = NULL;
    *s = (Source){.path = path};
    if (file_exists(path)) TRY(file_check_regular(path));
    const int code = container_open(path, formats, &s->file);
    if (code < 0 && !file_exists(path)) return status_fail(ERR_INPUT, "%s: no such file", path);
    if (code < 0) return status_fail(ERR_INPUT, "%s: no picture or video; %s", path, expected);
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
    s->orientation = orientation_of_stream(s->file->streams[s->stream]);
    s->still = is_still(s->file);
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

/* Pixels of 16 bits, as Pillow's convert("RGB") takes them: of colour and of grey with transparency the upper byte, but of plain
 * grey the value, where 255 and more is white. */
static bool from_16_bits(const Source *s, uint8_t *rgb)
{
    const AVFrame *f = s->frame;
    const bool grey = f->format == AV_PIX_FMT_GRAY16BE;
    const int channels = grey                               ? 1
                         : f->format == AV_PIX_FMT_YA16BE   ? 2
                         : f->format == AV_PIX_FMT_RGB48BE  ? 3
                         : f->format == AV_PIX_FMT_RGBA64BE ? 4
                                                            : 0;
    if (!channels) return false;
    if (grey) log_line(LOG_WARNING, "%s: 16 bits of grey; what is above 255 is white, as Pillow reads it", s->path);
    for (int y = 0; y < f->height; y++)
        for (int x = 0; x < f->width; x++)
            for (int c = 0; c < 3; c++) {
                const uint8_t *at = f->data[0] + y * f->linesize[0] + (x * channels + (channels > 2 ? c : 0)) * 2;
                *rgb++ = grey ? (at[0] ? 255 : at[1]) : at[0];
            }
    return true;
}

/* Which matrix made the colours. Where a video does not say, players go by its size: from 720 lines on it is BT.709. Pictures that do
 * not say were made as JPEG is, by BT.601. */
static int matrix_of(const Source *s)
{
    const AVFrame *f = s->frame;
    switch (f->colorspace) {
    case AVCOL_SPC_BT709:
        return SWS_CS_ITU709;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
        return SWS_CS_BT2020;
    case AVCOL_SPC_FCC:
        return SWS_CS_FCC;
    case AVCOL_SPC_SMPTE240M:
        return SWS_CS_SMPTE240M;
    case AVCOL_SPC_UNSPECIFIED:
    case AVCOL_SPC_RESERVED:
        return !s->still && (f->width >= 1280 || f->height >= 720) ? SWS_CS_ITU709 : SWS_CS_ITU601;
    default:
        return SWS_CS_ITU601;
    }
}

/* High dynamic range is not mapped to what a screen shows. */
static void tell_of_range(Source *s)
{
    const bool high = s->frame->color_trc == AVCOL_TRC_SMPTE2084 || s->frame->color_trc == AVCOL_TRC_ARIB_STD_B67;
    if (high && !s->told)
        log_line(LOG_WARNING, "%s: HDR (%s); its colours are taken as they are, paler than on a telephone", s->path,
                 av_color_transfer_name(s->frame->color_trc));
    s->told = s->told || high;
}

static Status from_other(const Source *s, uint8_t *rgb)
{
    const AVFrame *f = s->frame;
    struct SwsContext *convert =
        sws_getContext(f->width, f->height, (enum AVPixelFormat)f->format, f->width, f->height, AV_PIX_FMT_RGB24,
                       SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    if (!convert) return status_fail(ERR_INPUT, "%s: pixels of a kind that cannot be converted", s->path);
    const int *matrix = sws_getCoefficients(matrix_of(s));
    sws_setColorspaceDetails(convert, matrix, is_full_range(f), matrix, 1, 0, 1 << 16, 1 << 16);
    sws_scale(convert, (const uint8_t *const *)f->data, f->linesize, 0, f->height, (uint8_t *[]){rgb},
              (int[]){3 * f->width});
    sws_freeContext(convert);
    return status_ok();
}

/* p is the list's from here on. */
static void append(ImageList *list, Picture p)
{
    Picture *more = realloc(list->picture, (size_t)(list->count + 1) * sizeof *more);
    if (!more) abort();
    list->picture = more;
    list->picture[list->count++] = p;
}

/* What WebP notes; libav writes it as text. */
static int orientation_of(const AVFrame *f)
{
    const AVDictionaryEntry *e = av_dict_get(f->metadata, "Orientation", NULL, 0);
    return e ? (int)strtol(e->value, NULL, 10) : 1;
}

/* Any pixel format -> RGB, 8 bits, packed rows, upright. Transparency is dropped, as Pillow's convert("RGB") does. */
static Status append_frame(Source *s, ImageList *list)
{
    const AVFrame *f = s->frame;
    if (f->width < 1 || f->height < 1 || f->width > MAX_SIDE || f->height > MAX_SIDE)
        return status_fail(ERR_INPUT, "%s: %dx%d pixels, expected 1 to %d a side", s->path, f->width, f->height,
                           MAX_SIDE);
    uint8_t *rgb = memory_get((size_t)f->width * (size_t)f->height, 3);
    Picture p = {f->width, f->height, rgb};
    Status status = from_16_bits(s, rgb) ? status_ok() : from_other(s, rgb);
    if (failed(status)) {
        free(rgb);
        return status;
    }
    tell_of_range(s);
    exif_turn(&p, s->orientation != 1 ? s->orientation : orientation_of(f));
    append(list, p);
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

static Status decode_packet(Source *s, const uint8_t *data, size_t bytes, ImageList *list)
{
    const AVCodec *webp = avcodec_find_decoder(AV_CODEC_ID_WEBP);
    bool got = false;
    s->codec = webp ? avcodec_alloc_context3(webp) : NULL;
    s->packet = av_packet_alloc();
    s->frame = av_frame_alloc();
    if (!s->codec || !s->packet || !s->frame || av_new_packet(s->packet, (int)bytes) < 0)
        return status_fail(ERR_NODE, "%s: out of memory", s->path);
    memcpy(s->packet->data, data, bytes);
    s->codec->thread_count = 1;
    s->codec->max_pixels = (int64_t)MAX_SIDE * MAX_SIDE;
    got = avcodec_open2(s->codec, webp, NULL) >= 0 && avcodec_send_packet(s->codec, s->packet) >= 0 &&
          avcodec_receive_frame(s->codec, s->frame) >= 0;
    return got ? append_frame(s, list) : status_fail(ERR_INPUT, "%s: a damaged picture", s->path);
}

static Status decode_still(const char *path, const uint8_t *data, size_t bytes, ImageList *list)
{
    Source s = {.path = path, .orientation = 1, .still = true};
    av_log_set_level(AV_LOG_FATAL);
    Status status = decode_packet(&s, data, bytes, list);
    close_source(&s);
    return status;
}

/* libav decodes still WebP files only. */
static Status read_animation(const char *path, ImageList *list)
{
    char *data = NULL;
    uint8_t *still = NULL;
    size_t n, bytes;
    TRY(file_read(path, MAX_WEBP, &data, &n));
    const bool found = webp_first((const uint8_t *)data, n, &still, &bytes);
    Status status =
        found
            ? decode_still(path, still, bytes, list)
            : status_fail(ERR_INPUT, "%s: an animated WebP whose first picture is not the whole; save it as PNG", path);
    free(still);
    free(data);
    return status;
}

/* Of formats with a reader of their own. */
typedef Status PictureReader(const char *path, int max_side, Picture *out);

static Status read_other(const char *path, PictureReader *read, ImageList *list)
{
    Picture p;
    TRY(read(path, MAX_SIDE, &p));
    append(list, p);
    return status_ok();
}

Status image_read(const char *path, ImageList *list)
{
    int read;
    if (photo_is_jpeg(path)) return read_other(path, photo_read, list);
    if (heic_is(path)) return read_other(path, heic_read, list);
    if (webp_is_animated(path)) return read_animation(path, list);
    TRY(read_file(path, 1, list, &read));
    if (read != 1) return status_fail(ERR_INPUT, "%s: holds no picture", path);
    const int png = exif_of_png(path), tiff = png == 1 ? exif_of_tiff(path) : 1;
    exif_turn(&list->picture[list->count - 1], png != 1 ? png : tiff);
    return status_ok();
}

/* ---- with transparency -------------------------------------------------------------------------------------------- */

static Status frame_to_rgba(const Source *s, int *width, int *height, uint8_t **rgba)
{
    const AVFrame *f = s->frame;
    if (f->width < 1 || f->height < 1 || f->width > MAX_SIDE || f->height > MAX_SIDE)
        return status_fail(ERR_INPUT, "%s: %dx%d pixels, expected 1 to %d a side", s->path, f->width, f->height,
                           MAX_SIDE);
    struct SwsContext *convert =
        sws_getContext(f->width, f->height, (enum AVPixelFormat)f->format, f->width, f->height, AV_PIX_FMT_RGBA,
                       SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    if (!convert) return status_fail(ERR_INPUT, "%s: pixels of a kind that cannot be converted", s->path);
    *width = f->width;
    *height = f->height;
    *rgba = memory_get((size_t)f->width * (size_t)f->height, 4);
    sws_scale(convert, (const uint8_t *const *)f->data, f->linesize, 0, f->height, (uint8_t *[]){*rgba},
              (int[]){4 * f->width});
    sws_freeContext(convert);
    return status_ok();
}

static Status other_to_rgba(const char *path, PictureReader *read, int *width, int *height, uint8_t **rgba)
{
    Picture p;
    TRY(read(path, MAX_SIDE, &p));
    size_t n = (size_t)p.width * (size_t)p.height;
    *width = p.width;
    *height = p.height;
    *rgba = memory_get(n, 4);
    for (size_t i = 0; i < n; i++) {
        memcpy(*rgba + 4 * i, p.rgb + 3 * i, 3);
        (*rgba)[4 * i + 3] = 255;
    }
    free((void *)(uintptr_t)p.rgb);
    return status_ok();
}

Status image_read_rgba(const char *path, int *width, int *height, uint8_t **rgba)
{
    Source s;
    bool got = false;
    if (photo_is_jpeg(path)) return other_to_rgba(path, photo_read, width, height, rgba);
    if (heic_is(path)) return other_to_rgba(path, heic_read, width, height, rgba);
    Status status = open_source(path, &s);
    if (!failed(status)) status = next_frame(&s, &got);
    if (!failed(status) && !got) status = status_fail(ERR_INPUT, "%s: holds no picture", path);
    if (!failed(status)) status = frame_to_rgba(&s, width, height, rgba);
    close_source(&s);
    return status;
}

static Status read_folder(const char *folder, int frames, ImageList *list, int *read)
{
    char **name;
    int count;
    TRY(shot_file_names(folder, &name, &count));
    Status status = status_ok();
    for (*read = 0; *read < frames && *read < count && !failed(status); ++*read) {
        char *path = path_join(folder, name[*read]);
        status = image_read(path, list);
        free(path);
    }
    shot_file_names_free(name, count);
    return status;
}

Status image_read_sequence(const char *path, int frames, ImageList *list)
{
    int read = 0;
    const bool single = !file_is_folder(path) && (photo_is_jpeg(path) || heic_is(path) || webp_is_animated(path));
    if (single) return image_read(path, list); /* a video of one frame */
    TRY(file_is_folder(path) ? read_folder(path, frames, list, &read) : read_file(path, frames, list, &read));
    return read > 0 ? status_ok() : status_fail(ERR_INPUT, "%s: holds no picture", path);
}
