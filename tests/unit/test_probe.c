/* test_probe.c - what pictures and videos are, and whether their files are cut short, without a decoder: as the decoders of the workers say. */
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
#include "coordinator/campaign/probe.h"
#include "worker/pictures/image.h"

#define FIXTURES SOURCE_DIR "/tests/parity/fixtures"

/* without waiting for the disk: for those that are written a thousand times */
static void put_quickly(const char *path, const char *data, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    fclose(f);
}

static void probe_is(const char *path, const char *format, int width, int height)
{
    Probe p;
    assert_string_equal(probe_picture(path, &p).message, "");
    assert_string_equal(p.format, format);
    assert_int_equal(p.width, width);
    assert_int_equal(p.height, height);
}

static void test_sizes(void **state)
{
    (void)state;
    static const char *const file[] = {"/pictures/444.jpg",  "/pictures/progressive.jpg", "/pictures/lossless.webp",
                                       "/pictures/rgba.png", "/pictures/cmyk.jpg",        "/pictures/422.jpg"};
    for (size_t i = 0; i < sizeof file / sizeof *file; i++) { /* as the worker's decoders see them */
        ImageList list = {0};
        char *path = text_format("%s%s", FIXTURES, file[i]);
        assert_int_equal(image_read(path, &list).err, OK);
        const char *format = strstr(path, ".jpg") ? "JPEG" : strstr(path, ".png") ? "PNG" : "WebP";
        const Picture *seen = &list.picture[0];
        bool turned = *format == 'W'; /* this one notes that it lies on its side */
        probe_is(path, format, turned ? seen->height : seen->width, turned ? seen->width : seen->height);
        image_list_clear(&list);
        free(path);
    }
    Probe p;
    char huge[64] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\0\0\0\1";
    const char *path = "huge.png";
    put_quickly(path, huge, sizeof huge);
    assert_non_null(strstr(probe_picture(path, &p).message, "2147483647x1 pixels, expected 1 to 16384 a side"));
    assert_non_null(strstr(probe_video(path, &p).message, "PNG; expected a video"));
    assert_int_equal(truncate(path, 20), 0);
    assert_non_null(strstr(probe_picture(path, &p).message, "PNG, cut after 20 bytes"));
    assert_int_equal(mkdir("frames", 0700), 0);
    assert_int_equal(file_duplicate(FIXTURES "/pictures/rgba.png", "frames/1.png").err, OK);
    assert_int_equal(file_duplicate(FIXTURES "/pictures/rgba.png", "frames/2.png").err, OK);
    assert_int_equal(probe_video("frames", &p).err, OK);
    assert_int_equal(p.frames, 2);
}

/* Cut anywhere, a picture is refused by `check` if it is by the workers' decoders; what these still take, as a file that lacks nothing but its
 * end, is not. The exceptions are counted here. */
static void test_pictures_that_are_cut(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int unseen; /* cuts that only a decoder knows: between two pieces of a PNG's pixels, between two boxes */
        int taken;  /* bytes that a decoder does without: the last codes of a GIF, its second picture */
    } file[] = {{"444.jpg", 0, 0},        {"progressive.jpg", 0, 0}, {"turned6.jpg", 0, 0},  {"cmyk.jpg", 0, 0},
                {"rgba.png", 2, 0},       {"palette.png", 2, 0},     {"still.bmp", 0, 0},    {"still.gif", 0, 3},
                {"moving.gif", 0, 2700},  {"still.tiff", 0, 0},      {"turned6.tiff", 0, 0}, {"lossless.webp", 0, 0},
                {"telephone.heic", 1, 0}, {"still.avif", 1, 0}};
    const char *cut = "cut";
    for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
        char *path = text_format("%s/pictures/%s", FIXTURES, file[i].name), *data;
        size_t bytes;
        int known = 0, refused = 0;
        Probe p;
        assert_int_equal(file_read(path, 1 << 20, &data, &bytes).err, OK);
        assert_string_equal(probe_picture(path, &p).message, "");
        enum { LAST = 12 }; /* a PNG's last chunk, every byte of it */
        for (size_t n = 64, step; n < bytes; n += step) {
            step = n + LAST >= bytes ? 1 : 1 + bytes / 60 < bytes - LAST - n ? 1 + bytes / 60 : bytes - LAST - n;
            ImageList list = {0};
            put_quickly(cut, data, n);
            const bool is_refused = failed(image_read(cut, &list));
            const Status status = probe_picture(cut, &p);
            image_list_clear(&list);
            if (failed(status) && !is_refused && n + (size_t)file[i].taken < bytes)
                fail_msg("%s, cut after %zu of %zu, can be read", file[i].name, n, bytes);
            known += failed(status);
            refused += is_refused;
        }
        print_message("%s: refused %d times, of these by check %d\n", file[i].name, refused, known);
        assert_true(refused > (file[i].taken ? 15 : 20) && known >= refused - file[i].unseen);
        free(data);
        free(path);
    }
}

/* ---- videos: as ffmpeg makes them ---- */

static void need_ffmpeg(void)
{
    if (system("ffmpeg -version >/dev/null 2>&1") == 0) return;
    print_message("no ffmpeg\n");
    skip();
}

enum { FRAMES = 25 };

static void make_video(const char *options, const char *path)
{
    char *order = text_format("ffmpeg -y -v error -f lavfi -i testsrc=size=64x48:duration=1 -pix_fmt %s %s %s",
                              strstr(path, ".gif") ? "rgb8" : "yuv420p", options, path);
    assert_int_equal(system(order), 0);
    free(order);
}

/* A control video that ends too early would be a shorter one. */
static void test_videos_that_are_cut(void **state)
{
    (void)state;
    static const char *const video[][2] = {{"", "cut.mp4"},  {"-movflags faststart", "first.mp4"},
                                           {"", "cut.mov"},  {"", "cut.mkv"},
                                           {"", "cut.webm"}, {"", "cut.avi"},
                                           {"", "cut.gif"}};
    need_ffmpeg();
    for (size_t i = 0; i < sizeof video / sizeof *video; i++) {
        const char *path = video[i][1];
        Probe p;
        int64_t bytes;
        make_video(video[i][0], path);
        assert_string_equal(probe_video(path, &p).message, "");
        assert_int_equal(file_size(path, &bytes).err, OK);
        for (int64_t n = bytes - 100; n > 64; n -= 1 + bytes / 20) {
            assert_int_equal(truncate(path, n), 0);
            if (!strstr(probe_video(path, &p).message, "cut short")) fail_msg("%s, cut after %lld", path, (long long)n);
        }
    }
}

/* ---- whole, but odd: what decoders read wholly is not refused ---- */

static void is_whole_video(const char *path, const char *what)
{
    Probe p;
    ImageList list = {0};
    const Status read = image_read_sequence(path, FRAMES + 1, &list);
    if (failed(read) || list.count != FRAMES) fail_msg("%s, %s: %d frames: %s", path, what, list.count, read.message);
    const Status status = probe_video(path, &p);
    if (failed(status)) fail_msg("%s, %s: %s", path, what, status.message);
    image_list_clear(&list);
}

static void is_whole_picture(const char *path, const char *what, const Picture *expected)
{
    Probe p;
    ImageList list = {0};
    const Status read = image_read(path, &list), status = probe_picture(path, &p);
    if (failed(read)) fail_msg("%s, %s: %s", path, what, read.message);
    if (failed(status)) fail_msg("%s, %s: %s", path, what, status.message);
    const Picture *seen = &list.picture[0];
    assert_int_equal(seen->width, expected->width);
    assert_int_equal(seen->height, expected->height);
    assert_memory_equal(seen->rgb, expected->rgb, (size_t)seen->width * (size_t)seen->height * 3);
    image_list_clear(&list);
}

/* A fixture and its pixels. */
static char *read_picture(const char *name, size_t *bytes, ImageList *pixels)
{
    char *path = text_format("%s/pictures/%s", FIXTURES, name), *data;
    assert_int_equal(file_read(path, 1 << 20, &data, bytes).err, OK);
    assert_int_equal(image_read(path, pixels).err, OK);
    free(path);
    return data;
}

static char *behind(const char *data, size_t bytes, const void *more, size_t more_bytes)
{
    char *both = test_malloc(bytes + more_bytes);
    memcpy(both, data, bytes);
    memcpy(both + bytes, more, more_bytes);
    return both;
}

/* What cameras and uploads leave behind the last box. */
static const struct {
    const char *name, *data;
    size_t bytes;
} trailer[] = {
    {"four zero bytes", "\0\0\0\0", 4},
    {"many zero bytes", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20},
    {"text", "made by a camera of the year 2019\n", 34},
    {"a part of a box of filling", "\0\0\x40\0free....", 12},
    {"a part of a long box of filling", "\0\0\0\1free....", 12},
    {"a box that is too short", "\0\0\0\4SEFT....", 12},
};

/* The last box of this kind goes to the end of the file. */
static void to_the_end(char *data, size_t bytes, const char *box)
{
    for (size_t i = bytes - 4; i >= 4; i--)
        if (memcmp(data + i, box, 4) == 0) {
            memset(data + i - 4, 0, 4);
            return;
        }
    fail_msg("no box %s", box);
}

static void test_bytes_behind_the_boxes_of_a_picture(void **state)
{
    (void)state;
    static const char *const name[] = {"telephone.heic", "still.avif"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        size_t bytes;
        ImageList pixels = {0};
        char *data = read_picture(name[i], &bytes, &pixels);
        for (size_t k = 0; k < sizeof trailer / sizeof *trailer; k++) {
            char *longer = behind(data, bytes, trailer[k].data, trailer[k].bytes);
            put_quickly(name[i], longer, bytes + trailer[k].bytes);
            is_whole_picture(name[i], trailer[k].name, pixels.picture);
            test_free(longer);
        }
        to_the_end(data, bytes, "mdat");
        put_quickly(name[i], data, bytes);
        is_whole_picture(name[i], "the last box without a size", pixels.picture);
        image_list_clear(&pixels);
        free(data);
    }
}

static void test_bytes_behind_the_boxes_of_a_video(void **state)
{
    (void)state;
    static const char *const video[][3] = {
        {"", "last.mp4", "moov"}, {"-movflags faststart", "first.mp4", "mdat"}, {"", "last.mov", "moov"}};
    need_ffmpeg();
    for (size_t i = 0; i < sizeof video / sizeof *video; i++) {
        const char *path = video[i][1];
        size_t bytes;
        char *data;
        make_video(video[i][0], path);
        assert_int_equal(file_read(path, 1 << 20, &data, &bytes).err, OK);
        for (size_t k = 0; k < sizeof trailer / sizeof *trailer; k++) {
            char *longer = behind(data, bytes, trailer[k].data, trailer[k].bytes);
            put_quickly(path, longer, bytes + trailer[k].bytes);
            is_whole_video(path, trailer[k].name);
            test_free(longer);
        }
        to_the_end(data, bytes, video[i][2]);
        put_quickly(path, data, bytes);
        is_whole_video(path, "the last box without a size");
        free(data);
    }
    Probe p; /* pixels to the end, and not a word on what they are */
    put_quickly("no.mp4",
                "\0\0\0\x10"
                "ftypisom\0\0\0\0\0\0\0\0mdat........",
                32);
    assert_non_null(strstr(probe_video("no.mp4", &p).message, "cut short"));
}

/* A pipe: its start cannot be written once its length is known. */
static void test_an_avi_that_does_not_know_its_size(void **state)
{
    (void)state;
    need_ffmpeg();
    size_t bytes;
    char *data;
    make_video("-f avi", "- | cat >piped.avi");
    is_whole_video("piped.avi", "from a pipe");
    assert_int_equal(file_read("piped.avi", 1 << 20, &data, &bytes).err, OK);
    for (int value = 0; value < 256; value += 255) {
        memset(data + 4, value, 4);
        put_quickly("size.avi", data, bytes);
        is_whole_video("size.avi", value ? "size of ones" : "size of zeros");
    }
    free(data);
}

static void test_a_bmp_without_filling(void **state)
{
    (void)state;
    enum { HEADERS = 54 };
    size_t bytes;
    ImageList pixels = {0};
    char *data = read_picture("still.bmp", &bytes, &pixels);
    const size_t rows = (size_t)pixels.picture->height, row = 3 * (size_t)pixels.picture->width,
                 filled = (row + 3) / 4 * 4;
    assert_true(filled > row && bytes == HEADERS + rows * filled);
    for (size_t i = 0; i < rows; i++) memmove(data + HEADERS + i * row, data + HEADERS + i * filled, row);
    put_quickly("thin.bmp", data, HEADERS + rows * row);
    is_whole_picture("thin.bmp", "rows without filling", pixels.picture);
    image_list_clear(&pixels);
    free(data);
}

/* The list of fields, copied behind the pixels with one field more, whose values no file of this size has. */
static void test_a_private_field_of_a_tiff(void **state)
{
    (void)state;
    enum { LIST = 8, FIELD = 12 };
    static const char private[FIELD + 4] =
        "\xe8\xfd\4\0\0\1\0\0\0\0\0\x10"; /* 65000: 256 numbers; then no other list */
    size_t bytes;
    ImageList pixels = {0};
    char *data = read_picture("still.tiff", &bytes, &pixels);
    assert_memory_equal(data, "II*\0\x08\0\0\0", LIST);
    data[LIST]++;
    const size_t fields = (size_t)data[LIST], list = (bytes + 1) / 2 * 2, size = 2 + FIELD * (fields - 1);
    char *longer = test_calloc(1, list + size + sizeof private);
    data[4] = (char)(list & 0xff);
    data[5] = (char)(list >> 8);
    memcpy(longer, data, bytes);
    memcpy(longer + list, data + LIST, size);
    memcpy(longer + list + size, private, sizeof private);
    put_quickly("private.tiff", longer, list + size + sizeof private);
    is_whole_picture("private.tiff", "a private field that points outside", pixels.picture);
    test_free(longer);
    image_list_clear(&pixels);
    free(data);
}

/* Decoders pass over it. */
static void test_bytes_between_the_segments_of_a_jpeg(void **state)
{
    (void)state;
    char *path = text_format("%s/pictures/444.jpg", FIXTURES), *data;
    const char *with = "with.jpg";
    size_t bytes;
    Probe p;
    ImageList list = {0};
    assert_int_equal(file_read(path, 1 << 20, &data, &bytes).err, OK);
    const char *scan = memmem(data, bytes, "\xff\xda", 2);
    assert_non_null(scan);
    const size_t before = (size_t)(scan - data);
    char *longer = test_calloc(1, bytes + 2);
    memcpy(longer, data, before);
    memcpy(longer + before + 2, scan, bytes - before);
    put_quickly(with, longer, bytes + 2);
    assert_int_equal(image_read(with, &list).err, OK);
    assert_string_equal(probe_picture(with, &p).message, "");
    image_list_clear(&list);
    put_quickly(with, longer, bytes);
    assert_true(failed(probe_picture(with, &p)));
    test_free(longer);
    free(data);
    free(path);
}

static void put_box(char **at, size_t bytes, const char *kind)
{
    const unsigned char size[4] = {0, 0, (unsigned char)(bytes >> 8), (unsigned char)bytes};
    memcpy(*at, size, 4);
    memcpy(*at + 4, kind, 4);
    *at += 8;
}

/* ftyp, moov { trak { mdia { hdlr vide, minf { stbl { stsz of 17 samples }}}}} */
static size_t make_mp4(char *data)
{
    char *at = data;
    memset(data, 0, 200);
    put_box(&at, 16, "ftyp");
    memcpy(at, "isom", 4);
    at += 8;
    put_box(&at, 100, "moov");
    put_box(&at, 92, "trak");
    put_box(&at, 84, "mdia");
    put_box(&at, 32, "hdlr");
    memcpy(at + 8, "vide", 4);
    at += 24;
    put_box(&at, 44, "minf");
    put_box(&at, 36, "stbl");
    put_box(&at, 28, "stsz");
    at[11] = 17;
    at += 20;
    return (size_t)(at - data);
}

static void test_frames_of_an_mp4(void **state)
{
    (void)state;
    const char *path = "x.mp4";
    char data[200];
    size_t bytes = make_mp4(data);
    Probe p;
    put_quickly(path, data, bytes);
    assert_int_equal(probe_video(path, &p).err, OK);
    assert_int_equal(p.frames, 17);
    assert_non_null(strstr(probe_picture(path, &p).message, "an MP4 video; expected a picture"));
    for (size_t i = 0; i < bytes; i++) /* whatever is damaged: an answer, and no hang */
        for (int value = 0; value < 256; value += 85) {
            char kept = data[i];
            data[i] = (char)value;
            put_quickly(path, data, bytes);
            (void)probe_video(path, &p);
            data[i] = kept;
        }
    for (size_t n = 0; n < bytes; n += 3) {
        put_quickly(path, data, n);
        (void)probe_video(path, &p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_pictures_that_are_cut),
        cmocka_unit_test(test_videos_that_are_cut),
        cmocka_unit_test(test_bytes_behind_the_boxes_of_a_picture),
        cmocka_unit_test(test_bytes_behind_the_boxes_of_a_video),
        cmocka_unit_test(test_an_avi_that_does_not_know_its_size),
        cmocka_unit_test(test_a_bmp_without_filling),
        cmocka_unit_test(test_a_private_field_of_a_tiff),
        cmocka_unit_test(test_bytes_between_the_segments_of_a_jpeg),
        cmocka_unit_test(test_frames_of_an_mp4),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
