/* The keys of what is made of a shot: the documents that finishers get, and every fault that they can have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/file.h"
#include "coordinator/campaign/campaign.h"
#include "coordinator/campaign/finish_keys.h"
#include "coordinator/campaign/styles.h"
#include "coordinator/campaign/variants.h"

#define HEAD "campaign: test\nmodel: " SOURCE_DIR "/models/pocket\ncustomers: c.csv\nprompt: x\nseed: 1\n"
static const char folder[] = "test_finish_keys.d";

static Status load(const char *yaml, const char *csv, Campaign **out)
{
    char *file = path_join(folder, "c.yaml"), *table = path_join(folder, "c.csv"),
         *text = text_format("%s%s", HEAD, yaml);
    assert_string_equal(file_make_folders(folder).message, "");
    assert_string_equal(file_replace(table, csv, strlen(csv)).message, "");
    assert_string_equal(file_replace(file, text, strlen(text)).message, "");
    Status status = campaign_load(file, out);
    free(text);
    free(table);
    free(file);
    return status;
}

static Campaign *plan(const char *yaml, const char *csv)
{
    Campaign *c = NULL;
    assert_string_equal(load(yaml, csv, &c).message, "");
    return c;
}

static void put_file(const char *name, const char *text)
{
    char *path = path_join(folder, name);
    assert_string_equal(file_make_folders(folder).message, "");
    assert_string_equal(file_replace(path, text, strlen(text)).message, "");
    free(path);
}

static json_t *document(const char *text)
{
    json_t *o = json_loads(text ? text : "{}", 0, NULL);
    assert_non_null(o);
    return o;
}

/* The text at a path like "overlays.0.text"; NULL: there is none. */
static const char *text_at(json_t *o, const char *path)
{
    char *copy = text_copy(path), *rest = copy, *key;
    while (o && (key = strsep(&rest, ".")))
        o = json_is_array(o) ? json_array_get(o, (size_t)strtol(key, NULL, 10)) : json_object_get(o, key);
    free(copy);
    return json_string_value(o);
}

static const char csv[] = "id,name,lang\nanna,Anna <b>,de\nben,,en\n";

static void a_row_gets_what_is_its_own(void **state)
{
    (void)state;
    put_file("bed.flac", "not looked into here");
    Campaign *c = plan("voice: {text: \"Hallo {{name|du}}\", language: \"{{lang}}\", too_long: hold, at: 0.5}\nmusic: "
                       "{file: bed.flac, gain_db: -10}\n"
                       "subtitles: both\noverlays:\n  - {text: \"Für {{name|dich}}\", from: 1, style: brand}\n  - {qr: "
                       "\"https://e.com/{{id}}\", place: end-card}\n"
                       "label: {profile: eu, position: top-left}\n",
                       csv);
    json_t *all = document(c->finish), *anna = document(c->clip[0].finish), *ben = document(c->clip[1].finish);
    assert_string_equal(text_at(all, "subtitles"), "both");
    assert_string_equal(text_at(all, "label.profile"), "eu");
    assert_string_equal(text_at(all, "label.position"), "top-left");
    char *bed = realpath("test_finish_keys.d/bed.flac", NULL);
    assert_string_equal(text_at(all, "music.file"), bed);
    free(bed);
    assert_null(json_object_get(all, "voice"));
    assert_string_equal(text_at(anna, "voice.text"), "Hallo Anna <b>");
    assert_string_equal(text_at(anna, "voice.language"), "de");
    assert_string_equal(text_at(anna, "voice.too_long"), "hold");
    assert_string_equal(text_at(anna, "overlays.0.text"), "Für \u2068Anna <b>\u2069");
    assert_string_equal(text_at(anna, "overlays.0.style.font"), "Noto Sans");
    assert_string_equal(text_at(anna, "overlays.1.qr"), "https://e.com/anna");
    assert_null(json_object_get(anna, "music"));
    assert_null(json_object_get(anna, "fallbacks"));
    assert_string_equal(text_at(ben, "voice.text"), "Hallo du");
    assert_string_equal(text_at(ben, "overlays.0.text"), "Für dich");
    assert_string_equal(text_at(ben, "fallbacks.0"), "name");
    assert_int_equal(json_array_size(json_object_get(ben, "fallbacks")), 1);
    json_decref(all);
    json_decref(anna);
    json_decref(ben);
    campaign_free(&c);
}

/* Wherever a template took what stands for an empty cell, each column once. */
static void every_fallback_is_named(void **state)
{
    (void)state;
    put_file("p.html", "<a href=\"{{link|/}}\">{{clip.disclosure}}{{clip.player}}</a>");
    Campaign *c = plan("negative: \"{{bad|x}}\"\noverlays: [{text: \"{{name|you}} {{name|}}\"}]\npage: p.html\n",
                       "id,name,bad,link\n1,,,\n2,A,b,\n3,A,b,l\n");
    json_t *one = document(c->clip[0].finish), *two = document(c->clip[1].finish), *three = document(c->clip[2].finish);
    assert_int_equal(json_array_size(json_object_get(one, "fallbacks")), 3);
    assert_string_equal(text_at(one, "fallbacks.0"), "bad");
    assert_string_equal(text_at(one, "fallbacks.1"), "name");
    assert_string_equal(text_at(two, "fallbacks.0"), "link");
    assert_null(json_object_get(three, "fallbacks"));
    json_decref(one);
    json_decref(two);
    json_decref(three);
    campaign_free(&c);
}

static void a_campaign_without_them_has_no_documents(void **state)
{
    (void)state;
    Campaign *c = plan(
        "voice: none\nmusic: none\noverlays: none\nlabel: none\nvariants: none\nsubtitles: none\nstyles: none\n", csv);
    assert_null(c->clip[0].finish);
    json_t *all = document(c->finish);
    assert_int_equal(json_object_size(all), 1); /* renditions */
    json_decref(all);
    campaign_free(&c);
}

static void texts_are_data(void **state)
{
    (void)state;
    Campaign *c = plan("voice: {text: \"{{name}}\", ssml: \"<speak>{{name}}</speak>\"}\noverlays: [{text: "
                       "\"{{name}}\"}, {qr: \"{{name}}\", place: top}]\n",
                       "id,name\n1,\"a<b> & \"\"c\"\"\n{d}\t'%{e}\\N\"\n");
    json_t *one = document(c->clip[0].finish);
    assert_string_equal(text_at(one, "voice.text"), "a<b> & \"c\" {d} '%{e}\\N");
    assert_string_equal(text_at(one, "voice.ssml"), "<speak>a&lt;b&gt; &amp; &quot;c&quot; {d} &apos;%{e}\\N</speak>");
    assert_string_equal(text_at(one, "overlays.0.text"), "\u2068a<b> & \"c\" {d} '%{e}\\N\u2069");
    assert_string_equal(text_at(one, "overlays.1.qr"), "a<b> & \"c\"\n{d}\t'%{e}\\N");
    json_decref(one);
    campaign_free(&c);
}

static void a_lexicon_goes_with_the_words_that_need_it(void **state)
{
    (void)state;
    put_file("names.csv", "word,say\nNguyen,Win\nAnna,Anna\nAnn,En\n");
    Campaign *c = plan("voice: {text: \"Hi {{name}}\", lexicon: names.csv, phonetic: \"{{say|}}\"}\n",
                       "id,name,say\n1,Anna Nguyen,\n2,Bo,\n3,X,[[e'ks]]\n");
    json_t *one = document(c->clip[0].finish), *two = document(c->clip[1].finish), *three = document(c->clip[2].finish);
    assert_int_equal(json_array_size(json_object_get(json_object_get(one, "voice"), "lexicon")), 2);
    assert_string_equal(text_at(one, "voice.lexicon.0.say"), "Win");
    assert_null(text_at(one, "voice.phonetic"));
    assert_int_equal(json_array_size(json_object_get(json_object_get(two, "voice"), "lexicon")), 0);
    assert_string_equal(text_at(three, "voice.phonetic"), "[[e'ks]]");
    json_decref(one);
    json_decref(two);
    json_decref(three);
    campaign_free(&c);
}

static void a_variant_is_settled_by_the_id(void **state)
{
    int count[2] = {0};
    char *table = text_copy("id\n");
    (void)state;
    for (int i = 0; i < 400; i++) {
        char *more = text_format("%sc%d\n", table, i);
        free(table);
        table = more;
    }
    Campaign *c =
        plan("overlays: [{text: \"{{cta}}\"}]\nvariants: {cta: {A: Book, B: See}, other: {X: x, Y: y, Z: z}}\n", table);
    for (int i = 0; i < 400; i++) {
        json_t *o = document(c->clip[i].finish);
        int arm = variants_arm("cta", c->clip[i].clip_id, 2);
        assert_string_equal(text_at(o, "overlays.0.text"), arm ? "\u2068See\u2069" : "\u2068Book\u2069");
        assert_true(strncmp(text_at(o, "variant"), arm ? "cta=B,other=" : "cta=A,other=", 12) == 0);
        count[arm]++;
        json_decref(o);
    }
    assert_in_range(count[0], 150, 250);
    assert_int_equal(customers_column(&c->customers, "cta"), 1);
    assert_false(customers_is_listed(&c->customers, 1)); /* the list says it in a column of its own */
    campaign_free(&c);
    free(table);
}

/* A template names all columns there are room for, in a table of `columns`, and one variant. */
static Status load_wide(int columns, Campaign **c)
{
    char commas[CUSTOMERS_MAX_COLUMNS], *table = text_copy("id"), *yaml = text_copy("overlays: [{text: \"{{cta}}"),
                                        *more;
    memset(commas, ',', sizeof commas);
    for (int i = 1; i < columns; i++) {
        more = text_format("%s,k%d", table, i);
        free(table);
        table = more;
        more = text_format("%s{{k%d|}}", yaml, i);
        free(yaml);
        yaml = more;
    }
    char *rows = text_format("%s\na%.*s\n", table, columns - 1, commas),
         *all = text_format("%s\"}]\nvariants: {cta: {A: Book, B: See}}\n", yaml);
    Status status = load(all, rows, c);
    free(table);
    free(yaml);
    free(rows);
    free(all);
    return status;
}

static void variants_are_columns_too(void **state)
{
    Campaign *c;
    (void)state;
    assert_string_equal(load_wide(CUSTOMERS_MAX_COLUMNS - 1, &c).message, "");
    assert_int_equal(c->customers.column_count, CUSTOMERS_MAX_COLUMNS);
    campaign_free(&c);
    Status s = load_wide(CUSTOMERS_MAX_COLUMNS, &c);
    assert_int_equal(s.err, ERR_INPUT);
    assert_non_null(strstr(s.message, "c.yaml:7: field variants: \"cta\" is one column too many"));
}

/* ---- faults ---------------------------------------------------------------------------------------------------------------- */

static void every_fault_names_its_place(void **state)
{
    static const struct {
        const char *yaml, *says;
    } row[] = {
        {"voice: {text: \"Hallo {{name}}\"}", "c.csv:3: field name: empty, and voice.text in c.yaml:6 has no fallback"},
        {"voice: {text: \"Hallo {{nmae|x}} {{nmae}}\"}",
         "c.yaml:6: field voice.text: no column \"nmae\" among the customers'; did you mean {{name}}?"},
        {"voice: {file: \"{{id}}.wav\"}", "c.csv:2: field id: voice.file \"anna.wav\": no such file"},
        {"voice: {file: a.wav, engine: \"say\"}", "field voice.file: a recording and an engine; expected one of them"},
        {"voice: {language: de}",
         "field voice.language: nothing to say; expected voice.text, voice.ssml or voice.file"},
        {"voice: {text: x, voice: cameo}", "field voice.voice: cameo, but espeak speaks with no person's voice"},
        {"voice: {text: x, too_long: cut}", "field voice.too_long: \"cut\", expected faster, hold or refuse"},
        {"voice: {text: x, lexicon: no.csv}", "no.csv: no such file"},
        {"voice: aloud", "field voice: \"aloud\", expected none, or a table of keys"},
        {"music: {file: no.flac}", "c.yaml:6: field music.file: \"no.flac\": no such file"},
        {"overlays: [{place: top}]", "c.yaml:6: field overlays: nothing to show, expected one of text, image and qr"},
        {"overlays: [{text: a, qr: b}]", "field overlays: more than one of them, expected one of text, image and qr"},
        {"overlays: [{text: a, from: 3, to: 2}]", "from 3 to 2 s, expected an end after the beginning"},
        {"overlays: [{text: a, style: brnad}]", "no style \"brnad\"; did you mean brand?"},
        {"overlays: [{text: a, position: top}]", "overlays.position: unknown key"},
        {"overlays: [{text: a, place: below}]", "expected lower-third, top-left"},
        {"label: {profile: none}", "field label.profile: none, without label.reason; say why"},
        {"label: {profile: uk}", "field label.profile: \"uk\", expected eu, cn, text or none"},
        {"variants: {name: {A: x}}", "field variants: \"name\" is called like a column of the customers"},
        {"variants: {cta: [a, b]}", "field variants: a list, expected a table of tables"},
        {"styles: no.yaml", "field styles: cannot read"},
        {"subtitles: yes", "field subtitles: \"yes\", expected none, track, burned or both"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        Campaign *c;
        char *yaml = text_format("%s\n", row[i].yaml);
        Status s = load(yaml, csv, &c);
        assert_int_equal(s.err, ERR_INPUT);
        if (!strstr(s.message, row[i].says))
            fail_msg("%s:\n\"%s\",\nexpected \"%s\"", row[i].yaml, s.message, row[i].says);
        free(yaml);
    }
}

/* Stands for the worker's libraries. */
static Status look_for_b(const FinishLookJob *job)
{
    assert_non_null(strstr(job->campaign, "renditions"));
    assert_true(job->shot_s > 4 && job->shot_s < 4.2);
    for (int64_t i = 0; i < job->count; i++)
        if (strstr(job->clip[i], "Bo")) job->found(job->self, i, "overlays[1].text", "no font has it");
    job->left(job->self, 7, 0);
    return status_ok();
}

static void what_only_a_worker_can_tell_names_row_and_column(void **state)
{
    Campaign *c;
    (void)state;
    finish_keys_use(look_for_b);
    Status s = load("overlays: [{text: Hi}, {text: \"{{name}}\", place: top}]\n", "id,name\n1,Al\n2,Bo\n", &c);
    finish_keys_use(NULL);
    assert_int_equal(s.err, ERR_INPUT);
    assert_non_null(strstr(s.message, "c.csv:3: field name: overlays[1].text: no font has it"));
}

static void the_styles_are_sound(void **state)
{
    Styles own = {0}, s = {0};
    Faults *faults = faults_new();
    (void)state;
    styles_own(&own);
    assert_non_null(styles_find(&own, "plain", (Place){0}, faults));
    static const char text[] =
        "brand: {font: DejaVu Sans, size: 2}\nb: {color: red}\nc: {box: \"#11223344\", max_lines: 1}\n";
    styles_parse("s.yaml", text, sizeof text - 1, faults, &s);
    assert_non_null(
        strstr(faults_status(faults).message, "s.yaml:1: field brand.size: \"2\", expected a number from 0.005 to 1"));
    assert_non_null(strstr(faults_status(faults).message, "color \"red\", expected \"#RRGGBB\""));
    styles_clear(&s);
    styles_clear(&own);
    faults_free(&faults);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_gets_what_is_its_own),
        cmocka_unit_test(every_fallback_is_named),
        cmocka_unit_test(a_campaign_without_them_has_no_documents),
        cmocka_unit_test(texts_are_data),
        cmocka_unit_test(a_lexicon_goes_with_the_words_that_need_it),
        cmocka_unit_test(a_variant_is_settled_by_the_id),
        cmocka_unit_test(variants_are_columns_too),
        cmocka_unit_test(every_fault_names_its_place),
        cmocka_unit_test(what_only_a_worker_can_tell_names_row_and_column),
        cmocka_unit_test(the_styles_are_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
