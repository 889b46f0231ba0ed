/* test_finish_spec.c - what clips are finished with: the clip's document over the campaign's, equal ones equal texts, damage named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/finish_spec.h"

static const Rendition reels = {.name = "reels", .width = 1080, .height = 1920, .crf = 18, .preset = "medium"};

static char *document(const char *key, const char *value)
{
    json_t *keys = json_object();
    json_object_set_new(keys, key, json_string(value));
    json_object_set_new(keys, "renditions", finish_spec_renditions(&reels, 1));
    return finish_spec_text(keys);
}

static void the_clip_goes_over_the_campaign(void **state)
{
    (void)state;
    char *campaign = document("label", "all");
    FinishSpec s;
    assert_int_equal(finish_spec_read(campaign, "", &s).err, OK);
    assert_string_equal(json_string_value(finish_spec_get(&s, "label")), "all");
    assert_null(finish_spec_get(&s, "voice"));
    assert_true(s.rendition_count == 1 && s.rendition[0].width == 1080 && s.rendition[0].crf == 18);
    assert_string_equal(s.rendition[0].preset, "medium");
    finish_spec_clear(&s);
    assert_int_equal(finish_spec_read(campaign, "{\"label\":\"mine\",\"voice\":{\"text\":\"Hallo Zoë\"}}", &s).err, OK);
    assert_string_equal(json_string_value(finish_spec_get(&s, "label")), "mine");
    assert_string_equal(json_string_value(json_object_get(finish_spec_get(&s, "voice"), "text")), "Hallo Zoë");
    finish_spec_clear(&s);
    free(campaign);
}

static void equal_documents_are_equal_texts(void **state)
{
    (void)state;
    char *campaign = document("label", "all");
    assert_int_equal(strncmp(campaign, "{\"label\":\"all\",\"renditions\":[{\"crf\":18,", 38), 0);
    char hash[HASH_TEXT], other[HASH_TEXT];
    finish_spec_hash(campaign, "", hash);
    finish_spec_hash(campaign, "{\"label\":\"mine\"}", other);
    assert_string_not_equal(hash, other);
    finish_spec_hash(campaign, "", other);
    assert_string_equal(hash, other);
    free(campaign);
}

static void damage_is_named(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{",
        "{\"renditions\":[]}",
        "{\"renditions\":{}}",
        "{\"renditions\":[{\"name\":\"reels\"}]}",
        "{\"renditions\":[{\"name\":\"../x\",\"width\":2,\"height\":2,\"crf\":1,\"preset\":\"fast\",\"max_kbps\":0}]}",
        "{\"renditions\":[{\"name\":\"a name that is longer than thirty-one bytes\",\"width\":2,\"height\":2,\"crf\":1,"
        "\"preset\":\"fast\",\"max_kbps\":0}]}"};
    FinishSpec s;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        Status status = finish_spec_read(bad[i], "", &s);
        assert_int_equal(status.err, ERR_FATAL);
        assert_non_null(strstr(status.message, i == 1 || i == 2 ? "no JSON object" : "damaged \"renditions\""));
        finish_spec_clear(&s);
    }
    char *campaign = document("label", "all");
    assert_int_equal(finish_spec_read(campaign, "[]", &s).err, ERR_FATAL);
    finish_spec_clear(&s);
    free(campaign);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_clip_goes_over_the_campaign),
                                       cmocka_unit_test(equal_documents_are_equal_texts),
                                       cmocka_unit_test(damage_is_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
