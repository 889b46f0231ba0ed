/* Thumbnail and contact sheet, read back through the reader of conditioning pictures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "worker/finish/still_layers.h"
#include "worker/pictures/image.h"

enum { FRAMES = 15 };
static const char thumbnail[] = "test_stills.png", sheet[] = "test_stills.sheet.png";

static const Extras bare; /* nothing lies over the clip */

/* Frame i is one grey, i/20 of white, with a white corner. */
static Status make_with(const Extras *e, int width, int height, int frames, int announced)
{
    Stills *s;
    TRY(stills_begin(announced, 8, &s));
    float *rgb = malloc((size_t)(width * height) * 3 * sizeof *rgb);
    Status status = rgb ? status_ok() : status_fail(ERR_NODE, "out of memory");
    for (int i = 0; i < frames && !failed(status); i++) {
        for (int k = 0; k < width * height * 3; k++) rgb[k] = (float)i / 20;
        for (int k = 0; k < 9; k++) rgb[k] = 1;
        status = stills_put(s, rgb, 1, height, width);
    }
    if (!failed(status)) status = still_layers_draw(s, e);
    if (!failed(status)) status = stills_write(s, thumbnail, sheet);
    stills_free(&s);
    free(rgb);
    return status;
}

static Status make(int width, int height, int frames, int announced)
{
    return make_with(&bare, width, height, frames, announced);
}

static int grey_at(const Picture *p, int x, int y)
{
    const uint8_t *c = p->rgb + 3 * (y * p->width + x);
    assert_true(abs(c[0] - c[1]) <= 6 && abs(c[1] - c[2]) <= 7);
    return c[1];
}

static void shows_eight_frames_in_order(void **state)
{
    (void)state;
    ImageList list = {0};
    assert_string_equal(make(64, 112, FRAMES, FRAMES).message, "");
    assert_string_equal(image_read(sheet, &list).message, "");
    assert_string_equal(image_read(thumbnail, &list).message, "");
    const Picture *s = &list.picture[0], *t = &list.picture[1];
    int cell = (s->width - 12) / 8;
    for (int i = 0; i < 8; i++)
        assert_true(abs(grey_at(s, 12 + i * cell + cell / 2, s->height / 2) - i * 2 * 255 / 20) <= 2);
    assert_int_equal(t->height, 480);
    assert_int_equal(t->width, 274);
    assert_true(abs(grey_at(t, 137, 240) - 7 * 255 / 20) <= 2); /* the middle frame */
    image_list_clear(&list);
}

/* In the upper part of each, and nowhere else. */
static void every_frame_carries_the_mark_of_ai(void **state)
{
    static const char *const words[] = {"", "Diese Aufnahme wurde von einer Maschine erzeugt"};
    (void)state;
    for (int k = 0; k < 4; k++) {
        ImageList list = {0};
        json_t *label = json_pack("{s:s,s:s}", "profile", k < 2 ? "eu" : "text", "text", words[k % 2]);
        const Extras e = {.label = label, .duration_s = 2};
        assert_string_equal(make(640, 360, FRAMES, FRAMES).message, "");
        assert_string_equal(image_read(sheet, &list).message, "");
        assert_string_equal(make_with(&e, 640, 360, FRAMES, FRAMES).message, "");
        assert_string_equal(image_read(sheet, &list).message, "");
        const Picture *bare_one = &list.picture[0], *s = &list.picture[1];
        int marked[2][4] = {{0}}, elsewhere = 0;
        for (int y = 0; y < s->height; y++)
            for (int x = 0; x < s->width; x++) {
                const int at = 3 * (y * s->width + x) + 1, row = y >= s->height / 2;
                const bool differs = abs(s->rgb[at] - bare_one->rgb[at]) > 40;
                if (x >= 12 && x < s->width - 12 && (y % (s->height / 2)) < s->height / 6)
                    marked[row][(x - 12) * 4 / (s->width - 12)] += differs;
                else
                    elsewhere += differs;
            }
        for (int i = 0; i < 8; i++) assert_true(marked[i / 4][i % 4] > 60);
        assert_int_equal(elsewhere, 0);
        image_list_clear(&list);
        json_decref(label);
    }
}

/* The line below a cell is not all paper: its moment stands there. */
static void says_the_moment_of_every_frame(void **state)
{
    (void)state;
    ImageList list = {0};
    if (!file_exists("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")) {
        print_message("no DejaVu font on this machine: labels are not looked for\n");
        skip();
    }
    assert_string_equal(make(64, 112, FRAMES, FRAMES).message, "");
    assert_string_equal(image_read(sheet, &list).message, "");
    const Picture *s = &list.picture[0];
    int cell = (s->width - 12) / 8;
    for (int i = 0; i < 8; i++) {
        int most = 0;
        for (int y = s->height - 24; y < s->height; y++)
            for (int x = 12 + i * cell; x < 12 + (i + 1) * cell - 12; x++) {
                int g = s->rgb[3 * (y * s->width + x) + 1];
                most = g > most ? g : most;
            }
        assert_true(most > 120);
    }
    image_list_clear(&list);
}

static void copes_with_any_length_and_shape(void **state)
{
    static const int size[][2] = {{16, 16}, {832, 480}, {16, 320}, {320, 16}};
    (void)state;
    for (int frames = 1; frames <= 9; frames += 4)
        for (int i = 0; i < 4; i++) {
            ImageList list = {0};
            assert_string_equal(make(size[i][0], size[i][1], frames, frames).message, "");
            assert_string_equal(image_read(sheet, &list).message, "");
            assert_in_range(list.picture[0].width, 26, 2200);
            assert_in_range(list.picture[0].height, 26, 600);
            image_list_clear(&list);
        }
}

static void refuses_too_few_frames(void **state)
{
    (void)state;
    unlink(thumbnail);
    assert_int_equal(make(16, 16, 3, 5).err, ERR_CLIP);
    assert_int_equal(make(16, 16, 0, 5).err, ERR_CLIP);
    assert_int_equal(make(16, 16, 1, 0).err, ERR_INPUT);
    assert_false(file_exists(thumbnail));
}

static void reads_only_pictures(void **state)
{
    static const char playlist[] = "#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
                      list_file[] = "ffconcat version 1.0\nfile x.png\n";
    (void)state;
    ImageList list = {0};
    assert_int_equal(image_read("missing.png", &list).err, ERR_INPUT);
    assert_int_equal(image_read(".", &list).err, ERR_INPUT);
    assert_int_equal(file_replace(thumbnail, playlist, sizeof playlist - 1).err, OK);
    assert_int_equal(image_read(thumbnail, &list).err, ERR_INPUT);
    assert_int_equal(file_replace(thumbnail, list_file, sizeof list_file - 1).err, OK);
    assert_int_equal(image_read(thumbnail, &list).err, ERR_INPUT);
    assert_int_equal(file_replace(thumbnail, "\x89PNG\r\n\x1a\n", 8).err, OK);
    assert_int_equal(image_read(thumbnail, &list).err, ERR_INPUT);
    assert_int_equal(list.count, 0);
}

static void reads_folders_in_the_order_of_names(void **state)
{
    (void)state;
    ImageList list = {0};
    mkdir("test_stills.dir", 0777);
    for (int i = 0; i < 3; i++) {
        char path[64];
        assert_int_equal(make(16 + 16 * i, 16, 1, 1).err, OK);
        snprintf(path, sizeof path, "test_stills.dir/%02d.png", i);
        assert_int_equal(file_duplicate(sheet, path).err, OK);
    }
    assert_string_equal(image_read_sequence("test_stills.dir", 3, &list).message, "");
    assert_int_equal(list.count, 3);
    assert_true(list.picture[0].height > list.picture[1].height);
    image_list_clear(&list);
    assert_string_equal(image_read_sequence("test_stills.dir", 4, &list).message, ""); /* what there is */
    assert_int_equal(list.count, 3);
    image_list_clear(&list);
    for (int i = 0; i < 3; i++) {
        char path[64];
        snprintf(path, sizeof path, "test_stills.dir/%02d.png", i);
        unlink(path);
    }
    assert_int_equal(rmdir("test_stills.dir"), 0);
}

static int clean_up(void **state)
{
    (void)state;
    unlink(thumbnail);
    unlink(sheet);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_eight_frames_in_order),
        cmocka_unit_test(says_the_moment_of_every_frame),
        cmocka_unit_test(every_frame_carries_the_mark_of_ai),
        cmocka_unit_test(copes_with_any_length_and_shape),
        cmocka_unit_test(refuses_too_few_frames),
        cmocka_unit_test(reads_only_pictures),
        cmocka_unit_test(reads_folders_in_the_order_of_names),
    };
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
