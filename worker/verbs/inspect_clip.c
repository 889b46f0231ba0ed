/* inspect_clip.c - what a clip holds, or any other file that libav reads: its streams, tags and keyframes. */
#include <stdlib.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/pixdesc.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/hash.h"
#include "worker/pictures/container.h"
#include "worker/verbs/inspect.h"

static const char *or_unknown(const char *text) { return text ? text : "unknown"; }

static json_t *describe_stream(const AVStream *s)
{
    const AVCodecParameters *p = s->codecpar;
    json_t *j =
        json_pack("{s:s, s:s, s:s}", "type", or_unknown(av_get_media_type_string(p->codec_type)), "codec",
                  avcodec_get_name(p->codec_id), "profile", or_unknown(avcodec_profile_name(p->codec_id, p->profile)));
    if (s->start_time != AV_NOPTS_VALUE)
        json_object_set_new(j, "start_s", json_real((double)s->start_time * av_q2d(s->time_base)));
    if (s->duration != AV_NOPTS_VALUE)
        json_object_set_new(j, "duration_s", json_real((double)s->duration * av_q2d(s->time_base)));
    if (p->codec_type == AVMEDIA_TYPE_AUDIO) {
        json_object_set_new(j, "sample_rate", json_integer(p->sample_rate));
        json_object_set_new(j, "channels", json_integer(p->ch_layout.nb_channels));
    }
    if (p->codec_type != AVMEDIA_TYPE_VIDEO) return j;
    json_t *video = json_pack("{s:i, s:i, s:I, s:f, s:s, s:s, s:s, s:s, s:s}", "width", p->width, "height", p->height,
                              "frames", (json_int_t)s->nb_frames, "fps", av_q2d(s->avg_frame_rate), "pixels",
                              or_unknown(av_get_pix_fmt_name((enum AVPixelFormat)p->format)), "range",
                              or_unknown(av_color_range_name(p->color_range)), "primaries",
                              or_unknown(av_color_primaries_name(p->color_primaries)), "transfer",
                              or_unknown(av_color_transfer_name(p->color_trc)), "matrix",
                              or_unknown(av_color_space_name(p->color_space)));
    json_object_update(j, video);
    json_decref(video);
    return j;
}

static json_t *list_keyframes(AVFormatContext *f)
{
    json_t *list = json_array();
    AVPacket *p = av_packet_alloc();
    for (; p && av_read_frame(f, p) >= 0; av_packet_unref(p)) {
        const AVStream *s = f->streams[p->stream_index];
        if (s->codecpar->codec_type == AVMEDIA_TYPE_VIDEO && p->flags & AV_PKT_FLAG_KEY && p->pts != AV_NOPTS_VALUE)
            json_array_append_new(list, json_real((double)p->pts * av_q2d(s->time_base)));
    }
    av_packet_free(&p);
    return list;
}

/* Files say these in whatever encoding they like. */
static void add_tag(json_t *tags, const char *key, const char *value)
{
    char *name = foreign_utf8(key), *text = foreign_utf8(value);
    json_object_set_new(tags, name, json_string(text));
    free(name);
    free(text);
}

static bool has_pictures(const AVFormatContext *f)
{
    for (unsigned i = 0; i < f->nb_streams; i++)
        if (f->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO) return true;
    return false;
}

Status inspect_clip(const char *path, json_t **out)
{
    AVFormatContext *f = NULL;
    char sha256[HASH_TEXT];
    static const char formats[] = "mov,mp4,matroska,webm,avi,mpegts,png_pipe,jpeg_pipe,webp_pipe,wav,flac,mp3,ogg,aac";
    TRY(hash_file(path, sha256));
    if (container_open(path, formats, &f) < 0 || avformat_find_stream_info(f, NULL) < 0) {
        avformat_close_input(&f);
        return status_fail(ERR_INPUT,
                           "%s: nothing that can be inspected; expected a checkpoint (.h5), a model folder, a file of "
                           "weights (.safetensors, .gguf), a clip, a sound, or a campaign's output folder",
                           path);
    }
    json_t *j = json_pack("{s:s, s:s, s:s, s:f}", "kind", has_pictures(f) ? "clip" : "sound", "format",
                          f->iformat->name, "sha256", sha256, "duration_s",
                          f->duration == AV_NOPTS_VALUE ? 0 : (double)f->duration / AV_TIME_BASE);
    json_t *streams = json_array(), *tags = json_object();
    for (unsigned i = 0; i < f->nb_streams; i++) json_array_append_new(streams, describe_stream(f->streams[i]));
    for (AVDictionaryEntry *t = NULL; (t = av_dict_get(f->metadata, "", t, AV_DICT_IGNORE_SUFFIX));)
        add_tag(tags, t->key, t->value);
    json_object_set_new(j, "streams", streams);
    json_object_set_new(j, "tags", tags);
    if (has_pictures(f)) json_object_set_new(j, "keyframes_s", list_keyframes(f));
    avformat_close_input(&f);
    *out = j;
    return status_ok();
}
