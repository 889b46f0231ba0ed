/* Frames at another rate: how many come, and how near they are to those of a clip that was made at the higher rate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "common/file.h"
#include "common/moment.h"
#include "worker/finish/kept.h"
#include "worker/finish/rate.h"
#include "worker/finish/rates.h"

enum { W = 96, H = 160, SECONDS = 2 };

/* A textured ball that moves before a textured ground that drifts; `t` seconds. */
static void paint(float *rgb, double t)
{
    double bx = W * (0.5 + 0.3 * sin(2 * t)), by = H * (0.5 + 0.3 * cos(1.7 * t));
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++, rgb += 3) {
            double gx = x - 12 * t, gy = y + 5 * t, r = hypot(x - bx, y - by);
            double edge = fmin(1, fmax(0, 20 - r)),
                   ground = 0.4 + 0.2 * sin(gx * 0.35) * cos(gy * 0.21) + 0.1 * sin((gx + gy) * 0.11);
            double ball = 0.6 + 0.25 * sin((x - bx) * 0.5) * sin((y - by) * 0.4);
            rgb[0] = (float)(ball * edge + ground * (1 - edge));
            rgb[1] = (float)(0.5 * ball * edge + ground * (1 - edge));
            rgb[2] = (float)(0.3 * edge + (1 - ground) * (1 - edge));
        }
}

typedef struct {
    int fps, count;
    double error; /* sum of squares against what is really there then */
    float *want;
} Seen;

static Status look(void *self, const float *rgb, int height, int width)
{
    Seen *s = self;
    assert_int_equal(height, H);
    assert_int_equal(width, W);
    paint(s->want, (double)s->count++ / s->fps);
    for (int i = 0; i < W * H * 3; i++) s->error += (rgb[i] - s->want[i]) * (rgb[i] - s->want[i]);
    return status_ok();
}

static double psnr(const char *how, int from, int to)
{
    Rate *r;
    Seen s = {.fps = to, .want = memory_get(W * H * 3, sizeof(float))};
    float *rgb = memory_get(W * H * 3, sizeof *rgb);
    double start = moment_s();
    assert_string_equal(rate_open(how, from, to, look, &s, &r).message, "");
    for (int i = 0; i < from * SECONDS; i++) {
        paint(rgb, (double)i / from);
        assert_string_equal(rate_put(r, rgb, H, W).message, "");
    }
    assert_string_equal(rate_end(r).message, "");
    rate_close(&r);
    assert_int_equal(s.count, to * SECONDS);
    double db = 10 * log10((double)s.count * W * H * 3 / (s.error + 1e-12));
    print_message("%2d -> %2d by %-6s: %5.1f dB, %.2f s\n", from, to, how, db, moment_s() - start);
    free(s.want);
    free(rgb);
    return db;
}

static void motion_comes_nearest(void **state)
{
    static const int from[] = {8, 16, 24}, to[] = {30, 30, 60};
    (void)state;
    for (int i = 0; i < 3; i++) {
        double repeat = psnr("repeat", from[i], to[i]), blend = psnr("blend", from[i], to[i]),
               motion = psnr("motion", from[i], to[i]);
        assert_true(blend > repeat);
        if (from[i] == 16) assert_true(motion > blend + 1); /* at 8 a second this ball moves 12 pixels a frame */
    }
}

static void the_same_rate_changes_nothing(void **state)
{
    (void)state;
    assert_true(psnr("motion", 30, 30) > 100);
}

static void makes_fewer_too(void **state)
{
    (void)state;
    psnr("repeat", 30, 8);
    psnr("blend", 24, 12);
    psnr("motion", 30, 24);
}

static void refuses_other_words(void **state)
{
    Rate *r;
    (void)state;
    assert_int_equal(rate_open("smooth", 8, 30, look, NULL, &r).err, ERR_INPUT);
    assert_int_equal(rate_count(33, 8, 30), 124);
}

/* All frames of a rendition at 24 a second of these 8 a second; the hash of them. */
static void convert(const char *source, int first, char hash[HASH_TEXT])
{
    const Rendition r[] = {{.name = "a", .fps = 24}, {.name = "b", .fps = 24}, {.name = "c"}};
    static const bool skip[3];
    float *rgb = memory_get(W * H * 3, sizeof *rgb);
    int64_t count[3] = {0};
    Rates *rates;
    Hash *h = hash_begin();
    assert_string_equal(rates_open(r, skip, 3, 8, source, &rates).message, "");
    assert_int_equal(rates_count(rates), 2);
    for (int i = 0; i <= 9; i++) {
        paint(rgb, (double)(first + i) / 8);
        for (int k = 0; k < 2; k++) assert_string_equal(rates_convert(rates, k, rgb, i < 9, H, W).message, "");
        for (int k = 0; k < 3; k++) {
            int n;
            const float *frames = rates_frames(rates, k, &n);
            count[k] += n;
            if (k == 0) hash_add(h, frames, (size_t)n * W * H * 3 * sizeof *frames);
        }
    }
    assert_true(count[0] == 27 && count[1] == 27 && count[2] == 9);
    hash_end(h, hash);
    rates_close(&rates);
    free(rgb);
}

/* The next clip of a shot has the same frames, to the bit, and they are not made again. */
static void what_was_moved_is_kept(void **state)
{
    (void)state;
    char alone[HASH_TEXT], first[HASH_TEXT], again[HASH_TEXT], other[HASH_TEXT];
    convert(NULL, 0, alone);
    assert_null(kept_find("s 8 24"));
    convert("s", 0, first);
    assert_non_null(kept_find("s 8 24"));
    assert_int_equal(kept_count(kept_find("s 8 24")), 27);
    convert("s", 5, again); /* what it is given is not looked at */
    convert("t", 5, other);
    assert_null(kept_find("s 8 24"));
    kept_drop();
    assert_null(kept_find("t 8 24"));
    assert_string_equal(first, alone);
    assert_string_equal(again, first);
    assert_string_not_equal(other, first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(motion_comes_nearest),   cmocka_unit_test(the_same_rate_changes_nothing),
        cmocka_unit_test(makes_fewer_too),        cmocka_unit_test(refuses_other_words),
        cmocka_unit_test(what_was_moved_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
