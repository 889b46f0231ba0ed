/* test_image.c - picture files of every kind give the pixels that Pillow reads in them (parity/fixtures/pictures). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <unistd.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/shot_file.h"
#include "worker/finish/encode.h"
#include "worker/pictures/exif.h"
#include "worker/pictures/image.h"

static const char pictures[] = SOURCE_DIR "/tests/parity/fixtures/pictures";

static void check(const char *name, int width, int height, const char *sha256)
{
    ImageList list = {0};
    char hash[HASH_TEXT];
    char *path = path_join(pictures, name);
    Status status = image_read(path, &list);
    if (failed(status)) fail_msg("%s", status.message);
    const Picture *p = &list.picture[0];
    if (p->width != width || p->height != height)
        fail_msg("%s: %d x %d, expected %d x %d", name, p->width, p->height, width, height);
    hash_bytes(p->rgb, (size_t)width * (size_t)height * 3, hash);
    if (strcmp(hash, sha256) != 0) fail_msg("%s: other pixels than Pillow's", name);
    image_list_clear(&list);
    free(path);
}

static void pixels_are_pillows(void **state)
{
    (void)state;
    char *path = path_join(pictures, "pictures.json");
    json_t *all = json_load_file(path, 0, NULL), *row;
    size_t i;
    assert_true(json_array_size(all) >= 20);
    json_array_foreach(all, i, row)
    {
        check(json_string_value(json_object_get(row, "file")), (int)json_integer_value(json_object_get(row, "width")),
              (int)json_integer_value(json_object_get(row, "height")),
              json_string_value(json_object_get(row, "sha256")));
    }
    json_decref(all);
    free(path);
}

/* A JPEG that ends early is refused, wherever: half of it would be grey. */
static void cut_files_are_refused(void **state)
{
    static const char cut[] = "test_image.jpg";
    (void)state;
    char *path = path_join(pictures, "444.jpg"), *bytes;
    size_t n;
    assert_int_equal(file_read(path, 1 << 20, &bytes, &n).err, OK);
    for (size_t at = 4; at + 40 < n; at += 37) {
        ImageList list = {0};
        assert_int_equal(file_replace(cut, bytes, at).err, OK);
        Status status = image_read(cut, &list);
        if (status.err != ERR_INPUT || !strstr(status.message, cut))
            fail_msg("%zu of %zu bytes: %s", at, n, status.message);
        assert_int_equal(list.count, 0);
    }
    unlink(cut);
    free(bytes);
    free(path);
}

static void damaged_exif_is_upright(void **state)
{
    static const uint8_t good[] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0};
    uint8_t bad[sizeof good];
    (void)state;
    assert_int_equal(exif_orientation(good, sizeof good), 6);
    for (size_t n = 0; n < sizeof good - 2; n++) assert_int_equal(exif_orientation(good, n), 1);
    memcpy(bad, good, sizeof good);
    bad[4] = 0xff; /* the directory lies outside */
    assert_int_equal(exif_orientation(bad, sizeof bad), 1);
    memcpy(bad, good, sizeof good);
    bad[8] = 0xff; /* more entries than bytes */
    assert_int_equal(exif_orientation(bad, sizeof bad), 6);
    memcpy(bad, good, sizeof good);
    bad[19] = 9;
    assert_int_equal(exif_orientation(bad, sizeof bad), 1);
}

/* ---- videos ---- */

static const Picture *first_of(const char *path, ImageList *list)
{
    Status status = image_read_sequence(path, 100, list);
    if (failed(status)) fail_msg("%s", status.message);
    return &list->picture[0];
}

static void put_number(char *at, int32_t value)
{
    for (int i = 0; i < 4; i++) at[i] = (char)((uint32_t)value >> (24 - 8 * i));
}

/* A video of two frames, a colour for each quarter, whose track says with this matrix how it is held. */
static void make_video(const char *path, const int32_t matrix[4])
{
    enum { W = 32, H = 16 };
    float *frame = memory_get(2 * W * H, 3 * sizeof *frame);
    for (int i = 0; i < 2 * H * W; i++) {
        const int x = i % W, y = i / W % H;
        frame[3 * i] = x < W / 2 ? 0.9f : 0.1f;
        frame[3 * i + 1] = y < H / 2 ? 0.8f : 0.2f;
        frame[3 * i + 2] = 0.5f;
    }
    EncodeOptions o = encode_defaults();
    o.fps = 8;
    o.crf = 1;
    Encode *e;
    char *bytes;
    size_t n;
    assert_int_equal(encode_begin(path, &o, &e).err, OK);
    assert_int_equal(encode_put(e, frame, 2, H, W).err, OK);
    assert_int_equal(encode_end(&e).err, OK);
    assert_int_equal(file_read(path, 1 << 20, &bytes, &n).err, OK);
    char *track = memmem(bytes, n, "tkhd", 4);
    assert_non_null(track);
    char *numbers = track + 4 + 4 + 36; /* name, version and flags, times and volume */
    for (int i = 0; i < 4; i++) put_number(numbers + 4 * (i / 2 * 3 + i % 2), matrix[i]);
    assert_int_equal(file_replace(path, bytes, n).err, OK);
    free(bytes);
    free(frame);
}

static void videos_are_turned_as_they_are_held(void **state)
{
    (void)state;
    enum { ONE = 1 << 16 };
    static const struct {
        int32_t matrix[4]; /* a b c d: x' = a x + c y, y' = b x + d y */
        int orientation;
    } row[] = {{{ONE, 0, 0, ONE}, 1}, {{-ONE, 0, 0, ONE}, 2}, {{-ONE, 0, 0, -ONE}, 3}, {{ONE, 0, 0, -ONE}, 4},
               {{0, ONE, ONE, 0}, 5}, {{0, ONE, -ONE, 0}, 6}, {{0, -ONE, -ONE, 0}, 7}, {{0, -ONE, ONE, 0}, 8}};
    ImageList upright = {0};
    make_video("held.mp4", row[0].matrix);
    const Picture *base = first_of("held.mp4", &upright);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        ImageList list = {0};
        make_video("held.mp4", row[i].matrix);
        const Picture *seen = first_of("held.mp4", &list);
        const size_t bytes = (size_t)base->width * (size_t)base->height * 3;
        uint8_t *copy = memory_get(bytes, 1);
        memcpy(copy, base->rgb, bytes);
        Picture want = {base->width, base->height, copy};
        exif_turn(&want, row[i].orientation);
        if (seen->width != want.width || memcmp(seen->rgb, want.rgb, bytes) != 0)
            fail_msg("matrix %zu: expected orientation %d", i, row[i].orientation);
        free((void *)(uintptr_t)want.rgb);
        image_list_clear(&list);
    }
    image_list_clear(&upright);
    unlink("held.mp4");
}

/* Red, coded by one matrix and said to be of that one, or nothing said. Without ffmpeg there is nobody to make such a file. */
static void colours_go_by_the_right_matrix(void **state)
{
    (void)state;
    static const struct {
        const char *size, *coded, *said;
    } row[] = {{"1280x720", "bt709", "bt709"},   {"1280x720", "bt709", "unknown"}, {"640x480", "bt601", "unknown"},
               {"720x1280", "bt709", "unknown"}, {"640x480", "bt709", "bt709"},    {"1280x720", "bt2020", "bt2020nc"}};
    if (system("ffmpeg -version >/dev/null 2>&1") != 0) {
        print_message("skipped: no ffmpeg\n");
        skip();
    }
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        ImageList list = {0};
        char *command =
            text_format("ffmpeg -v error -y -f lavfi -i color=0xe02010:s=%s:r=1:d=1 -vf "
                        "scale=out_color_matrix=%s,format=yuv444p -c:v libx264 -qp 4 -colorspace %s red.mp4",
                        row[i].size, row[i].coded, row[i].said);
        assert_int_equal(system(command), 0);
        const uint8_t *rgb = first_of("red.mp4", &list)->rgb;
        if (abs(rgb[0] - 0xe0) > 3 || abs(rgb[1] - 0x20) > 3 || abs(rgb[2] - 0x10) > 3)
            fail_msg("%s, %s, said to be %s: %d %d %d", row[i].size, row[i].coded, row[i].said, rgb[0], rgb[1], rgb[2]);
        image_list_clear(&list);
        free(command);
    }
    unlink("red.mp4");
}

static void moving_pictures_are_videos(void **state)
{
    static const char *const name[] = {"moving.gif", "moving.png"};
    (void)state;
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        ImageList list = {0};
        char *path = path_join(pictures, name[i]);
        first_of(path, &list);
        assert_int_equal(list.count, 3);
        image_list_clear(&list);
        free(path);
    }
}

/* ---- folders ---- */

static void frames_are_in_the_order_of_their_numbers(void **state)
{
    static const char *const in[] = {"10.png",  "1.png",     "2.png",   "f010b.png",
                                     "f9b.png", "Thumbs.db", ".hidden", "01.png"},
                             *const out[] = {"01.png", "1.png", "2.png", "10.png", "f9b.png", "f010b.png"};
    char **got;
    int count;
    (void)state;
    assert_int_equal(file_make_folders("frames").err, OK);
    for (size_t i = 0; i < sizeof in / sizeof *in; i++) {
        char *path = path_join("frames", in[i]);
        assert_int_equal(file_replace(path, "x", 1).err, OK);
        free(path);
    }
    assert_int_equal(shot_file_names("frames", &got, &count).err, OK);
    assert_int_equal(count, sizeof out / sizeof *out);
    for (int i = 0; i < count; i++) assert_string_equal(got[i], out[i]);
    shot_file_names_free(got, count);
    for (size_t i = 0; i < sizeof in / sizeof *in; i++) {
        char *path = path_join("frames", in[i]);
        unlink(path);
        free(path);
    }
    rmdir("frames");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pixels_are_pillows),
                                       cmocka_unit_test(cut_files_are_refused),
                                       cmocka_unit_test(damaged_exif_is_upright),
                                       cmocka_unit_test(videos_are_turned_as_they_are_held),
                                       cmocka_unit_test(colours_go_by_the_right_matrix),
                                       cmocka_unit_test(moving_pictures_are_videos),
                                       cmocka_unit_test(frames_are_in_the_order_of_their_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
