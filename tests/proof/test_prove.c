/* The stage of finishing that measures and proves: what it writes into a clip's document and its files. */
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
#include "common/looks.h"
#include "coordinator/campaign/gate_set.h"
#include "tests/gate/scene.h"
#include "trust/certificate.h"
#include "worker/finish/encode.h"
#include "worker/finish/stills.h"
#include "worker/pictures/pixels.h"
#include "worker/proof/c2pa_library.h"
#include "worker/proof/credentials.h"
#include "worker/proof/prove.h"
#include "worker/proof/verify.h"

enum { WIDTH = 288, HEIGHT = 512, FRAMES = 16, FPS = 24 };
static char folder[] = "prove.XXXXXX", *video, *secret, *thumbnail,
            *still; /* still: NULL, or a file that is signed as one */

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    video = path_join(folder, "c-1.mp4");
    secret = path_join(folder, "watermark.key");
    thumbnail = path_join(folder, "c-1.png");
    return failed(trust_make_certificates(folder, "Tests"));
}

static int remove_folder(void **state)
{
    static const char *const name[] = {"c-1.mp4", "c-1.png", "watermark.key", "chain.pem", "signer.pem", "root.pem"};
    (void)state;
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        char *path = path_join(folder, name[i]);
        remove(path);
        free(path);
    }
    free(video);
    free(secret);
    free(thumbnail);
    return rmdir(folder);
}

static Status each_picture(void *self, AVFrame *f, int64_t number)
{
    (void)number;
    const ProvePicture p = {0, f->data, f->linesize, f->width, f->height, FPS};
    return prove_picture(self, &p);
}

static void make_thumbnail(Prove *p, const float *rgb)
{
    AVFrame *f;
    Pixels *pixels;
    assert_string_equal(pixels_frame(WIDTH, HEIGHT, AV_PIX_FMT_RGB24, &f).message, "");
    assert_string_equal(pixels_open(WIDTH, HEIGHT, WIDTH, HEIGHT, AV_PIX_FMT_RGB24, &pixels).message, "");
    assert_string_equal(pixels_convert(pixels, rgb, f, 0, 0).message, "");
    prove_still(p, PROVE_THUMBNAIL, f->data[0], f->linesize[0], f->width, f->height);
    assert_string_equal(stills_write_png(f, thumbnail).message, "");
    pixels_close(&pixels);
    av_frame_free(&f);
}

/* A clip as finishing makes it; black from one frame to another. */
static Status make(const json_t *keys, int black_from, int black_to, json_t *document)
{
    const FinishSpec spec = {.keys = (json_t *)(uintptr_t)keys};
    const ShotSpec shot = {.width = WIDTH, .height = HEIGHT, .frames = FRAMES, .fps = FPS};
    const ProveJob job = {
        .spec = &spec, .shot = &shot, .clip_id = "c-1", .secret_file = secret, .duration_s = (double)FRAMES / FPS};
    float *rgb = malloc(sizeof *rgb * WIDTH * HEIGHT * 3);
    Scene s = scene_draw(0, 3, WIDTH, HEIGHT, FPS, FRAMES);
    Prove *p;
    Encode *e;
    EncodeOptions o = encode_defaults();
    assert_non_null(rgb);
    Status status = prove_begin(&job, &p);
    if (failed(status)) return status;
    o.fps = FPS;
    if (p) o.paint = each_picture;
    o.self = p;
    assert_string_equal(encode_begin(video, &o, &e).message, "");
    for (int i = 0; i < FRAMES; i++) {
        for (int k = 0; k < WIDTH * HEIGHT; k++)
            for (int c = 0; c < 3; c++)
                rgb[3 * k + c] = i >= black_from && i < black_to ? 0 : (float)(scene_plane(&s, i, 0)[k] - 16) / 219;
        assert_string_equal(prove_frames(p, rgb, 1, HEIGHT, WIDTH).message, "");
        assert_string_equal(encode_put(e, rgb, 1, HEIGHT, WIDTH).message, "");
    }
    assert_string_equal(encode_end(&e).message, "");
    make_thumbnail(p, rgb);
    const ProveFiles files = {.path = {[0] = video, [1] = still, [PROVE_THUMBNAIL] = thumbnail}, .is_video = {true}};
    status = prove_end(&p, &files, document);
    assert_null(p);
    scene_free(&s);
    free(rgb);
    return status;
}

static json_t *gates(void)
{
    char *text;
    assert_string_equal(gate_set_json(gate_set_list(), "default", &text).message, "");
    json_t *j = json_loads(text, 0, NULL);
    free(text);
    return j;
}

static void leaves_a_clip_alone_that_asks_for_nothing(void **state)
{
    (void)state;
    json_t *keys = json_object(), *document = json_object();
    assert_string_equal(make(keys, 0, 0, document).message, "");
    assert_int_equal(json_object_size(document), 0);
    assert_false(file_exists(secret));
    json_decref(document);
    json_decref(keys);
}

static void measures_holds_and_fails(void **state)
{
    (void)state;
    json_t *keys = json_pack("{s:o}", "gates", gates()), *document = json_object();
    assert_string_equal(make(keys, 0, 0, document).message, "");
    assert_null(json_object_get(document, "held_by"));
    assert_string_equal(json_string_value(json_object_get(json_object_get(document, "gates"), "verdict")), "pass");
    json_object_clear(document);
    assert_string_equal(make(keys, 10, 12, document).message, "");
    assert_true(json_array_size(json_object_get(document, "held_by")) >= 1);
    json_object_clear(document);
    const Status status = make(keys, 2, 15, document);
    assert_int_equal(status.err, ERR_CLIP);
    assert_non_null(strstr(status.message, "gate black: 0.54"));
    json_decref(document);
    json_decref(keys);
}

static void a_command_measures_too(void **state)
{
    (void)state;
    json_t *bounds = json_pack("{s:{s:i}, s:{s:i}}", "face", "hold_low", 60, "blur", "hold", 500);
    json_t *keys = json_pack("{s:o, s:s}", "gates", bounds, "measure",
                             "cat > prove_asked.json; echo '{\"gates\":{\"face\":{\"value\":40.5,\"at\":0.25}},"
                             "\"engine\":\"a test\"}'"),
           *document = json_object();
    assert_string_equal(make(keys, 0, 0, document).message, "");
    const json_t *face = json_object_get(json_object_get(json_object_get(document, "gates"), "gates"), "face");
    assert_true(json_number_value(json_object_get(face, "value")) == 40.5);
    assert_string_equal(json_string_value(json_array_get(json_object_get(document, "held_by"), 0)), "face");
    assert_string_equal(json_string_value(json_object_get(json_object_get(document, "measure"), "engine")), "a test");
    json_t *asked = json_load_file("prove_asked.json", 0, NULL);
    assert_string_equal(json_string_value(json_object_get(asked, "file")), video);
    assert_int_equal(json_array_size(json_object_get(asked, "gates")), 2);
    assert_null(json_object_get(asked, "face")); /* nobody's is shown */
    json_decref(asked);
    remove("prove_asked.json");
    json_object_set_new(keys, "measure", json_string("echo '{\"gates\":{\"beauty\":{\"value\":1}}}'"));
    Status status = make(keys, 0, 0, document);
    assert_int_equal(status.err, ERR_CLIP);
    assert_non_null(strstr(status.message, "is no gate"));
    json_object_set_new(keys, "measure", json_string("echo no weights here >&2; exit 3"));
    status = make(keys, 0, 0, document);
    assert_int_equal(status.err, ERR_RETRY);
    assert_non_null(strstr(status.message, "no weights here"));
    json_decref(document);
    json_decref(keys);
}

/* Another campaign's clip that looks the same is in the index. */
static void knows_other_campaigns_pictures(void **state)
{
    (void)state;
    json_t *bounds = json_pack("{s:{s:i}, s:{s:i}}", "duplicate", "hold_low", 24, "blur", "hold", 500);
    json_t *keys = json_pack("{s:o}", "gates", bounds), *document = json_object();
    assert_string_equal(make(keys, 0, 0, document).message, "");
    const json_t *found = json_object_get(document, "gates");
    assert_null(json_object_get(json_object_get(found, "gates"), "duplicate")); /* no index, no gate */
    LooksIndex index = {0};
    Looks looks;
    looks_from_json(json_object_get(found, "pdq"), &looks);
    assert_true(looks.count >= 1);
    looks_index_add(&index, "spring", "some shot", &looks);
    assert_string_equal(looks_index_write("prove_index", "spring", &index).message, "");
    looks_index_clear(&index);
    json_object_set_new(keys, "looks", json_string("prove_index"));
    json_object_set_new(keys, "campaign", json_string("tests"));
    json_object_clear(document);
    assert_string_equal(make(keys, 0, 0, document).message, "");
    assert_string_equal(json_string_value(json_array_get(json_object_get(document, "held_by"), 0)), "duplicate");
    file_remove_tree("prove_index");
    json_decref(document);
    json_decref(keys);
}

static void marks_and_recognises(void **state)
{
    (void)state;
    struct stat of;
    json_t *keys = json_pack("{s:b, s:s}", "watermark", 1, "campaign", "tests"), *document = json_object(), *found;
    assert_string_equal(make(keys, 0, 0, document).message, "");
    assert_true(stat(secret, &of) == 0 && of.st_size == 32 && (of.st_mode & 0777) == 0600);
    const json_t *mark = json_array_get(json_object_get(document, "watermarks"), 0);
    assert_true(json_is_true(json_object_get(mark, "found")));
    assert_true(json_real_value(json_object_get(mark, "bit_accuracy")) == 1);
    mark = json_array_get(json_object_get(document, "watermarks"), 1);
    assert_string_equal(json_string_value(json_object_get(mark, "file")), "c-1.png");
    assert_true(json_is_true(json_object_get(mark, "found")) &&
                json_number_value(json_object_get(mark, "p_value")) < 1e-15);
    const char *iscc = json_string_value(json_object_get(document, "iscc"));
    assert_non_null(iscc);
    json_t *clips = json_pack("[{s:s, s:s, s:s}, {s:s, s:s}]", "clip", "c-1", "campaign", "tests", "iscc", iscc, "clip",
                              "c-2", "campaign", "tests");
    VerifyOptions o = {.watermark_key = secret, .clips = clips};
    assert_string_equal(verify_file(video, &o, &found).message, "");
    assert_string_equal(json_string_value(json_object_get(found, "clip")), "c-1");
    assert_true(json_is_true(json_object_get(found, "altered"))); /* its bytes are not in the record */
    assert_true(json_is_true(json_object_get(json_object_get(found, "watermark"), "found")));
    assert_true(json_integer_value(json_object_get(json_object_get(found, "fingerprint"), "distance")) < 20);
    json_decref(found);
    assert_string_equal(verify_file(thumbnail, &o, &found).message, ""); /* by its mark alone: it has no looks */
    assert_string_equal(json_string_value(json_object_get(found, "clip")), "c-1");
    assert_true(json_is_true(json_object_get(json_object_get(found, "watermark"), "found")));
    json_decref(found);
    /* a stranger's */
    assert_string_equal(verify_file(SOURCE_DIR "/tests/gate/clips/pocket-2.mp4", &o, &found).message, "");
    assert_true(json_is_null(json_object_get(found, "clip")));
    assert_true(json_is_null(json_object_get(found, "altered")));
    assert_non_null(strstr(json_string_value(json_object_get(found, "why")), "not ours"));
    json_decref(found);
    json_decref(clips);
    json_decref(document);
    json_decref(keys);
}

static bool says(const char *file, const char *word)
{
    char *data;
    size_t bytes;
    assert_string_equal(file_read(file, 1 << 24, &data, &bytes).message, "");
    const bool found = memmem(data, bytes, word, strlen(word)) != NULL;
    free(data);
    return found;
}

static void signs_last(void **state)
{
    (void)state;
    const C2paLibrary *c;
    CredentialsReading r;
    if (failed(c2pa_library(&c))) {
        print_message("skipped: libc2pa_c.so is not installed (./quickstart.sh build does it)\n");
        skip();
    }
    char *chain = path_join(folder, "chain.pem"), *key = path_join(folder, "signer.pem");
    json_t *keys = json_pack("{s:b, s:s, s:{s:s, s:s}}", "watermark", 1, "campaign", "tests", "credentials",
                             "certificate", chain, "key", key);
    json_t *document = json_object();
    still = path_join(folder, "still.mp4");
    assert_string_equal(file_duplicate(SOURCE_DIR "/tests/gate/clips/pocket-2.mp4", still).message, "");
    assert_string_equal(make(keys, 0, 0, document).message, "");
    assert_string_equal(json_string_value(json_object_get(document, "credentials")), "signed");
    assert_true(says(video, "c2pa.watermarked.bound") && says(video, "com.reelwright.watermark.1") &&
                says(video, "io.iscc.v0"));
    assert_true(says(still, "c2pa.created") && !says(still, "watermark") && !says(still, "iscc")); /* it has no mark */
    assert_true(says(thumbnail, "com.reelwright.watermark.1") && !says(thumbnail, "iscc"));
    remove(still);
    free(still);
    still = NULL;
    assert_string_equal(credentials_read(video, NULL, &r).message, "");
    assert_int_equal(r.state, CREDENTIALS_VALID);
    assert_string_equal(r.clip, "c-1");
    assert_string_equal(r.iscc, json_string_value(json_object_get(document, "iscc")));
    json_object_set_new(json_object_get(keys, "credentials"), "key", json_string("absent.pem"));
    assert_int_equal(make(keys, 0, 0, document).err, ERR_INPUT);
    json_decref(document);
    json_decref(keys);
    free(chain);
    free(key);
}

/* The video, as if it were that clip, signed with a chain that nobody knows; what verify says of it. */
static json_t *verify_signed_as(const char *campaign, const json_t *clips, const char *key)
{
    char *chain = path_join(folder, "chain.pem"), *signer = path_join(folder, "signer.pem");
    const CredentialsClaim c = {.certificate = chain, .key = signer, .clip = "c-1", .campaign = campaign};
    const VerifyOptions o = {.watermark_key = key, .clips = clips};
    json_t *found;
    assert_string_equal(credentials_sign(video, &c).message, "");
    assert_string_equal(verify_file(video, &o, &found).message, "");
    free(chain);
    free(signer);
    return found;
}

/* Anybody can sign: a signature that nobody vouches for is no word against the record. */
static void believes_no_stranger(void **state)
{
    (void)state;
    const C2paLibrary *c;
    if (failed(c2pa_library(&c))) {
        print_message("skipped: libc2pa_c.so is not installed (./quickstart.sh build does it)\n");
        skip();
    }
    json_t *keys = json_pack("{s:b, s:s}", "watermark", 1, "campaign", "tests"), *document = json_object();
    assert_string_equal(make(keys, 0, 0, document).message, "");
    json_t *clips =
        json_pack("[{s:s, s:s, s:O}]", "clip", "c-1", "campaign", "tests", "iscc", json_object_get(document, "iscc"));
    json_t *found = verify_signed_as("tests", clips, secret); /* forged, or another version */
    assert_string_equal(json_string_value(json_object_get(found, "clip")), "c-1");
    assert_true(json_is_null(json_object_get(found, "altered")));
    json_decref(found);
    found = verify_signed_as("others", clips, secret); /* the mark counts for more than a stranger's signature */
    assert_string_equal(json_string_value(json_object_get(found, "campaign")), "tests");
    assert_true(json_is_true(json_object_get(found, "altered")));
    json_decref(found);
    found = verify_signed_as("others", clips, NULL); /* without the mark, the looks still do */
    assert_string_equal(json_string_value(json_object_get(found, "campaign")), "tests");
    assert_string_equal(json_string_value(json_object_get(found, "clip")), "c-1");
    assert_true(json_is_null(json_object_get(found, "altered")));
    const char *why = json_string_value(json_object_get(found, "why"));
    assert_non_null(strstr(why, "it looks like one of our clips"));
    assert_non_null(strstr(why, "signed as c-1 of others, of which there is no record"));
    json_decref(found);
    json_array_append(clips,
                      json_array_get(clips, 0)); /* several look like it: no name, and no word of the stranger's */
    found = verify_signed_as("others", clips, NULL);
    assert_true(json_is_null(json_object_get(found, "campaign")) && json_is_null(json_object_get(found, "altered")));
    json_decref(found);
    found = verify_signed_as("others", NULL, NULL); /* no record contradicts the signature */
    assert_string_equal(json_string_value(json_object_get(found, "campaign")), "others");
    assert_string_equal(json_string_value(json_object_get(found, "record")), "absent");
    assert_true(json_is_false(json_object_get(found, "altered")));
    json_decref(found);
    const VerifyOptions wrong = {.watermark_key = video}, no_roots = {.anchors = secret};
    assert_int_equal(verify_file(video, &wrong, &found).err, ERR_INPUT);
    assert_int_equal(verify_file(video, &no_roots, &found).err, ERR_INPUT);
    json_decref(clips);
    json_decref(document);
    json_decref(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_a_clip_alone_that_asks_for_nothing),
        cmocka_unit_test(measures_holds_and_fails),
        cmocka_unit_test(a_command_measures_too),
        cmocka_unit_test(knows_other_campaigns_pictures),
        cmocka_unit_test(marks_and_recognises),
        cmocka_unit_test(signs_last),
        cmocka_unit_test(believes_no_stranger),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
