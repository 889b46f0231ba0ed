/* test_media.c - pictures and videos that rows name: what they are, which model takes them, every fault with its place, and that
 * content decides about the shot. */
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
#include "common/shot_file.h"
#include "coordinator/campaign/campaign.h"
#include "worker/render/conditions.h"

#define FIXTURES     SOURCE_DIR "/tests/parity/fixtures"
#define HEAD(MODEL)  "campaign: test\nmodel: " FIXTURES "/" MODEL "/model\ncustomers: c.csv\nprompt: x\nseed: 7\n"
#define IMAGE_MODEL  HEAD("i2v_a14b-0")
#define ENDS_MODEL   HEAD("flf2v-0")
#define VACE_MODEL   HEAD("vace-0")
#define TEXT_MODEL   HEAD("t2v-0")
#define TOKENS_MODEL HEAD("ti2v5b_i2v-0")

static char folder[] = "test_media_XXXXXX";

static void copy(const char *from, const char *to)
{
    char *data, *path = path_join(folder, to);
    size_t bytes;
    assert_int_equal(file_read(from, 1 << 20, &data, &bytes).err, OK);
    assert_int_equal(file_replace(path, data, bytes).err, OK);
    free(data);
    free(path);
}

static void put(const char *name, const char *data, size_t bytes)
{
    char *path = path_join(folder, name);
    assert_int_equal(file_replace(path, data, bytes).err, OK);
    free(path);
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    copy(FIXTURES "/i2v_a14b-0/image.png", "anna.png");
    copy(FIXTURES "/i2v_a14b-0/image.png", "same.png");
    copy(FIXTURES "/flf2v-0/image_last.png", "other.png");
    put("text.png", "no picture at all, but long enough to be looked at", 50);
    put("empty.png", "", 0);
    char *frames = path_join(folder, "frames"), *pipe = path_join(folder, "pipe.png");
    bool made = mkdir(frames, 0700) == 0 && mkfifo(pipe, 0600) == 0;
    free(frames);
    free(pipe);
    copy(FIXTURES "/i2v_a14b-0/image.png", "frames/1.png");
    copy(FIXTURES "/i2v_a14b-0/image.png", "frames/2.png");
    return made ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char *command = text_format("rm -rf '%s'", folder);
    int status = system(command);
    free(command);
    return status;
}

static Status load(const char *yaml, const char *csv, Campaign **c)
{
    put("c.yaml", yaml, strlen(yaml));
    put("c.csv", csv, strlen(csv));
    char *path = path_join(folder, "c.yaml");
    Status s = campaign_load(path, c);
    free(path);
    return s;
}

static Campaign *plan(const char *yaml, const char *csv)
{
    Campaign *c;
    assert_string_equal(load(yaml, csv, &c).message, "");
    return c;
}

static void is_refused(const char *yaml, const char *csv, const char *said)
{
    Campaign *c;
    Status s = load(yaml, csv, &c);
    assert_null(c);
    assert_int_equal(s.err, ERR_INPUT);
    if (!strstr(s.message, said)) fail_msg("expected \"%s\" in: %s", said, s.message);
}

/* ---- plans ---- */

static void test_adapters(void **state)
{
    (void)state;
    copy(FIXTURES "/calls/lora-peft/lora0.safetensors", "style.safetensors");
    copy(FIXTURES "/calls/lora-published/lora1.safetensors", "anna.safetensors");
    Campaign *c = plan(TEXT_MODEL "loras: [{file: style.safetensors, scale: 0.5}, {file: \"{{own|}}\"}]\n",
                       "id,own\na,\nb,anna.safetensors\nc,\n");
    assert_int_equal(c->shot_count, 2); /* a and c have the same */
    const ShotMedia *m = c->shot[c->clip[1].shot].spec.media;
    assert_int_equal(m->lora_count, 2);
    assert_true(m->lora[0].scale == 0.5 && m->lora[1].scale == 1);
    assert_string_equal(m->lora[1].expert, "both");
    assert_int_equal(conditions_verify(m).err, OK);
    campaign_free(&c);
    is_refused(TEXT_MODEL "loras: [{file: style.safetensors, expert: low}]\n", "id\na\n", "one transformer");
    is_refused(TEXT_MODEL "loras: [{scale: 2}]\n", "id\na\n", "loras.file: missing");
    is_refused(TEXT_MODEL "loras: [{file: style.safetensors, strength: 2}]\n", "id\na\n",
               "loras.strength: unknown key");
    is_refused(TEXT_MODEL "loras: style.safetensors\n", "id\na\n", "a list of 1 to 64 tables, [{file: ...}]");
    is_refused(TEXT_MODEL "loras: [{file: anna.png}]\n", "id\na\n", "no safetensors file");
    is_refused(TEXT_MODEL "loras: [{file: frames}]\n", "id\na\n", "a folder; expected a safetensors file");
    is_refused(TEXT_MODEL "loras: [{file: pipe.png}]\n", "id\na\n", "a pipe; expected a safetensors file");
    is_refused(TEXT_MODEL "loras: [{file: absent.safetensors}]\n", "id\na\n", "absent.safetensors");
}

/* A header of 640 bytes begins as a pickle does. */
static void test_length_that_begins_as_a_pickle(void **state)
{
    static const char header[] = "{\"blocks.0.attn1.to_q.lora_A.weight\":{\"dtype\":\"F32\",\"shape\":[1,1],"
                                 "\"data_offsets\":[0,4]}}";
    char text[8 + 640 + 4 + 1] = "\x80\2";
    (void)state;
    snprintf(text + 8, sizeof text - 8, "%-640s1234", header);
    put("padded.safetensors", text, sizeof text - 1);
    Campaign *c = plan(TEXT_MODEL "loras: [{file: padded.safetensors}]\n", "id\na\n");
    assert_int_equal(c->shot[0].spec.media->lora_count, 1);
    campaign_free(&c);
    put("pickle.safetensors", "\x80\2\x8a\nl\xfc\x9c\x46", 8);
    is_refused(TEXT_MODEL "loras: [{file: pickle.safetensors}]\n", "id\na\n", "a PyTorch file");
}

static bool warns(const Campaign *c, const char *text)
{
    bool found = false;
    for (int i = 0; i < c->warnings.count; i++) found |= strstr(c->warnings.warning[i].message, text) != NULL;
    return found;
}

/* A step-distilled adapter brings its schedule to the rows that have it; what the file says goes before. */
static void test_distilled_adapters(void **state)
{
    static const char header[] =
        "{\"__metadata__\":{\"reelwright\":\"{\\\"distilled\\\": {\\\"steps\\\": 4, \\\"flow_shift\\\": 5}}\"},"
        "\"blocks.0.attn1.to_q.lora_A.weight\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]}}";
    char text[sizeof header + 12] = {(char)(sizeof header - 1)};
    (void)state;
    text[0] = (char)((sizeof header - 1) & 255);
    text[1] = (char)((sizeof header - 1) >> 8);
    memcpy(text + 8, header, sizeof header - 1);
    put("fast.safetensors", text, sizeof header - 1 + 12);
    Campaign *c = plan(TEXT_MODEL "loras: [{file: \"{{own|}}\"}]\n", "id,own\na,\nb,fast.safetensors\n");
    const ShotSpec *plain = &c->shot[c->clip[0].shot].spec, *fast = &c->shot[c->clip[1].shot].spec;
    assert_string_equal(plain->scheduler, "unipc");
    assert_string_equal(plain->sigmas, "");
    assert_true(fast->steps == 4 && fast->guidance == 1 && fast->flow_shift == 5);
    assert_string_equal(fast->scheduler, "euler");
    assert_string_equal(fast->sigmas, "distilled");
    assert_false(warns(c, "made for 4 steps"));
    campaign_free(&c);
    c = plan(TEXT_MODEL "reuse: {trunk_steps: 8}\nloras: [{file: \"{{own|}}\"}]\n",
             "id,own\na,\nb,fast.safetensors\nc,fast.safetensors\n");
    plain = &c->shot[c->clip[0].shot].spec, fast = &c->shot[c->clip[1].shot].spec;
    assert_true(plain->trunk_steps == 8 && fast->trunk_steps == 0 && !fast->trunk_prompt);
    assert_true(c->trunk_count == 1 && c->shot[c->clip[0].shot].trunk == 0 && c->shot[c->clip[1].shot].trunk == 1);
    assert_true(warns(c, "take 4 steps, so they do not share the first 8; expected 0 to 3 where they shall"));
    campaign_free(&c);
    c = plan(TEXT_MODEL "reuse: {trunk_steps: 3}\nloras: [{file: \"{{own|}}\"}]\n", "id,own\na,\nb,fast.safetensors\n");
    assert_int_equal(c->shot[c->clip[1].shot].spec.trunk_steps, 3);
    assert_false(warns(c, "share the first"));
    campaign_free(&c);
    c = plan(TEXT_MODEL "steps: 8\nloras: [{file: fast.safetensors}]\n", "id\na\n");
    assert_int_equal(c->shot[0].spec.steps, 8);
    assert_string_equal(c->shot[0].spec.sigmas, "distilled");
    assert_true(warns(c, "made for 4 steps"));
    campaign_free(&c);
}

static void test_content_decides(void **state)
{
    (void)state;
    Campaign *c =
        plan(IMAGE_MODEL "image: \"{{photo}}\"\n", "id,photo\na,anna.png\nb,same.png\nc,other.png\nd,anna.png\n");
    assert_int_equal(c->shot_count, 2);
    assert_int_equal(c->media_count, 3);
    assert_true(c->clip[0].shot == c->clip[1].shot && c->clip[0].shot == c->clip[3].shot);
    const ShotMedia *m = c->shot[c->clip[2].shot].spec.media;
    char sha256[HASH_TEXT], *path = path_join(folder, "other.png"), *real = realpath(path, NULL);
    assert_int_equal(hash_file(path, sha256).err, OK);
    assert_string_equal(m->image.sha256, sha256);
    assert_string_equal(m->image.path, real); /* absolute: a worker may stand elsewhere */
    assert_null(m->last_image.path);
    free(path);
    free(real);
    campaign_free(&c);
}

static void test_every_kind_of_model(void **state)
{
    (void)state;
    Campaign *c = plan(ENDS_MODEL "image: anna.png\nlast_image: other.png\n", "id\na\n");
    assert_non_null(c->shot[0].spec.media->last_image.path);
    campaign_free(&c);
    c = plan(IMAGE_MODEL "image: anna.png\nlast_image: \"{{last|}}\"\n", "id,last\na,\nb,other.png\n");
    assert_null(c->shot[c->clip[0].shot].spec.media->last_image.path);
    assert_non_null(c->shot[c->clip[1].shot].spec.media->last_image.path);
    campaign_free(&c);
    c = plan(TOKENS_MODEL "image: anna.png\n", "id\na\n");
    campaign_free(&c);
    c = plan(VACE_MODEL "references: [anna.png, \"{{two|}}\"]\ncontrol: {video: frames, scale: 0.5}\n",
             "id,two\na,\nb,other.png\n");
    assert_int_equal(c->shot[c->clip[0].shot].spec.media->reference_count, 1);
    assert_int_equal(c->shot[c->clip[1].shot].spec.media->reference_count, 2);
    assert_true(c->shot[0].spec.media->scale_count == 1 && c->shot[0].spec.media->scale[0] == 0.5);
    campaign_free(&c);
    c = plan(VACE_MODEL, "id\na\n"); /* the prompt alone */
    assert_null(c->shot[0].spec.media);
    campaign_free(&c);
    c = plan(TEXT_MODEL "image: none\nreferences: none\ncontrol: {scale: 1}\n", "id\na\n");
    assert_null(c->shot[0].spec.media);
    campaign_free(&c);
}

/* ---- faults ---- */

static void test_model_and_keys(void **state)
{
    (void)state;
    is_refused(IMAGE_MODEL, "id\na\n", "c.yaml:2: field image: missing; ");
    is_refused(ENDS_MODEL "image: anna.png\n", "id\na\n", "c.yaml:2: field last_image: missing; ");
    is_refused(TEXT_MODEL "image: anna.png\n", "id\na\n", "c.yaml:6: field image: ");
    is_refused(TEXT_MODEL "image: anna.png\n", "id\na\n", "takes none (WanPipeline); leave the key out");
    is_refused(TEXT_MODEL "references: [anna.png]\n", "id\na\n", "field references: ");
    is_refused(IMAGE_MODEL "image: anna.png\ncontrol: {video: frames}\n", "id\na\n", "field control.video: ");
    is_refused(IMAGE_MODEL "image: anna.png\ncontrol: {scale: 0.5}\n", "id\na\n", "field control.scale: ");
    is_refused(TOKENS_MODEL "image: anna.png\nlast_image: anna.png\n", "id\na\n", "c.yaml:7: field last_image: ");
    is_refused(VACE_MODEL "control: {mask: frames}\n", "id\na\n", "field control.video: missing; a mask");
    is_refused(VACE_MODEL "control: {video: frames, scale: [1, 2, 3]}\n", "id\na\n", "3 numbers, expected 1 or 2");
    is_refused(VACE_MODEL "control: {video: frames, scale: much}\n", "id\na\n",
               "\"much\", expected a number from 0 to 100");
    is_refused(IMAGE_MODEL "image: \" \"\n", "id\na\n", "c.yaml:6: field image: empty; expected a file");
    is_refused(IMAGE_MODEL "image: \"{{foto}}\"\n", "id,photo\na,anna.png\n", "no column \"foto\"");
}

static void test_files(void **state)
{
    (void)state;
    static const struct {
        const char *name, *said;
    } wrong[] = {
        {"nobody.png", "\"nobody.png\": no such file"},
        {"anna.jpg", "\"anna.jpg\": no such file; \"anna.png\" is there"},
        {"ANNA.PNG", "no such file; \"anna.png\" is there"},
        {"text.png", "\"text.png\": neither a picture nor a video; expected a picture (PNG, JPEG, WebP, AVIF, HEIC, "
                     "GIF, BMP or TIFF)"},
        {"empty.png", "\"empty.png\": an empty file"},
        {"frames", "\"frames\": a folder; expected a picture"},
        {"pipe.png", "\"pipe.png\": a device or a pipe"},
        {"https://example.com/a.png", "an address, which is not fetched"},
        {"anna.png/x", "no such file"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char *csv = text_format("id,photo\na,anna.png\nb,%s\n", wrong[i].name),
             *said = text_format("c.csv:3: field photo: image %s", wrong[i].said[0] == '"' ? wrong[i].said : "");
        is_refused(IMAGE_MODEL "image: \"{{photo}}\"\n", csv, said);
        is_refused(IMAGE_MODEL "image: \"{{photo}}\"\n", csv, wrong[i].said);
        free(csv);
        free(said);
    }
    is_refused(IMAGE_MODEL "image: \"{{photo}}\"\n", "id,photo\na,\n",
               "c.csv:2: field photo: empty, and image in c.yaml:6");
    is_refused(IMAGE_MODEL "image: \"{{photo|}}\"\n", "id,photo\na,\n", "c.csv:2: field photo: no image; ");
    is_refused(IMAGE_MODEL "image: nobody.png\n", "id\na\nb\n", "c.yaml:6: field image: \"nobody.png\": no such file");
    is_refused(VACE_MODEL "references:\n- anna.png\n- nobody.png\n", "id\na\n",
               "c.yaml:8: field references: \"nobody.png\"");
    is_refused(VACE_MODEL "control: {video: anna.png}\n", "id\na\n", "PNG; expected a video");
    is_refused(VACE_MODEL "control: {video: frames, mask: \"{{m|}}\"}\n", "id,m\na,one\n", "no such file");
    /* several at once */
    is_refused(IMAGE_MODEL "image: \"{{photo}}\"\n", "id,photo\na,x.png\nb,text.png\n", "2 faults in the input");
}

static void test_masks_are_as_long_as_videos(void **state)
{
    (void)state;
    char *one = path_join(folder, "one");
    assert_int_equal(mkdir(one, 0700), 0);
    free(one);
    copy(FIXTURES "/i2v_a14b-0/image.png", "one/1.png");
    is_refused(VACE_MODEL "control: {video: frames, mask: one}\n", "id\na\n", "the mask has 1 frame, expected 2");
    is_refused(VACE_MODEL "control: {video: \"{{v|}}\", mask: one}\n", "id,v\na,\n", "a mask without a control video");
}

static void test_long_videos_are_cut_with_a_word(void **state)
{
    (void)state;
    Campaign *c =
        plan(VACE_MODEL "frames: 1\nrenditions: [master]\ncontrol: {video: \"{{v}}\"}\n", "id,v\na,frames\nb,frames\n");
    assert_int_equal(c->warnings.count, 1); /* both rows have the same */
    assert_non_null(
        strstr(c->warnings.warning[0].message, "c.csv:2: field v: the control video has 2 frames and the clip 1"));
    campaign_free(&c);
}

/* ---- the worker's side ---- */

static void test_a_changed_file_makes_no_clip(void **state)
{
    (void)state;
    copy(FIXTURES "/i2v_a14b-0/image.png", "mine.png");
    Campaign *c = plan(IMAGE_MODEL "image: mine.png\n", "id\na\n");
    const ShotMedia *m = c->shot[0].spec.media;
    MediaPixels pixels;
    assert_int_equal(conditions_verify(m).err, OK);
    assert_int_equal(conditions_read(m, c->model, 9, true, &pixels).err, OK);
    assert_int_equal(conditions_of(&pixels)->image->width, 64);
    conditions_clear(&pixels);
    copy(FIXTURES "/flf2v-0/image_last.png", "mine.png");
    Status s = conditions_verify(m);
    assert_int_equal(s.err, ERR_CLIP);
    assert_non_null(strstr(s.message, "image: the file has changed since it was planned"));
    assert_null(strstr(s.message, "mine")); /* reasons go into logs, and a name may be a customer's */
    char *path = path_join(folder, "mine.png");
    unlink(path);
    s = conditions_verify(m);
    assert_int_equal(s.err, ERR_RETRY); /* another machine may see it */
    put("mine.png", "no picture at all, but long enough to be looked at", 50);
    s = conditions_read(m, c->model, 9, true, &pixels);
    conditions_clear(&pixels);
    assert_int_equal(s.err, ERR_INPUT);
    assert_null(strstr(s.message, "mine"));
    s = conditions_read(m, c->model, 9, false, &pixels);
    conditions_clear(&pixels);
    assert_non_null(strstr(s.message, "mine.png"));
    free(path);
    campaign_free(&c);
}

static void test_folders_by_names_and_contents(void **state)
{
    (void)state;
    char *frames = path_join(folder, "frames"), a[HASH_TEXT], b[HASH_TEXT];
    assert_int_equal(shot_file_hash(frames, a).err, OK);
    put("frames/.hidden", "x", 1);
    assert_int_equal(shot_file_hash(frames, b).err, OK);
    assert_string_equal(a, b);
    copy(FIXTURES "/flf2v-0/image_last.png", "frames/2.png");
    assert_int_equal(shot_file_hash(frames, b).err, OK);
    assert_string_not_equal(a, b);
    char *pipe = path_join(folder, "pipe.png");
    assert_int_equal(shot_file_hash(pipe, b).err, ERR_INPUT); /* and does not wait */
    free(pipe);
    free(frames);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content_decides),
        cmocka_unit_test(test_adapters),
        cmocka_unit_test(test_length_that_begins_as_a_pickle),
        cmocka_unit_test(test_distilled_adapters),
        cmocka_unit_test(test_every_kind_of_model),
        cmocka_unit_test(test_model_and_keys),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_masks_are_as_long_as_videos),
        cmocka_unit_test(test_long_videos_are_cut_with_a_word),
        cmocka_unit_test(test_a_changed_file_makes_no_clip),
        cmocka_unit_test(test_folders_by_names_and_contents),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
