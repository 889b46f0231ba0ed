/* The gates one by one on figures and pictures that a test can make in a few milliseconds; how well they find defects in clips is
 * tests/gate/corpus.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "common/file.h"
#include "coordinator/campaign/gate_set.h"
#include "worker/gate/film.h"
#include "worker/gate/flash.h"
#include "worker/gate/gate.h"
#include "worker/gate/hearing.h"
#include "worker/gate/pdq.h"

enum { WIDTH = 96, HEIGHT = 64 };

typedef struct {
    uint8_t luma[WIDTH * HEIGHT], u[WIDTH * HEIGHT / 4], v[WIDTH * HEIGHT / 4];
} Plain;

/* A checked board that moves slowly, mixed with one colour by `share`. */
static void paint(Plain *p, int i, double share, int luma, int u, int v)
{
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            const int board = ((4 * x + i) / 96 + y / 24) % 2 ? 90 : 150;
            p->luma[y * WIDTH + x] = (uint8_t)(board * (1 - share) + luma * share);
        }
    memset(p->u, (int)(128 * (1 - share) + u * share), sizeof p->u);
    memset(p->v, (int)(128 * (1 - share) + v * share), sizeof p->v);
}

static GateSet default_set(void)
{
    char *json;
    GateSet set;
    assert_string_equal(gate_set_json(gate_set_list(), "default", &json).message, "");
    assert_string_equal(gate_set_parse(json, &set).message, "");
    free(json);
    return set;
}

static void put(Gate *g, const Plain *p, double at_s)
{
    const FilmPicture f = {.width = WIDTH,
                           .height = HEIGHT,
                           .plane = {p->luma, p->u, p->v},
                           .stride = {WIDTH, WIDTH / 2, WIDTH / 2},
                           .at_s = at_s};
    assert_string_equal(gate_picture(g, &f).message, "");
}

/* Flashes of this many a second for `seconds`, at 24 pictures a second. */
static GateReport flash_at(double hz, double seconds, int luma, int u, int v)
{
    const GateSet set = default_set();
    Gate *g = gate_begin(&set, (GatePromise){0});
    GateReport r;
    Plain p;
    for (int i = 0; i < (int)(24 * seconds); i++) {
        paint(&p, i, fmod(i / 24.0 * hz + 1e-9, 1) >= 0.5 ? 1 : 0, luma, u, v);
        put(g, &p, i / 24.0);
    }
    gate_end(&g, NULL, &r);
    return r;
}

static void counts_flashes_as_iris_does(void **state)
{
    (void)state;
    assert_int_equal(flash_at(2, 3, 235, 128, 128).gate[GATE_flash].verdict, GATE_PASS);
    assert_true(flash_at(2, 3, 235, 128, 128).gate[GATE_flash].value <= 4);
    assert_int_equal(flash_at(3, 3, 235, 128, 128).gate[GATE_flash].verdict, GATE_HOLD); /* at the limit: a warning */
    assert_true(flash_at(3, 3, 235, 128, 128).gate[GATE_flash].value == 6);
    const GateReport four = flash_at(4, 3, 235, 128, 128);
    assert_int_equal(four.gate[GATE_flash].verdict, GATE_FAIL);
    assert_true(four.gate[GATE_flash].at_count > 0 && four.gate[GATE_flash].at[0] < 1);
    assert_int_equal(flash_at(2, 6, 235, 128, 128).gate[GATE_flash].verdict,
                     GATE_FAIL); /* extended: four seconds of five */
    assert_int_equal(flash_at(3, 3, 235, 128, 128).gate[GATE_red_flash].verdict, GATE_PASS);
    assert_int_equal(flash_at(4, 3, 63, 102, 240).gate[GATE_red_flash].verdict, GATE_FAIL);
}

static void passes_what_is_good(void **state)
{
    (void)state;
    const GateReport r = flash_at(0, 3, 0, 0, 0);
    for (int i = 0; i < GATE_COUNT; i++)
        if (r.gate[i].verdict != GATE_PASS) fail_msg("%s = %g", gate_name[i], r.gate[i].value);
    assert_int_equal(r.verdict, GATE_PASS);
    assert_false(r.gate[GATE_loudness].measured); /* no sound, no loudness */
    assert_true(r.vbench > 0.8 && r.vbench < 1);
}

static void finds_one_black_picture_and_says_where(void **state)
{
    (void)state;
    const GateSet set = default_set();
    Gate *g = gate_begin(&set, (GatePromise){0});
    GateReport r;
    Plain p;
    for (int i = 0; i < 48; i++) {
        paint(&p, i, i == 30, 16, 128, 128);
        put(g, &p, i / 24.0);
    }
    gate_end(&g, NULL, &r);
    assert_int_equal(r.gate[GATE_black].verdict, GATE_HOLD);
    assert_int_equal(r.gate[GATE_black].at_count, 1);
    assert_true(fabs(r.gate[GATE_black].at[0] - 1.25) < 1e-6);
    json_t *j = gate_report_json(&r), *black = json_object_get(json_object_get(j, "gates"), "black");
    assert_string_equal(json_string_value(json_object_get(j, "verdict")), "hold");
    assert_string_equal(json_string_value(json_object_get(black, "verdict")), "hold");
    assert_true(json_real_value(json_array_get(json_object_get(black, "at"), 0)) == 1.25);
    json_decref(j);
}

static void counts_what_is_no_number(void **state)
{
    (void)state;
    const GateSet set = default_set();
    Gate *g = gate_begin(&set, (GatePromise){.length_s = 2});
    GateReport r;
    Plain p;
    float x[] = {0, NAN, 1, INFINITY};
    gate_floats(g, x, 4);
    for (int i = 0; i < 24; i++) {
        paint(&p, i, 0, 0, 0, 0);
        put(g, &p, i / 24.0);
    }
    gate_end(&g, NULL, &r);
    assert_true(r.gate[GATE_nan].value == 2);
    assert_int_equal(r.gate[GATE_nan].verdict, GATE_HOLD);
    assert_true(fabs(r.gate[GATE_length].value - 1) < 1e-6);
    assert_int_equal(r.gate[GATE_length].verdict, GATE_FAIL);
}

static HearingFigures listen(double seconds, double gain, double silent_from, double silent_to)
{
    Hearing *s;
    HearingFigures f;
    assert_string_equal(hearing_begin(1, 48000, &s).message, "");
    for (int i = 0; i < (int)(seconds * 48000); i++) {
        const double t = i / 48000.0, x = t >= silent_from && t < silent_to ? 0 : gain * sin(2 * M_PI * 440 * t);
        const float sample = (float)fmax(-1, fmin(1, x));
        assert_string_equal(hearing_put(s, &sample, 1).message, "");
    }
    hearing_end(&s, &f);
    return f;
}

static void listens(void **state)
{
    (void)state;
    HearingFigures f = listen(3, 0.25, 9, 9);
    assert_true(fabs(f.loudness_lufs - (-15.7)) < 0.5); /* a mono sine of -12 dBFS: -15 - K's 0.7 */
    assert_true(fabs(f.true_peak_dbtp - (-12.04)) < 0.1);
    assert_true(f.clipping == 0 && f.silence_s == 0);
    f = listen(3, 4, 9, 9);
    assert_true(f.clipping > 100);
    f = listen(4, 0.25, 1, 2.5);
    assert_true(fabs(f.silence_s - 1.5) < 0.05 && f.silence_count == 1 && fabs(f.silence_at[0] - 1) < 0.05);
    assert_true(fabs(listen(3, 0.25, 0, 9).silence_s - 3) < 0.05);
    Hearing *s;
    assert_int_equal(hearing_begin(0, 48000, &s).err, ERR_INPUT);
}

/* Three seconds of a tone on two channels, where the right one is heard only from `from` to `to`. */
static HearingFigures one_sided(double from, double to)
{
    enum { RATE = 48000, LENGTH = 3 * RATE };
    float *x = memory_get(2 * LENGTH, sizeof *x);
    Hearing *s;
    HearingFigures f;
    for (int i = 0; i < LENGTH; i++) {
        const double t = (double)i / RATE;
        x[2 * i] = (float)(0.25 * sin(2 * M_PI * 440 * t));
        x[2 * i + 1] = t >= from && t < to ? x[2 * i] : 0;
    }
    assert_string_equal(hearing_begin(2, RATE, &s).message, "");
    assert_string_equal(hearing_put(s, x, LENGTH).message, "");
    hearing_end(&s, &f);
    free(x);
    return f;
}

static void hears_that_one_channel_is_lost(void **state)
{
    (void)state;
    const HearingFigures lost = one_sided(0, 1);
    assert_true(one_sided(0, 9).silence_s == 0);
    assert_true(fabs(lost.silence_s - 2) < 0.05); /* from then on */
    assert_true(lost.silence_count == 1 && fabs(lost.silence_at[0] - 1) < 0.05);
    assert_true(fabs(one_sided(9, 9).silence_s - 3) < 0.05); /* always */
    assert_true(one_sided(2, 9).silence_s == 0);             /* it comes in later, as an instrument does */
    assert_true(one_sided(0, 2.2).silence_s == 0);           /* 0.8 s: what is panned to one side pauses */
}

static void reads_its_own_sets_and_refuses_others(void **state)
{
    (void)state;
    GateSet set;
    char *json;
    assert_true(gate_set_list()->count >= 2);
    for (int i = 0; i < gate_set_list()->count; i++) {
        assert_string_equal(gate_set_json(gate_set_list(), gate_set_list()->set[i].name, &json).message, "");
        assert_string_equal(gate_set_parse(json, &set).message, "");
        assert_true(isnan(set.bound[GATE_black].hold) == 0);
        free(json);
    }
    assert_int_equal(gate_set_json(gate_set_list(), "defualt", &json).err, ERR_INPUT);
    assert_non_null(strstr(gate_set_json(gate_set_list(), "defualt", &json).message, "did you mean default"));
    assert_int_equal(gate_set_parse("{\"blakc\": {\"hold\": 1}}", &set).err, ERR_INPUT);
    assert_int_equal(gate_set_parse("{\"black\": {\"hold\": \"much\"}}", &set).err, ERR_INPUT);
    assert_int_equal(gate_set_parse("[", &set).err, ERR_INPUT);
    static const char wrong[] = "mine:\n  black: {hold: 3, fail: 1}\n  nothing: {hold: 1}\n";
    Faults *faults = faults_new();
    GateSetList *list = memory_get(1, sizeof *list);
    gate_set_list_parse("mine.yaml", wrong, sizeof wrong - 1, faults, list);
    assert_true(faults_count(faults) == 2);
    faults_free(&faults);
    free(list);
}

static void refuses_what_is_no_video(void **state)
{
    (void)state;
    const GateSet set = default_set();
    GateReport r;
    assert_string_equal(file_replace("no-video.mp4", "not a video at all", 18).message, "");
    assert_int_equal(gate_file("no-video.mp4", &set, (GatePromise){0}, &r).err, ERR_INPUT);
    assert_int_equal(gate_file("absent.mp4", &set, (GatePromise){0}, &r).err, ERR_INPUT);
    remove("no-video.mp4");
}

static void reads_a_whole_file(void **state)
{
    (void)state;
    const GateSet set = default_set();
    GateReport r;
    assert_string_equal(gate_file(SOURCE_DIR "/tests/gate/clips/pocket-0.mp4", &set, (GatePromise){0}, &r).message, "");
    assert_int_equal(r.verdict, GATE_PASS);
    assert_true(r.gate[GATE_streams].measured && r.gate[GATE_streams].value == 0);
}

/* Pictures of 64x112 whose hashes pdqhash 0.2 gave. */
static void hashes_pictures_as_pdqhash_does(void **state)
{
    enum { W = 64, H = 112 };
    static float a[W * H], b[W * H];
    static const char a_hash[] = "fbd0aa8541bfbea5554a74958a2f75520007fcfd82a9201be3a379fe8fe2a018",
                      b_hash[] = "df54edb195549f9d35549fc1f550c7415154655111545d1155141001eeabfffe";
    Pdq x, y, known;
    (void)state;
    for (int v = 0; v < H; v++)
        for (int u = 0; u < W; u++) {
            a[v * W + u] = (float)((u * u * 3 + v * v * 5 + u * v * 7) / 97 % 256);
            b[v * W + u] = (float)(int)(128 + 60 * sin(u / 9.) + 50 * cos(v / 13. + u / 20.));
        }
    assert_int_equal(pdq_hash(a, W, H, &x), 100);
    assert_int_equal(pdq_hash(b, W, H, &y), 100);
    assert_string_equal(pdq_parse(a_hash, &known).message, "");
    assert_int_equal(pdq_distance(&x, &known), 0);
    assert_string_equal(pdq_parse(b_hash, &known).message, "");
    assert_true(pdq_distance(&y, &known) <= 2); /* rounding, where a value is next to the median */
    assert_int_equal(pdq_parse("fbd0", &known).err, ERR_INPUT);
}

/* ---- clips that were held, or passed, for the wrong reason: each is drawn by a function of its picture's number, at 24 a second ---- */

static GateReport of_drawn(void (*draw)(Plain *, int), int pictures)
{
    const GateSet set = default_set();
    GateReport r;
    static Plain p;
    Gate *g = gate_begin(&set, (GatePromise){0});
    for (int i = 0; i < pictures; i++) {
        draw(&p, i);
        put(g, &p, i / 24.0);
    }
    gate_end(&g, NULL, &r);
    return r;
}

/* A dark thing that moves before white. */
static void before_white(Plain *p, int i)
{
    paint(p, 0, 1, 235, 128, 128);
    for (int y = 16; y < 48; y++) memset(p->luma + y * WIDTH + 8 + i / 2, 60 + y, 24);
}

/* Beginning with picture 30 a third of a second of magenta. */
static void before_white_then_magenta(Plain *p, int i)
{
    before_white(p, i);
    if (i >= 30 && i < 38) paint(p, 0, 1, 78, 214, 230);
}

/* Fades out, and a second of black follows. */
static void fades_out(Plain *p, int i)
{
    paint(p, i, 0, 0, 0, 0);
    const double light = fmin(1, fmax(0, (72 - i) / 24.0));
    for (int k = 0; k < WIDTH * HEIGHT; k++) p->luma[k] = (uint8_t)(16 + (p->luma[k] - 16) * light);
}

static void black_in_the_middle(Plain *p, int i) { paint(p, i, i >= 36 && i < 60, 16, 128, 128); }

/* Noise that is another one in each of three pictures. */
static void a_burst_of_noise(Plain *p, int i)
{
    unsigned random = (unsigned)i * 2654435761u + 1;
    paint(p, i, 0, 0, 0, 0);
    for (int k = 0; k < WIDTH * HEIGHT && i >= 30 && i < 33; k++) {
        random = random * 1664525u + 1013904223u;
        p->luma[k] = random >> 31 ? 235 : 16;
    }
}

/* From begin to end `share` of 24 columns are at the ends, of four colours that move: white, yellow, red and magenta. */
static void at_the_ends(Plain *p, int i, int share)
{
    static const int colour[4][3] = {{235, 128, 128}, {219, 16, 138}, {63, 102, 240}, {78, 214, 230}};
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            const int *c = colour[((x + 4 * i) / 12 + y / 16) % 4];
            const bool spared = x % 24 >= share;
            p->luma[y * WIDTH + x] = (uint8_t)(spared ? 120 : c[0]);
            p->u[y / 2 * WIDTH / 2 + x / 2] = (uint8_t)c[1];
            p->v[y / 2 * WIDTH / 2 + x / 2] = (uint8_t)c[2];
        }
}

static void overflows(Plain *p, int i) { at_the_ends(p, i, 23); }
static void a_test_pattern(Plain *p, int i) { at_the_ends(p, i, 20); }

static void knows_a_ground_from_saturation(void **state)
{
    (void)state;
    assert_true(of_drawn(overflows, 72).gate[GATE_saturated].value > 2.9);
    assert_int_equal(of_drawn(a_test_pattern, 72).gate[GATE_saturated].verdict, GATE_PASS);
    const GateReport good = of_drawn(before_white, 72), bad = of_drawn(before_white_then_magenta, 72);
    assert_int_equal(good.gate[GATE_saturated].verdict, GATE_PASS);
    assert_int_equal(good.gate[GATE_exposure].verdict, GATE_PASS);
    assert_true(fabs(bad.gate[GATE_saturated].value - 8 / 24.0) < 0.01);
}

static void knows_the_black_of_a_fade(void **state)
{
    (void)state;
    const GateReport faded = of_drawn(fades_out, 96), black = of_drawn(black_in_the_middle, 96);
    const int gates[] = {GATE_black, GATE_frozen, GATE_subject};
    for (int i = 0; i < 3; i++)
        if (faded.gate[gates[i]].verdict != GATE_PASS)
            fail_msg("%s = %g", gate_name[gates[i]], faded.gate[gates[i]].value);
    assert_int_equal(black.gate[GATE_black].verdict, GATE_FAIL);
}

/* A square of a colour before the moving board. */
static void a_square(Plain *p, int x, int luma, int v)
{
    for (int y = 20; y < 36; y++) memset(p->luma + y * WIDTH + x, luma, 16);
    for (int y = 10; y < 18; y++) memset(p->v + y * WIDTH / 2 + x / 2, v, 8);
}

static void a_square_moves(Plain *p, int i)
{
    paint(p, i, 0, 0, 0, 0);
    a_square(p, 10 + i / 4 * 2, 200, 200);
}

static void a_square_vanishes(Plain *p, int i)
{
    paint(p, i, 0, 0, 0, 0);
    if (i < 30) a_square(p, 10 + i / 4 * 2, 200, 200);
}

static void a_square_of_two_colours(Plain *p, int i)
{
    paint(p, i, 0, 0, 0, 0);
    a_square(p, 10 + i / 4 * 2, 200, i < 30 ? 200 : 90);
}

static void letters_come(Plain *p, int i)
{
    paint(p, i, 0, 0, 0, 0);
    for (int y = 40; y < 52 && i >= 30; y++)
        for (int x = 10; x < 80; x += 6) memset(p->luma + y * WIDTH + x, 235, 2);
}

/* A cut: jump's case. */
static void another_scene_comes(Plain *p, int i)
{
    paint(p, i, 0, 0, 0, 0);
    for (int k = 0; k < WIDTH * HEIGHT && i >= 30; k++) p->luma[k] = (uint8_t)(251 - p->luma[k]);
}

static void finds_a_thing_that_slips(void **state)
{
    (void)state;
    assert_int_equal(of_drawn(a_square_moves, 72).gate[GATE_slip].verdict, GATE_PASS);
    assert_int_equal(of_drawn(letters_come, 72).gate[GATE_slip].verdict, GATE_PASS);
    assert_int_equal(of_drawn(another_scene_comes, 72).gate[GATE_slip].verdict, GATE_PASS);
    const GateReport gone = of_drawn(a_square_vanishes, 72), other = of_drawn(a_square_of_two_colours, 72);
    assert_int_equal(gone.gate[GATE_slip].verdict, GATE_HOLD);
    assert_true(fabs(gone.gate[GATE_slip].at[0] - 30 / 24.0) < 0.01);
    assert_int_equal(other.gate[GATE_slip].verdict, GATE_HOLD);
}

/* A hill of light that goes to the right, one point a picture. */
static void a_hill(Plain *p, int i)
{
    paint(p, 0, 1, 60, 128, 128);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            const int away = abs(x - 10 - i);
            if (away < 16) p->luma[y * WIDTH + x] = (uint8_t)(60 + 8 * (16 - away));
        }
}

static void a_hill_in_a_wrong_order(Plain *p, int i)
{
    static const int order[] = {30, 36, 31, 38, 33, 39, 34, 32, 37, 35};
    a_hill(p, i >= 30 && i < 40 ? order[i - 30] : i);
}

static void a_hill_backwards(Plain *p, int i) { a_hill(p, i >= 30 && i < 42 ? 71 - i : i); }
static void a_hill_that_comes_back(Plain *p, int i) { a_hill(p, i < 36 ? i : 72 - i); }
static void a_hill_that_swings(Plain *p, int i) { a_hill(p, (int)lround(36 + 30 * sin(i / 7.0))); }

static void a_hill_that_shakes(Plain *p, int i) { a_hill(p, 36 + (i * 7919 + i * i * 31) % 13); }

static void a_hill_in_light_that_varies(Plain *p, int i)
{
    a_hill(p, 36);
    for (int k = 0; k < WIDTH * HEIGHT; k++) p->luma[k] = (uint8_t)(p->luma[k] * (100 - (i * 7919) % 3) / 100);
}

static void finds_a_wrong_order(void **state)
{
    (void)state;
    assert_int_equal(of_drawn(a_hill, 72).gate[GATE_order].verdict, GATE_PASS);
    assert_int_equal(of_drawn(a_hill_that_swings, 72).gate[GATE_order].verdict, GATE_PASS);
    assert_int_equal(of_drawn(a_hill_in_a_wrong_order, 72).gate[GATE_order].verdict, GATE_HOLD);
    assert_int_equal(of_drawn(a_hill_backwards, 72).gate[GATE_order].verdict, GATE_HOLD);
    assert_int_equal(of_drawn(a_hill_that_comes_back, 72).gate[GATE_order].verdict, GATE_PASS);
    assert_int_equal(of_drawn(a_hill_that_shakes, 72).gate[GATE_order].verdict, GATE_PASS);
    assert_int_equal(of_drawn(a_hill_in_light_that_varies, 72).gate[GATE_order].verdict, GATE_PASS);
}

static void stands_still(Plain *p, int i) { paint(p, 0 * i, 0, 0, 0, 0); }
static void stops_for_a_second(Plain *p, int i) { paint(p, i >= 36 && i < 60 ? 36 : i, 0, 0, 0, 0); }

/* Slower and slower from picture 20 on, until it rests at 44. */
static void comes_to_rest(Plain *p, int i)
{
    const double left = fmax(0, (44 - i) / 24.0);
    paint(p, i < 20 ? i : (int)lround(32 - 12 * left * left), 0, 0, 0, 0);
}

static void knows_rest_from_a_freeze(void **state)
{
    (void)state;
    assert_int_equal(of_drawn(stops_for_a_second, 96).gate[GATE_frozen].verdict, GATE_HOLD);
    assert_int_equal(of_drawn(comes_to_rest, 96).gate[GATE_frozen].verdict, GATE_PASS);
    assert_int_equal(of_drawn(stands_still, 96).gate[GATE_frozen].verdict, GATE_PASS);
}

static void finds_a_burst_of_noise(void **state)
{
    (void)state;
    assert_int_equal(of_drawn(a_burst_of_noise, 72).gate[GATE_jump].verdict, GATE_HOLD);
    assert_int_equal(of_drawn(fades_out, 72).gate[GATE_jump].verdict, GATE_PASS);
}

/* Two ramps, one steeper, that shake: one side becomes brighter while the other becomes darker. together: both brighter. */
static double flicker_of_ramps(bool together)
{
    const GateSet set = default_set();
    GateReport r;
    static Plain p;
    Gate *g = gate_begin(&set, (GatePromise){0});
    memset(p.u, 128, sizeof p.u);
    memset(p.v, 128, sizeof p.v);
    for (int i = 0; i < 75; i++) {
        const double shake = i / 4 % 2 ? 2 : -2;
        for (int k = 0; k < WIDTH * HEIGHT; k++) {
            const double x = k % WIDTH - WIDTH / 2, slope = x < 0 ? 3 : together ? 3 : -1;
            p.luma[k] = (uint8_t)(120 + (x < 0 ? x * 1.5 : x * (together ? 1.5 : -0.5)) + shake * slope);
        }
        put(g, &p, i / 25.0);
    }
    gate_end(&g, NULL, &r);
    return r.gate[GATE_flicker].value;
}

static void knows_a_shaking_camera_from_flicker(void **state)
{
    (void)state;
    const double held = default_set().bound[GATE_flicker].hold;
    assert_true(flicker_of_ramps(true) > held);
    assert_true(flicker_of_ramps(false) < held);
}

static void takes_what_others_measured(void **state)
{
    (void)state;
    const GateSet set = default_set();
    GateReport r;
    Plain p;
    Gate *g = gate_begin(&set, (GatePromise){0});
    paint(&p, 0, 0, 0, 0, 0);
    put(g, &p, 0);
    gate_tell(g, GATE_label, 13, 0);
    gate_tell(g, GATE_label, 1, 0.5); /* the worst rendition's counts */
    gate_tell(g, GATE_label, 12, 1);
    gate_tell(g, GATE_qr, 0, 2);
    gate_tell(g, GATE_legibility, NAN, 0);
    gate_end(&g, NULL, &r);
    assert_int_equal(r.gate[GATE_label].verdict, GATE_FAIL);
    assert_true(r.gate[GATE_label].value == 1 && r.gate[GATE_label].at_count == 1 && r.gate[GATE_label].at[0] == 0.5);
    assert_int_equal(r.gate[GATE_qr].verdict, GATE_PASS);
    assert_false(r.gate[GATE_legibility].measured);
    assert_false(r.gate[GATE_face].measured);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_flashes_as_iris_does),
        cmocka_unit_test(passes_what_is_good),
        cmocka_unit_test(finds_one_black_picture_and_says_where),
        cmocka_unit_test(counts_what_is_no_number),
        cmocka_unit_test(listens),
        cmocka_unit_test(hears_that_one_channel_is_lost),
        cmocka_unit_test(reads_its_own_sets_and_refuses_others),
        cmocka_unit_test(refuses_what_is_no_video),
        cmocka_unit_test(reads_a_whole_file),
        cmocka_unit_test(hashes_pictures_as_pdqhash_does),
        cmocka_unit_test(knows_a_shaking_camera_from_flicker),
        cmocka_unit_test(takes_what_others_measured),
        cmocka_unit_test(knows_a_ground_from_saturation),
        cmocka_unit_test(knows_the_black_of_a_fade),
        cmocka_unit_test(finds_a_burst_of_noise),
        cmocka_unit_test(finds_a_thing_that_slips),
        cmocka_unit_test(finds_a_wrong_order),
        cmocka_unit_test(knows_rest_from_a_freeze),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
