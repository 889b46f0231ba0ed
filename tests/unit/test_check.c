/* test_check.c - what `check` says of a campaign, to people and to programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/file.h"
#include "coordinator/verbs/check.h"

/* Three rows, of which the last is refused and the others share a shot. */
static Campaign *make_campaign(void)
{
    static const char csv[] = "id,a\njürgen,\"x, y\"\nbob,\nzoe,z\n";
    Campaign *c = memory_get(1, sizeof *c);
    Faults *faults = faults_new();
    customers_parse_csv("c.csv", csv, sizeof csv - 1, NULL, faults, &c->customers);
    assert_int_equal(faults_count(faults), 0);
    faults_free(&faults);
    c->file = text_copy("c.yaml");
    c->name = text_copy("test");
    c->folder = text_copy(".");
    c->model_folder = text_copy("model");
    c->customers_file = text_copy("c.csv");
    memset(c->model_hash, 'a', HASH_TEXT - 1);
    memset(c->fingerprint, 'b', HASH_TEXT - 1);
    c->model = memory_get(1, sizeof *c->model);
    c->model->vae.z_dim = 16;
    c->model->vae.scale_space = 8;
    c->model->vae.scale_time = 4;
    c->rendition_count = 2;
    c->rendition[0] = (Rendition){.name = "reels", .width = 1080, .height = 1920, .crf = 18, .preset = "medium"};
    c->rendition[1] = (Rendition){.name = "tiny", .width = 64, .height = 112, .preset = "fast", .max_kbps = 8};
    c->share_shots = true;
    c->plan_text = texts_new();
    c->clip_count = 3;
    c->clip = memory_get(3, sizeof *c->clip);
    for (int i = 0; i < 3; i++)
        c->clip[i] = (PlannedClip){.clip_id = c->customers.value[2 * i], .stem = c->customers.value[2 * i]};
    c->clip[2].shot = -1;
    c->clip[2].refusal = text_copy("no consent");
    c->shot_count = 1;
    c->shot = memory_get(1, sizeof *c->shot);
    c->shot[0].spec = (ShotSpec){.prompt = texts_keep(c->plan_text, "a \"red\" ball", 12),
                                 .negative = texts_keep(c->plan_text, "", 0),
                                 .seed = 7,
                                 .width = 64,
                                 .height = 112,
                                 .frames = 33,
                                 .fps = 8,
                                 .steps = 16,
                                 .guidance = 4.5,
                                 .scheduler = "unipc"};
    return c;
}

static char *printed(const Campaign *c, void (*print)(const Campaign *, FILE *))
{
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    assert_non_null(f);
    print(c, f);
    fclose(f);
    return text;
}

static void test_summary(void **state)
{
    (void)state;
    Campaign *c = make_campaign();
    CheckSummary sum;
    check_summarise(c, &sum);
    assert_true(sum.refused == 1 && sum.shared == 1 && sum.videos == 4);
    assert_true(sum.duration_s == 4.125);
    assert_true(sum.latents_bytes == 16.0 * 9 * (112 / 8) * (64 / 8) * 4);
    c->rendition_count = 1;
    CheckSummary first;
    check_summarise(c, &first);
    assert_true(first.video_bytes < sum.video_bytes);
    assert_true(sum.video_bytes - first.video_bytes <= 2 * 8000 * 4.125 / 8 + 1); /* the cap holds */
    campaign_free(&c);
}

static void test_for_people(void **state)
{
    (void)state;
    Campaign *c = make_campaign();
    char *text = printed(c, check_print);
    static const char *const line[] = {
        "test: 1 of 3 rows is refused\n",
        "  customers   c.csv: 3 rows, 2 columns\n",
        "  render      64x112, 33 frames at 8 per second = 4.12 s, 16 steps, guidance 4.5, unipc\n",
        "  shots       1 to render; 1 of 2 clips shares another's\n",
        "  clips       2 to make, 1 refused\n",
        "clips/ID.mp4\n",
        "at most 8 kbit/s: clips/ID.tiny.mp4\n",
        "  jürgen       seed 7  a \"red\" ball\n",
        "  refused: c.csv:4: zoe: no consent\n",
        "reelwright run c.yaml --out DIR",
    };
    for (size_t i = 0; i < sizeof line / sizeof *line; i++)
        if (!strstr(text, line[i])) fail_msg("no \"%s\" in:\n%s", line[i], text);
    free(text);
    campaign_free(&c);
}

static json_int_t integer(const json_t *o, const char *key)
{
    assert_true(json_is_integer(json_object_get(o, key)));
    return json_integer_value(json_object_get(o, key));
}

static void test_for_programs(void **state)
{
    (void)state;
    Campaign *c = make_campaign();
    char *text = printed(c, check_print_json);
    json_t *o = json_loads(text, 0, NULL);
    assert_non_null(o);
    assert_int_equal(integer(o, "rows"), 3);
    assert_int_equal(integer(o, "clips"), 2);
    assert_int_equal(integer(o, "refused"), 1);
    assert_int_equal(integer(o, "shots"), 1);
    assert_int_equal(integer(o, "shared"), 1);
    assert_int_equal(integer(o, "videos"), 4);
    assert_int_equal(integer(json_object_get(o, "render"), "frames"), 33);
    assert_int_equal(json_array_size(json_object_get(o, "renditions")), 2);
    const json_t *refusal = json_array_get(json_object_get(o, "refusals"), 0);
    assert_string_equal(json_string_value(json_object_get(refusal, "id")), "zoe");
    assert_int_equal(integer(refusal, "line"), 4);
    json_decref(o);
    free(text);
    campaign_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_for_people),
        cmocka_unit_test(test_for_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
