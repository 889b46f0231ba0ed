/* A clip's files with everything in them, read back: rate, sound in step with the picture, subtitles, label, code, size limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libavformat/avformat.h>
#include <math.h>
#include <unistd.h>

#include "common/file.h"
#include "worker/finish/canvas.h"
#include "worker/finish/output.h"
#include "worker/finish/profile.h"
#include "worker/finish/rates.h"
#include "worker/pictures/image.h"
#include "worker/pictures/pixels.h"

enum { W = 64, H = 112, FRAMES = 33, FPS = 8 };

/* Dark, but it becomes white until 2 s, and dark again; a bright spot moves. */
static void paint(float *rgb, int width, int height, int n)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, rgb += 3) {
            double spot = exp(-(pow(x - width * (0.2 + 0.018 * n), 2) + pow(y - height * 0.4, 2)) / 40);
            const double dark = fmin(1, abs(n - 2 * FPS) / 12.0); /* no faster: that would be a cut */
            rgb[0] = (float)(1 - dark * (0.9 - 0.5 * spot));
            rgb[1] = (float)(1 - dark * (0.85 - 0.2 * spot * (y / (double)height)));
            rgb[2] = (float)(1 - dark * 0.8);
        }
}

static void open_extras(const char *spec, Extras *e, FinishSpec *s)
{
    const char renditions[] =
        "{\"renditions\":[{\"name\":\"x\",\"width\":64,\"height\":112,\"crf\":20,\"preset\":\"fast\",\"max_kbps\":0}]}";
    assert_string_equal(finish_spec_read(renditions, spec, s).message, "");
    assert_string_equal(extras_open(s, FRAMES, FPS, (ExtrasFolders){0}, e).message, "");
}

static Status make(const char *path, const Rendition *r, Extras *e, json_t **report)
{
    Output *o;
    Rates *rates;
    OutputOrder order = {.rendition = r,
                         .width = W,
                         .height = H,
                         .frames = FRAMES,
                         .fps = FPS,
                         .extras = e,
                         .producer = "Sunways",
                         .clip_id = "anna"};
    float *rgb = memory_get(W * H * 3, sizeof *rgb);
    Status status = output_begin(path, &order, &o);
    assert_string_equal(rates_open(r, &(bool){false}, 1, FPS, NULL, &rates).message, "");
    for (int i = 0; i <= FRAMES && !failed(status); i++) {
        int n;
        paint(rgb, W, H, i);
        assert_string_equal(rates_convert(rates, 0, rgb, i < FRAMES, H, W).message, "");
        const float *frames = rates_frames(rates, 0, &n);
        status = output_put(o, frames, n, H, W);
    }
    free(rgb);
    rates_close(&rates);
    if (!failed(status)) return output_end(&o, report);
    output_abandon(&o);
    return status;
}

static Rendition rendition(const char *kind, int width, int height)
{
    Rendition r = {.name = "x", .width = width, .height = height, .crf = 20, .preset = "veryfast"};
    snprintf(r.kind, sizeof r.kind, "%s", kind);
    return r;
}

typedef struct {
    int videos, sounds, texts, frames;
    double fps, brightest, flash_s, click_s, sound_end_s, video_end_s;
    char cue[200], aigc[300], language[8];
} Found;

static void hear(const AVFrame *f, double *now_s, Found *out)
{
    for (int i = 0; i < f->nb_samples; i++, *now_s += 1.0 / f->sample_rate)
        if (out->click_s < 0 && fabsf(((const float *)(const void *)f->data[0])[i]) > 0.2f) out->click_s = *now_s;
}

static void see(const AVFrame *f, double at_s, Found *out)
{
    double sum = 0;
    for (int y = 0; y < f->height; y++)
        for (int x = 0; x < f->width; x++) sum += f->data[0][(ptrdiff_t)y * f->linesize[0] + x];
    out->frames++;
    sum /= f->width * f->height;
    if (sum < out->brightest + 1) return; /* less is coding */
    out->brightest = sum;
    out->flash_s = at_s;
}

/* With libav as a player would that knows of no edit list and of no priming. */
static Found look_into(const char *path)
{
    Found out = {.flash_s = -1, .click_s = -1};
    AVFormatContext *f = NULL;
    AVCodecContext *codec[8] = {0};
    AVPacket *p = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    double sound_s = -1;
    assert_int_equal(avformat_open_input(&f, path, NULL, NULL), 0);
    assert_true(avformat_find_stream_info(f, NULL) >= 0);
    for (unsigned i = 0; i < f->nb_streams; i++) {
        const AVStream *s = f->streams[i];
        out.videos += s->codecpar->codec_type == AVMEDIA_TYPE_VIDEO;
        out.sounds += s->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
        out.texts += s->codecpar->codec_type == AVMEDIA_TYPE_SUBTITLE;
        if (s->codecpar->codec_type == AVMEDIA_TYPE_VIDEO)
            out.fps = av_q2d(s->avg_frame_rate), out.video_end_s = (double)s->duration * av_q2d(s->time_base);
        if (s->codecpar->codec_type == AVMEDIA_TYPE_AUDIO) out.sound_end_s = (double)s->duration * av_q2d(s->time_base);
        const AVDictionaryEntry *language = av_dict_get(s->metadata, "language", NULL, 0);
        if (s->codecpar->codec_type == AVMEDIA_TYPE_SUBTITLE) {
            if (language) snprintf(out.language, sizeof out.language, "%s", language->value);
            continue;
        }
        codec[i] = avcodec_alloc_context3(avcodec_find_decoder(s->codecpar->codec_id));
        assert_true(avcodec_parameters_to_context(codec[i], s->codecpar) >= 0 &&
                    avcodec_open2(codec[i], NULL, NULL) >= 0);
    }
    const AVDictionaryEntry *aigc = av_dict_get(f->metadata, "AIGC", NULL, 0);
    if (aigc) snprintf(out.aigc, sizeof out.aigc, "%s", aigc->value);
    for (bool more = true; more;) {
        more = av_read_frame(f, p) >= 0;
        for (int i = 0; i < (int)f->nb_streams; i++) {
            if (more && i != p->stream_index) continue;
            const AVStream *s = f->streams[i];
            if (!codec[i]) {
                if (more && p->size > 2 && !*out.cue)
                    snprintf(out.cue, sizeof out.cue, "%.*s", p->size - 2, (const char *)p->data + 2);
                continue;
            }
            if (s->codecpar->codec_type == AVMEDIA_TYPE_AUDIO && more && sound_s < 0)
                sound_s = (double)p->pts * av_q2d(s->time_base);
            avcodec_send_packet(codec[i], more ? p : NULL);
            while (avcodec_receive_frame(codec[i], frame) >= 0) {
                if (s->codecpar->codec_type == AVMEDIA_TYPE_AUDIO)
                    hear(frame, &sound_s, &out);
                else
                    see(frame, (double)frame->pts * av_q2d(s->time_base), &out);
            }
        }
        av_packet_unref(p);
    }
    for (int i = 0; i < 8; i++) avcodec_free_context(&codec[i]);
    av_frame_free(&frame);
    av_packet_free(&p);
    avformat_close_input(&f);
    return out;
}

/* A recording that is silent but for a tone that begins at 1.5 s: placed at 0.5 s it is heard when the picture is white. */
static void write_click(const char *path)
{
    enum { RATE = 48000, COUNT = 2 * RATE };
    static uint8_t file[44 + 2 * COUNT];
    memcpy(file, "RIFF....WAVEfmt ", 16);
    memcpy(file + 36, "data", 4);
    const uint32_t field[][3] = {{4, 2 * COUNT + 36, 4}, {16, 16, 4}, {20, 1, 2},  {22, 1, 2},        {24, RATE, 4},
                                 {28, 2 * RATE, 4},      {32, 2, 2},  {34, 16, 2}, {40, 2 * COUNT, 4}};
    for (size_t i = 0; i < sizeof field / sizeof *field; i++)
        for (uint32_t k = 0; k < field[i][2]; k++) file[field[i][0] + k] = (uint8_t)(field[i][1] >> 8 * k);
    for (int i = RATE * 3 / 2; i < COUNT; i++) {
        int16_t v = (int16_t)lrint(20000 * sin(2 * M_PI * 1000 * i / RATE));
        file[44 + 2 * i] = (uint8_t)v;
        file[45 + 2 * i] = (uint8_t)((uint16_t)v >> 8);
    }
    assert_string_equal(file_replace(path, file, sizeof file).message, "");
}

static void sound_and_picture_are_in_step(void **state)
{
    static const struct {
        int fps;
        const char *convert;
    } cases[] = {{0, "repeat"}, {30, "repeat"}, {30, "motion"}, {30, "blend"}, {24, "motion"}};
    (void)state;
    write_click("test_output.wav");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Extras e;
        FinishSpec s;
        json_t *report;
        Rendition r = rendition("video", W, H);
        r.fps = cases[i].fps;
        snprintf(r.convert, sizeof r.convert, "%s", cases[i].convert);
        open_extras("{\"voice\":{\"file\":\"test_output.wav\",\"text\":\"Hallo "
                    "Anna\",\"at\":0.5,\"language\":\"de\"},\"subtitles\":\"track\"}",
                    &e, &s);
        assert_string_equal(make("test_output.mp4", &r, &e, &report).message, "");
        Found f = look_into("test_output.mp4");
        print_message("%g frames a second, %s: white at %.4f s, heard at %.4f s\n", f.fps, cases[i].convert, f.flash_s,
                      f.click_s);
        assert_true(f.videos == 1 && f.sounds == 1 && f.texts == 1);
        assert_string_equal(f.cue, "Hallo Anna");
        assert_string_equal(f.language, "deu");
        assert_true(fabs(f.flash_s - 2) < 0.001);
        assert_true(fabs(f.click_s - f.flash_s) <= 0.020);
        assert_true(fabs(f.sound_end_s - f.video_end_s) < 0.022);
        assert_true(fabs(json_real_value(json_object_get(report, "lufs")) + 14) < 1.1); /* a second of tone in four */
        assert_true(json_real_value(json_object_get(report, "true_peak_db")) <= -1.5);
        json_decref(report);
        extras_close(&e);
        finish_spec_clear(&s);
    }
}

static void a_platform_gets_a_rate_that_it_takes(void **state)
{
    Rendition r = rendition("video", W, H);
    (void)state;
    r.fps = 30, r.min_fps = 23, r.max_fps = 60;
    assert_int_equal(finish_spec_fps(&r, 8), 30);
    assert_int_equal(finish_spec_fps(&r, 16), 30);
    assert_int_equal(finish_spec_fps(&r, 24), 24);
    assert_int_equal(finish_spec_fps(&r, 120), 30);
    Extras e;
    FinishSpec s;
    json_t *report;
    open_extras("", &e, &s);
    assert_string_equal(make("test_output.mp4", &r, &e, &report).message, "");
    Found f = look_into("test_output.mp4");
    assert_int_equal(f.frames, 124); /* 4.125 s */
    assert_true(fabs(f.fps - 30) < 1e-6 && f.sounds == 0);
    json_decref(report);
    snprintf(r.sound, sizeof r.sound, "always");
    assert_string_equal(make("test_output.mp4", &r, &e, &report).message, "");
    assert_int_equal(look_into("test_output.mp4").sounds, 1); /* silence, where a platform wants a track */
    json_decref(report);
    extras_close(&e);
    finish_spec_clear(&s);
}

static void the_last_frame_is_held_for_a_long_voice(void **state)
{
    Extras e;
    FinishSpec s;
    json_t *report;
    Rendition r = rendition("video", W, H);
    (void)state;
    write_click("test_output.wav");
    open_extras("{\"voice\":{\"file\":\"test_output.wav\",\"text\":\"Hallo\",\"at\":3,\"too_long\":\"hold\"}}", &e, &s);
    assert_true(e.hold_s > 0.5);
    assert_string_equal(make("test_output.mp4", &r, &e, &report).message, "");
    Found f = look_into("test_output.mp4");
    assert_true(f.video_end_s > 4.7 && fabs(f.sound_end_s - f.video_end_s) < 0.07);
    json_decref(report);
    extras_close(&e);
    finish_spec_clear(&s);
}

/* ---- what is wrong with a file ------------------------------------------------------------------------------------------------ */

static void what_breaks_its_profile_is_not_delivered(void **state)
{
    Extras e;
    FinishSpec s;
    json_t *report;
    Rendition r = rendition("video", W, H);
    ProfileWish wish = {.fps = FPS, .frames = FRAMES};
    (void)state;
    open_extras("", &e, &s);
    assert_string_equal(make("test_output.mp4", &r, &e, &report).message, "");
    json_decref(report);
    assert_string_equal(profile_check("test_output.mp4", &r, &wish).message, "");
    const struct {
        Rendition r;
        ProfileWish wish;
        const char *says;
    } row[] = {{(Rendition){.name = "x", .width = 66, .height = H}, wish, "its width is 64, expected 66"},
               {(Rendition){.name = "x", .codec = "h265"}, wish, "it is coded as h264, expected h265"},
               {(Rendition){.name = "x", .max_mb = 0.0001}, wish, "the rendition x takes at most 0.0001 MB"},
               {(Rendition){.name = "x", .min_s = 5}, wish, "4.12 s long, the rendition x takes 5 s and more"},
               {(Rendition){.name = "x", .max_s = 3}, wish, "takes 3 s and less"},
               {r, {.fps = 30, .frames = FRAMES}, "frame rate is 8, expected 30"},
               {r, {.fps = FPS, .frames = 40}, "number of frames is 33, expected 40"},
               {r, {.fps = FPS, .frames = FRAMES, .sound = true}, "it has no sound track"},
               {r, {.fps = FPS, .frames = FRAMES, .subtitles = true}, "it has no track of subtitles"}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        Status status = profile_check("test_output.mp4", &row[i].r, &row[i].wish);
        assert_int_equal(status.err, ERR_CLIP);
        if (!strstr(status.message, row[i].says)) fail_msg("\"%s\", expected \"%s\"", status.message, row[i].says);
    }
    r.min_s = 10;
    Status status = make("test_output.mp4", &r, &e, &report);
    assert_int_equal(status.err, ERR_CLIP);
    assert_non_null(strstr(status.message, "x: test_output.mp4: 4.12 s long"));
    assert_false(file_exists("test_output.mp4"));
    /* ffmpeg's own way: an edit list, the index at the end */
    if (system("ffmpeg -v error -y -f lavfi -i testsrc=s=64x112:r=8:d=2 -pix_fmt yuv420p -bf 2 test_output_2.mp4") == 0)
        assert_int_equal(profile_check("test_output_2.mp4", &r, &wish).err, ERR_CLIP);
    extras_close(&e);
    finish_spec_clear(&s);
}

static void other_codecs_are_made_where_they_are_built(void **state)
{
    static const char *const codec[] = {"h265", "av1", "vp9"};
    Extras e;
    FinishSpec s;
    (void)state;
    open_extras("", &e, &s);
    for (int i = 0; i < 3; i++) {
        json_t *report;
        Rendition r = rendition("video", 128, 224);
        r.crf = 35;
        snprintf(r.codec, sizeof r.codec, "%s", codec[i]);
        Status status = make("test_output.mp4", &r, &e, &report);
        if (status.err == ERR_NODE && strstr(status.message, "has no")) {
            print_message("skipped: %s\n", status.message);
            continue;
        }
        assert_string_equal(status.message, "");
        assert_int_equal(look_into("test_output.mp4").frames, FRAMES);
        json_decref(report);
    }
    extras_close(&e);
    finish_spec_clear(&s);
}

/* ---- stills and GIF ------------------------------------------------------------------------------------------------------------- */

static void the_label_is_in_every_frame(void **state)
{
    Extras e;
    FinishSpec s;
    json_t *report;
    ImageList list = {0};
    Rendition r = rendition("video", 270, 480);
    (void)state;
    open_extras("{\"label\":{\"profile\":\"eu\",\"position\":\"top-left\"}}", &e, &s);
    assert_string_equal(make("test_output.mp4", &r, &e, &report).message, "");
    json_decref(report);
    assert_string_equal(image_read_sequence("test_output.mp4", 1000, &list).message, "");
    assert_int_equal(list.count, FRAMES);
    for (int i = 0; i < list.count; i++) { /* the icon's white box and its dark ground */
        int white = 0, dark = 0;
        for (int y = 0; y < 50; y++)
            for (int x = 0; x < 60; x++) {
                const uint8_t *p = list.picture[i].rgb + (y * 270 + x) * 3;
                white += p[1] > 220;
                dark += p[1] < 40;
            }
        assert_true(white > 200 && dark > 200);
    }
    image_list_clear(&list);
    extras_close(&e);
    finish_spec_clear(&s);
    open_extras("{\"label\":{\"profile\":\"cn\"}}", &e, &s);
    assert_string_equal(make("test_output.mp4", &r, &e, &report).message, "");
    Found f = look_into("test_output.mp4");
    assert_non_null(strstr(f.aigc, "\"ContentProducer\":\"Sunways\""));
    json_decref(report);
    extras_close(&e);
    finish_spec_clear(&s);
}

static void a_gif_says_everything_first_and_is_small(void **state)
{
    Extras e;
    FinishSpec s;
    json_t *report;
    int64_t bytes;
    Rendition r = rendition("gif", 270, 480);
    (void)state;
    r.max_mb = 0.06;
    open_extras(
        "{\"overlays\":[{\"text\":\"Hallo Anna\",\"place\":\"centre\",\"from\":3,\"style\":{\"box\":\"#FF0000\"}}]}",
        &e, &s);
    assert_string_equal(make("test_output.gif", &r, &e, &report).message, "");
    assert_string_equal(file_size("test_output.gif", &bytes).message, "");
    assert_true(bytes > 1000 && bytes <= 60000);
    json_decref(report);
    r.max_mb = 0;
    assert_string_equal(make("test_output.gif", &r, &e, &report).message, "");
    assert_int_equal(system("ffmpeg -v error -y -i test_output.gif -frames:v 1 test_output.png"), 0);
    ImageList list = {0};
    int red = 0;
    assert_string_equal(image_read("test_output.png", &list).message, "");
    for (int i = 0; i < 270 * 480; i++) red += list.picture[0].rgb[3 * i] > 180 && list.picture[0].rgb[3 * i + 1] < 60;
    assert_true(red > 1000);
    image_list_clear(&list);
    json_decref(report);
    r.max_mb = 0.0005;
    Status status = make("test_output.gif", &r, &e, &report);
    assert_int_equal(status.err, ERR_CLIP);
    extras_close(&e);
    finish_spec_clear(&s);
}

static void a_poster_is_a_jpeg(void **state)
{
    Extras e;
    FinishSpec s;
    json_t *report;
    ImageList list = {0};
    Rendition r = rendition("poster", 270, 480);
    (void)state;
    open_extras("", &e, &s);
    assert_string_equal(finish_spec_ending(&r), "jpg");
    assert_string_equal(make("test_output.jpg", &r, &e, &report).message, "");
    assert_string_equal(image_read("test_output.jpg", &list).message, "");
    assert_true(list.picture[0].width == 270 && list.picture[0].height == 480);
    assert_true(list.picture[0].rgb[3 * (270 * 400 + 10) + 2] > 200); /* the middle frame is the white one */
    image_list_clear(&list);
    json_decref(report);
    extras_close(&e);
    finish_spec_clear(&s);
}

static void other_aspects_are_padded_blurred_or_cut(void **state)
{
    static const char *const fit[] = {"pad", "blur", "crop", "follow"};
    Extras e;
    FinishSpec s;
    (void)state;
    open_extras("", &e, &s);
    for (int i = 0; i < 4; i++) {
        json_t *report;
        ImageList list = {0};
        Rendition r = rendition("video", 240, 240);
        r.crf = 4;
        snprintf(r.fit, sizeof r.fit, "%s", fit[i]);
        snprintf(r.color, sizeof r.color, "#20C040");
        assert_string_equal(make("test_output.mp4", &r, &e, &report).message, "");
        assert_string_equal(image_read_sequence("test_output.mp4", 1, &list).message, "");
        const uint8_t *left = list.picture[0].rgb + 3 * (240 * 120 + 8);
        bool green = abs(left[0] - 0x20) < 8 && abs(left[1] - 0xC0) < 8 && abs(left[2] - 0x40) < 8;
        assert_int_equal(green, i == 0);
        if (i == 1) assert_true(left[0] < 60 && left[2] < 60); /* the dark ground, darker */
        if (i > 1) assert_true(abs(left[2] - 51) < 12);
        image_list_clear(&list);
        json_decref(report);
    }
    extras_close(&e);
    finish_spec_clear(&s);
}

/* swscale writes a line in whole vectors: some pixels beyond its end, grey ones in a frame of colour. */
static void nothing_is_drawn_beside_a_padded_picture(void **state)
{
    enum { FROM_W = 64, FROM_H = 112, TO_W = 320, TO_H = 180 };
    float *red = memory_get((size_t)FROM_W * FROM_H * 3, sizeof *red);
    (void)state;
    for (int i = 0; i < FROM_W * FROM_H; i++) red[3 * i] = 0.9f;
    for (int fit = 0; fit < 2; fit++) {
        Canvas *c;
        AVFrame *f;
        const CanvasOptions o = {.width = TO_W, .height = TO_H, .fit = fit ? "blur" : "pad", .color = 0x20C040FF};
        assert_string_equal(canvas_open(FROM_W, FROM_H, &o, AV_PIX_FMT_YUV420P, &c).message, "");
        assert_string_equal(pixels_frame(TO_W, TO_H, AV_PIX_FMT_YUV420P, &f).message, "");
        assert_string_equal(canvas_draw(c, red, f).message, "");
        const int right = (TO_W - TO_H * FROM_W / FROM_H) / 2 + TO_H * FROM_W / FROM_H; /* where the picture ends */
        for (int plane = 0; plane < 3; plane++) {
            const int part = plane ? 2 : 1;
            const uint8_t *line = f->data[plane] + (ptrdiff_t)(TO_H / 2 / part) * f->linesize[plane];
            for (int x = (right + 1) / part; x < TO_W / part; x++) assert_int_equal(line[x], line[2]);
            assert_true(abs(line[TO_W / 2 / part] - line[2]) > (fit && plane ? -1 : 8)); /* blurred red is red */
        }
        av_frame_free(&f);
        canvas_close(&c);
    }
    free(red);
}

static void the_same_bytes_again(void **state)
{
    char first[HASH_TEXT] = "", again[HASH_TEXT];
    Rendition r = rendition("video", W, H);
    (void)state;
    write_click("test_output.wav");
    r.fps = 30;
    for (int i = 0; i < 2; i++) {
        Extras e;
        FinishSpec s;
        json_t *report;
        open_extras("{\"voice\":{\"file\":\"test_output.wav\",\"text\":\"Hallo "
                    "Anna\"},\"subtitles\":\"both\",\"label\":{\"profile\":\"eu\"}}",
                    &e, &s);
        assert_string_equal(make("test_output.mp4", &r, &e, &report).message, "");
        assert_string_equal(hash_file("test_output.mp4", again).message, "");
        if (i) assert_string_equal(first, again);
        memcpy(first, again, sizeof first);
        json_decref(report);
        extras_close(&e);
        finish_spec_clear(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_and_picture_are_in_step),
        cmocka_unit_test(a_platform_gets_a_rate_that_it_takes),
        cmocka_unit_test(the_last_frame_is_held_for_a_long_voice),
        cmocka_unit_test(what_breaks_its_profile_is_not_delivered),
        cmocka_unit_test(other_codecs_are_made_where_they_are_built),
        cmocka_unit_test(the_label_is_in_every_frame),
        cmocka_unit_test(a_gif_says_everything_first_and_is_small),
        cmocka_unit_test(a_poster_is_a_jpeg),
        cmocka_unit_test(other_aspects_are_padded_blurred_or_cut),
        cmocka_unit_test(nothing_is_drawn_beside_a_padded_picture),
        cmocka_unit_test(the_same_bytes_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
