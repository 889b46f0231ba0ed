#include "film.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>

#include "common/file.h"
#include "worker/pictures/container.h"
#include "worker/pictures/photo.h"

#define VIDEOS "mov,mp4,matroska,webm,avi,mpegts,ivf,nut,gif,yuv4mpegpipe,mpeg,ogg,flv,h264"
#define STILLS "png_pipe,webp_pipe"

typedef struct {
    const char *path, *formats;
    FilmSink sink;
    FilmInfo *info;
    AVFormatContext *file;
    AVCodecContext *video, *sound;
    int video_index, sound_index; /* -1: none */
    AVPacket *packet;
    AVFrame *frame;
    AVFrame *plain; /* in 8-bit 4:2:0, where the file has something else */
    struct SwsContext *convert;
    float *samples;
    int room;         /* floats in samples */
    double picture_s; /* length of one picture */
} Film;

static Status open_decoder(Film *f, int index, AVCodecContext **out)
{
    const AVStream *s = f->file->streams[index];
    const AVCodec *codec = avcodec_find_decoder(s->codecpar->codec_id);
    if (!codec)
        return status_fail(ERR_INPUT, "%s: no decoder for %s", f->path, avcodec_get_name(s->codecpar->codec_id));
    *out = avcodec_alloc_context3(codec);
    if (!*out) return status_fail(ERR_NODE, "%s: out of memory", f->path);
    (*out)->pkt_timebase = s->time_base;
    (*out)->max_pixels = (int64_t)FILM_MAX_EDGE * FILM_MAX_EDGE;
    (*out)->thread_count = 1;
    if (avcodec_parameters_to_context(*out, s->codecpar) < 0 || avcodec_open2(*out, codec, NULL) < 0)
        return status_fail(ERR_INPUT, "%s: the decoder refuses stream %d (%s)", f->path, index, codec->name);
    return status_ok();
}

static double start_of(const AVStream *s)
{
    return s->start_time == AV_NOPTS_VALUE ? 0 : (double)s->start_time * av_q2d(s->time_base);
}

static Status open_video(Film *f)
{
    FilmInfo *info = f->info;
    const AVStream *s = f->file->streams[f->video_index];
    const AVCodecParameters *p = s->codecpar;
    if (p->width < 1 || p->height < 1 || p->width > FILM_MAX_EDGE || p->height > FILM_MAX_EDGE)
        return status_fail(ERR_INPUT, "%s: pictures of %dx%d, expected 1 to %d on each side", f->path, p->width,
                           p->height, FILM_MAX_EDGE);
    info->width = p->width;
    info->height = p->height;
    info->fps = s->avg_frame_rate.num > 0 ? av_q2d(s->avg_frame_rate) : av_q2d(s->r_frame_rate);
    if (!(info->fps > 0) || info->fps > 1000) info->fps = 25;
    info->video_start_s = start_of(s);
    f->picture_s = 1 / info->fps;
    return f->sink.picture ? open_decoder(f, f->video_index, &f->video) : status_ok();
}

static Status open_sound(Film *f)
{
    const AVStream *s = f->file->streams[f->sound_index];
    f->info->sound_start_s = start_of(s);
    return f->sink.sound ? open_decoder(f, f->sound_index, &f->sound) : status_ok();
}

static Status open_file(Film *f)
{
    TRY(file_check_regular(f->path));
    if (container_open(f->path, f->formats, &f->file) < 0 || avformat_find_stream_info(f->file, NULL) < 0)
        return status_fail(ERR_INPUT, "%s: no video file that libav can read", f->path);
    f->video_index = av_find_best_stream(f->file, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    f->sound_index = av_find_best_stream(f->file, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0);
    if (f->video_index < 0 || f->file->streams[f->video_index]->disposition & AV_DISPOSITION_ATTACHED_PIC)
        return status_fail(ERR_INPUT, "%s: holds no video stream", f->path);
    f->info->streams = (int)f->file->nb_streams;
    f->info->duration_s = f->file->duration == AV_NOPTS_VALUE ? 0 : (double)f->file->duration / AV_TIME_BASE;
    TRY(open_video(f));
    if (f->sound_index >= 0) TRY(open_sound(f));
    f->packet = av_packet_alloc();
    f->frame = av_frame_alloc();
    return f->packet && f->frame ? status_ok() : status_fail(ERR_NODE, "%s: out of memory", f->path);
}

static void close_file(Film *f)
{
    avcodec_free_context(&f->video);
    avcodec_free_context(&f->sound);
    av_packet_free(&f->packet);
    av_frame_free(&f->frame);
    av_frame_free(&f->plain);
    sws_freeContext(f->convert);
    avformat_close_input(&f->file);
    free(f->samples);
}

static void count_fault(Film *f)
{
    if (f->info->faults++ == 0) f->info->first_fault_s = (double)f->info->pictures * f->picture_s;
}

/* ---- pictures -------------------------------------------------------------------------------------------------------- */

/* BT.709 of limited range, whatever came. */
static Status make_plain(Film *f)
{
    const AVFrame *from = f->frame;
    if (!f->plain || f->plain->width != from->width || f->plain->height != from->height) {
        av_frame_free(&f->plain);
        f->plain = av_frame_alloc();
        if (!f->plain) return status_fail(ERR_NODE, "%s: out of memory", f->path);
        f->plain->width = from->width;
        f->plain->height = from->height;
        f->plain->format = AV_PIX_FMT_YUV420P;
        if (av_frame_get_buffer(f->plain, 0) < 0) return status_fail(ERR_NODE, "%s: out of memory", f->path);
    }
    f->convert =
        sws_getCachedContext(f->convert, from->width, from->height, (enum AVPixelFormat)from->format, from->width,
                             from->height, AV_PIX_FMT_YUV420P, SWS_BICUBIC | SWS_ACCURATE_RND, NULL, NULL, NULL);
    if (!f->convert) return status_fail(ERR_INPUT, "%s: pictures in a format that cannot be converted", f->path);
    const int *bt709 = sws_getCoefficients(SWS_CS_ITU709);
    sws_setColorspaceDetails(f->convert, bt709, from->color_range == AVCOL_RANGE_JPEG, bt709, 0, 0, 1 << 16, 1 << 16);
    if (sws_scale(f->convert, (const uint8_t *const *)from->data, from->linesize, 0, from->height, f->plain->data,
                  f->plain->linesize) < 0)
        return status_fail(ERR_NODE, "%s: cannot convert a picture", f->path);
    return status_ok();
}

static Status give_picture(Film *f)
{
    FilmInfo *info = f->info;
    AVFrame *from = f->frame;
    if (info->pictures >= FILM_MAX_PICTURES)
        return status_fail(ERR_INPUT, "%s: more than %d pictures; cut it into parts", f->path, FILM_MAX_PICTURES);
    if (from->width != info->width || from->height != info->height) { /* a stream that changes its size is damaged */
        count_fault(f);
        return status_ok();
    }
    if (from->format != AV_PIX_FMT_YUV420P || from->color_range == AVCOL_RANGE_JPEG) {
        TRY(make_plain(f));
        from = f->plain;
    }
    const int64_t shown = f->frame->best_effort_timestamp;
    const double base = av_q2d(f->file->streams[f->video_index]->time_base);
    FilmPicture p = {.width = info->width, .height = info->height};
    for (int i = 0; i < 3; i++) {
        p.plane[i] = from->data[i];
        p.stride[i] = from->linesize[i];
    }
    p.at_s =
        shown == AV_NOPTS_VALUE ? (double)info->pictures * f->picture_s : (double)shown * base - info->video_start_s;
    info->pictures++;
    info->video_s = fmax(info->video_s, p.at_s + f->picture_s);
    return f->sink.picture(f->sink.self, &p);
}

/* ---- sound ----------------------------------------------------------------------------------------------------------- */

static float sample_at(const AVFrame *a, int channel, int channels, int i)
{
    const enum AVSampleFormat format = (enum AVSampleFormat)a->format;
    const int planar = av_sample_fmt_is_planar(format);
    const uint8_t *data = planar ? a->extended_data[channel] : a->extended_data[0];
    const size_t k = planar ? (size_t)i : (size_t)i * (size_t)channels + (size_t)channel;
    switch (av_get_packed_sample_fmt(format)) {
    case AV_SAMPLE_FMT_U8:
        return (float)(data[k] - 128) / 128.0f;
    case AV_SAMPLE_FMT_S16:
        return (float)((const int16_t *)(const void *)data)[k] / 32768.0f;
    case AV_SAMPLE_FMT_S32:
        return (float)((const int32_t *)(const void *)data)[k] / 2147483648.0f;
    case AV_SAMPLE_FMT_FLT:
        return ((const float *)(const void *)data)[k];
    case AV_SAMPLE_FMT_DBL:
        return (float)((const double *)(const void *)data)[k];
    default:
        return 0;
    }
}

static Status give_sound(Film *f)
{
    FilmInfo *info = f->info;
    const AVFrame *a = f->frame;
    const int channels = a->ch_layout.nb_channels;
    if (channels < 1 || channels > FILM_MAX_CHANNELS || a->sample_rate < 1000 || a->sample_rate > 768000 ||
        (info->channels && (channels != info->channels || a->sample_rate != info->rate))) {
        count_fault(f);
        return status_ok();
    }
    info->channels = channels;
    info->rate = a->sample_rate;
    const int count = a->nb_samples * channels;
    if (count > f->room) {
        free(f->samples);
        f->room = 0;
        f->samples = malloc((size_t)count * sizeof *f->samples);
        if (!f->samples) return status_fail(ERR_NODE, "%s: out of memory", f->path);
        f->room = count;
    }
    for (int i = 0; i < a->nb_samples; i++)
        for (int c = 0; c < channels; c++) {
            const float x = sample_at(a, c, channels, i);
            f->samples[i * channels + c] = isfinite(x) ? x : 0;
        }
    const double at_s = (double)info->samples / a->sample_rate;
    info->samples += a->nb_samples;
    info->sound_s = (double)info->samples / a->sample_rate;
    return f->sink.sound(f->sink.self, f->samples, a->nb_samples, channels, a->sample_rate, at_s);
}

/* ---- all of it ------------------------------------------------------------------------------------------------------- */

/* packet NULL: what the decoder still holds. */
static Status decode(Film *f, AVCodecContext *codec, const AVPacket *packet, Status (*give)(Film *))
{
    int code = avcodec_send_packet(codec, packet);
    if (code < 0 && code != AVERROR_EOF && packet) count_fault(f);
    for (;;) {
        code = avcodec_receive_frame(codec, f->frame);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return status_ok();
        if (code < 0) {
            count_fault(f);
            return status_ok();
        }
        if (f->frame->decode_error_flags || f->frame->flags & AV_FRAME_FLAG_CORRUPT) count_fault(f);
        Status status = give(f);
        av_frame_unref(f->frame);
        TRY(status);
    }
}

static Status read_all(Film *f)
{
    int code;
    while ((code = av_read_frame(f->file, f->packet)) >= 0) {
        Status status = status_ok();
        if (f->packet->stream_index == f->video_index && f->video)
            status = decode(f, f->video, f->packet, give_picture);
        else if (f->packet->stream_index == f->sound_index && f->sound)
            status = decode(f, f->sound, f->packet, give_sound);
        av_packet_unref(f->packet);
        TRY(status);
    }
    if (code != AVERROR_EOF) count_fault(f);
    if (f->video) TRY(decode(f, f->video, NULL, give_picture));
    return f->sound ? decode(f, f->sound, NULL, give_sound) : status_ok();
}

static Status read_file(const char *path, const char *formats, FilmSink sink, FilmInfo *out)
{
    *out = (FilmInfo){0};
    if (!file_exists(path)) return status_fail(ERR_INPUT, "%s: no such file", path);
    Film f = {.path = path, .formats = formats, .sink = sink, .info = out, .video_index = -1, .sound_index = -1};
    Status status = open_file(&f);
    if (!failed(status)) status = read_all(&f);
    if (!failed(status) && sink.picture && out->pictures == 0)
        status = status_fail(ERR_INPUT, "%s: no picture of it can be decoded", path);
    close_file(&f);
    return status;
}

Status film_read(const char *path, FilmSink sink, FilmInfo *out) { return read_file(path, VIDEOS, sink, out); }

Status film_read_any(const char *path, FilmSink sink, FilmInfo *out)
{
    return read_file(path, photo_is_jpeg(path) ? "jpeg_pipe" : VIDEOS "," STILLS, sink, out);
}
