/* Texts, pictures, codes and the label over frames: golden pictures of eleven scripts, and what is measured in the frame. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <math.h>
#include <zbar.h>

#include "common/file.h"
#include "worker/finish/codes.h"
#include "worker/finish/label.h"
#include "worker/finish/letters.h"
#include "worker/finish/overlay.h"
#include "worker/finish/poster.h"
#include "worker/pictures/image.h"
#include "worker/pictures/pixels.h"

enum { W = 540, H = 960 };

static AVFrame *grey_frame(int width, int height, int value)
{
    AVFrame *f;
    assert_string_equal(pixels_frame(width, height, AV_PIX_FMT_RGB24, &f).message, "");
    for (int y = 0; y < height; y++) memset(f->data[0] + (ptrdiff_t)y * f->linesize[0], value, (size_t)width * 3);
    return f;
}

static uint8_t *at(const AVFrame *f, int x, int y)
{
    return f->data[0] + (ptrdiff_t)y * f->linesize[0] + 3 * (ptrdiff_t)x;
}

/* ---- scripts ------------------------------------------------------------------------------------------------------------ */

/* What a template makes of these names: the value between U+2068 and U+2069. */
static const char *const greeting[] = {"Für \u2068Anna Schäfer\u2069 {b} \\N 100%{x} 'q'",
                                       "Привет, \u2068Дмитрий\u2069! Жду тебя",
                                       "Καλημέρα, \u2068Ελένη\u2069",
                                       "مرحبا \u2068Anna 12\u2069، البحر ينتظرك",
                                       "שלום \u2068Ben (3)\u2069, הים מחכה",
                                       "नमस्ते, \u2068क्षत्रिय श्री\u2069",
                                       "สวัสดี \u2068น้ำใจ\u2069 ที่รัก",
                                       "你好，\u2068王小明\u2069",
                                       "こんにちは、\u2068山田\u2069さん",
                                       "안녕하세요, \u2068김민수\u2069님",
                                       "Party 🎉👩‍👩‍👧🇩🇪👍🏽 ❤️ 5️⃣ ok"};
enum { SCRIPTS = sizeof greeting / sizeof *greeting, ROW = 64, SMALL = 4 };
static const char golden[] = SOURCE_DIR "/tests/unit/golden/overlay_scripts.png";

static void draw_greetings(AVFrame *f)
{
    Letters style = {.font = "Noto Sans",
                     .size_px = 36,
                     .least_px = 18,
                     .color = 0xFFFFFFFF,
                     .outline = 0xFF,
                     .outline_px = 2,
                     .max_lines = 1};
    for (int i = 0; i < SCRIPTS; i++) {
        Layer *l;
        assert_string_equal(letters_draw(greeting[i], &style, (Box){4, i * ROW, W - 8, ROW}, 5, &l, NULL).message, "");
        assert_non_null(l);
        assert_string_equal(layer_blend(l, f, 256).message, "");
        layer_free(&l);
    }
}

/* Brightness of squares of SMALL pixels: a new version of a font moves its outlines by less than that. */
static void shrink(const uint8_t *rgb, int stride, float *out)
{
    for (int y = 0; y < ROW / SMALL; y++)
        for (int x = 0; x < W / SMALL; x++) {
            float sum = 0;
            for (int k = 0; k < SMALL * SMALL; k++) {
                const uint8_t *p = rgb + (y * SMALL + k / SMALL) * stride + 3 * (x * SMALL + k % SMALL);
                sum += (float)(p[0] + p[1] + p[2]);
            }
            *out++ = sum;
        }
}

static double likeness(const float *a, const float *b, int n)
{
    double sa = 0, sb = 0, aa = 0, bb = 0, ab = 0;
    for (int i = 0; i < n; i++) sa += a[i], sb += b[i];
    for (int i = 0; i < n; i++) {
        double x = a[i] - sa / n, y = b[i] - sb / n;
        aa += x * x, bb += y * y, ab += x * y;
    }
    return ab / sqrt(aa * bb + 1e-9);
}

/* A new version of a font is still 0.9 alike; another script's row is at most 0.75 (measured, below). */
static void every_script_looks_as_it_did(void **state)
{
    enum { N = ROW / SMALL * (W / SMALL) };
    static float row[SCRIPTS][N], want[N];
    ImageList list = {0};
    (void)state;
    if (!letters_has_family("Noto Sans") || !letters_has_family("WenQuanYi Micro Hei") ||
        !letters_has_family("Noto Color Emoji")) {
        print_message("skipped: needs fonts-noto-core, fonts-wqy-microhei and fonts-noto-color-emoji\n");
        skip();
    }
    AVFrame *f = grey_frame(W, SCRIPTS * ROW, 100);
    draw_greetings(f);
    for (int i = 0; i < SCRIPTS; i++) shrink(f->data[0] + (ptrdiff_t)i * ROW * f->linesize[0], f->linesize[0], row[i]);
    if (getenv("GOLDEN")) { /* GOLDEN=FILE.ppm unit/test_overlay writes the picture anew */
        FILE *out = fopen(getenv("GOLDEN"), "wb");
        fprintf(out, "P6 %d %d 255\n", W, SCRIPTS * ROW);
        for (int y = 0; y < SCRIPTS * ROW; y++) fwrite(at(f, 0, y), 1, 3 * W, out);
        fclose(out);
    }
    assert_string_equal(image_read(golden, &list).message, "");
    assert_int_equal(list.picture[0].width, W);
    assert_int_equal(list.picture[0].height, SCRIPTS * ROW);
    for (int i = 0; i < SCRIPTS; i++) {
        shrink(list.picture[0].rgb + (ptrdiff_t)i * ROW * W * 3, W * 3, want);
        for (int k = 0; k < SCRIPTS; k++) {
            double same = likeness(row[k], want, N);
            if (i == k ? same < 0.9 : same > 0.8)
                fail_msg("row %d drawn now is %.2f like row %d of %s", k, same, i, golden);
        }
    }
    image_list_clear(&list);
    av_frame_free(&f);
}

static void names_a_glyph_that_no_font_has(void **state)
{
    (void)state;
    for (int i = 0; i < SCRIPTS; i++) assert_int_equal(letters_missing(greeting[i]), 0);
    assert_int_equal(letters_missing("Anna \U000F1234"), 0xF1234); /* private use */
    assert_int_equal(letters_missing("a\u2060\u200D\uFEFF\u2068b\u2069"), 0);
}

/* ---- texts ------------------------------------------------------------------------------------------------------------- */

static Overlay *open_list(const char *text, OverlayFrame frame)
{
    Overlay *o;
    json_t *list = json_loads(text, 0, NULL);
    assert_non_null(list);
    assert_string_equal(overlay_open(list, &frame, &o).message, "");
    json_decref(list);
    return o;
}

static const OverlayFrame plain = {
    .width = W, .height = H, .safe = {30, 60, W - 60, H - 160}, .fps = 8, .duration_s = 4};

/* The box of pixels that a frame of one grey lost. */
static Box changed(const AVFrame *f, int value)
{
    int left = f->width, top = f->height, right = -1, bottom = -1;
    for (int y = 0; y < f->height; y++)
        for (int x = 0; x < f->width; x++) {
            const uint8_t *p = at(f, x, y);
            if (p[0] == value && p[1] == value && p[2] == value) continue;
            if (x < left) left = x;
            if (x > right) right = x;
            if (y < top) top = y;
            if (y > bottom) bottom = y;
        }
    return right < 0 ? (Box){0} : (Box){left, top, right - left + 1, bottom - top + 1};
}

static void stays_in_the_safe_area(void **state)
{
    static const char *const place[] = {"top-left",    "top",    "top-right",    "left",        "centre",  "right",
                                        "bottom-left", "bottom", "bottom-right", "lower-third", "end-card"};
    (void)state;
    for (size_t i = 0; i < sizeof place / sizeof *place; i++) {
        char *list = text_format("[{\"text\":\"A rather long line of text for "
                                 "Donaudampfschiff\",\"place\":\"%s\",\"style\":{\"box\":\"#"
                                 "00000080\",\"max_lines\":4}}]",
                                 place[i]);
        Overlay *o = open_list(list, plain);
        AVFrame *f = grey_frame(W, H, 100);
        assert_string_equal(overlay_draw(o, f, 0).message, "");
        Box b = changed(f, 100);
        assert_true(b.width > 100 && b.height > 20);
        assert_true(b.x >= plain.safe.x - 1 && b.x + b.width <= plain.safe.x + plain.safe.width + 1);
        assert_true(b.y >= plain.safe.y - 1 && b.y + b.height <= plain.safe.y + plain.safe.height + 1);
        av_frame_free(&f);
        overlay_close(&o);
        free(list);
    }
}

static void refuses_what_does_not_fit(void **state)
{
    Overlay *o;
    (void)state;
    json_t *list = json_array();
    char *long_text = malloc(2001);
    memset(long_text, 'x', 2000);
    long_text[2000] = 0;
    json_array_append_new(list, json_pack("{s:s,s:s}", "text", long_text, "place", "top"));
    Status s = overlay_open(list, &plain, &o);
    assert_int_equal(s.err, ERR_CLIP);
    assert_non_null(strstr(s.message, "overlays[0]: the text does not fit"));
    assert_null(o);
    json_decref(list);
    free(long_text);
}

static void comes_and_goes_in_its_time(void **state)
{
    (void)state;
    Overlay *o = open_list(
        "[{\"text\":\"MMMM\",\"place\":\"centre\",\"from\":1,\"to\":3,\"fade\":0.5,\"style\":{\"box\":\"none\"}}]",
        plain);
    static const int first = 8, last = 23; /* 8 a second */
    int before = 0;
    for (int n = 0; n < 32; n++) {
        AVFrame *f = grey_frame(W, H, 100);
        int brightest = 0;
        assert_string_equal(overlay_draw(o, f, n).message, "");
        for (int y = 0; y < H; y += 2)
            for (int x = 0; x < W; x += 2) brightest = *at(f, x, y) > brightest ? *at(f, x, y) : brightest;
        if (n <= first || n > last) assert_int_equal(brightest, 100); /* at its first frame the fade begins */
        if (n > first && n <= first + 4) assert_true(brightest > before);
        if (n >= first + 4 && n < last - 3) assert_int_equal(brightest, 255);
        before = brightest;
        av_frame_free(&f);
    }
    overlay_close(&o);
}

/* Of clips that are as long as their voices nobody knows when they end. */
static void a_time_may_count_from_the_end(void **state)
{
    (void)state;
    Overlay *o;
    json_t *list = json_loads(
               "[{\"text\":\"a\",\"place\":\"top\",\"from\":-1.5},{\"text\":\"b\",\"place\":\"left\",\"from\":-9},"
               "{\"text\":\"c\",\"place\":\"right\",\"from\":2}]",
               0, NULL),
           *timed = overlay_timed(list, 4), *none = overlay_timed(NULL, 4);
    static const double wanted[] = {2.5, 0, 2};
    for (size_t i = 0; i < 3; i++)
        assert_true(json_number_value(json_object_get(json_array_get(timed, i), "from")) == wanted[i]);
    assert_true(json_number_value(json_object_get(json_array_get(list, 0), "from")) == -1.5);
    assert_int_equal(json_array_size(none), 0);
    OverlayFrame shorter = plain;
    shorter.duration_s = 2;
    assert_string_equal(overlay_open(timed, &shorter, &o).message,
                        "overlays[0]: begins at 2.5 s, after the clip's end at 2 s; -2 is 2 s before the end");
    json_decref(none);
    json_decref(timed);
    json_decref(list);
}

/* White letters on white: a box comes. On black: none. */
static void sees_the_picture_beneath(void **state)
{
    (void)state;
    static const int ground[] = {255, 0};
    for (int i = 0; i < 2; i++) {
        Overlay *o = open_list("[{\"text\":\"Hello\",\"place\":\"centre\",\"style\":{\"outline_width\":0}}]", plain);
        AVFrame *f = grey_frame(W, H, ground[i]);
        assert_string_equal(overlay_draw(o, f, 0).message, "");
        Box b = changed(f, ground[i]);
        assert_true(b.width > 0);
        if (ground[i] == 255) /* the box is there, and dark enough for white letters: 0.3 of 255 */
            assert_true(layer_contrast(1, layer_luminance((uint32_t)*at(f, b.x + b.width / 2, b.y + 3) * 0x01010100u)) >
                        4.5);
        else /* the corner of the letters' extent is black */
            assert_int_equal(*at(f, b.x, b.y), 0);
        av_frame_free(&f);
        overlay_close(&o);
    }
}

static void gathers(void *self, const char *field, const char *message)
{
    char **all = self, *old = *all;
    *all = text_format("%s%s: %s\n", old, field, message);
    free(old);
}

static void check_names_every_fault(void **state)
{
    (void)state;
    char *all = text_copy("");
    json_t *list =
        json_loads("[{\"text\":\"\\udb84\\ude34\",\"place\":\"top\"},{\"text\":\"b\",\"place\":\"top\",\"from\":1},"
                   "{\"text\":\"c\",\"place\":\"left\",\"from\":9,\"style\":{\"font\":\"No Such "
                   "Font\"}},{\"image\":\"nowhere.png\",\"place\":\"right\"}]",
                   0, NULL);
    overlay_check(list, 4, gathers, &all);
    assert_non_null(strstr(all, "overlays[0].text: no font of this machine has U+F1234"));
    assert_non_null(strstr(all, "overlays[1].place: the same place as overlays[0] at the same time"));
    assert_non_null(strstr(all, "overlays[2].from: begins at 9 s, after the clip's end at 4 s"));
    assert_non_null(strstr(all, "overlays[2].style.font: no font \"No Such Font\""));
    assert_non_null(strstr(all, "overlays[3].image: nowhere.png: no such file"));
    json_decref(list);
    free(all);
}

/* ---- codes and pictures -------------------------------------------------------------------------------------------------- */

static char *read_code(const AVFrame *f) /* by zbar; free() it */
{
    char *text = NULL;
    zbar_image_scanner_t *scanner = zbar_image_scanner_create();
    zbar_image_t *image = zbar_image_create();
    uint8_t *grey = malloc((size_t)f->width * (size_t)f->height);
    for (int y = 0; y < f->height; y++)
        for (int x = 0; x < f->width; x++)
            grey[y * f->width + x] =
                f->format == AV_PIX_FMT_RGB24 ? at(f, x, y)[1] : f->data[0][y * f->linesize[0] + x];
    zbar_image_set_format(image, 0x30303859); /* Y800 */
    zbar_image_set_size(image, (unsigned)f->width, (unsigned)f->height);
    zbar_image_set_data(image, grey, (unsigned long)(f->width * f->height), NULL);
    if (zbar_scan_image(scanner, image) > 0) text = text_copy(zbar_symbol_get_data(zbar_image_first_symbol(image)));
    zbar_image_destroy(image);
    zbar_image_scanner_destroy(scanner);
    free(grey);
    return text;
}

static void a_code_can_be_read(void **state)
{
    (void)state;
    Overlay *o =
        open_list("[{\"qr\":\"https://example.com/björn?x=1&y=%7B\",\"place\":\"end-card\",\"scale\":0.5}]", plain);
    AVFrame *f = grey_frame(W, H, 60), *yuv;
    assert_string_equal(overlay_draw(o, f, 0).message, "");
    char *text = read_code(f);
    assert_non_null(text);
    assert_string_equal(text, "https://example.com/björn?x=1&y=%7B");
    free(text);
    assert_string_equal(pixels_frame(W, H, AV_PIX_FMT_YUV420P, &yuv).message, "");
    for (int i = 0; i < 3; i++) memset(yuv->data[i], 120, (size_t)yuv->linesize[i] * (size_t)(i ? H / 2 : H));
    assert_string_equal(overlay_draw(o, yuv, 1).message, "");
    text = read_code(yuv);
    assert_non_null(text);
    free(text);
    av_frame_free(&yuv);
    av_frame_free(&f);
    overlay_close(&o);
}

/* A frame of this brightness with what the list and the label say. */
static AVFrame *laid_over(const char *list, int ground, const Label *label, double *contrast)
{
    AVFrame *f;
    Overlay *o = open_list(list, plain);
    assert_string_equal(pixels_frame(W, H, AV_PIX_FMT_YUV420P, &f).message, "");
    for (int i = 0; i < 3; i++) memset(f->data[i], i ? 128 : ground, (size_t)f->linesize[i] * (size_t)(i ? H / 2 : H));
    int64_t middle = (int64_t)(plain.duration_s / 2 * plain.fps);
    assert_string_equal(overlay_draw(o, f, middle).message, "");
    assert_string_equal(label_draw(label, f, 0).message, "");
    assert_true(isnan(overlay_contrast(o, f, middle + 1))); /* each once only */
    *contrast = overlay_contrast(o, f, middle);
    overlay_close(&o);
    return f;
}

static void says_what_can_be_read(void **state)
{
    static const char shy[] = "[{\"text\":\"Anna, 40 %\",\"style\":{\"box\":\"none\",\"outline_width\":0}}]",
                      lined[] = "[{\"text\":\"Anna, 40 %\",\"style\":{\"box\":\"none\",\"outline_width\":0.008}}]",
                      code[] = "[{\"qr\":\"https://example.com/1\",\"place\":\"end-card\",\"scale\":0.5}]";
    double contrast;
    Label *label;
    json_t *spec = json_pack("{s:s}", "profile", "eu");
    (void)state;
    assert_string_equal(label_open(spec, W, H, (Box){10, 10, W - 20, H - 20}, &label).message, "");
    AVFrame *f = laid_over(shy, 60, label, &contrast);
    assert_true(contrast > 5);
    Grey g = {f->data[0], f->linesize[0], W, H};
    assert_true(label_seen(label, &g) > 10);
    av_frame_free(&f);
    f = laid_over(shy, 220, NULL, &contrast); /* white letters on nearly white */
    assert_true(contrast < 1.5);
    g = (Grey){f->data[0], f->linesize[0], W, H};
    assert_true(label_seen(label, &g) < 1.1 && isnan(label_seen(NULL, &g)));
    av_frame_free(&f);
    f = laid_over(lined, 220, NULL, &contrast); /* the outline helps */
    assert_true(contrast > 3);
    av_frame_free(&f);
    f = laid_over(code, 100, NULL, &contrast);
    assert_true(isnan(contrast));
    g = (Grey){f->data[0], f->linesize[0], W, H};
    assert_true(legible_code((Box){0, 0, W, H}, "https://example.com/1", &g));
    assert_false(legible_code((Box){0, 0, W, H}, "https://example.com/2", &g));
    av_frame_free(&f);
    label_close(&label);
    json_decref(spec);
}

/* From the bytes of a file, as a customer gets it. */
static void a_file_without_its_code_is_known(void **state)
{
    (void)state;
    static const char path[] = "test_overlay.jpg";
    const char *const list[] = {"[{\"text\":\"x\"},{\"qr\":\"https://example.com/anna\",\"place\":\"centre\"}]",
                                "[{\"text\":\"x\"},{\"qr\":\"https://example.com/ben\"}]"};
    Overlay *o = open_list(list[0], plain);
    AVFrame *f = grey_frame(W, H, 60);
    json_t *anna = json_loads(list[0], 0, NULL), *ben = json_loads(list[1], 0, NULL);
    assert_string_equal(poster_write(path, f).message, "");
    CodesRead codes;
    assert_string_equal(codes_read(path, anna, 0, &codes).message, "");
    assert_true(codes.count == 1 && codes.unread == 1); /* there is none */
    assert_string_equal(overlay_draw_all(o, f).message, "");
    assert_string_equal(poster_write(path, f).message, "");
    assert_string_equal(codes_read(path, anna, 0, &codes).message, "");
    assert_true(codes.count == 1 && codes.unread == 0);
    assert_string_equal(codes_read(path, ben, 0, &codes).message, "");
    assert_true(codes.count == 1 && codes.unread == 1 && codes.overlay == 1);
    assert_string_equal(file_replace(path, "no picture", 10).message, "");
    assert_int_equal(codes_read(path, anna, 0, &codes).err, ERR_CLIP);
    unlink(path);
    json_decref(anna);
    json_decref(ben);
    av_frame_free(&f);
    overlay_close(&o);
}

static void a_picture_keeps_its_transparency(void **state)
{
    /* 2x1 PNG: red opaque, transparent */
    static const uint8_t png[] = {
        0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00,
        0x00, 0x02, 0x00, 0x00, 0x00, 0x01, 0x08, 0x06, 0x00, 0x00, 0x00, 0xf4, 0x22, 0x7f, 0x8a, 0x00, 0x00, 0x00,
        0x0f, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9c, 0x63, 0xf8, 0xcf, 0xc0, 0x00, 0x44, 0x0c, 0x0c, 0x00, 0x0c, 0xfc,
        0x01, 0xff, 0x5c, 0xfd, 0x14, 0x95, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};
    (void)state;
    assert_string_equal(file_replace("test_overlay.png", png, sizeof png).message, "");
    Overlay *o = open_list("[{\"image\":\"test_overlay.png\",\"place\":\"centre\",\"scale\":0.2}]", plain);
    AVFrame *f = grey_frame(W, H, 100);
    assert_string_equal(overlay_draw(o, f, 0).message, "");
    Box b = changed(f, 100);
    assert_true(b.width >= 50 && b.width <= 90); /* 108 pixels wide, half of it there */
    assert_true(at(f, b.x + 10, b.y + b.height / 2)[0] > 240 && at(f, b.x + 10, b.y + b.height / 2)[1] < 20);
    assert_string_equal(file_replace("test_overlay.png", "no picture", 10).message, "");
    OverlayFrame frame = plain;
    Overlay *bad;
    json_t *list = json_loads("[{\"image\":\"test_overlay.png\"}]", 0, NULL);
    Status s = overlay_open(list, &frame, &bad);
    assert_int_equal(s.err, ERR_INPUT);
    assert_non_null(strstr(s.message, "overlays[0]: test_overlay.png: no picture"));
    json_decref(list);
    av_frame_free(&f);
    overlay_close(&o);
}

/* ---- label -------------------------------------------------------------------------------------------------------------- */

static Label *open_label(const char *text, int width, int height)
{
    Label *l;
    json_t *spec = json_loads(text, 0, NULL);
    Box safe = {width / 20, height / 20, width - width / 10, height - height / 10};
    assert_string_equal(label_open(spec, width, height, safe, &l).message, "");
    json_decref(spec);
    return l;
}

/* In the box: the share of light and of dark pixels, and the contrast of the two. */
static double contrast_in(const AVFrame *f, Box b)
{
    int histogram[256] = {0}, count = 0, low = 0, high = 255;
    for (int y = b.y + b.height / 4; y < b.y + b.height * 3 / 4; y++)
        for (int x = b.x + b.height / 4; x < b.x + b.width - b.height / 4; x++, count++) histogram[at(f, x, y)[1]]++;
    for (int n = 0; (n += histogram[low]) < count / 20;) low++;
    for (int n = 0; (n += histogram[high]) < count / 20;) high--;
    return layer_contrast(layer_luminance((uint32_t)low * 0x01010100u), layer_luminance((uint32_t)high * 0x01010100u));
}

static void the_label_is_legible_on_any_ground(void **state)
{
    static const struct {
        int width, height;
    } size[] = {{1080, 1920}, {540, 960}, {1920, 1080}, {1080, 1080}, {270, 480}};
    static const int ground[] = {0, 128, 255};
    (void)state;
    for (size_t i = 0; i < sizeof size / sizeof *size; i++)
        for (int g = 0; g < 3; g++) {
            Label *l = open_label("{\"profile\":\"eu\",\"position\":\"top-left\"}", size[i].width, size[i].height);
            AVFrame *f = grey_frame(size[i].width, size[i].height, ground[g]);
            Box b = label_box(l);
            int side = size[i].width < size[i].height ? size[i].width : size[i].height;
            assert_string_equal(label_draw(l, f, 100).message, "");
            assert_true(b.height >= side / 20); /* its capitals alone are that high */
            assert_true(b.x >= size[i].width / 20 - 1 && b.y >= size[i].height / 20 - 1 &&
                        b.x + b.width <= size[i].width);
            assert_true(contrast_in(f, b) >= 12);
            av_frame_free(&f);
            label_close(&l);
        }
}

static void the_labels_capitals_are_high_enough(void **state)
{
    (void)state;
    Label *l = open_label("{\"profile\":\"text\",\"text\":\"AI\"}", 1080, 1920);
    AVFrame *f = grey_frame(1080, 1920, 0);
    int top = 1920, bottom = 0;
    assert_string_equal(label_draw(l, f, 0).message, "");
    for (int y = 0; y < 1920; y++)
        for (int x = 0; x < 1080; x++)
            if (at(f, x, y)[0] > 200) top = y < top ? y : top, bottom = y > bottom ? y : bottom;
    assert_true(bottom - top + 1 >= 54); /* 5 % of 1080 */
    av_frame_free(&f);
    label_close(&l);
}

static void china_sees_it_first(void **state)
{
    (void)state;
    json_t *spec = json_loads("{\"profile\":\"cn\"}", 0, NULL);
    Label *l = open_label("{\"profile\":\"cn\"}", W, H);
    AVFrame *f = grey_frame(W, H, 100);
    assert_string_equal(label_draw(l, f, 3.5).message, "");
    assert_int_equal(changed(f, 100).width, 0);
    assert_string_equal(label_draw(l, f, 2).message, "");
    assert_true(changed(f, 100).width > 0);
    char *text = label_metadata(spec, "Sunways", "anna");
    json_t *aigc = json_loads(text, 0, NULL);
    static const char *const key[] = {
        "Label", "ContentProducer", "ProduceID", "ReservedCode1", "ContentPropagator", "PropagateID", "ReservedCode2"};
    for (int i = 0; i < 7; i++) assert_true(json_is_string(json_object_get(aigc, key[i])));
    assert_int_equal(json_object_size(aigc), 7);
    json_decref(aigc);
    json_decref(spec);
    free(text);
    av_frame_free(&f);
    label_close(&l);
}

static void an_overlay_in_the_labels_corner_goes_below_it(void **state)
{
    (void)state;
    Label *l = open_label("{\"profile\":\"eu\",\"position\":\"top-right\"}", W, H);
    OverlayFrame frame = plain;
    frame.label = label_box(l);
    Overlay *o = open_list("[{\"text\":\"Sale\",\"place\":\"top-right\"}]", frame);
    AVFrame *f = grey_frame(W, H, 100);
    assert_string_equal(overlay_draw(o, f, 0).message, "");
    assert_true(changed(f, 100).y >= frame.label.y + frame.label.height);
    av_frame_free(&f);
    overlay_close(&o);
    label_close(&l);
}

/* Where the letters of this list are, over a frame of this shape. */
static Box drawn_box(const char *list, int width, int height, double at_s)
{
    OverlayFrame frame = {.width = width,
                          .height = height,
                          .safe = {width / 20, height / 10, width * 9 / 10, height * 7 / 10},
                          .fps = 8,
                          .duration_s = 4};
    Overlay *o = open_list(list, frame);
    AVFrame *f = grey_frame(width, height, 100);
    assert_string_equal(overlay_draw(o, f, (int64_t)(at_s * 8)).message, "");
    const Box b = changed(f, 100);
    av_frame_free(&f);
    overlay_close(&o);
    return b;
}

/* The last of three subtitles has two lines; what stands at the bottom is above where it begins all the time. */
static void what_stands_at_the_bottom_is_above_the_subtitles(void **state)
{
    static const int shape[][2] = {{270, 480}, {480, 270}, {270, 338}, {270, 270}};
    static const char *const place[] = {"lower-third", "bottom", "bottom-left", "bottom-right"};
    static const char cues[] =
        "{\"text\":\"Hallo Anna!\",\"place\":\"bottom\",\"to\":1,\"fade\":0,\"subtitle\":true},"
        "{\"text\":\"Wir haben die Teedose,\\ndie Tasse und das Tuch.\",\"place\":\"bottom\",\"from\":2,\"fade\":0,"
        "\"subtitle\":true,\"style\":{\"size\":0.055,\"box\":\"#000000A0\"}}";
    (void)state;
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
        for (size_t k = 0; k < sizeof place / sizeof *place; k++) {
            char list[900], alone[200];
            snprintf(alone, sizeof alone, "{\"text\":\"For Anna\",\"place\":\"%s\",\"fade\":0}", place[k]);
            snprintf(list, sizeof list, "[%s,%s]", alone, cues);
            const Box text = drawn_box(list, shape[i][0], shape[i][1], 1.5); /* between two subtitles */
            snprintf(list, sizeof list, "[%s]", cues);
            const Box below = drawn_box(list, shape[i][0], shape[i][1], 2.5);
            assert_true(text.height > 8 && below.height > text.height);
            assert_true(text.y + text.height <= below.y);
            assert_true(below.y + below.height > shape[i][1] * 3 / 4); /* they do not stand above each other */
        }
}

/* As many as a campaign may have, and a minute of speech. */
static void a_long_speech_has_many_subtitles(void **state)
{
    (void)state;
    json_t *list = json_array();
    for (int i = 0; i < 16 + 40; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:i, s:b}", "text", "And more", "place", "bottom",
                                              "from", i, "to", i + 1, "subtitle", i >= 16));
    OverlayFrame frame = plain;
    Overlay *o;
    frame.duration_s = 60;
    assert_string_equal(overlay_open(list, &frame, &o).message, "");
    overlay_close(&o);
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_speech_has_many_subtitles),
        cmocka_unit_test(what_stands_at_the_bottom_is_above_the_subtitles),
        cmocka_unit_test(every_script_looks_as_it_did),
        cmocka_unit_test(names_a_glyph_that_no_font_has),
        cmocka_unit_test(stays_in_the_safe_area),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(comes_and_goes_in_its_time),
        cmocka_unit_test(a_time_may_count_from_the_end),
        cmocka_unit_test(sees_the_picture_beneath),
        cmocka_unit_test(check_names_every_fault),
        cmocka_unit_test(a_code_can_be_read),
        cmocka_unit_test(says_what_can_be_read),
        cmocka_unit_test(a_file_without_its_code_is_known),
        cmocka_unit_test(a_picture_keeps_its_transparency),
        cmocka_unit_test(the_label_is_legible_on_any_ground),
        cmocka_unit_test(the_labels_capitals_are_high_enough),
        cmocka_unit_test(china_sees_it_first),
        cmocka_unit_test(an_overlay_in_the_labels_corner_goes_below_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
