/* The gates `subject` and `permanence` on small pictures that a test draws; others are in test_gate.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>

#include "coordinator/campaign/gate_set.h"
#include "worker/gate/gate.h"
#include "worker/gate/subject.h"

static double held_from(void) /* the bound of the set that is for anything */
{
    char *json;
    GateSet set;
    assert_string_equal(gate_set_json(gate_set_list(), "default", &json).message, "");
    assert_string_equal(gate_set_parse(json, &set).message, "");
    free(json);
    return set.bound[GATE_subject].hold;
}

enum { SMALL_W = 48, SMALL_H = 80 };

/* A still scene of stripes in these colours, with a square of side `side` at x in another one. */
static void small_picture(float *rgb, const float *ground, int x, int side, const float *square)
{
    for (int v = 0; v < SMALL_H; v++)
        for (int u = 0; u < SMALL_W; u++)
            for (int c = 0; c < 3; c++) {
                const bool in = u >= x && u < x + side && v >= 30 && v < 30 + side;
                rgb[3 * (v * SMALL_W + u) + c] = in ? square[c] : ground[c] + (float)(v / 8 % 2 * 30);
            }
}

static const float blue[] = {40, 60, 150}, brown[] = {120, 80, 40}, red[] = {220, 40, 40}, green[] = {40, 200, 60};

/* The square goes from left to right; it is hidden in the middle where `hidden`, and comes back in this colour (NULL: never). */
static double permanence_of(bool hidden, const float *after)
{
    float rgb[3 * SMALL_W * SMALL_H];
    double at_s = -1;
    Subject *s = subject_new(SMALL_W, SMALL_H);
    for (int i = 0; i < 33; i++) {
        const bool gone = hidden && i > 12 && (i < 20 || !after);
        small_picture(rgb, blue, i, gone ? 0 : 12, i < 16 || !after ? red : after);
        subject_picture(s, rgb, i / 16.0);
    }
    const double value = subject_permanence(s, &at_s);
    subject_free(&s);
    return value;
}

static void knows_what_comes_back(void **state)
{
    (void)state;
    assert_true(isnan(permanence_of(false, red)));
    assert_true(permanence_of(true, red) < 10);
    assert_true(permanence_of(true, green) > 100);
    assert_true(permanence_of(true, NULL) == 255);
}

/* Upright stripes fade into level ones. */
static void add_stripes(float *rgb, double part)
{
    for (int i = 0; i < SMALL_W * SMALL_H; i++) {
        const double upright = i % SMALL_W / 3 % 2, level = i / SMALL_W / 3 % 2;
        for (int c = 0; c < 3; c++) rgb[3 * i + c] += (float)(30 * ((1 - part) * upright + part * level));
    }
}

static double drift_of(int pictures, double share) /* slides from a blue scene into a brown one */
{
    float rgb[3 * SMALL_W * SMALL_H], ground[3];
    double at_s = -1;
    Subject *s = subject_new(SMALL_W, SMALL_H);
    for (int i = 0; i < pictures; i++) {
        const double part = share * fmin(1, fmax(0, (i - pictures * 0.4) / (pictures * 0.2)));
        for (int c = 0; c < 3; c++) ground[c] = (float)(blue[c] * (1 - part) + brown[c] * part);
        small_picture(rgb, ground, i % SMALL_W, 12, red);
        add_stripes(rgb, part);
        subject_picture(s, rgb, i / 25.0);
    }
    const double value = subject_drift(s, &at_s);
    if (share > 0 && pictures > 8) assert_true(at_s > pictures * 0.3 / 25 && at_s < pictures * 0.7 / 25);
    subject_free(&s);
    return value;
}

static void sees_a_scene_become_another(void **state)
{
    (void)state;
    assert_true(isnan(drift_of(5, 1)));
    assert_true(drift_of(100, 0) < 1);
    assert_true(drift_of(100, 1) > 5);
    assert_true(drift_of(3000, 1) > 5); /* two minutes: most pictures are left out */
}

enum { VIEW_W = 64, VIEW_H = 96 };

/* A land of hills in many sizes, from blue to brown. */
static void land_at(double x, double y, float rgb[3])
{
    double hills = 0;
    for (int k = 1; k <= 4; k++) hills += sin(x * 0.031 * k * k + k * k) * cos(y * 0.043 * k + 2 * k) / k;
    const float part = (float)fmin(1, fmax(0, x / 300));
    for (int c = 0; c < 3; c++)
        rgb[c] = fminf(255, fmaxf(0, blue[c] * (1 - part) + brown[c] * part + 25 * (float)hills));
}

typedef struct {
    double way;    /* pixels that the camera goes to the right */
    double turned; /* share of itself upside down that the land fades into */
    double size;   /* of a pixel, on the land */
    bool lamp;     /* one goes from left to right; else it is day */
} View;

static float light_at(const View *v, int x, int i)
{
    const double off = (x - VIEW_W * (0.1 + 0.8 * i / 99)) / (VIEW_W * 0.35);
    return v->lamp ? (float)(0.25 + 0.75 * exp(-off * off)) : 1;
}

static double drift_of_view(View v)
{
    float rgb[3 * VIEW_W * VIEW_H], here[3], there[3];
    double at_s;
    Subject *s = subject_new(VIEW_W, VIEW_H);
    for (int i = 0; i < 100; i++) {
        const float part = (float)(v.turned * fmin(1, fmax(0, (i - 30) / 37.0)));
        for (int k = 0; k < VIEW_W * VIEW_H; k++) {
            const int x = k % VIEW_W, y = k / VIEW_W;
            land_at(v.way * i / 99 + v.size * x, v.size * y, here);
            land_at(v.size * (VIEW_W - 1 - x), v.size * (VIEW_H - 1 - y), there);
            for (int c = 0; c < 3; c++) rgb[3 * k + c] = light_at(&v, x, i) * (here[c] * (1 - part) + there[c] * part);
        }
        subject_picture(s, rgb, i / 25.0);
    }
    const double value = subject_drift(s, &at_s);
    subject_free(&s);
    return value;
}

/* The camera goes so many pixels to the right, and the land fades into itself upside down by `turned`; then drift. */
static double drift_over_land(double way, double turned)
{
    return drift_of_view((View){.way = way, .turned = turned, .size = 1});
}

static void knows_a_pan_from_another_scene(void **state)
{
    (void)state;
    const double held = held_from();
    assert_true(drift_over_land(0, 0) < 1);
    assert_true(drift_over_land(150, 0) < held); /* other colours at its end, and the same land */
    assert_true(drift_over_land(0, 1) > held);   /* the same colours, and another picture */
}

/* A lamp goes over land that stays; with `other`, the land becomes another one meanwhile. */
static double drift_under_a_lamp(bool other) { return drift_of_view((View){.turned = other, .size = 3, .lamp = true}); }

static void knows_a_lamp_from_another_scene(void **state)
{
    (void)state;
    const double held = held_from();
    const double lamp = drift_under_a_lamp(false), other = drift_under_a_lamp(true);
    if (lamp >= held || other <= held) fail_msg("a lamp %g, another scene %g; bound %g", lamp, other, held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_what_comes_back),
        cmocka_unit_test(sees_a_scene_become_another),
        cmocka_unit_test(knows_a_pan_from_another_scene),
        cmocka_unit_test(knows_a_lamp_from_another_scene),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
