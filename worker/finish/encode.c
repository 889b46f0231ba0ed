#include "encode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/cpu.h>
#include <libavutil/opt.h>

#include "common/file.h"
#include "common/provoke.h"
#include "worker/finish/pixels.h"

struct Encode {
    EncodeOptions o; /* preset is not used after encode_begin */
    char *path, *draft;
    AVFormatContext *file;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    Pixels *pixels;
    int source_width, source_height; /* 0 until the first frame */
    int fit_width, fit_height;
    int64_t count; /* frames so far */
    bool begun;    /* the header is written */
    char preset[32];
};

EncodeOptions encode_defaults(void) { return (EncodeOptions){.crf = 17, .preset = "veryfast"}; } /* SPEED.md */

/* libav's reason; a full disk is the machine's fault, not the input's. */
static Status av_failed(const Encode *e, int code, const char *what)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(code, text, sizeof text);
    return status_fail(ERR_NODE, "%s: cannot %s: %s", e->path, what, text);
}

static bool is_preset(const char *name)
{
    static const char *const known[] = {"ultrafast", "superfast", "veryfast", "faster",  "fast",
                                        "medium",    "slow",      "slower",   "veryslow"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], name) == 0) return true;
    return false;
}

static Status check_options(const EncodeOptions *o, const char *path)
{
    if (!is_preset(o->preset))
        return status_fail(ERR_INPUT, "%s: preset = %s, expected one of x264's, ultrafast to veryslow", path,
                           o->preset);
    if (o->width < 0 || o->height < 0 || o->width > 8192 || o->height > 8192 || o->width % 2 || o->height % 2 ||
        !o->width != !o->height)
        return status_fail(ERR_INPUT, "%s: size %dx%d, expected even numbers up to 8192", path, o->width, o->height);
    if (o->fps < 1 || o->fps > 240) return status_fail(ERR_INPUT, "%s: fps = %d, expected 1 to 240", path, o->fps);
    if (o->crf < 0 || o->crf > 51) return status_fail(ERR_INPUT, "%s: crf = %d, expected 0 to 51", path, o->crf);
    if (o->max_kbps < 0) return status_fail(ERR_INPUT, "%s: max_kbps = %d, expected 0 or more", path, o->max_kbps);
    return status_ok();
}

Status encode_begin(const char *path, const EncodeOptions *o, Encode **out)
{
    *out = NULL;
    TRY(check_options(o, path));
    av_log_set_level(AV_LOG_FATAL); /* its lines would mix with ours; what matters comes back as a code */
    Encode *e = memory_get(1, sizeof *e);
    e->o = *o;
    e->path = text_copy(path);
    e->draft = file_draft(path);
    snprintf(e->preset, sizeof e->preset, "%s", o->preset);
    FILE *f = fopen(e->draft, "wb"); /* now, so that an unwritable folder is known before anything is rendered */
    if (!f) {
        Status status = status_errno(ERR_INPUT, "cannot write %s", path);
        free(e->path);
        free(e->draft);
        free(e);
        return status;
    }
    fclose(f);
    *out = e;
    return status_ok();
}

/* The same bytes on every processor. Two things of x264 (core 164) stand against that. The macroblock tree uses the processor's
 * approximate reciprocal, which Intel, AMD and each vector width answer differently: cpu-independent divides instead, and then all
 * instruction sets agree, down to none. And its AVX-512 form of the tree lets memory that nobody wrote decide about B-frames: no
 * clip needs AVX-512, so AVX2 is named where the processor has it. tests/cli/run_encode.sh proves both. */
static const char *cpu_rule(void)
{
    return av_get_cpu_flags() & AV_CPU_FLAG_AVX2 ? "cpu-independent=1:asm=avx2" : "cpu-independent=1";
}

/* IDR every `gop` frames and nowhere else; High whatever the preset; one thread of each kind, because the number of threads
 * changes the bytes. */
static void set_x264(Encode *e)
{
    char text[256];
    int gop = (e->o.fps + 1) / 2;
    e->codec->gop_size = gop;
    snprintf(text, sizeof text,
             "keyint=%d:min-keyint=1:scenecut=0:open-gop=0:8x8dct=1:cabac=1:threads=1:lookahead-threads=1:"
             "sync-lookahead=0:%s",
             gop, cpu_rule());
    av_opt_set(e->codec->priv_data, "preset", e->preset, 0);
    av_opt_set(e->codec->priv_data, "profile", "high", 0);
    av_opt_set(e->codec->priv_data, "x264-params", text, 0);
    av_opt_set_double(e->codec->priv_data, "crf", e->o.crf, 0);
    if (e->o.max_kbps) {
        e->codec->rc_max_rate = (int64_t)e->o.max_kbps * 1000;
        e->codec->rc_buffer_size = e->o.max_kbps * 1000;
    }
}

static Status open_codec(Encode *e)
{
    const AVCodec *x264 = avcodec_find_encoder_by_name("libx264");
    if (!x264) return status_fail(ERR_NODE, "%s: this libavcodec has no libx264", e->path);
    AVCodecContext *c = e->codec = avcodec_alloc_context3(x264);
    if (!c) return status_fail(ERR_NODE, "%s: out of memory", e->path);
    c->width = e->o.width;
    c->height = e->o.height;
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->time_base = (AVRational){1, e->o.fps};
    c->framerate = (AVRational){e->o.fps, 1};
    c->sample_aspect_ratio = (AVRational){1, 1};
    c->color_primaries = AVCOL_PRI_BT709;
    c->color_trc = AVCOL_TRC_BT709;
    c->colorspace = AVCOL_SPC_BT709;
    c->color_range = AVCOL_RANGE_MPEG;
    c->chroma_sample_location = AVCHROMA_LOC_LEFT;
    c->thread_count = 1;
    c->flags |= (int)(AV_CODEC_FLAG_BITEXACT | AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_CLOSED_GOP);
    set_x264(e);
    int code = avcodec_open2(c, x264, NULL);
    if (code == AVERROR(ENOMEM)) return av_failed(e, code, "encode");
    if (code < 0)
        return status_fail(ERR_INPUT, "%s: x264 refuses %dx%d with preset %s", e->path, c->width, c->height, e->preset);
    return status_ok();
}

static Status open_file(Encode *e)
{
    int code = avformat_alloc_output_context2(&e->file, NULL, "mp4", e->draft);
    AVStream *stream = code < 0 ? NULL : avformat_new_stream(e->file, NULL);
    if (!stream) return status_fail(ERR_NODE, "%s: out of memory", e->path);
    e->file->flags |= AVFMT_FLAG_BITEXACT;
    stream->time_base = e->codec->time_base;
    stream->avg_frame_rate = e->codec->framerate;
    stream->sample_aspect_ratio = e->codec->sample_aspect_ratio;
    code = avcodec_parameters_from_context(stream->codecpar, e->codec);
    if (code >= 0) code = avio_open(&e->file->pb, e->draft, AVIO_FLAG_WRITE);
    AVDictionary *options = NULL;
    /* B-frames are shown later than they are decoded; an edit list is the usual way to say so, and platforms refuse it */
    av_dict_set(&options, "movflags", "+faststart+negative_cts_offsets", 0);
    av_dict_set(&options, "use_editlist", "0", 0);
    if (code >= 0) code = avformat_write_header(e->file, &options);
    av_dict_free(&options);
    if (code < 0) return av_failed(e, code, "write");
    e->begun = true;
    return status_ok();
}

static Status open_all(Encode *e, int height, int width)
{
    e->source_width = width;
    e->source_height = height;
    if (!e->o.width) {
        e->o.width = width;
        e->o.height = height;
        TRY(check_options(&e->o, e->path));
    }
    pixels_fit(width, height, e->o.width, e->o.height, &e->fit_width, &e->fit_height);
    TRY(pixels_open(width, height, e->fit_width, e->fit_height, AV_PIX_FMT_YUV420P, &e->pixels));
    TRY(pixels_frame(e->o.width, e->o.height, AV_PIX_FMT_YUV420P, &e->frame));
    e->packet = av_packet_alloc();
    if (!e->packet) return status_fail(ERR_NODE, "%s: out of memory", e->path);
    TRY(open_codec(e));
    return open_file(e);
}

static Status write_packets(Encode *e)
{
    for (;;) {
        int code = avcodec_receive_packet(e->codec, e->packet);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return status_ok();
        if (code < 0) return av_failed(e, code, "encode");
        AVStream *stream = e->file->streams[0];
        e->packet->duration = 1;
        av_packet_rescale_ts(e->packet, e->codec->time_base, stream->time_base);
        e->packet->stream_index = 0;
        code = av_interleaved_write_frame(e->file, e->packet);
        if (code < 0) return av_failed(e, code, "write");
    }
}

/* Black in limited range: padding keeps it, the picture covers the rest. */
static void fill_black(AVFrame *f)
{
    for (int i = 0; i < 3; i++)
        memset(f->data[i], i ? 128 : 16, (size_t)f->linesize[i] * (size_t)(i ? (f->height + 1) / 2 : f->height));
}

static Status put_one(Encode *e, const float *rgb)
{
    TRY(provoke_at("encode", NULL, e->count));
    if (av_frame_make_writable(e->frame) < 0) return status_fail(ERR_NODE, "%s: out of memory", e->path);
    fill_black(e->frame);
    TRY(pixels_convert(e->pixels, rgb, e->frame, (e->o.width - e->fit_width) / 2 & ~1,
                       (e->o.height - e->fit_height) / 2 & ~1));
    e->frame->pts = e->count++;
    int code = avcodec_send_frame(e->codec, e->frame);
    if (code < 0) return av_failed(e, code, "encode");
    return write_packets(e);
}

Status encode_put(Encode *e, const float *frames, int n, int height, int width)
{
    if (!e->source_width) TRY(open_all(e, height, width));
    if (height != e->source_height || width != e->source_width)
        return status_fail(ERR_CLIP, "%s: a frame of %dx%d after frames of %dx%d", e->path, width, height,
                           e->source_width, e->source_height);
    for (int i = 0; i < n; i++) TRY(put_one(e, frames + (size_t)i * 3 * (size_t)height * (size_t)width));
    return status_ok();
}

static Status finish_file(Encode *e)
{
    if (!e->begun) return status_fail(ERR_CLIP, "%s: no frame was given", e->path);
    int code = avcodec_send_frame(e->codec, NULL);
    if (code < 0) return av_failed(e, code, "encode");
    TRY(write_packets(e));
    code = av_write_trailer(e->file);
    e->begun = false;
    if (code >= 0) code = e->file->pb->error;
    int closed = avio_closep(&e->file->pb);
    if (code >= 0) code = closed;
    if (code < 0) return av_failed(e, code, "write");
    return file_publish(e->draft, e->path);
}

Status encode_end(Encode **encode)
{
    Status status = finish_file(*encode);
    encode_abandon(encode);
    return status;
}

void encode_abandon(Encode **encode)
{
    Encode *e = *encode;
    if (!e) return;
    if (e->file && e->file->pb) avio_closep(&e->file->pb);
    avformat_free_context(e->file);
    avcodec_free_context(&e->codec);
    av_packet_free(&e->packet);
    av_frame_free(&e->frame);
    pixels_close(&e->pixels);
    unlink(e->draft); /* not there any more when it was published */
    free(e->draft);
    free(e->path);
    free(e);
    *encode = NULL;
}
