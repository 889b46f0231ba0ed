#include "mux.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <libavformat/avformat.h>

#include "common/file.h"

enum { TEXT_RATE = 1000 }; /* of the subtitles' track */

struct Mux {
    char *path;
    AVFormatContext *file;
    AVRational video_base;
    MuxExtras extras;
    AVPacket *packet;
    int sound, text; /* numbers of their streams, -1: none */
    int next_sound, next_cue;
    int64_t text_end; /* of what is written of the subtitles */
    bool begun;
};

static Status av_failed(const Mux *m, int code)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(code, text, sizeof text);
    return status_fail(ERR_NODE, "%s: cannot write: %s", m->path, text);
}

/* ---- streams ------------------------------------------------------------------------------------------------------------- */

static Status add_picture_stream(Mux *m, const AVCodecContext *video)
{
    AVStream *s = avformat_new_stream(m->file, NULL);
    if (!s) return av_failed(m, AVERROR(ENOMEM));
    s->time_base = video->time_base;
    s->avg_frame_rate = video->framerate;
    s->sample_aspect_ratio = video->sample_aspect_ratio;
    int code = avcodec_parameters_from_context(s->codecpar, video);
    if (code >= 0 && video->codec_id == AV_CODEC_ID_HEVC)
        s->codecpar->codec_tag = MKTAG('h', 'v', 'c', '1'); /* what Apple plays */
    return code < 0 ? av_failed(m, code) : status_ok();
}

static Status add_stream(Mux *m, const AVCodecParameters *parameters, AVRational time_base, int *number)
{
    AVStream *s = avformat_new_stream(m->file, NULL);
    int code = s ? avcodec_parameters_copy(s->codecpar, parameters) : AVERROR(ENOMEM);
    if (code < 0) return av_failed(m, code);
    s->time_base = time_base;
    s->disposition = AV_DISPOSITION_DEFAULT;
    *number = s->index;
    return status_ok();
}

/* MP4 knows languages by three letters. */
static const char *language_code(const char *language)
{
    static const char *const known[][2] = {
        {"de", "deu"}, {"en", "eng"}, {"fr", "fra"}, {"es", "spa"}, {"it", "ita"}, {"nl", "nld"}, {"pt", "por"},
        {"pl", "pol"}, {"tr", "tur"}, {"ru", "rus"}, {"uk", "ukr"}, {"ar", "ara"}, {"he", "heb"}, {"hi", "hin"},
        {"th", "tha"}, {"zh", "zho"}, {"cm", "zho"}, {"ja", "jpn"}, {"ko", "kor"}, {"sv", "swe"}, {"da", "dan"},
        {"nb", "nor"}, {"fi", "fin"}, {"cs", "ces"}, {"el", "ell"}, {"hu", "hun"}, {"ro", "ron"}, {"bg", "bul"}};
    for (size_t i = 0; language && i < sizeof known / sizeof *known; i++)
        if (strncmp(known[i][0], language, 2) == 0) return known[i][1];
    return "und";
}

static Status add_streams(Mux *m, const AVCodecContext *video)
{
    const MuxExtras *e = &m->extras;
    TRY(add_picture_stream(m, video));
    if (e->sound) TRY(add_stream(m, e->sound->parameters, e->sound->time_base, &m->sound));
    if (e->subtitles && e->subtitles->count) {
        AVCodecParameters *p = NULL;
        Status status = subtitles_parameters(&p);
        if (!failed(status)) status = add_stream(m, p, (AVRational){1, TEXT_RATE}, &m->text);
        avcodec_parameters_free(&p);
        TRY(status);
        av_dict_set(&m->file->streams[m->text]->metadata, "language", language_code(e->language), 0);
    }
    return status_ok();
}

static Status open_file(Mux *m, const char *draft, const AVCodecContext *video)
{
    AVDictionary *options = NULL;
    char *address = text_format("file:%s", draft); /* a name with a colon would pass for another protocol's */
    int code = avformat_alloc_output_context2(&m->file, NULL, "mp4", address);
    free(address);
    if (code < 0) return av_failed(m, code);
    m->file->flags |= AVFMT_FLAG_BITEXACT;
    TRY(add_streams(m, video));
    if (m->extras.meta_key) av_dict_set(&m->file->metadata, m->extras.meta_key, m->extras.meta_value, 0);
    code = avio_open(&m->file->pb, m->file->url, AVIO_FLAG_WRITE);
    /* B-frames are shown later than they are decoded; an edit list is the usual way to say so, and platforms refuse it */
    av_dict_set(&options, "movflags",
                m->extras.meta_key ? "+faststart+negative_cts_offsets+use_metadata_tags"
                                   : "+faststart+negative_cts_offsets",
                0);
    av_dict_set(&options, "use_editlist", "0", 0);
    if (code >= 0) code = avformat_write_header(m->file, &options);
    av_dict_free(&options);
    if (code < 0) return av_failed(m, code);
    m->begun = true;
    return status_ok();
}

Status mux_begin(const char *draft, const char *path, const AVCodecContext *video, const MuxExtras *extras, Mux **out)
{
    Mux *m = *out = memory_get(1, sizeof *m);
    *m = (Mux){.path = text_copy(path), .video_base = video->time_base, .sound = -1, .text = -1};
    if (extras) m->extras = *extras;
    m->packet = av_packet_alloc();
    Status status = m->packet ? open_file(m, draft, video) : status_fail(ERR_NODE, "%s: out of memory", path);
    if (failed(status)) mux_abandon(out);
    return status;
}

/* ---- packets -------------------------------------------------------------------------------------------------------------- */

static Status write(Mux *m, AVPacket *p, int stream, AVRational time_base)
{
    p->stream_index = stream;
    av_packet_rescale_ts(p, time_base, m->file->streams[stream]->time_base);
    int code = av_write_frame(m->file, p);
    av_packet_unref(p);
    return code < 0 ? av_failed(m, code) : status_ok();
}

static Status write_sound(Mux *m)
{
    int code = av_packet_ref(m->packet, m->extras.sound->packet[m->next_sound++]);
    return code < 0 ? av_failed(m, code) : write(m, m->packet, m->sound, m->extras.sound->time_base);
}

/* Nothing is shown between two cues: that is a sample too, without a letter. */
static Status write_text(Mux *m, int64_t from, int64_t to, const char *text)
{
    int bytes;
    if (to <= from) return status_ok();
    uint8_t *sample = subtitles_sample(text, &bytes);
    int code = av_packet_from_data(m->packet, sample, bytes);
    if (code < 0) return av_failed(m, code);
    m->packet->pts = m->packet->dts = from;
    m->packet->duration = to - from;
    m->packet->flags |= AV_PKT_FLAG_KEY;
    m->text_end = to;
    return write(m, m->packet, m->text, (AVRational){1, TEXT_RATE});
}

static Status write_cue(Mux *m)
{
    const Cue *c = &m->extras.subtitles->cue[m->next_cue++];
    int64_t from = llrint(c->from_s * TEXT_RATE), to = llrint(c->to_s * TEXT_RATE);
    TRY(write_text(m, m->text_end, from, ""));
    return write_text(m, from > m->text_end ? from : m->text_end, to, c->text);
}

/* What belongs before this moment. */
static Status catch_up(Mux *m, double until_s)
{
    const Track *t = m->extras.sound;
    while (m->sound >= 0 && m->next_sound < t->count &&
           (double)t->packet[m->next_sound]->pts * av_q2d(t->time_base) <= until_s)
        TRY(write_sound(m));
    while (m->text >= 0 && m->next_cue < m->extras.subtitles->count &&
           m->extras.subtitles->cue[m->next_cue].from_s <= until_s)
        TRY(write_cue(m));
    return status_ok();
}

Status mux_picture(Mux *m, AVPacket *packet)
{
    TRY(catch_up(m, (double)packet->dts * av_q2d(m->video_base)));
    packet->duration = 1;
    return write(m, packet, 0, m->video_base);
}

static Status finish_file(Mux *m)
{
    TRY(catch_up(m, INFINITY));
    int code = av_write_trailer(m->file);
    m->begun = false;
    if (code >= 0) code = m->file->pb->error;
    int closed = avio_closep(&m->file->pb);
    if (code >= 0) code = closed;
    return code < 0 ? av_failed(m, code) : status_ok();
}

Status mux_end(Mux **mux)
{
    Status status = finish_file(*mux);
    mux_abandon(mux);
    return status;
}

void mux_abandon(Mux **mux)
{
    Mux *m = *mux;
    if (!m) return;
    if (m->file && m->file->pb) avio_closep(&m->file->pb);
    avformat_free_context(m->file);
    av_packet_free(&m->packet);
    free(m->path);
    free(m);
    *mux = NULL;
}
