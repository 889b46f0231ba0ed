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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pixels_are_pillows), cmocka_unit_test(cut_files_are_refused),
                                       cmocka_unit_test(damaged_exif_is_upright)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
