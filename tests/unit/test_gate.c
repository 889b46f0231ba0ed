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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_flashes_as_iris_does),
        cmocka_unit_test(passes_what_is_good),
        cmocka_unit_test(finds_one_black_picture_and_says_where),
        cmocka_unit_test(counts_what_is_no_number),
        cmocka_unit_test(listens),
        cmocka_unit_test(reads_its_own_sets_and_refuses_others),
        cmocka_unit_test(refuses_what_is_no_video),
        cmocka_unit_test(reads_a_whole_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
