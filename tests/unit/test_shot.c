/* test_shot.c - a shot's text says all of it, and its key depends on what its files hold, not on where they lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/shot.h"

static const char model[] = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";

static ShotSpec plain(void)
{
    return (ShotSpec){.prompt = text_copy("ein \"roter\"\nBallon, 1\xc2\xbd"),
                      .negative = text_copy(""),
                      .seed = UINT64_MAX,
                      .width = 64,
                      .height = 112,
                      .frames = 33,
                      .fps = 8,
                      .steps = 16,
                      .guidance = 0.1 + 0.2,
                      .flow_shift = 3,
                      .scheduler = "unipc"};
}

static ShotFile file_of(const char *path, char digit)
{
    ShotFile f = {.path = text_copy(path)};
    memset(f.sha256, digit, HASH_TEXT - 1);
    return f;
}

static ShotSpec rich(void)
{
    ShotSpec s = plain();
    s.media = memory_get(1, sizeof *s.media);
    s.media->image = file_of("/a/image.png", '1');
    s.media->last_image = file_of("/a/last.png", '2');
    s.media->control_video = file_of("/a/walk.mp4", '3');
    s.media->control_mask = file_of("/a/mask", '4');
    s.media->scale_count = 2;
    s.media->scale = memory_get(2, sizeof(double));
    s.media->scale[0] = 1;
    s.media->scale[1] = 0.75;
    s.media->reference_count = 2;
    s.media->reference = memory_get(2, sizeof(ShotFile));
    s.media->reference[0] = file_of("/a/anna.png", '5');
    s.media->reference[1] = file_of("/a/\xc3\xbc.jpg", '6');
    s.media->lora_count = 1;
    s.media->lora = memory_get(1, sizeof(ShotLora));
    s.media->lora[0] = (ShotLora){.file = file_of("/a/style.safetensors", '7'), .scale = 0.8, .expert = "high"};
    s.trunk_steps = 4;
    s.trunk_prompt = text_copy("a \"ball\"");
    s.reused_steps = text_copy("3,5");
    s.guided_from = 0.9;
    s.guided_to = 0.1 + 0.2;
    return s;
}

static void test_the_text_says_all_of_it(void **state)
{
    (void)state;
    ShotSpec shots[] = {plain(), rich()};
    for (int i = 0; i < 2; i++) {
        ShotSpec back, copy;
        char key[HASH_TEXT], same[HASH_TEXT];
        char *text = shot_to_json(&shots[i]), *again;
        assert_int_equal(shot_from_json(text, &back).err, OK);
        assert_true(back.seed == UINT64_MAX && back.guidance == 0.1 + 0.2 && back.fps == 8);
        assert_string_equal(back.prompt, shots[i].prompt);
        shot_copy(&copy, &back);
        again = shot_to_json(&copy);
        assert_string_equal(text, again);
        shot_key(&shots[i], model, key);
        shot_key(&copy, model, same);
        assert_string_equal(key, same);
        assert_int_equal(strchr(text, '\n') == NULL, true);
        free(text);
        free(again);
        shot_clear(&back);
        shot_clear(&copy);
        shot_clear(&shots[i]);
    }
}

/* Of what is said the sound counts: not where a recording lies, nor how long its engine may take. */
static void test_what_is_said_counts(void **state)
{
    (void)state;
    static const struct {
        const char *speech;
        bool same; /* as the first */
    } row[] = {
        {"{\"text\":\"Hi\",\"at\":0.3,\"time_limit\":60,\"file\":\"/a.wav\",\"sha256\":\"1\"}", true},
        {"{\"sha256\":\"1\",\"text\":\"Hi\",\"at\":0.3,\"time_limit\":9,\"retries\":1,\"file\":\"/b.wav\"}", true},
        {"{\"text\":\"Hi\",\"at\":0.3,\"sha256\":\"1\",\"voice_ref\":\"cameo:a/0@/s\",\"too_long\":\"refuse\"}", true},
        {"{\"text\":\"Ho\",\"at\":0.3,\"sha256\":\"1\"}", false},
        {"{\"text\":\"Hi\",\"at\":0.4,\"sha256\":\"1\"}", false},
        {"{\"text\":\"Hi\",\"at\":0.3,\"sha256\":\"2\"}", false},
        {"{\"text\":\"Hi\",\"at\":0.3,\"sha256\":\"1\",\"voice_sha256\":\"3\"}", false},
        {"{\"text\":\"Hi\",\"at\":0.3,\"sha256\":\"1\",\"lexicon\":[{\"word\":\"Hi\",\"say\":\"Ho\"}]}", false}};
    char first[HASH_TEXT], none[HASH_TEXT];
    ShotSpec dumb = plain();
    shot_key(&dumb, model, none);
    shot_clear(&dumb);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        ShotSpec s = plain(), back;
        char key[HASH_TEXT], again[HASH_TEXT];
        s.media = memory_get(1, sizeof *s.media);
        s.media->speech = text_copy(row[i].speech);
        shot_key(&s, model, key);
        if (i == 0) memcpy(first, key, sizeof first);
        assert_int_equal(strcmp(key, first) == 0, row[i].same);
        assert_string_not_equal(key, none);
        char *text = shot_to_json(&s);
        assert_int_equal(shot_from_json(text, &back).err, OK);
        shot_key(&back, model, again);
        assert_string_equal(key, again);
        assert_int_equal(shot_rounds(&back), 1);
        back.frames = 80;
        assert_int_equal(shot_rounds(&back), 2);
        free(text);
        shot_clear(&back);
        shot_clear(&s);
    }
}

/* Its voice is in the key: neither what was planned nor the limit is, but that it follows the voice. */
static void test_a_shot_that_follows_its_voice(void **state)
{
    (void)state;
    ShotSpec s = plain(), back;
    char number[HASH_TEXT], key[HASH_TEXT], other[HASH_TEXT];
    shot_key(&s, model, number);
    s.frames_most = 480;
    shot_key(&s, model, key);
    assert_string_not_equal(key, number);
    char *text = shot_to_json(&s);
    assert_int_equal(shot_from_json(text, &back).err, OK);
    assert_int_equal(back.frames_most, 480);
    s.frames_most = 160;
    s.frames = 79;
    shot_key(&s, model, other);
    assert_string_equal(key, other);
    free(text);
    shot_clear(&back);
    shot_clear(&s);
}

/* Campaigns of earlier versions share their shots with those of later ones. */
static void test_a_shot_without_files_keeps_its_key(void **state)
{
    (void)state;
    ShotSpec s = plain();
    char key[HASH_TEXT], wanted[HASH_TEXT];
    Hash *h = hash_begin();
    hash_add_field(h, "model", "%s", model);
    hash_add_field(h, "prompt", "%s", s.prompt);
    hash_add_field(h, "negative", "%s", "");
    hash_add_field(h, "seed", "%s", "18446744073709551615");
    hash_add_field(h, "size", "64x112");
    hash_add_field(h, "frames", "33");
    hash_add_field(h, "steps", "16");
    hash_add_field(h, "guidance", "%.17g", 0.1 + 0.2);
    hash_add_field(h, "guidance_2", "0");
    hash_add_field(h, "flow_shift", "3");
    hash_add_field(h, "scheduler", "unipc");
    hash_end(h, wanted);
    shot_key(&s, model, key);
    assert_string_equal(key, wanted);
    shot_clear(&s);
}

static void test_every_file_counts_by_content(void **state)
{
    (void)state;
    ShotSpec s = rich();
    ShotMedia *m = s.media;
    char key[HASH_TEXT], other[HASH_TEXT];
    ShotFile *const file[] = {&m->image,        &m->last_image,   &m->control_video, &m->control_mask,
                              &m->reference[0], &m->reference[1], &m->lora[0].file};
    shot_key(&s, model, key);
    for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
        char *path = file[i]->path, sha256 = file[i]->sha256[5];
        file[i]->path = (char *)(uintptr_t) "/elsewhere";
        shot_key(&s, model, other);
        assert_string_equal(key, other);
        file[i]->sha256[5] = 'f';
        shot_key(&s, model, other);
        assert_string_not_equal(key, other);
        file[i]->sha256[5] = sha256;
        file[i]->path = path;
    }
    m->scale[1] = 1;
    shot_key(&s, model, other);
    assert_string_not_equal(key, other);
    shot_clear(&s);
}

static void test_what_is_no_shot_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *find, *put, *said;
    } change[] = {
        {"\"width\":64", "\"width\":6e400", "JSON object"},
        {"\"width\":64", "\"width\":64000000000", "width"},
        {"\"frames\":33", "\"frames\":\"33\"", "frames"},
        {"\"seed\":\"1844", "\"seed\":\"-844", "seed"},
        {"\"steps\":16,", "", "steps is missing"},
        {"\"scheduler\":\"unipc\"", "\"scheduler\":\"unipcunipcunipcunipc\"", "scheduler"},
        {"\"path\":\"/a/image.png\"", "\"path\":\"a/image.png\"", "image"},
        {"\"path\":\"/a/anna.png\"", "\"paths\":\"/a/anna.png\"", "references"},
        {"\"references\":[", "\"references\":[7,", "references"},
        {"\"control_scale\":[1.0,", "\"control_scale\":[true,", "control_scale[0]"},
        {"\"expert\":\"high\"", "\"expert\":\"higher-than\"", "loras"},
    };
    ShotSpec s = rich(), back;
    char *text = shot_to_json(&s);
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        const char *at = strstr(text, change[i].find);
        assert_non_null(at);
        char *bad = text_format("%.*s%s%s", (int)(at - text), text, change[i].put, at + strlen(change[i].find));
        Status refused = shot_from_json(bad, &back);
        assert_int_equal(refused.err, ERR_INPUT);
        if (!strstr(refused.message, change[i].said)) fail_msg("%s: %s", bad, refused.message);
        assert_null(back.prompt);
        free(bad);
    }
    free(text);
    shot_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_text_says_all_of_it),       cmocka_unit_test(test_what_is_said_counts),
        cmocka_unit_test(test_a_shot_that_follows_its_voice), cmocka_unit_test(test_a_shot_without_files_keeps_its_key),
        cmocka_unit_test(test_every_file_counts_by_content),  cmocka_unit_test(test_what_is_no_shot_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
