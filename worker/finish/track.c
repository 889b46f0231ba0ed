#include "track.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <libavutil/channel_layout.h>
#include <libavutil/cpu.h>

#include "common/file.h"

void track_clear(Track *t)
{
    for (int i = 0; i < t->count; i++) av_packet_free(&t->packet[i]);
    free(t->packet);
    avcodec_parameters_free(&t->parameters);
    *t = (Track){0};
}

static Status av_failed(int code, const char *what)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(code, text, sizeof text);
    return status_fail(ERR_NODE, "cannot %s sound: %s", what, text);
}

/* SSE2 as in sound.c: which functions are taken is settled when a codec is opened. */
static int open_alike(AVCodecContext *c, const AVCodec *codec)
{
    av_force_cpu_flags(av_get_cpu_flags() &
                       (AV_CPU_FLAG_MMX | AV_CPU_FLAG_MMXEXT | AV_CPU_FLAG_SSE | AV_CPU_FLAG_SSE2 | AV_CPU_FLAG_CMOV));
    int code = avcodec_open2(c, codec, NULL);
    av_force_cpu_flags(-1);
    return code;
}

static Status open_encoder(int kbps, AVCodecContext **out)
{
    const AVCodec *aac = avcodec_find_encoder_by_name("aac");
    if (!aac) return status_fail(ERR_NODE, "this libavcodec has no AAC encoder");
    AVCodecContext *c = *out = avcodec_alloc_context3(aac);
    if (!c) return status_fail(ERR_NODE, "out of memory for a sound encoder");
    c->sample_rate = SOUND_RATE;
    c->sample_fmt = AV_SAMPLE_FMT_FLTP;
    c->bit_rate = (int64_t)kbps * 1000;
    c->time_base = (AVRational){1, SOUND_RATE};
    c->thread_count = 1;
    c->flags |= (int)(AV_CODEC_FLAG_BITEXACT | AV_CODEC_FLAG_GLOBAL_HEADER);
    av_channel_layout_default(&c->ch_layout, 2);
    int code = open_alike(c, aac);
    return code < 0 ? av_failed(code, "encode") : status_ok();
}

static Status take_packets(AVCodecContext *c, Track *t)
{
    for (;;) {
        AVPacket *p = av_packet_alloc();
        int code = p ? avcodec_receive_packet(c, p) : AVERROR(ENOMEM);
        if (code < 0) av_packet_free(&p);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return status_ok();
        if (code < 0) return av_failed(code, "encode");
        t->packet = memory_resize(t->packet, (size_t)t->count + 1, sizeof *t->packet);
        p->pts = p->dts = (int64_t)t->count * c->frame_size;
        p->duration = c->frame_size;
        av_packet_free_side_data(p); /* "skip the first samples" */
        t->packet[t->count++] = p;
    }
}

static Status send_all(AVCodecContext *c, const Sound *s, AVFrame *f, Track *t)
{
    for (int64_t at = c->initial_padding; at < s->count; at += c->frame_size) {
        int code = av_frame_make_writable(f);
        if (code < 0) return av_failed(code, "encode");
        for (int64_t i = 0; i < c->frame_size; i++)
            for (int k = 0; k < 2; k++)
                ((float *)(void *)f->data[k])[i] = at + i < s->count ? s->sample[2 * (at + i) + k] : 0;
        f->pts = at;
        code = avcodec_send_frame(c, f);
        if (code < 0) return av_failed(code, "encode");
        TRY(take_packets(c, t));
    }
    int code = avcodec_send_frame(c, NULL);
    return code < 0 ? av_failed(code, "encode") : take_packets(c, t);
}

Status track_encode(const Sound *s, int kbps, Track *out)
{
    AVCodecContext *c = NULL;
    AVFrame *f = av_frame_alloc();
    *out = (Track){.time_base = {1, SOUND_RATE}};
    Status status = f ? open_encoder(kbps, &c) : status_fail(ERR_NODE, "out of memory for sound");
    if (failed(status)) goto out;
    f->nb_samples = c->frame_size;
    f->format = c->sample_fmt;
    f->sample_rate = SOUND_RATE;
    av_channel_layout_copy(&f->ch_layout, &c->ch_layout);
    out->parameters = avcodec_parameters_alloc();
    if (!out->parameters || avcodec_parameters_from_context(out->parameters, c) < 0 || av_frame_get_buffer(f, 0) < 0)
        TRY_OUT(status_fail(ERR_NODE, "out of memory for sound"));
    out->parameters->initial_padding = 0;
    status = send_all(c, s, f, out);
out:
    av_frame_free(&f);
    avcodec_free_context(&c);
    if (failed(status)) track_clear(out);
    return status;
}

/* ---- measured again ------------------------------------------------------------------------------------------------------ */

static void append(Sound *s, const AVFrame *f, int64_t room)
{
    for (int i = 0; i < f->nb_samples && s->count < room; i++, s->count++)
        for (int k = 0; k < 2; k++) s->sample[2 * s->count + k] = ((const float *)(const void *)f->data[k])[i];
}

static Status decode(const Track *t, AVCodecContext *c, AVFrame *f, Sound *s)
{
    const int64_t room = s->count;
    s->count = 0;
    for (int i = 0; i <= t->count; i++) {
        int code = avcodec_send_packet(c, i < t->count ? t->packet[i] : NULL);
        while (code >= 0 && (code = avcodec_receive_frame(c, f)) >= 0) append(s, f, room);
        if (code != AVERROR(EAGAIN) && code != AVERROR_EOF) return av_failed(code, "decode");
    }
    return status_ok();
}

static Status measure(Track *t)
{
    const AVCodec *aac = avcodec_find_decoder(AV_CODEC_ID_AAC);
    AVCodecContext *c = aac ? avcodec_alloc_context3(aac) : NULL;
    AVFrame *f = av_frame_alloc();
    Sound s = sound_silence((double)t->count * 1024 / SOUND_RATE + 0.1);
    Status status = status_ok();
    if (!c || !f || avcodec_parameters_to_context(c, t->parameters) < 0 || open_alike(c, aac) < 0)
        status = status_fail(ERR_NODE, "out of memory for a sound decoder");
    if (!failed(status)) status = decode(t, c, f, &s);
    if (!failed(status)) status = loudness_measure(&s, &t->loudness);
    sound_clear(&s);
    av_frame_free(&f);
    avcodec_free_context(&c);
    return status;
}

/* AAC lowers what it takes for inaudible, and adds to peaks: both are made up for in the next attempt. */
static bool is_good(const Track *t, double lufs, double true_peak_db)
{
    if (!isfinite(t->loudness.lufs) || !isfinite(t->loudness.true_peak_db)) return true;
    return t->loudness.true_peak_db <= true_peak_db && fabs(t->loudness.lufs - lufs) < 0.3;
}

Status track_master(const Sound *s, double lufs, double true_peak_db, int kbps, Track *out)
{
    double limit = true_peak_db - 0.3 /* what AAC adds to peaks at 128 kbit/s, most often */, target = lufs;
    *out = (Track){0};
    for (int attempt = 0; attempt < 5; attempt++) {
        Sound copy = {.count = s->count, .sample = memory_get((size_t)s->count + 1, 2 * sizeof(float))};
        Loudness reached;
        memcpy(copy.sample, s->sample, (size_t)s->count * 2 * sizeof(float));
        Status status = loudness_set(&copy, target, limit, &reached);
        track_clear(out);
        if (!failed(status)) status = track_encode(&copy, kbps, out);
        if (!failed(status)) status = measure(out);
        sound_clear(&copy);
        if (failed(status)) track_clear(out);
        TRY(status);
        if (is_good(out, lufs, true_peak_db)) break;
        limit -= fmax(0, out->loudness.true_peak_db - true_peak_db + 0.1);
        if (attempt < 2) target += fmax(-2, fmin(2, lufs - out->loudness.lufs));
    }
    return status_ok();
}
