#include "codec.h"

#include <stdio.h>
#include <string.h>

#include <libavutil/cpu.h>
#include <libavutil/opt.h>

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
static void set_x264(const CodecOptions *o, AVCodecContext *c)
{
    char text[256];
    snprintf(text, sizeof text,
             "keyint=%d:min-keyint=1:scenecut=0:open-gop=0:8x8dct=1:cabac=1:threads=1:lookahead-threads=1:"
             "sync-lookahead=0:%s",
             c->gop_size, cpu_rule());
    av_opt_set(c->priv_data, "preset", o->preset, 0);
    av_opt_set(c->priv_data, "profile", "high", 0);
    av_opt_set(c->priv_data, "x264-params", text, 0);
    av_opt_set_double(c->priv_data, "crf", o->crf, 0);
}

/* Which encoder of libavcodec, and what only it is told. Each runs on one thread, for the number of threads changes the bytes. */
static void set_x265(const CodecOptions *o, AVCodecContext *c)
{
    char text[200];
    snprintf(
        text, sizeof text,
        "keyint=%d:min-keyint=1:scenecut=0:open-gop=0:pools=none:frame-threads=1:no-info=1:log-level=none:asm=avx2",
        c->gop_size);
    av_opt_set(c->priv_data, "preset", o->preset, 0);
    av_opt_set(c->priv_data, "x265-params", text, 0);
    av_opt_set_double(c->priv_data, "crf", o->crf, 0);
}

static void set_av1(const CodecOptions *o, AVCodecContext *c)
{
    char text[100];
    snprintf(text, sizeof text, "lp=1:keyint=%d:scd=0", c->gop_size);
    av_opt_set_int(c->priv_data, "preset", 8, 0);
    av_opt_set_int(c->priv_data, "crf", o->crf, 0);
    av_opt_set(c->priv_data, "svtav1-params", text, 0);
}

static void set_vp9(const CodecOptions *o, AVCodecContext *c)
{
    av_opt_set(c->priv_data, "deadline", "good", 0);
    av_opt_set_int(c->priv_data, "cpu-used", 4, 0);
    av_opt_set_int(c->priv_data, "crf", o->crf, 0);
    av_opt_set_int(c->priv_data, "row-mt", 0, 0);
}

static const struct {
    const char *name, *encoder;
    void (*set)(const CodecOptions *o, AVCodecContext *c);
} codecs[] = {{"h264", "libx264", set_x264},
              {"h265", "libx265", set_x265},
              {"av1", "libsvtav1", set_av1},
              {"vp9", "libvpx-vp9", set_vp9}};
enum { CODECS = (int)(sizeof codecs / sizeof *codecs) };

static int codec_named(const char *name)
{
    int i = 0;
    while (i < CODECS && strcmp(codecs[i].name, name) != 0) i++;
    return i;
}

static void set_common(const CodecOptions *o, AVCodecContext *c)
{
    c->width = o->width;
    c->height = o->height;
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->time_base = (AVRational){1, o->fps};
    c->framerate = (AVRational){o->fps, 1};
    c->sample_aspect_ratio = (AVRational){1, 1};
    c->color_primaries = AVCOL_PRI_BT709;
    c->color_trc = AVCOL_TRC_BT709;
    c->colorspace = AVCOL_SPC_BT709;
    c->color_range = AVCOL_RANGE_MPEG;
    c->chroma_sample_location = AVCHROMA_LOC_LEFT;
    c->thread_count = 1;
    c->gop_size = (o->fps + 1) / 2;
    c->flags |= (int)(AV_CODEC_FLAG_BITEXACT | AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_CLOSED_GOP);
    if (o->max_kbps) {
        c->rc_max_rate = (int64_t)o->max_kbps * 1000;
        c->rc_buffer_size = o->max_kbps * 1000;
    }
}

bool codec_is_known(const char *name) { return codec_named(name) < CODECS; }

Status codec_open(const CodecOptions *o, AVCodecContext **out)
{
    int i = codec_named(o->codec);
    *out = NULL;
    if (i == CODECS) return status_fail(ERR_INPUT, "codec = %s, expected h264, h265, av1 or vp9", o->codec);
    const AVCodec *codec = avcodec_find_encoder_by_name(codecs[i].encoder);
    if (!codec) return status_fail(ERR_NODE, "this libavcodec has no %s", codecs[i].encoder);
    AVCodecContext *c = *out = avcodec_alloc_context3(codec);
    if (!c) return status_fail(ERR_NODE, "out of memory");
    set_common(o, c);
    codecs[i].set(o, c);
    int code = avcodec_open2(c, codec, NULL);
    if (code >= 0) return status_ok();
    avcodec_free_context(out);
    if (code == AVERROR(ENOMEM)) return status_fail(ERR_NODE, "cannot encode: out of memory");
    return status_fail(ERR_INPUT, "%s refuses %dx%d with preset %s", codecs[i].encoder, o->width, o->height, o->preset);
}
