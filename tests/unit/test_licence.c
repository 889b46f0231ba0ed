/* test_licence.c - model cards read, parts found, and each kind of mismatch refused with part, clause and what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "coordinator/campaign/campaign.h"
#include "coordinator/campaign/licence.h"
#include "coordinator/campaign/licence_card.h"

static char folder[64];

static void write_text(const char *name, const char *text)
{
    char *path = path_join(folder, name);
    assert_int_equal(file_replace(path, text, strlen(text)).err, OK);
    free(path);
}

/* A model folder of links to the pocket model, without its card. */
static int begin(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "licence.%ld", (long)getpid());
    char *command = text_format("rm -rf %s && mkdir -p %s/m/vae && cd %s/m && for f in model_index.json "
                                "reelwright.json scheduler text_encoder tokenizer transformer; do "
                                "ln -s " SOURCE_DIR "/models/pocket/$f .; done && ln -s " SOURCE_DIR
                                "/models/pocket/vae/* vae/ && echo id >../c.csv && echo 1 >>../c.csv",
                                folder, folder, folder);
    int code = system(command);
    free(command);
    return code;
}

static int end(void **state)
{
    (void)state;
    char *command = text_format("rm -rf %s", folder);
    int code = system(command);
    free(command);
    return code;
}

static Status load(const char *more, int *warnings, char *first, size_t room)
{
    Campaign *c;
    char *yaml = text_format("campaign: c\nmodel: m\ncustomers: c.csv\nprompt: x\nseed: 1\n%s", more);
    write_text("c.yaml", yaml);
    free(yaml);
    char *file = path_join(folder, "c.yaml");
    Status status = campaign_load(file, &c);
    free(file);
    *warnings = failed(status) ? 0 : c->warnings.count;
    if (!failed(status) && c->warnings.count && first) snprintf(first, room, "%s", c->warnings.warning[0].message);
    if (!failed(status)) campaign_free(&c);
    return status;
}

static void accepted(const char *more)
{
    int warnings;
    Status status = load(more, &warnings, NULL, 0);
    if (failed(status)) print_message("%s: %s\n", more, status.message);
    assert_int_equal(status.err, OK);
}

static void refused(const char *more, const char *part, const char *clause)
{
    int warnings;
    Status status = load(more, &warnings, NULL, 0);
    if (!failed(status) || !strstr(status.message, part) || !strstr(status.message, clause))
        print_message("%s: %s\n", more, status.message);
    assert_int_equal(status.err, ERR_INPUT);
    assert_non_null(strstr(status.message, part));
    assert_non_null(strstr(status.message, clause));
}

static const char germany[] = "operator: {territory: DE, revenue_usd: 2000000}\naudience: [DE]\n",
                  america[] = "operator: {territory: US, revenue_usd: 20000000}\naudience: [US, CA]\n";

static void cards_are_read(void **state)
{
    (void)state;
    const struct {
        const char *text, *licence, *training;
    } cards[] = {{"---\nlicense: apache-2.0\n---\n# x", "apache-2.0", NULL},
                 {"---\r\nlicense: other\r\nlicense_name: hunyuan-video\r\ndatasets:\r\n- a\r\n- b\r\n---\r\n",
                  "hunyuan-video", "a, b"},
                 {"---\nlicense: [mit, apache-2.0]\ntags: {x: [1, 2]}\n---\n", "mit, apache-2.0", NULL},
                 {"# no front matter\nlicense: mit\n", NULL, NULL},
                 {"---\nlicense: mit\n", NULL, NULL},
                 {"---\n: [\n---\n", NULL, NULL},
                 {"---\n---\n", NULL, NULL},
                 {"", NULL, NULL}};
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++) {
        LicenceCard c;
        licence_card_parse(cards[i].text, strlen(cards[i].text), &c);
        if (cards[i].licence)
            assert_string_equal(c.licence, cards[i].licence);
        else
            assert_null(c.licence);
        if (cards[i].training)
            assert_string_equal(c.training, cards[i].training);
        else
            assert_null(c.training);
        licence_card_clear(&c);
    }
}

static void a_silent_model_passes_until_somebody_asks(void **state)
{
    (void)state;
    accepted("");
    refused(germany, "part vae: no model card says", "README.md with `license: ...`");
    char *with = text_format("%slicence: {accept: [unknown], reason: \"trained by ourselves\"}\n", germany);
    accepted(with);
    free(with);
    refused("licence: {accept: [unknown]}\n", "without licence.reason", "for the dossier");
}

static void parts_have_licences_of_their_own(void **state)
{
    (void)state;
    LicenceParts parts;
    write_text("m/README.md", "---\nlicense: mit\ntraining_data: drawings\n---\n");
    write_text("m/vae/README.md", "---\nlicense: other\nlicense_name: tencent-hunyuan-community\n---\n");
    char *model = path_join(folder, "m");
    licence_read_parts(model, &parts);
    free(model);
    assert_int_equal(parts.count, 3);
    assert_string_equal(parts.part[0].part, "transformer");
    assert_string_equal(parts.part[0].licence, "mit");
    assert_string_equal(parts.part[0].training, "drawings");
    assert_string_equal(parts.part[1].part, "vae");
    assert_string_equal(parts.part[1].licence, "tencent-hunyuan-community");
    assert_string_equal(parts.part[1].from, "vae/README.md");
    json_t *all = licence_to_json(&parts);
    assert_int_equal(json_array_size(json_object_get(json_array_get(all, 1), "excludes")), 3);
    json_decref(all);
    licence_clear_parts(&parts);
    refused(germany, "part vae (vae/README.md): its licence, tencent-hunyuan-community, gives no rights in EU",
            "operator.territory names DE");
    refused("operator: {territory: US}\naudience: [US, FR]\n", "part vae", "audience names FR");
    refused("operator: {territory: US}\naudience: [WORLD]\n", "part vae", "audience names WORLD");
    refused("operator: {territory: US}\n", "part vae", "does not say where it is shown");
    accepted("operator: {territory: US}\naudience: [US, CA]\n");
    char *with = text_format(
             "%slicence: {accept: [hunyuan-video, Tencent-Hunyuan-Community], reason: \"contract of May\"}\n", germany),
         warning[2000];
    int warnings;
    assert_int_equal(load(with, &warnings, warning, sizeof warning).err, OK);
    assert_true(warnings > 0);
    assert_non_null(strstr(warning, "accepted: contract of May"));
    free(with);
}

static void money_counts(void **state)
{
    (void)state;
    write_text("m/README.md", "---\nlicense: other\nlicense_name: LTX-2\n---\n");
    accepted(germany);
    refused(america, "part transformer", "ends at a yearly revenue of 10000000 USD");
    refused("operator: {territory: DE}\n", "operator.revenue_usd is not given", "ltx-2-community");
    write_text("m/README.md", "---\nlicense: CC BY-NC 4.0\n---\n");
    refused(germany, "allows no commercial use", "section 2a1");
    accepted("operator: {territory: DE, commercial: false}\n");
}

static void an_unknown_licence_is_refused(void **state)
{
    (void)state;
    write_text("m/README.md", "---\nlicense: my-own-terms\n---\n");
    refused("", "\"my-own-terms\", is not known here", "accept: [my-own-terms]");
    accepted("licence: {accept: [my-own-terms], reason: \"ours\"}\n");
    refused("operator: {territory: Atlantis}\n", "\"Atlantis\", expected a country", "operator.territory");
}

/* A safetensors file whose header says no more than its licence. */
static void write_adapter(const char *name, const char *licence)
{
    char *header =
             text_format("{\"__metadata__\":{\"license\":\"%s\"},\"blocks.0.attn1.to_q.lora_A.weight\":{\"dtype\":"
                         "\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]},\"blocks.0.attn1.to_q.lora_B.weight\":"
                         "{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[4,8]}}",
                         licence),
         *path = path_join(folder, name);
    const size_t n = strlen(header);
    unsigned char *bytes = memory_get(8 + n + 8, 1);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(n >> (8 * i));
    memcpy(bytes + 8, header, n);
    assert_int_equal(file_replace(path, bytes, 8 + n + 8).err, OK);
    free(bytes);
    free(path);
    free(header);
}

static void adapters_that_rows_name_have_licences(void **state)
{
    (void)state;
    write_text("m/README.md", "---\nlicense: mit\n---\n");
    write_text("c.csv", "id,style\n1,free\n2,paid\n3,free\n");
    write_adapter("free.safetensors", "apache-2.0");
    write_adapter("paid.safetensors", "Apache 2.0");
    const char keys[] = "loras: [{file: \"{{style}}.safetensors\"}]\n";
    char *with = text_format("%s%s", germany, keys);
    accepted(with);
    write_adapter("paid.safetensors", "tencent-hunyuan-community");
    refused(with, "part lora paid.safetensors (paid.safetensors): its licence", "gives no rights in EU");
    write_adapter("paid.safetensors", "never heard of it");
    refused(with, "part lora paid.safetensors", "is not known here");
    free(with);
    with = text_format("%s%slicence: {accept: [never heard of it], reason: ours}\n", germany, keys);
    accepted(with);
    free(with);
    write_text("c.csv", "id\n1\n");
}

static void voices_have_licences(void **state)
{
    (void)state;
    write_text("m/README.md", "---\nlicense: mit\n---\n");
    char *with = text_format("%svoice: {text: hi, language: de}\n", germany);
    accepted(with); /* espeak-ng */
    free(with);
    accepted("voice: {text: hi, engine: \"speak --fast\"}\n"); /* nobody asks */
    with = text_format("%svoice: {text: hi, engine: \"speak --fast\"}\n", germany);
    refused(with, "part voice: no model card says", "voice.card");
    free(with);
    with = text_format("%svoice: {text: hi, engine: \"speak --fast\", card: speaker.md}\n", germany);
    refused(with, "speaker.md\": no such file", "voice.card");
    write_text("speaker.md", "---\nlicenses: {code: mit, weights: cpml, voice: cc0-1.0}\n---\n");
    refused(with, "part voice weights (speaker.md): its licence, cpml, allows no commercial use",
            "of the model and its outputs");
    write_text("speaker.md", "---\nlicense: apache-2.0\n---\n");
    accepted(with);
    free(with);
}

static void our_own_models_have_cards(void **state)
{
    (void)state;
    static const char *const models[] = {"models/pocket", "models/pocket-cameo"};
    for (int i = 0; i < 2; i++) {
        LicenceParts parts;
        char *model = text_format(SOURCE_DIR "/%s", models[i]);
        licence_read_parts(model, &parts);
        assert_true(parts.count >= 3);
        for (int k = 0; k < parts.count; k++) assert_string_equal(parts.part[k].licence, "apache-2.0");
        assert_non_null(strstr(parts.part[0].training, "no pictures of people"));
        licence_clear_parts(&parts);
        free(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cards_are_read),
        cmocka_unit_test_setup_teardown(a_silent_model_passes_until_somebody_asks, begin, end),
        cmocka_unit_test_setup_teardown(parts_have_licences_of_their_own, begin, end),
        cmocka_unit_test_setup_teardown(money_counts, begin, end),
        cmocka_unit_test_setup_teardown(an_unknown_licence_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(adapters_that_rows_name_have_licences, begin, end),
        cmocka_unit_test_setup_teardown(voices_have_licences, begin, end),
        cmocka_unit_test(our_own_models_have_cards)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
