/* What a delivered file must be, read back with libav and, for the order of boxes, byte by byte. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "common/file.h"
#include "common/hash.h"
#include "worker/finish/encode.h"

static const char path[] = "test_encode.mp4";

/* Left half one colour, right half a gradient that moves. */
static void paint(float *rgb, int width, int height, int frame)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            float *p = rgb + 3 * (y * width + x);
            bool left = x < width / 2;
            p[0] = left ? 0.75f : (float)((x + 3 * frame) % width) / (float)width;
            p[1] = left ? 0.1f : (float)y / (float)height;
            p[2] = left ? 0.2f : 0.5f;
        }
}

static Status encode_some(const char *to, EncodeOptions o, int width, int height, int frames)
{
    Encode *e;
    TRY(encode_begin(to, &o, &e));
    float *rgb = malloc((size_t)(width * height) * 3 * sizeof *rgb);
    Status status = rgb ? status_ok() : status_fail(ERR_NODE, "out of memory");
    for (int i = 0; i < frames && !failed(status); i++) {
        paint(rgb, width, height, i);
        status = encode_put(e, rgb, 1, height, width);
    }
    free(rgb);
    if (!failed(status)) return encode_end(&e);
    encode_abandon(&e);
    return status;
}

static EncodeOptions options(int fps)
{
    EncodeOptions o = encode_defaults();
    o.fps = fps;
    return o;
}

static AVFormatContext *open_video(const char *from)
{
    AVFormatContext *f = NULL;
    assert_int_equal(avformat_open_input(&f, from, NULL, NULL), 0);
    assert_true(avformat_find_stream_info(f, NULL) >= 0);
    assert_int_equal(f->nb_streams, 1);
    return f;
}

static void is_what_platforms_take(void **state)
{
    (void)state;
    assert_string_equal(encode_some(path, options(8), 64, 112, 33).message, "");
    AVFormatContext *f = open_video(path);
    const AVStream *s = f->streams[0];
    assert_int_equal(s->codecpar->codec_id, AV_CODEC_ID_H264);
    assert_int_equal(s->codecpar->profile, FF_PROFILE_H264_HIGH);
    assert_int_equal(s->codecpar->format, AV_PIX_FMT_YUV420P);
    assert_int_equal(s->codecpar->color_primaries, AVCOL_PRI_BT709);
    assert_int_equal(s->codecpar->color_trc, AVCOL_TRC_BT709);
    assert_int_equal(s->codecpar->color_space, AVCOL_SPC_BT709);
    assert_int_equal(s->codecpar->color_range, AVCOL_RANGE_MPEG);
    assert_int_equal(s->codecpar->width, 64);
    assert_int_equal(s->codecpar->height, 112);
    assert_int_equal(s->start_time, 0);
    assert_int_equal(s->nb_frames, 33);
    assert_int_equal(av_rescale_q(s->duration, s->time_base, (AVRational){1, 8}), 33);
    assert_int_equal(av_rescale_q(f->duration, AV_TIME_BASE_Q, (AVRational){1, 1000}), 33 * 125);
    avformat_close_input(&f);
}

/* IDR frames at 0, 1/2, 1, ... seconds and nowhere else; no packet is shown before 0. */
static void has_a_closed_group_every_half_second(void **state)
{
    static const int rates[] = {1, 8, 15, 16, 24, 30};
    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        int gop = (rates[i] + 1) / 2, frames = 3 * gop + 2, seen = 0;
        assert_string_equal(encode_some(path, options(rates[i]), 48, 32, frames).message, "");
        AVFormatContext *f = open_video(path);
        AVPacket *p = av_packet_alloc();
        for (; av_read_frame(f, p) >= 0; av_packet_unref(p), seen++) {
            int64_t at = av_rescale_q(p->pts, f->streams[0]->time_base, (AVRational){1, rates[i]});
            assert_true(p->pts >= 0);
            assert_int_equal(p->flags & AV_PKT_FLAG_KEY ? 1 : 0, at % gop == 0);
        }
        assert_int_equal(seen, frames);
        av_packet_free(&p);
        avformat_close_input(&f);
    }
}

static uint32_t big_endian(const unsigned char *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void can_be_played_while_it_loads(void **state)
{
    (void)state;
    char *data, order[64] = "";
    size_t n;
    assert_string_equal(encode_some(path, options(8), 64, 48, 17).message, "");
    assert_int_equal(file_read(path, 1 << 24, &data, &n).err, OK);
    for (size_t at = 0; at + 8 <= n && strlen(order) < 50; at += big_endian((unsigned char *)data + at))
        snprintf(order + strlen(order), sizeof order - strlen(order), "%.4s ", data + at + 4);
    assert_string_equal(order, "ftyp moov free mdat ");
    assert_null(memmem(data, n, "elst", 4));
    assert_null(memmem(data, n, "edts", 4));
    free(data);
}

static AVFrame *first_frame(const char *from)
{
    AVFormatContext *f = open_video(from);
    AVCodecContext *c = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_H264));
    AVPacket *p = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    avcodec_parameters_to_context(c, f->streams[0]->codecpar);
    c->thread_count = 1;
    assert_int_equal(avcodec_open2(c, NULL, NULL), 0);
    int got = AVERROR(EAGAIN);
    while (got == AVERROR(EAGAIN)) {
        bool more = av_read_frame(f, p) >= 0;
        avcodec_send_packet(c, more ? p : NULL);
        av_packet_unref(p);
        got = avcodec_receive_frame(c, frame);
    }
    assert_int_equal(got, 0);
    av_packet_free(&p);
    avcodec_free_context(&c);
    avformat_close_input(&f);
    return frame;
}

/* R'G'B' (0.75, 0.1, 0.2) by ITU-R BT.709: Y 69.7, Cb 122.5, Cr 199.8; a BT.601 matrix would give 82, 111, 203.
 * Tolerance 1.5: x264's rounding and one of conversion; measured 0.3. */
static void has_the_colours_that_were_given(void **state)
{
    (void)state;
    EncodeOptions o = options(8);
    o.crf = 4;
    for (int i = 0; i < 2; i++) {
        o.width = i ? 270 : 0;
        o.height = i ? 480 : 0;
        assert_string_equal(encode_some(path, o, 64, 112, 5).message, "");
        AVFrame *f = first_frame(path);
        int x = f->width / 4, y = f->height / 2;
        assert_float_equal(f->data[0][y * f->linesize[0] + x], 69.74f, 1.5f);
        assert_float_equal(f->data[1][y / 2 * f->linesize[1] + x / 2], 122.52f, 1.5f);
        assert_float_equal(f->data[2][y / 2 * f->linesize[2] + x / 2], 199.77f, 1.5f);
        av_frame_free(&f);
    }
}

/* A square picture in a tall file: black above and below, the picture between. */
static void pads_another_aspect_with_black(void **state)
{
    (void)state;
    EncodeOptions o = options(8);
    o.crf = 4;
    o.width = 180;
    o.height = 320;
    assert_string_equal(encode_some(path, o, 32, 32, 3).message, "");
    AVFrame *f = first_frame(path);
    assert_int_equal(f->width, 180);
    assert_int_equal(f->height, 320);
    assert_float_equal(f->data[0][60 * f->linesize[0] + 45], 16, 1.5f);
    assert_float_equal(f->data[0][75 * f->linesize[0] + 45], 69.74f, 3);
    assert_float_equal(f->data[0][245 * f->linesize[0] + 45], 69.74f, 3);
    assert_float_equal(f->data[0][262 * f->linesize[0] + 45], 16, 1.5f);
    av_frame_free(&f);
}

/* 64x112 is 1.6 % wider than 9:16: no line of black above and below. */
static void fills_the_picture_when_the_aspect_is_near(void **state)
{
    (void)state;
    EncodeOptions o = options(8);
    o.crf = 4;
    o.width = 180;
    o.height = 320;
    assert_string_equal(encode_some(path, o, 64, 112, 3).message, "");
    AVFrame *f = first_frame(path);
    assert_float_equal(f->data[0][45], 69.74f, 3);
    assert_float_equal(f->data[0][319 * f->linesize[0] + 45], 69.74f, 3);
    av_frame_free(&f);
}

static void same_frames_give_same_bytes(void **state)
{
    (void)state;
    char first[HASH_TEXT], again[HASH_TEXT];
    EncodeOptions o = options(16);
    o.width = 360;
    o.height = 640;
    o.max_kbps = 900;
    assert_string_equal(encode_some(path, o, 64, 112, 17).message, "");
    assert_int_equal(hash_file(path, first).err, OK);
    sleep(1); /* a time stamp in the file would show */
    assert_string_equal(encode_some(path, o, 64, 112, 17).message, "");
    assert_int_equal(hash_file(path, again).err, OK);
    assert_string_equal(first, again);
}

static void survives_frames_that_are_no_numbers(void **state)
{
    (void)state;
    EncodeOptions o = options(8);
    Encode *e;
    float rgb[16 * 16 * 3];
    for (int i = 0; i < 16 * 16 * 3; i++)
        rgb[i] = i % 3 == 0 ? (float)(1e300 * 1e300) : i % 3 == 1 ? -5 : (float)(0 * 1e300 * 1e300);
    assert_int_equal(encode_begin(path, &o, &e).err, OK);
    assert_int_equal(encode_put(e, rgb, 1, 16, 16).err, OK);
    assert_int_equal(encode_end(&e).err, OK);
}

static void refuses_what_it_cannot_do(void **state)
{
    (void)state;
    Encode *e;
    EncodeOptions o = options(0);
    assert_int_equal(encode_begin(path, &o, &e).err, ERR_INPUT);
    o = options(8);
    o.width = 63;
    o.height = 64;
    assert_int_equal(encode_begin(path, &o, &e).err, ERR_INPUT);
    Status s = encode_some("no/such/folder/x.mp4", options(8), 32, 32, 1);
    assert_int_equal(s.err, ERR_INPUT);
    assert_non_null(strstr(s.message, "no/such/folder/x.mp4"));
    unlink(path);
    o = options(8);
    o.preset = "warp";
    assert_int_equal(encode_some(path, o, 32, 32, 1).err, ERR_INPUT);
    assert_true(failed(encode_some(path, options(8), 33, 32, 1)));
    assert_true(failed(encode_some(path, options(8), 32, 32, 0)));
    assert_false(file_exists(path));
}

/* A full disk (here: a limit on the file's size) at several places: an error, no file and no draft. */
static void full_disk_leaves_nothing(void **state)
{
    static const rlim_t limits[] = {0, 100, 3000, 8000};
    (void)state;
    struct rlimit old;
    getrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_IGN);
    unlink(path);
    char *draft = file_draft(path);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit small = {limits[i], old.rlim_max};
        setrlimit(RLIMIT_FSIZE, &small);
        Status s = encode_some(path, options(8), 128, 128, 17);
        setrlimit(RLIMIT_FSIZE, &old);
        assert_int_equal(s.err, ERR_NODE);
        assert_false(file_exists(path));
        assert_false(file_exists(draft));
    }
    free(draft);
}

static int remove_file(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_what_platforms_take),         cmocka_unit_test(has_a_closed_group_every_half_second),
        cmocka_unit_test(can_be_played_while_it_loads),   cmocka_unit_test(has_the_colours_that_were_given),
        cmocka_unit_test(pads_another_aspect_with_black), cmocka_unit_test(fills_the_picture_when_the_aspect_is_near),
        cmocka_unit_test(same_frames_give_same_bytes),    cmocka_unit_test(survives_frames_that_are_no_numbers),
        cmocka_unit_test(refuses_what_it_cannot_do),      cmocka_unit_test(full_disk_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, remove_file);
}
