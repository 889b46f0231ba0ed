/* The Video-Code, against iscc-core 1.5.0: `make_iscc.py` beside this file made the list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/gate/scene.h"
#include "worker/proof/fingerprint.h"

static const struct {
    const char *file, *iscc64, *iscc256;
} known[] = {
    {"pocket-0.mp4", "ISCC:EMAQELDSIOWZCGCW", "ISCC:EMDQELDSIOWZCGCWMFFFIMNLQE355WXZA2BL2B6NRS6Z2PH5BKPS36A"},
    {"pocket-3.mp4", "ISCC:EMAZER2DWZMJA6SX", "ISCC:EMDZER2DWZMJA6SXIHR2QJ36SAUBTU5BEZCNUV2PBAII2VPFOOTICFI"},
};

static void equals_iscc_core(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char path[512], text[FINGERPRINT_TEXT];
        Fingerprint f, back;
        snprintf(path, sizeof path, SOURCE_DIR "/tests/gate/clips/%s", known[i].file);
        assert_string_equal(fingerprint_file(path, &f).message, "");
        fingerprint_text(&f, 64, text);
        assert_string_equal(text, known[i].iscc64);
        fingerprint_text(&f, 256, text);
        assert_string_equal(text, known[i].iscc256);
        assert_string_equal(fingerprint_parse(text, &back).message, "");
        assert_int_equal(fingerprint_distance(&f, &back), 0);
    }
}

static Fingerprint of_scene(const Scene *s)
{
    FingerprintMaker *m;
    Fingerprint f;
    assert_string_equal(fingerprint_begin(s->width, s->height, s->fps, &m).message, "");
    for (int i = 0; i < s->count; i++) {
        const FilmPicture p = scene_picture(s, i);
        assert_string_equal(fingerprint_picture(m, &p).message, "");
    }
    assert_string_equal(fingerprint_end(&m, &f).message, "");
    return f;
}

/* Recompressed at half the size it stays near; another clip is far. */
static void tells_clips_apart(void **state)
{
    (void)state;
    Fingerprint of[4];
    for (int k = 0; k < 4; k++) {
        Scene s = scene_draw(k % 2, 40 + (unsigned)k, 160, 288, 25, 50), half;
        of[k] = of_scene(&s);
        half = scene_scale(&s, 80, 144);
        assert_string_equal(scene_recode(&half, 30, "veryfast").message, "");
        const Fingerprint again = of_scene(&half);
        const int distance = fingerprint_distance(&of[k], &again);
        if (distance > FINGERPRINT_NEAR) fail_msg("clip %d is %d bits from itself", k, distance);
        scene_free(&s);
        scene_free(&half);
        for (int i = 0; i < k; i++)
            if (fingerprint_distance(&of[k], &of[i]) <= FINGERPRINT_NEAR)
                fail_msg("clips %d and %d look the same", k, i);
    }
}

static void refuses_what_is_none(void **state)
{
    (void)state;
    Fingerprint f;
    FingerprintMaker *m;
    assert_int_equal(fingerprint_parse("ISCC:EMAQELDSIOWZCGCW", &f).err, ERR_INPUT); /* 64 bits */
    assert_int_equal(fingerprint_parse("", &f).err, ERR_INPUT);
    assert_int_equal(fingerprint_parse("ISCC:EIDQELDSIOWZCGCWMFFFIMNLQE355WXZA2BL2B6NRS6Z2PH5BKPS36A", &f).err,
                     ERR_INPUT); /* of audio */
    assert_int_equal(fingerprint_parse("ISCC:EMDQELDSIOWZCGCWMFFFIMNLQE355WXZA2BL2B6NRS6Z2PH5BKPS3!A", &f).err,
                     ERR_INPUT);
    assert_int_equal(fingerprint_begin(16, 16, 25, &m).err, ERR_INPUT);
    assert_int_equal(fingerprint_begin(64, 64, 0, &m).err, ERR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_iscc_core),
        cmocka_unit_test(tells_clips_apart),
        cmocka_unit_test(refuses_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
