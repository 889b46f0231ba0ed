/* What a finished file says of itself without a certificate: the packet is where the formats want it, once, and the pictures are as before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/file.h"
#include "worker/finish/gif.h"
#include "worker/finish/poster.h"
#include "worker/gate/film.h"
#include "worker/pictures/pixels.h"
#include "worker/proof/xmp.h"

static const char aigc[] = "{\"Label\":\"1\",\"ProduceID\":\"a<b&c\"}";

static char *read_all(const char *path, size_t *bytes)
{
    char *data;
    assert_string_equal(file_read(path, 1 << 24, &data, bytes).message, "");
    return data;
}

static int count(const char *data, size_t bytes, const char *what)
{
    int n = 0;
    for (size_t i = 0; i + strlen(what) <= bytes; i++) n += memcmp(data + i, what, strlen(what)) == 0;
    return n;
}

static void says_what_it_is(const char *path, const char *before)
{
    size_t bytes;
    assert_string_equal(xmp_add(path, aigc).message, "");
    char *data = read_all(path, &bytes);
    assert_int_equal(count(data, bytes, "digitalsourcetype/trainedAlgorithmicMedia"), 1);
    assert_int_equal(count(data, bytes, "DMI-PROHIBITED"), 1);
    assert_int_equal(
        count(data, bytes,
              "TC260:AIGC=\"{&quot;Label&quot;:&quot;1&quot;,&quot;ProduceID&quot;:&quot;a&lt;b&amp;c&quot;}\""),
        1);
    assert_int_equal(count(data, bytes, before), 1);
    free(data);
}

static AVFrame *picture(void)
{
    AVFrame *f;
    assert_string_equal(pixels_frame(64, 48, AV_PIX_FMT_RGB24, &f).message, "");
    for (int y = 0; y < 48; y++)
        for (int x = 0; x < 3 * 64; x++) f->data[0][y * f->linesize[0] + x] = (uint8_t)(x + 3 * y);
    return f;
}

/* PNG with checked sums, JPEG and GIF: libav reads them as before. */
static void stills_keep_their_pictures(void **state)
{
    (void)state;
    FilmInfo info;
    AVFrame *f = picture();
    int64_t bytes;
    assert_string_equal(poster_write("test_xmp.jpg", f).message, "");
    says_what_it_is("test_xmp.jpg", "\xff\xe1");
    AVFrame *two[] = {f, f};
    assert_string_equal(gif_write("test_xmp.gif", two, 2, 10, 1 << 20, &bytes).message, "");
    says_what_it_is("test_xmp.gif", "XMP DataXMP");
    assert_string_equal(film_read("test_xmp.gif", (FilmSink){0}, &info).message, "");
    assert_true(info.width == 64 && info.height == 48);
    av_frame_free(&f);
    remove("test_xmp.gif");
    remove("test_xmp.jpg");
}

static void a_film_keeps_its_place(void **state)
{
    (void)state;
    size_t bytes, more;
    char *data = read_all(SOURCE_DIR "/tests/gate/clips/pocket-0.mp4", &bytes), *after;
    assert_string_equal(file_replace("test_xmp.mp4", data, bytes).message, "");
    says_what_it_is("test_xmp.mp4", "uuid\xbe\x7a\xcf\xcb");
    after = read_all("test_xmp.mp4", &more);
    assert_true(more > bytes && memcmp(data, after, bytes) == 0); /* nothing moved */
    free(after);
    free(data);
    remove("test_xmp.mp4");
}

static void leaves_the_rest_alone(void **state)
{
    (void)state;
    size_t bytes;
    assert_string_equal(file_replace("test_xmp.vtt", "WEBVTT", 6).message, "");
    assert_string_equal(xmp_add("test_xmp.vtt", NULL).message, "");
    char *data = read_all("test_xmp.vtt", &bytes);
    assert_string_equal(data, "WEBVTT");
    free(data);
    assert_string_equal(file_replace("test_xmp.png", "no PNG", 6).message, "");
    assert_int_equal(xmp_add("test_xmp.png", NULL).err, ERR_NODE);
    remove("test_xmp.vtt");
    remove("test_xmp.png");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stills_keep_their_pictures),
        cmocka_unit_test(a_film_keeps_its_place),
        cmocka_unit_test(leaves_the_rest_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
