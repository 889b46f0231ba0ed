#include "sound.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/channel_layout.h>
#include <libavutil/cpu.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>

#include "common/file.h"
#include "engine/speech/speech.h"
#include "worker/finish/sound_whole.h"
#include "worker/pictures/container.h"

static const char formats[] = "wav,w64,flac,mp3,ogg,aac,mov,mp4,matroska,webm,aiff";

typedef struct { /* one file being decoded */
    const char *path;
    AVFormatContext *file;
    AVCodecContext *codec;
    SwrContext *convert;
    AVPacket *packet;
    AVFrame *frame;
    int stream;
    Sound sound;
    SoundWhole whole;
    int64_t room, late; /* samples: late of silence, since the track begins after the file's pictures */
} Source;

void sound_clear(Sound *s)
{
    free(s->sample);
    *s = (Sound){0};
}

Sound sound_silence(double seconds)
{
    Sound s = {.count = llrint(seconds * SOUND_RATE)};
    s.sample = memory_get((size_t)s.count + 1, 2 * sizeof *s.sample);
    return s;
}

/* ---- reading ----------------------------------------------------------------------------------------------------------- */

static void close_source(Source *s)
{
    swr_free(&s->convert);
    av_frame_free(&s->frame);
    av_packet_free(&s->packet);
    avcodec_free_context(&s->codec);
    avformat_close_input(&s->file);
}

static Status open_file(Source *s)
{
    if (!file_exists(s->path)) return status_fail(ERR_INPUT, "%s: no such file", s->path);
    TRY(file_check_regular(s->path));
    TRY(sound_whole(s->path, &s->whole));
    if (container_open(s->path, formats, &s->file) < 0)
        return status_fail(ERR_INPUT, "%s: no sound file, expected WAV, FLAC, MP3, Ogg, AAC or MP4", s->path);
    if (avformat_find_stream_info(s->file, NULL) < 0)
        return status_fail(ERR_INPUT, "%s: a damaged sound file", s->path);
    return status_ok();
}

static Status open_decoder(Source *s)
{
    const AVCodec *decoder = NULL;
    s->stream = av_find_best_stream(s->file, AVMEDIA_TYPE_AUDIO, -1, -1, &decoder, 0);
    if (s->stream < 0 || !decoder)
        return status_fail(ERR_INPUT, "%s: no sound in it that can be decoded (a protected file cannot)", s->path);
    s->codec = avcodec_alloc_context3(decoder);
    s->packet = av_packet_alloc();
    s->frame = av_frame_alloc();
    if (!s->codec || !s->packet || !s->frame) return status_fail(ERR_NODE, "%s: out of memory", s->path);
    s->codec->pkt_timebase = s->file->streams[s->stream]->time_base;
    if (avcodec_parameters_to_context(s->codec, s->file->streams[s->stream]->codecpar) < 0 ||
        (s->codec->thread_count = 1, avcodec_open2(s->codec, decoder, NULL)) < 0)
        return status_fail(ERR_INPUT, "%s: its sound cannot be decoded", s->path);
    return status_ok();
}

static Status open_resampler(Source *s)
{
    AVChannelLayout stereo = AV_CHANNEL_LAYOUT_STEREO, from = {0};
    const AVFrame *f = s->frame;
    if (f->sample_rate < 1000 || f->sample_rate > 768000)
        return status_fail(ERR_INPUT, "%s: %d samples a second, expected 1,000 to 768,000", s->path, f->sample_rate);
    if (f->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
        av_channel_layout_default(&from, f->ch_layout.nb_channels);
    else
        av_channel_layout_copy(&from, &f->ch_layout);
    int code = swr_alloc_set_opts2(&s->convert, &stereo, AV_SAMPLE_FMT_FLT, SOUND_RATE, &from,
                                   (enum AVSampleFormat)f->format, f->sample_rate, 0, NULL);
    if (code >= 0) code = swr_init(s->convert);
    av_channel_layout_uninit(&from);
    return code < 0 ? status_fail(ERR_INPUT, "%s: sound of a kind that cannot be converted", s->path) : status_ok();
}

/* What the frame holds, or what the resampler still has (frame NULL), behind what is there. */
static Status append(Source *s, const AVFrame *f)
{
    int64_t most = swr_get_out_samples(s->convert, f ? f->nb_samples : 0);
    if (s->sound.count + most > (int64_t)SOUND_MAX_S * SOUND_RATE + SOUND_RATE)
        return status_fail(ERR_INPUT, "%s: longer than %d s", s->path, SOUND_MAX_S);
    if (s->sound.count + most > s->room) {
        s->room = (s->sound.count + most) * 2;
        s->sound.sample = memory_resize(s->sound.sample, (size_t)s->room * 2, sizeof *s->sound.sample);
    }
    uint8_t *to = (uint8_t *)(s->sound.sample + 2 * s->sound.count);
    int n = swr_convert(s->convert, &to, (int)most, f ? (const uint8_t **)(uintptr_t)f->extended_data : NULL,
                        f ? f->nb_samples : 0);
    if (n < 0) return status_fail(ERR_INPUT, "%s: a damaged sound file", s->path);
    s->sound.count += n;
    return status_ok();
}

static double seconds_of(const AVStream *s, int64_t moment) { return (double)moment * av_q2d(s->time_base); }

/* A track that begins after its file's pictures keeps that distance: lips move before the first word. */
static Status begin_late(Source *s)
{
    const AVStream *own = s->file->streams[s->stream];
    const int64_t at = s->frame->best_effort_timestamp;
    double late = 0;
    for (unsigned i = 0; i < s->file->nb_streams && at != AV_NOPTS_VALUE; i++) {
        const AVStream *other = s->file->streams[i];
        if (other->codecpar->codec_type != AVMEDIA_TYPE_VIDEO || other->disposition & AV_DISPOSITION_ATTACHED_PIC)
            continue;
        if (other->start_time == AV_NOPTS_VALUE) continue;
        late = fmax(late, seconds_of(own, at) - seconds_of(other, other->start_time));
    }
    if (late > SOUND_MAX_S) return status_fail(ERR_INPUT, "%s: its sound begins after %d s", s->path, SOUND_MAX_S);
    s->late = llrint(late * SOUND_RATE);
    if (s->late == 0) return status_ok();
    s->sound = sound_silence(late);
    s->room = s->sound.count;
    return status_ok();
}

static Status receive_frames(Source *s)
{
    for (;;) {
        int code = avcodec_receive_frame(s->codec, s->frame);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return status_ok();
        if (code < 0) return status_fail(ERR_INPUT, "%s: a damaged sound file", s->path);
        if (!s->convert) {
            TRY(open_resampler(s));
            TRY(begin_late(s));
        }
        TRY(append(s, s->frame));
    }
}

/* Where a file says how long its sound is, all of it is there. Of an Ogg file libav says how long that is which is there. */
static Status check_length(Source *s)
{
    static const double PADDING_S = 0.25; /* more than what codecs put around the sound */
    const AVStream *own = s->file->streams[s->stream];
    const double is = (double)(s->sound.count - s->late) / SOUND_RATE;
    double says = own->duration > 0 ? seconds_of(own, own->duration) : 0;
    if (own->duration <= 0 && s->file->nb_streams == 1) says = (double)s->file->duration / AV_TIME_BASE;
    if (s->file->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE) says = 0;
    s->sound.open_end = s->whole == SOUND_SAYS_NOTHING || (s->whole == SOUND_ASK_LIBAV && says <= 0);
    if (says > SOUND_MAX_S || says <= is + PADDING_S) return status_ok();
    return status_fail(ERR_INPUT, "%s: cut short: %.2f s of its %.2f s are there", s->path, is, says);
}

/* Files of floats may hold what is no number. With silence in its place nobody would know why something is missing. */
static Status check_samples(const Source *s)
{
    for (int64_t i = 0; i < 2 * s->sound.count; i++)
        if (!isfinite(s->sound.sample[i]))
            return status_fail(ERR_INPUT, "%s: a sample at %.2f s is infinite or no number; export the sound again",
                               s->path, (double)(i / 2) / SOUND_RATE);
    return status_ok();
}

static Status read_all(Source *s)
{
    int bad = 0;
    while (av_read_frame(s->file, s->packet) >= 0) {
        const bool is_own = s->packet->stream_index == s->stream,
                   is_secret = is_own && av_packet_get_side_data(s->packet, AV_PKT_DATA_ENCRYPTION_INFO, NULL);
        int code = is_own && !is_secret ? avcodec_send_packet(s->codec, s->packet) : 0;
        av_packet_unref(s->packet);
        if (is_secret)
            return status_fail(ERR_INPUT, "%s: protected (DRM), expected a file that any player plays", s->path);
        if (code < 0 && ++bad > 10) return status_fail(ERR_INPUT, "%s: a damaged sound file", s->path);
        TRY(receive_frames(s));
    }
    avcodec_send_packet(s->codec, NULL);
    TRY(receive_frames(s));
    if (s->convert) TRY(append(s, NULL));
    if (s->sound.count <= s->late) return status_fail(ERR_INPUT, "%s: an empty sound file", s->path);
    TRY(check_length(s));
    return check_samples(s);
}

/* Wider vector units round the sums of floats differently; SSE2 is in every x86-64. */
static void keep_to_sse2(void)
{
    av_force_cpu_flags(av_get_cpu_flags() &
                       (AV_CPU_FLAG_MMX | AV_CPU_FLAG_MMXEXT | AV_CPU_FLAG_SSE | AV_CPU_FLAG_SSE2 | AV_CPU_FLAG_CMOV));
}

Status sound_read(const char *path, Sound *out)
{
    Source s = {.path = path};
    *out = (Sound){0};
    keep_to_sse2();
    Status status = open_file(&s);
    if (!failed(status)) status = open_decoder(&s);
    if (!failed(status)) status = read_all(&s);
    av_force_cpu_flags(-1);
    close_source(&s);
    if (failed(status))
        sound_clear(&s.sound);
    else
        *out = s.sound;
    return status;
}

Status sound_read_kept(const char *path, const Sound **out)
{
    static struct { /* of this process */
        char *path;
        struct stat at;
        Sound sound;
    } kept;
    struct stat at;
    if (stat(path, &at) != 0) return status_fail(ERR_INPUT, "%s: no such file", path);
    bool same = kept.path && strcmp(kept.path, path) == 0 && kept.at.st_ino == at.st_ino &&
                kept.at.st_dev == at.st_dev && kept.at.st_size == at.st_size &&
                kept.at.st_mtim.tv_sec == at.st_mtim.tv_sec && kept.at.st_mtim.tv_nsec == at.st_mtim.tv_nsec;
    if (!same) {
        Sound fresh;
        TRY(sound_read(path, &fresh));
        sound_clear(&kept.sound);
        free(kept.path);
        kept.sound = fresh;
        kept.path = text_copy(path);
        kept.at = at;
    }
    *out = &kept.sound;
    return status_ok();
}

static Status open_hearing(SwrContext **convert)
{
    AVChannelLayout stereo = AV_CHANNEL_LAYOUT_STEREO, mono = AV_CHANNEL_LAYOUT_MONO;
    int code = swr_alloc_set_opts2(convert, &mono, AV_SAMPLE_FMT_FLT, SPEECH_RATE, &stereo, AV_SAMPLE_FMT_FLT,
                                   SOUND_RATE, 0, NULL);
    if (code >= 0) code = av_opt_set_int(*convert, "filter_size", 64, 0); /* 32, the default, takes 0.4 dB of 7 kHz */
    return code < 0 || swr_init(*convert) < 0 ? status_fail(ERR_NODE, "no converter of sound") : status_ok();
}

Status sound_hear(const Sound *s, float **pcm, int64_t *count)
{
    const int64_t room = s->count / (SOUND_RATE / SPEECH_RATE) + SPEECH_RATE; /* a second more than it can be */
    const uint8_t *from = (const uint8_t *)s->sample;
    SwrContext *convert = NULL;
    Status status = status_ok();
    *count = 0;
    keep_to_sse2();
    TRY_MEMORY_OUT(*pcm, room);
    TRY_OUT(open_hearing(&convert));
    for (int part = 0; part < 2; part++) { /* all of it, then what the resampler still has */
        uint8_t *to = (uint8_t *)(*pcm + *count);
        const int n = swr_convert(convert, &to, (int)(room - *count), part ? NULL : &from, part ? 0 : (int)s->count);
        if (n < 0) TRY_OUT(status_fail(ERR_NODE, "sound could not be converted"));
        *count += n;
    }
out:
    av_force_cpu_flags(-1);
    swr_free(&convert);
    if (failed(status)) free(*pcm);
    if (failed(status)) *pcm = NULL;
    return status;
}

bool sound_is_silent(const Sound *s)
{
    for (int64_t i = 0; i < 2 * s->count; i++)
        if (fabsf(s->sample[i]) >= 1e-3f) return false;
    return true;
}

/* ---- mixing ------------------------------------------------------------------------------------------------------------ */

enum { CURVE_RATE = 100 }; /* points of the ducking curve a second */
static const double EDGE_S = 0.005, MUSIC_END_S = 0.6, SINK_S = 0.12, RISE_S = 0.35;

static float from_db(double db) { return (float)pow(10, db / 20); }

/* Whether the voice speaks in each hundredth of a second: within 30 dB of its loudest. */
static bool *speaking(const SoundMix *m, int count)
{
    const int window = SOUND_RATE / CURVE_RATE;
    bool *speaks = memory_get((size_t)count, sizeof *speaks);
    double *power = memory_get((size_t)count, sizeof *power), loudest = 0;
    for (int i = 0; i < count; i++) {
        int64_t from = (int64_t)i * window - llrint(m->voice_at_s * SOUND_RATE);
        for (int64_t k = from < 0 ? 0 : from; k < from + window && k < m->voice->count; k++)
            power[i] += m->voice->sample[2 * k] * m->voice->sample[2 * k] +
                        m->voice->sample[2 * k + 1] * m->voice->sample[2 * k + 1];
        loudest = fmax(loudest, power[i]);
    }
    for (int i = 0; i < count; i++) speaks[i] = power[i] > loudest * 1e-3 && power[i] > 1e-9;
    free(power);
    return speaks;
}

/* At each point the music is as low as the nearest word asks for: full depth while it sounds, a line before it and one after. */
float *sound_duck_curve(const SoundMix *m, int *count)
{
    int n = *count = (int)ceil(m->duration_s * CURVE_RATE) + 1;
    float *gain = memory_get((size_t)n, sizeof *gain);
    for (int i = 0; i < n; i++) gain[i] = 1;
    if (!m->voice || m->duck_db <= 0) return gain;
    bool *speaks = speaking(m, n);
    double since = 1e9;
    for (int i = 0; i < n; i++) {
        since = speaks[i] ? 0 : since + 1.0 / CURVE_RATE;
        gain[i] = from_db(-m->duck_db * fmax(0, 1 - since / RISE_S));
    }
    since = 1e9;
    for (int i = n - 1; i >= 0; i--) {
        since = speaks[i] ? 0 : since + 1.0 / CURVE_RATE;
        gain[i] = fminf(gain[i], from_db(-m->duck_db * fmax(0, 1 - since / SINK_S)));
    }
    free(speaks);
    return gain;
}

/* 0 to 1 at the i-th of n samples: a ramp of so many at either end. */
static float edge_gain(int64_t i, int64_t n, int64_t in, int64_t out)
{
    double a = in > 0 && i < in ? (double)i / (double)in : 1,
           b = out > 0 && n - 1 - i < out ? (double)(n - 1 - i) / (double)out : 1;
    return (float)(a * b);
}

static void add_voice(const Sound *s, double at_s, double gain_db, Sound *out)
{
    const int64_t at = llrint(at_s * SOUND_RATE), edge = llrint(EDGE_S * SOUND_RATE);
    int64_t n = s->count < out->count - at ? s->count : out->count - at;
    float gain = from_db(gain_db);
    for (int64_t i = 0; i < n; i++) {
        float g = gain * edge_gain(i, n, edge, edge);
        out->sample[2 * (at + i)] += g * s->sample[2 * i];
        out->sample[2 * (at + i) + 1] += g * s->sample[2 * i + 1];
    }
}

/* A bed that is too short begins anew, its ends faded over each other. */
static float music_at(const Sound *s, int64_t i, int channel)
{
    const int64_t cross = s->count > SOUND_RATE / 5 ? SOUND_RATE / 20 : 0, period = s->count - cross;
    int64_t k = i % period;
    float value = s->sample[2 * k + channel];
    if (i >= period && k < cross) {
        float in = (float)k / (float)cross;
        value = value * in + s->sample[2 * (period + k) + channel] * (1 - in);
    }
    return value;
}

static void add_music(const SoundMix *m, Sound *out)
{
    int points;
    float *curve = sound_duck_curve(m, &points), gain = from_db(m->music_gain_db);
    const int64_t end = llrint(fmin(MUSIC_END_S, m->duration_s / 4) * SOUND_RATE), begin = llrint(EDGE_S * SOUND_RATE);
    for (int64_t i = 0; i < out->count; i++) {
        double point = (double)i * CURVE_RATE / SOUND_RATE;
        int k = (int)point;
        float between = (float)(point - k), low = curve[k], high = curve[k + 1 < points ? k + 1 : k];
        float g = gain * (low + (high - low) * between) * edge_gain(i, out->count, begin, end);
        for (int c = 0; c < 2; c++) out->sample[2 * i + c] += g * music_at(m->music, i, c);
    }
    free(curve);
}

void sound_mix(const SoundMix *m, Sound *out)
{
    *out = sound_silence(m->duration_s);
    if (m->own) add_voice(m->own, 0, 0, out);
    if (m->voice) add_voice(m->voice, m->voice_at_s, m->voice_gain_db, out);
    if (m->music && m->music->count) add_music(m, out);
    const int64_t edge = llrint(EDGE_S * SOUND_RATE);
    for (int64_t i = 0; i < out->count; i++)
        for (int c = 0; c < 2; c++) out->sample[2 * i + c] *= edge_gain(i, out->count, edge, edge);
}
