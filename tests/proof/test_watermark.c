/* The watermark's parts, and the whole on small clips. What it survives: bench_watermark.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/gate/scene.h"
#include "worker/proof/convolution.h"
#include "worker/proof/watermark.h"

static const uint8_t key[WATERMARK_KEY_BYTES] = "a key for tests", other[WATERMARK_KEY_BYTES] = "another key";

static void gives_every_clip_its_payload(void **state)
{
    (void)state;
    const uint64_t a = watermark_payload("summer", "anna"), b = watermark_payload("summer", "ben"),
                   c = watermark_payload("winter", "anna");
    assert_true(a != b && a != c && b != c);
    assert_true(a == watermark_payload("summer", "anna"));
    assert_true(watermark_is_payload(a) && watermark_is_payload(b));
    int right = 0;
    for (int i = 0; i < 64; i++) right += watermark_is_payload(a ^ (uint64_t)1 << i);
    assert_int_equal(right, 0);
}

/* At 1 dB (amplitude 1, noise 1.26 per coded bit) each bit alone would be wrong in a fifth of the cases. */
static void corrects_bits(void **state)
{
    (void)state;
    unsigned r = 7;
    int wrong = 0;
    for (int i = 0; i < 200; i++) {
        const uint64_t bits = (uint64_t)scene_random(&r) << 32 | scene_random(&r);
        uint8_t coded[CONVOLUTION_CODED];
        double soft[CONVOLUTION_CODED];
        convolution_encode(bits, coded);
        for (int k = 0; k < CONVOLUTION_CODED; k++) {
            double noise = 0;
            for (int n = 0; n < 12; n++) noise += scene_uniform(&r) - 0.5; /* variance 1 */
            soft[k] = (coded[k] ? 1 : -1) + 0.8 * noise;
        }
        wrong += convolution_decode(soft) != bits;
    }
    assert_true(wrong <= 10);
}

static Scene marked(int kind, uint64_t payload)
{
    Watermark *w;
    Scene s = scene_draw(kind, 5, 288, 512, 24, 10);
    assert_string_equal(watermark_new(key, payload, s.width, s.height, &w).message, "");
    for (int i = 0; i < s.count; i++) watermark_embed(w, scene_plane(&s, i, 0), s.width);
    watermark_free(&w);
    return s;
}

static void look(const Scene *s, const uint8_t *with, const uint64_t *expected, WatermarkReading *out)
{
    WatermarkReader *r = watermark_reader_new(with);
    for (int i = 0; i < s->count; i++) {
        const FilmPicture p = scene_picture(s, i);
        assert_string_equal(watermark_reader_picture(r, &p).message, "");
    }
    if (expected)
        watermark_reader_check(r, *expected, out);
    else
        watermark_reader_search(r, out);
    watermark_reader_free(&r);
}

static void is_read_back(void **state)
{
    (void)state;
    const uint64_t payload = watermark_payload("tests", "one"), wrong = watermark_payload("tests", "two");
    for (int kind = 0; kind < 2; kind++) {
        Scene s = marked(kind, payload);
        WatermarkReading r;
        assert_string_equal(scene_recode(&s, 26, "veryfast").message, "");
        look(&s, key, &payload, &r);
        assert_true(r.found && r.agreeing == 64 && r.p_value < 1e-15);
        look(&s, key, &wrong, &r);
        assert_true(!r.found && r.p_value > 1e-9);
        look(&s, key, NULL, &r);
        assert_true(r.found && r.payload == payload && r.p_value < 1e-9);
        scene_free(&s);
    }
}

/* One picture in three colours: they keep their differences, and the mark is found in their luma. */
static void marks_a_still(void **state)
{
    (void)state;
    enum { WIDTH = 288, HEIGHT = 512, STRIDE = 3 * WIDTH + 8 };
    static uint8_t rgb[HEIGHT * STRIDE], before[HEIGHT * STRIDE];
    const uint64_t payload = watermark_payload("tests", "still");
    Scene drawn = scene_draw(1, 8, WIDTH, HEIGHT, 24, 1), seen = scene_new(WIDTH, HEIGHT, 24, 1);
    Watermark *w;
    WatermarkReading r;
    double squares = 0;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < 3; c++)
                rgb[y * STRIDE + 3 * x + c] = (uint8_t)(scene_plane(&drawn, 0, 0)[y * WIDTH + x] / 2 + 40 * c);
    memcpy(before, rgb, sizeof rgb);
    assert_string_equal(watermark_new(key, payload, WIDTH, HEIGHT, &w).message, "");
    watermark_embed_rgb(w, rgb, STRIDE);
    watermark_free(&w);
    for (int y = 0; y < HEIGHT; y++) {
        assert_memory_equal(rgb + y * STRIDE + 3 * WIDTH, before + y * STRIDE + 3 * WIDTH, STRIDE - 3 * WIDTH);
        for (int x = 0; x < WIDTH; x++) {
            const uint8_t *p = rgb + y * STRIDE + 3 * x, *q = before + y * STRIDE + 3 * x;
            assert_true(p[1] - p[0] == q[1] - q[0] && p[2] - p[1] == q[2] - q[1]);
            squares += (p[1] - q[1]) * (p[1] - q[1]);
            scene_plane(&seen, 0, 0)[y * WIDTH + x] = p[1];
        }
    }
    assert_true(squares / (WIDTH * HEIGHT) > 0.5 && squares / (WIDTH * HEIGHT) < 4.1); /* 42 dB: 4.1 */
    look(&seen, key, NULL, &r);
    assert_true(r.found && r.payload == payload && r.p_value < 1e-15);
    scene_free(&seen);
    scene_free(&drawn);
}

/* What does not move stays in the sum of all pictures, strong here and weak there: the weak parts must count more. */
static void weighs_its_parts(void **state)
{
    (void)state;
    const uint64_t payload = watermark_payload("tests", "parts");
    Scene s = scene_draw(1, 5, 288, 512, 24, 1);
    unsigned random = 11;
    Watermark *w;
    WatermarkReading r;
    for (int i = 0; i < 288 * 512; i++) scene_plane(&s, 0, 0)[i] = 120;
    assert_string_equal(watermark_new(key, payload, 288, 512, &w).message, "");
    watermark_embed(w, scene_plane(&s, 0, 0), 288);
    watermark_free(&w);
    for (int i = 0; i < 288 * 300; i++) /* the upper part is lost in noise */
        scene_plane(&s, 0, 0)[i] = (uint8_t)(90 + scene_random(&random) % 60);
    look(&s, key, &payload, &r);
    assert_true(r.found);
    scene_free(&s);
}

static void is_not_found_without_the_key_or_the_mark(void **state)
{
    (void)state;
    Scene s = marked(1, watermark_payload("tests", "one")), plain = scene_draw(0, 9, 288, 512, 24, 6);
    WatermarkReading r;
    look(&s, other, NULL, &r);
    assert_false(r.found);
    look(&plain, key, NULL, &r);
    assert_false(r.found);
    assert_true(r.places > 1e5);
    scene_free(&s);
    scene_free(&plain);
}

static void is_too_large_for_small_pictures(void **state)
{
    (void)state;
    Watermark *w;
    assert_int_equal(watermark_new(key, 0, 64, 112, &w).err, ERR_INPUT);
    assert_int_equal(watermark_new(key, 0, 8, 1024, &w).err, ERR_INPUT);
    assert_null(w);
}

/* Pictures of one point or one line must not be read beyond their edge. */
static void reads_any_size(void **state)
{
    (void)state;
    static const int size[][2] = {{2, 2}, {2, 640}, {640, 2}, {30, 16}};
    for (int i = 0; i < 4; i++) {
        Scene s = scene_new(size[i][0], size[i][1], 24, 2);
        WatermarkReading r;
        look(&s, key, NULL, &r);
        assert_false(r.found);
        scene_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_every_clip_its_payload),
        cmocka_unit_test(corrects_bits),
        cmocka_unit_test(is_read_back),
        cmocka_unit_test(marks_a_still),
        cmocka_unit_test(weighs_its_parts),
        cmocka_unit_test(is_not_found_without_the_key_or_the_mark),
        cmocka_unit_test(is_too_large_for_small_pictures),
        cmocka_unit_test(reads_any_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
