/* test_rendition.c - the renditions that ship, and what a renditions file must not say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/file.h"
#include "coordinator/campaign/rendition.h"

static const Place place = {"c.yaml", 9, "renditions"};

/* The compiled-in text is the file, and the file is right: else rendition_list aborts. */
static void test_the_file_is_compiled_in(void **state)
{
    (void)state;
    char *text;
    size_t bytes;
    assert_int_equal(file_read(SOURCE_DIR "/configs/renditions.yaml", 1 << 20, &text, &bytes).err, OK);
    assert_int_equal(bytes, rendition_text_bytes);
    assert_memory_equal(text, rendition_text, bytes);
    Faults *faults = faults_new();
    RenditionList list;
    rendition_list_parse("configs/renditions.yaml", text, bytes, faults, &list);
    assert_string_equal(faults_status(faults).message, "");
    assert_int_equal(list.count, rendition_list()->count);
    faults_free(&faults);
    free(text);
}

static void test_the_promised_ones(void **state)
{
    (void)state;
    static const char *const vertical[] = {"reels", "shorts", "tiktok"};
    Faults *faults = faults_new();
    Rendition r;
    for (int i = 0; i < 3; i++) {
        assert_true(rendition_find(vertical[i], 64, 112, place, faults, &r));
        assert_string_equal(r.name, vertical[i]);
        assert_int_equal(r.width, 1080);
        assert_int_equal(r.height, 1920);
        assert_true(r.safe_top >= 5 && r.safe_bottom >= 20);
        if (i != 1) assert_true(r.fps == 30 && r.min_fps == 23 && r.max_fps == 60 && r.min_s == 3); /* Reels, TikTok */
    }
    assert_true(rendition_find("preview", 64, 112, place, faults, &r));
    assert_in_range(r.width, 16, 1079);
    assert_true(rendition_find("master", 64, 112, place, faults, &r));
    assert_int_equal(r.width, 64);
    assert_int_equal(r.height, 112);
    assert_string_equal(faults_status(faults).message, "");
    assert_false(rendition_find("reel", 64, 112, place, faults, &r));
    assert_string_equal(
        faults_status(faults).message,
        "c.yaml:9: field renditions: no rendition \"reel\"; did you mean reels? There are reels, shorts, "
        "tiktok, stories, feed, square, web, preview, poster, gif, master");
    faults_free(&faults);
}

static void is_refused(const char *text, const char *expected)
{
    Faults *faults = faults_new();
    RenditionList list;
    rendition_list_parse("r.yaml", text, strlen(text), faults, &list);
    assert_string_equal(faults_status(faults).message, expected);
    faults_free(&faults);
}

static void test_refuses(void **state)
{
    (void)state;
    is_refused("a: {crf: 18, preset: fast}\na: {crf: 18, preset: fast}\n", "r.yaml: field a: given a second time");
    is_refused("a: {crf: 64, preset: fat, sise: 64x64}\n",
               "3 faults in the input, nothing was started:\n"
               "r.yaml:1: field a.crf: \"64\", expected a whole number from 0 to 63\n"
               "r.yaml:1: field a.preset: \"fat\", expected ultrafast, superfast, veryfast, faster, fast, medium, "
               "slow, slower "
               "or veryslow\n"
               "r.yaml:1: field a.sise: unknown key; did you mean size?");
    is_refused("a: {size: 63x64, preset: fast, crf: 1}\n",
               "r.yaml: field a: size 63x64, expected even numbers: the colours have half the resolution");
    is_refused("../a: {preset: fast, crf: 1}\n",
               "r.yaml: field ../a: no name for a rendition; expected 1 to 31 of a-z, 0-9, - and _, and not \"sheet\"");
    is_refused("a: 7\n", "r.yaml:1: \"a\": \"7\", expected a name and its table of keys");
    is_refused("a: {crf: 52}\n", "r.yaml: field a: crf 52, expected 0 to 51 for h264");
    is_refused("a: {fps: 30, min_fps: 60, max_fps: 23}\n",
               "r.yaml: field a: min_fps 60 and max_fps 23, expected a range, and fps for what is outside of it");
    is_refused("a: {color: red}\n", "r.yaml: field a: color \"red\", expected \"#RRGGBB\"");
    is_refused("a: {safe: {top: 46}}\n", "r.yaml:1: field a.safe.top: \"46\", expected a number from 0 to 45 per cent");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_file_is_compiled_in),
        cmocka_unit_test(test_the_promised_ones),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
