/* test_campaign_cameo.c - rows whose cameo has agreed get their shot with the face in it, the others a reason; and the campaign stays the
 * same campaign whatever people take back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "common/file.h"
#include "common/likeness.h"
#include "common/moment.h"
#include "coordinator/campaign/campaign.h"
#include "coordinator/verbs/check.h"
#include "trust/trust.h"

static char folder[64];

static void write_text(const char *name, const char *text)
{
    char *path = path_join(folder, name);
    assert_int_equal(file_replace(path, text, strlen(text)).err, OK);
    free(path);
}

static int begin(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "cameo.%ld", (long)getpid());
    char *command = text_format("rm -rf %s && mkdir %s", folder, folder);
    int code = system(command);
    free(command);
    return code;
}

static TrustStore *open_store(void)
{
    TrustStore *s;
    char *path = path_join(folder, "trust");
    assert_int_equal(trust_open(path, TRUST_WRITE, &s).err, OK);
    free(path);
    return s;
}

static void add_person(const char *id, const char *picture)
{
    TrustStore *s = open_store();
    TrustChallenge challenge;
    int64_t now = (int64_t)moment_wall_s();
    TrustNewMedium m = {"face", "", picture, strlen(picture)};
    TrustNewCameo c = {.id = id, .medium_count = 1, .medium = &m};
    assert_int_equal(trust_add_cameo(s, &c, now).err, OK);
    assert_int_equal(trust_challenge(s, id, now, &challenge).err, OK);
    TrustVerdict v = {.by = "R", .how = "person", .good = true, .recording = "x", .bytes = 1};
    assert_int_equal(trust_verify(s, id, &v, now).err, OK);
    trust_challenge_clear(&challenge);
    trust_close(&s);
}

static void grant(const char *id, const char *purpose, const char *territory, const char *name)
{
    TrustStore *s = open_store();
    int64_t now = (int64_t)moment_wall_s();
    TrustConsent c = {.purpose = text_copy(purpose),
                      .audience = name ? TRUST_NAMED : TRUST_ANYONE,
                      .until_s = now + 1000,
                      .face = true};
    if (territory) trust_words_add(&c.territories, territory);
    if (name) trust_words_add(&c.names, name);
    assert_int_equal(trust_grant(s, id, &c, NULL, 0, now).err, OK);
    trust_consent_clear(&c);
    trust_close(&s);
}

static Campaign *load(const char *model, const char *more)
{
    Campaign *c;
    char *yaml = text_format("campaign: summer\nmodel: " SOURCE_DIR
                             "/%s\ncustomers: c.csv\nprompt: x\nseed: 1\ntrust: trust\n%s",
                             model, more);
    write_text("c.yaml", yaml);
    free(yaml);
    char *file = path_join(folder, "c.yaml");
    Status status = campaign_load(file, &c);
    if (failed(status)) print_message("%s\n", status.message);
    assert_int_equal(status.err, OK);
    free(file);
    return c;
}

static void refuse(const char *model, const char *more, const char *part)
{
    Campaign *c;
    char *yaml = text_format("campaign: summer\nmodel: " SOURCE_DIR "/%s\ncustomers: c.csv\nprompt: x\nseed: 1\n%s",
                             model, more);
    write_text("c.yaml", yaml);
    free(yaml);
    char *file = path_join(folder, "c.yaml");
    Status status = campaign_load(file, &c);
    if (!failed(status) || !strstr(status.message, part)) print_message("%s\n", status.message);
    assert_int_equal(status.err, ERR_INPUT);
    assert_non_null(strstr(status.message, part));
    free(file);
}

static const char vace[] = "models/pocket-cameo",
                  keys[] = "cameo: {id: \"{{who|}}\", purpose: summer}\naudience: [DE]\n";

static void says(const PlannedClip *clip, const char *part)
{
    assert_int_equal(clip->shot, -1);
    if (!strstr(clip->refusal, part)) print_message("%s\n", clip->refusal);
    assert_non_null(strstr(clip->refusal, part));
}

static void rows_are_refused_or_get_the_face(void **state)
{
    (void)state;
    char fingerprint[HASH_TEXT];
    write_text("c.csv", "id,who\n1,anna\n2,ben\n3,\n4,nobody\n5,anna\n6,../x\n");
    Campaign *c = load(vace, keys); /* no store at all */
    says(&c->clip[0], "no trust store");
    assert_int_equal(c->shot_count, 1);
    memcpy(fingerprint, c->fingerprint, HASH_TEXT);
    campaign_free(&c);
    add_person("anna", "picture of anna");
    add_person("ben", "picture of ben");
    grant("anna", "summer", "EU", NULL);
    grant("ben", "winter", NULL, NULL);
    c = load(vace, keys);
    assert_null(c->clip[0].refusal);
    const ShotSpec *shot = &c->shot[c->clip[0].shot].spec;
    assert_int_equal(shot->media->reference_count, 1);
    assert_true(likeness_is(shot->media->reference[0].path));
    char hash[HASH_TEXT];
    hash_bytes("picture of anna", 15, hash);
    assert_string_equal(shot->media->reference[0].sha256, hash);
    assert_int_equal(c->clip[4].shot, c->clip[0].shot); /* the same face, the same shot */
    says(&c->clip[1], "is for the purpose \"winter\"");
    assert_null(c->clip[2].refusal);
    assert_null(c->shot[c->clip[2].shot].spec.media);
    says(&c->clip[3], "no cameo \"nobody\"");
    says(&c->clip[5], "no such id");
    assert_string_equal(
        c->clip[0].finish,
        "{\"cameo\":{\"face\":true,\"for\":\"1\",\"id\":\"anna\",\"purpose\":\"summer\",\"voice\":false}}");
    assert_string_equal(c->fingerprint, fingerprint); /* it is the same campaign */
    campaign_free(&c);
    TrustStore *s = open_store();
    assert_int_equal(trust_revoke(s, "anna", 1, (int64_t)moment_wall_s()).err, OK);
    trust_close(&s);
    c = load(vace, keys);
    says(&c->clip[0], "consent 1 of cameo anna was revoked");
    assert_string_equal(c->fingerprint, fingerprint);
    campaign_free(&c);
}

static void all_may_be_refused(void **state)
{
    (void)state;
    CheckSummary sum;
    write_text("c.csv", "id,who\n1,anna\n2,ben\n");
    Campaign *c = load(vace, keys);
    assert_int_equal(c->shot_count, 0);
    check_summarise(c, &sum);
    assert_int_equal(sum.refused, 2);
    campaign_free(&c);
}

static void the_use_is_what_campaign_and_row_say(void **state)
{
    (void)state;
    write_text("c.csv", "id,who,friend\n1,anna,ben\n2,anna,zoe\n");
    add_person("anna", "picture of anna");
    grant("anna", "summer", "DE", "ben");
    Campaign *c = load(vace, keys);
    says(&c->clip[0], "only those it names");
    campaign_free(&c);
    c = load(vace, "cameo: {id: \"{{who}}\", purpose: summer, for: \"{{friend}}\"}\naudience: [DE]\n");
    assert_null(c->clip[0].refusal);
    says(&c->clip[1], "only those it names");
    campaign_free(&c);
    c = load(vace, "cameo: {id: \"{{who}}\", purpose: summer, for: \"{{friend}}\"}\naudience: [DE, US]\n");
    says(&c->clip[0], "also shown in US");
    campaign_free(&c);
    c = load(vace, "cameo: {id: \"{{who}}\", purpose: summer, for: \"{{friend}}\", voice: true}\naudience: [DE]\n");
    says(&c->clip[0], "does not allow the voice");
    campaign_free(&c);
    c = load(vace, "cameo: {id: \"{{who}}\", purpose: summer, for: \"{{friend}}\"}\n");
    says(&c->clip[0], "does not say where it is shown");
    campaign_free(&c);
}

static void keys_that_do_not_fit_are_faults(void **state)
{
    (void)state;
    write_text("c.csv", "id,who\n1,anna\n");
    refuse("models/pocket", keys, "takes no pictures");
    refuse(vace, "cameo: {id: anna}\n", "cameo.purpose is missing");
    refuse(vace, "cameo: {purpose: summer}\n", "without cameo.id");
    refuse(vace, "audience: [DE, Atlantis]\n", "\"Atlantis\", expected countries");
    refuse(vace, "cameo: {id: anna, purpose: summer, face: false}\n", "neither cameo.face nor cameo.voice");
    write_text("c.csv", "id,who\n1,\n");
    refuse(vace, "cameo: {id: \"{{who}}\", purpose: summer}\n", "empty, and cameo.id has no fallback");
}

int main(void)
{
    unsetenv("REELWRIGHT_TRUST");
    unsetenv("REELWRIGHT_TRUST_KEY");
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(rows_are_refused_or_get_the_face, begin),
                                       cmocka_unit_test_setup(all_may_be_refused, begin),
                                       cmocka_unit_test_setup(the_use_is_what_campaign_and_row_say, begin),
                                       cmocka_unit_test_setup(keys_that_do_not_fit_are_faults, begin)};
    int failed_count = cmocka_run_group_tests(tests, NULL, NULL);
    begin(NULL);
    rmdir(folder);
    char *trust = path_join(folder, "trust");
    free(trust);
    return failed_count;
}
