/* test_campaign.c - campaign files: what they plan, that every fault is named with its place and all are named at
 * once, and that the reference file documents exactly the keys there are. */
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

#include <jansson.h>

#include "common/file.h"
#include "coordinator/campaign/campaign.h"
#include "coordinator/campaign/schema.h"
#include "coordinator/verbs/check.h"

#define MODEL  SOURCE_DIR "/tests/parity/fixtures/t2v-0/model"
#define HEAD   "campaign: test\nmodel: " MODEL "\ncustomers: c.csv\n"
#define NUMBER "size: 64x64\nframes: 5\nfps: 8\nsteps: 2\n"

static char folder[] = "test_campaign_XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char *yaml = path_join(folder, "c.yaml"), *csv = path_join(folder, "c.csv");
    unlink(yaml);
    unlink(csv);
    free(yaml);
    free(csv);
    return rmdir(folder);
}

static void write_text(const char *name, const char *text, size_t bytes)
{
    char *path = path_join(folder, name);
    assert_int_equal(file_replace(path, text, bytes).err, OK);
    free(path);
}

static Status load(const char *yaml, const char *csv, Campaign **c)
{
    write_text("c.yaml", yaml, strlen(yaml));
    write_text("c.csv", csv, strlen(csv));
    char *path = path_join(folder, "c.yaml");
    Status s = campaign_load(path, c);
    free(path);
    return s;
}

static Campaign *plan(const char *yaml, const char *csv)
{
    Campaign *c;
    assert_string_equal(load(yaml, csv, &c).message, "");
    assert_non_null(c);
    return c;
}

static void message_is(Status s, const char *expected)
{
    assert_int_equal(s.err, ERR_INPUT);
    char *message = text_copy(s.message), *out = message;
    size_t n = strlen(folder);
    for (const char *p = s.message; *p;) { /* without the folder's name */
        if (strncmp(p, folder, n) == 0 && p[n] == '/')
            p += n + 1;
        else
            *out++ = *p++;
    }
    *out = 0;
    assert_string_equal(message, expected);
    free(message);
}

/* Exactly these lines, with a headline when they are several. */
static void is_refused(const char *yaml, const char *csv, const char *expected)
{
    Campaign *c;
    Status s = load(yaml, csv, &c);
    assert_null(c);
    message_is(s, expected);
}

/* ---- plans ---- */

static void test_plan(void **state)
{
    (void)state;
    Campaign *c =
        plan(HEAD NUMBER "prompt: \"a {{colour|red}} ball\"\nnegative: \"no {{id}}\"\nseed: \"{{n}}\"\n"
                         "guidance: 3.5\nrenditions: [preview, master]\npriority: -3\ncheckpoint: {every: 7}\n",
             "id,colour,n\nanna,,7\nbob,\"blue, {{id}}\",18446744073709551615\n");
    assert_string_equal(c->name, "test");
    assert_int_equal(c->clip_count, 2);
    assert_int_equal(c->shot_count, 2);
    const ShotSpec *a = &c->shot[c->clip[0].shot].spec, *b = &c->shot[c->clip[1].shot].spec;
    assert_string_equal(a->prompt, "a red ball");
    assert_string_equal(a->negative, "no anna");
    assert_string_equal(b->prompt, "a blue, {{id}} ball");
    assert_true(a->seed == 7 && b->seed == UINT64_MAX);
    assert_true(a->width == 64 && a->height == 64 && a->frames == 5 && a->fps == 8 && a->steps == 2);
    assert_true(a->guidance == 3.5 && a->guidance_2 == 0);
    assert_string_equal(a->scheduler, "unipc");
    assert_int_equal(c->rendition_count, 2);
    assert_string_equal(c->rendition[0].name, "preview");
    assert_int_equal(c->rendition[1].width, 64);
    assert_true(c->settings.priority == -3 && c->checkpoint_every == 7 && c->share_shots);
    assert_string_equal(c->clip[1].clip_id, "bob");
    assert_string_equal(c->clip[1].stem, "bob");
    assert_null(c->clip[0].refusal);
    char key[HASH_TEXT];
    shot_key(a, c->model_hash, key);
    assert_string_equal(c->shot[c->clip[0].shot].key, key);
    campaign_free(&c);
    assert_null(c);
}

static void test_defaults(void **state)
{
    (void)state;
    Campaign *c = plan(HEAD "prompt: x\n", "id\n1\n");
    ModelConfig *m;
    assert_int_equal(model_config_read(MODEL, &m).err, OK);
    const ShotSpec *s = &c->shot[0].spec, *d = &m->defaults;
    assert_true(s->width == d->width && s->height == d->height && s->frames == d->frames && s->fps == d->fps);
    assert_true(s->steps == d->steps && s->guidance == d->guidance && s->flow_shift == d->flow_shift);
    assert_string_equal(s->negative, d->negative);
    assert_true(c->settings.priority == 0 && c->checkpoint_every == 0 && c->share_shots && !c->settings.mixed &&
                c->rendition_count == 1);
    assert_string_equal(c->rendition[0].name, "reels");
    model_config_free(&m);
    campaign_free(&c);
}

static void test_sharing(void **state)
{
    (void)state;
    static const char csv[] = "id,colour\na,red\nb,blue\nc,red\n";
    Campaign *c = plan(HEAD NUMBER "prompt: \"a {{colour}} ball\"\nseed: 7\n", csv);
    assert_int_equal(c->shot_count, 2);
    assert_int_equal(c->clip[0].shot, c->clip[2].shot);
    assert_int_not_equal(c->clip[0].shot, c->clip[1].shot);
    CheckSummary sum;
    check_summarise(c, &sum);
    assert_true(sum.shared == 1 && sum.refused == 0 && sum.videos == 3);
    campaign_free(&c);

    c = plan(HEAD NUMBER "prompt: \"a {{colour}} ball\"\nseed: 7\nreuse: {shots: false}\n", csv);
    assert_int_equal(c->shot_count, 3);
    assert_string_not_equal(c->shot[0].key, c->shot[2].key);
    assert_false(c->share_shots);
    campaign_free(&c);
}

static void test_derived_seeds(void **state)
{
    (void)state;
    static const char yaml[] = HEAD NUMBER "prompt: x\n";
    Campaign *c = plan(yaml, "id\na\nb\n"), *again = plan(yaml, "id\nb\na\n");
    char digest[HASH_TEXT];
    Hash *h = hash_begin(); /* as campaign.h promises */
    hash_add(h, "campaign=4:test\nid=1:a\n", 23);
    hash_end(h, digest);
    digest[16] = 0;
    uint64_t a = c->shot[c->clip[0].shot].spec.seed, b = c->shot[c->clip[1].shot].spec.seed;
    assert_true(a == strtoull(digest, NULL, 16) >> 1);
    assert_true(a != b && a <= INT64_MAX && b <= INT64_MAX);
    assert_true(again->shot[again->clip[1].shot].spec.seed == a); /* the row's, wherever it stands */
    campaign_free(&c);
    campaign_free(&again);
}

static char *fingerprint_of(const char *yaml, const char *csv)
{
    Campaign *c = plan(yaml, csv);
    char *text = text_copy(c->fingerprint);
    campaign_free(&c);
    return text;
}

static void test_fingerprint(void **state)
{
    (void)state;
    const struct {
        const char *yaml, *csv;
        bool same;
    } other[] = {
        {HEAD NUMBER "prompt: x\n", "id,a\n1,p\n2,q\n", true},
        {HEAD NUMBER "prompt: x\npriority: 5\ncheckpoint: {every: 2}\n", "id,a\n1,p\n2,other\n", true},
        {HEAD NUMBER "prompt: y\n", "id,a\n1,p\n2,q\n", false},
        {HEAD NUMBER "prompt: x\n", "id,a\n1,p\n3,q\n", false},
        {HEAD NUMBER "prompt: x\n", "id,a\n1,p\n", false},
        {HEAD NUMBER "prompt: x\nrenditions: [preview]\n", "id,a\n1,p\n2,q\n", false},
        {HEAD "size: 64x64\nframes: 5\nfps: 9\nsteps: 2\nprompt: x\n", "id,a\n1,p\n2,q\n", false},
    };
    char *first = fingerprint_of(other[0].yaml, other[0].csv);
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        char *text = fingerprint_of(other[i].yaml, other[i].csv);
        if ((strcmp(first, text) == 0) != other[i].same) fail_msg("case %zu", i);
        free(text);
    }
    free(first);
}

static void test_postcards(void **state)
{
    (void)state;
    Campaign *c;
    Status s = campaign_load(SOURCE_DIR "/configs/campaigns/postcards.yaml", &c);
    assert_string_equal(s.message, "");
    assert_int_equal(c->clip_count, 12);
    assert_in_range(c->shot_count, 2, 11); /* some are shared */
    campaign_free(&c);
}

static void test_travel(void **state)
{
    (void)state;
    Campaign *c;
    Status s = campaign_load(SOURCE_DIR "/configs/campaigns/travel.yaml", &c);
    assert_string_equal(s.message, "");
    assert_true(c->clip_count == 6 && c->shot_count == 6 && c->media_count == 6);
    campaign_free(&c);
}

/* ---- faults ---- */

/* Planned, with exactly these warnings. */
static void is_warned(const char *yaml, const char *csv, const char *const *expected, int count)
{
    Campaign *c = plan(yaml, csv);
    for (int i = 0; i < c->warnings.count && i < count; i++) {
        const char *text = c->warnings.warning[i].message, *slash = strstr(text, folder);
        assert_string_equal(slash == text ? text + strlen(folder) + 1 : text, expected[i]);
    }
    assert_int_equal(c->warnings.count, count);
    campaign_free(&c);
}

static void test_warnings(void **state)
{
    (void)state;
    static const char csv[] = "id,colour,name\na,red,Ann\n";
    is_warned(HEAD NUMBER "prompt: \"a {{color|red}} ball for {{nobody|you}}, {{ name\u00a0|x}}\"\n", csv,
              (const char *[]){
                  "c.yaml:8: field prompt: no column \"color\" among the customers', so that every row gets the "
                  "fallback; did you mean {{colour|...}}?",
                  "c.yaml:8: field prompt: no column \"nobody\" among the customers', so that every row gets the "
                  "fallback"},
              2);
    is_warned(HEAD NUMBER "prompt: the #1 dad, {{name}}\n", csv,
              (const char *[]){
                  "c.yaml:8: field prompt: the text ends before \"#1 dad, {{name}}\", which is a comment; put the "
                  "text into quotes if it is none"},
              1);
    is_warned(HEAD NUMBER
              "prompt: \xc3\xa4 ball # rolls\nnegative: >\n  x # y\nseed: 7 # for all\ndeadline: none # yet\n",
              csv,
              (const char *[]){
                  "c.yaml:8: field prompt: the text ends before \"# rolls\", which is a comment; put the text into "
                  "quotes if it is none"},
              1);
    is_warned(
        HEAD "frames: 5\nsize: 128x64\nprompt: x\nrenditions: [reels, master]\n", csv,
        (const char *[]){
            "c.yaml:7: field renditions: reels is 1080x1920 and the render 128x64: 72 % of the picture stay "
            "black; choose a size of the rendition's shape",
            "c.yaml:7: field renditions: reels takes clips of 3 s and more, and these have 0.312 s: the last frame is "
            "held"},
        2);
    is_warned(HEAD NUMBER "prompt: \"{{colour}}\"\n", "id,colour\na,red\nb,blue\nc,red\n",
              (const char *[]){
                  "c.yaml: field seed: not given: each row has a seed of its own, which makes 3 renders. With one for "
                  "all, a line `seed: 7`, rows that ask for the same share one: 2 renders"},
              1);
    is_warned(HEAD NUMBER "prompt: \"{{colour}}\"\nseed: 7\n", "id,colour\na,red\nb,blue\nc,red\n", NULL, 0);
    is_warned(HEAD NUMBER "prompt: \"{{id}}\"\n", "id\na\nb\n", NULL, 0); /* nothing to share */
    is_warned(HEAD NUMBER "prompt: \"the #1 dad\" # said\n# {{name}}\n", csv, NULL, 0);
    is_warned(HEAD NUMBER "prompt: x\ndeadline: 2020-01-01 06:00\n", csv,
              (const char *[]){"c.yaml:9: field deadline: \"2020-01-01 06:00\" is over"}, 1);
}

static void test_secret_of_others(void **state)
{
    (void)state;
    static const char yaml[] = HEAD NUMBER "prompt: x\nnotify: {webhook: \"https://h/\", secret_file: key}\n";
    char *key = path_join(folder, "key");
    Campaign *c = NULL;
    write_text("key", "secret", 6);
    assert_int_equal(chmod(key, 0640), 0);
    Status status = load(yaml, "id\n1\n", &c);
    assert_non_null(strstr(status.message, "others may read it (mode 640); `chmod 600 /"));
    assert_int_equal(chmod(key, 0600), 0);
    c = plan(yaml, "id\n1\n");
    campaign_free(&c);
    unlink(key);
    free(key);
}

static void test_id_under_another_name(void **state)
{
    (void)state;
    Campaign *c = plan(HEAD NUMBER "id: Contact ID\nprompt: \"ball {{id}}\"\n", "name,Contact ID\nx,7\ny,8\n");
    assert_string_equal(c->clip[1].clip_id, "8");
    assert_string_equal(c->shot[1].spec.prompt, "ball 8");
    campaign_free(&c);
}

static void test_all_at_once(void **state)
{
    (void)state;
    is_refused("campaign: test\nmodel: " MODEL "\ncustomers: c.csv\nprompt: \"{{a}} {{nope}}\"\nframes: 30\nsizes: 3\n"
               "size: 63x64\nsteps: many\n",
               "id,a\n1,\n1,x\n2\n",
               "8 faults in the input, nothing was started:\n"
               "c.yaml:4: field prompt: no column \"nope\" among the customers'; expected one of theirs or a fallback, "
               "{{nope|...}}\n"
               "c.yaml:5: field frames: 30, expected 4k+1 (29 or 33)\n"
               "c.yaml:6: field sizes: unknown key; did you mean size?\n"
               "c.yaml:7: field size: width = 63, expected a multiple of 16 (such as 64)\n"
               "c.yaml:8: field steps: \"many\", expected a whole number from 1 to 1000 steps\n"
               "c.csv:2: field a: empty, and prompt in c.yaml:4 has no fallback; expected a value, or {{a|...}} there\n"
               "c.csv:3: field id: duplicate \"1\" (first in line 2); ids must be unique\n"
               "c.csv:4: field a: missing: the row has 1 of 2 values");
}

static void test_missing_keys_and_files(void **state)
{
    (void)state;
    is_refused("fps: 8\n", "id\n1\n",
               "4 faults in the input, nothing was started:\n"
               "c.yaml: field campaign: missing; expected the campaign's name\n"
               "c.yaml: field model: missing; expected the model's folder, relative to this file\n"
               "c.yaml: field customers: missing; expected a CSV or JSON Lines file, relative to this file\n"
               "c.yaml: field prompt: missing; expected what the clip shows, with {{columns}} of the customers");
    is_refused("campaign: test\nmodel: nowhere\ncustomers: nobody.csv\nprompt: \"{{x}}\"\n", "id\n1\n",
               "2 faults in the input, nothing was started:\n"
               "c.yaml:2: field model: nowhere: no folder; expected a model in the diffusers layout\n"
               "c.yaml:3: field customers: nobody.csv: no such file");
    /* what no model can make is found in the same round as a model that is not there */
    is_refused("campaign: test\nmodel: nowhere\ncustomers: c.csv\nprompt: x\nsize: 500x480\nframes: 30\nsteps: 0\n",
               "id\n1\n",
               "4 faults in the input, nothing was started:\n"
               "c.yaml:2: field model: nowhere: no folder; expected a model in the diffusers layout\n"
               "c.yaml:5: field size: width = 500, expected a multiple of 16 (such as 496)\n"
               "c.yaml:6: field frames: 30, expected 4k+1 (29 or 33)\n"
               "c.yaml:7: field steps: \"0\", expected a whole number from 1 to 1000 steps");
    is_refused("campaign: ''\nmodel: " MODEL "\ncustomers: c.csv\nprompt: \" \"\nseed: \"\"\n", "id\n1\n",
               "3 faults in the input, nothing was started:\n"
               "c.yaml:1: field campaign: empty; expected text\n"
               "c.yaml:4: field prompt: empty; expected text\n"
               "c.yaml:5: field seed: empty; expected text");
    Campaign *c;
    assert_int_equal(campaign_load("nowhere.yaml", &c).err, ERR_INPUT);
    assert_string_equal(campaign_load(".", &c).message, ". is a folder, expected a campaign file");
}

static void test_types_and_ranges(void **state)
{
    (void)state;
    const struct {
        const char *line, *fault;
    } wrong[] = {
        {"frames: 5.5", "frames: \"5.5\", expected voice or a whole number from 1 to 65536 frames"},
        {"frames: \"5\"", "frames: the text \"5\", expected voice or a whole number from 1 to 65536 frames"},
        {"frames: 99999999999999999999",
         "frames: \"99999999999999999999\", expected voice or a whole number from 1 to 65536 frames"},
        {"frames: [5]", "frames: a list, expected voice or a whole number from 1 to 65536 frames"},
        {"frames:", "frames: no value, expected voice or a whole number from 1 to 65536 frames"},
        {"frames: ~", "frames: no value, expected voice or a whole number from 1 to 65536 frames"},
        {"frames: 0x21", "frames: \"0x21\", expected voice or a whole number from 1 to 65536 frames"},
        {"fps: 241", "fps: \"241\", expected a whole number from 1 to 240 frames per second"},
        {"steps: 0", "steps: \"0\", expected a whole number from 1 to 1000 steps"},
        {"guidance: nan", "guidance: \"nan\", expected a number from 0 to 100"},
        {"guidance: -1", "guidance: \"-1\", expected a number from 0 to 100"},
        {"guidance: 1e999", "guidance: \"1e999\", expected a number from 0 to 100"},
        {"size: 64", "size: \"64\", expected WIDTHxHEIGHT, each from 16 to 8192 pixels"},
        {"size: 64x", "size: \"64x\", expected WIDTHxHEIGHT, each from 16 to 8192 pixels"},
        {"size: 64x112x3", "size: \"64x112x3\", expected WIDTHxHEIGHT, each from 16 to 8192 pixels"},
        {"size: 1x112", "size: \"1x112\", expected WIDTHxHEIGHT, each from 16 to 8192 pixels"},
        {"scheduler: ddim", "scheduler: \"ddim\", expected unipc, euler or lcm"},
        {"sigmas: old", "sigmas: \"old\", expected standard, classic or distilled"},
        {"sigmas: distilled", "sigmas: distilled, expected scheduler euler or lcm beside it, not unipc"},
        {"guidance_2: 3", "guidance_2: guidance-2 = 3, but " MODEL " has no second transformer"},
        {"reuse: {shots: yes}", "reuse.shots: \"yes\", expected true or false"},
        {"checkpoint: 5", "checkpoint: \"5\", expected a table of keys, {key: value}"},
        {"checkpoint: {every: 0}", "checkpoint.every: \"0\", expected auto or a whole number from 1 to 1000 steps"},
        {"checkpoint: {evry: 1}", "checkpoint.evry: unknown key; did you mean checkpoint.every?"},
        {"gates: {set: default, blurr: {hold: 4}}", "gates.blurr: unknown key; did you mean gates.blur?"},
        {"checkpont: {every: 1}", "checkpont: unknown key; did you mean checkpoint?"},
        {"pilot: 1001", "pilot: \"1001\", expected a whole number from 0 to 1000 clips"},
        {"deadline: \"26-12-01 06:00\"", "deadline: \"26-12-01 06:00\", expected a time of day, \"06:00\", or "
                                         "\"2026-01-31 06:00\", a year of four digits, a "
                                         "day and a time that exist"},
        {"deadline: \"25:00\"", "deadline: \"25:00\", expected a time of day, \"06:00\", or \"2026-01-31 06:00\""},
        {"max_fails: 5 %", "max_fails: \"5 %\", expected a number of clips, 20, or a share of them, 5%"},
        {"limits: {denoise: 0}", "limits.denoise: \"0\", expected auto or a whole number from 1 to 604800 seconds"},
        {"notify: {webhook: \"ftp://x/\"}", "notify.webhook: \"ftp://x/\", expected an address, https://HOST/..."},
        {"notify: {webhook: \"http://hooks.example.com/x\"}",
         "notify.webhook: \"http://hooks.example.com/x\", expected https://: events carry customers' ids, and http is "
         "for this "
         "machine only (localhost)"},
        {"notify: {webhook: \"http://localhost.example.com/x\"}",
         "notify.webhook: \"http://localhost.example.com/x\", expected https://: events carry customers' ids, and http "
         "is for "
         "this machine only (localhost)"},
        {"notify: {webhook: \"https://me:pw@x/\"}",
         "notify.webhook: a user or password in the address, expected none; events are signed instead"},
        {"notify: {secret_file: nowhere}", "notify.secret_file: nowhere: no such file"},
        {"notify: {events: [run.begun]}", "notify.events: \"run.begun\", expected run.finished, run.stopped, "
                                          "run.stuck, run.max_fails, run.waiting, pilot.ready, "
                                          "clip.failed or deadline.at_risk"},
        {"priority: 101", "priority: \"101\", expected a whole number from -100 to 100"},
        {"renditions: []", "renditions: a list, expected a list of 1 to 16 names, [a, b]"},
        {"renditions: {a: b}", "renditions: a table, expected a list of 1 to 16 names, [a, b]"},
        {"renditions: [[reels]]", "renditions: a list, expected a list of 1 to 16 names, [a, b]"},
        {"renditions: [reels, reels]", "renditions: \"reels\" is there twice"},
        {"negative: [a]", "negative: a list, expected text"},
        {"negative: {{id}}", "negative: a table, expected text; put a text that begins with {{ into quotes"},
        {"negative: \"a\\0b\"", "negative: text with a zero byte, expected text"},
        {"seed: -1", "seed: \"-1\", expected a whole number from 0 to 18446744073709551615"},
        {"seed: 18446744073709551616",
         "seed: \"18446744073709551616\", expected a whole number from 0 to 18446744073709551615"},
        {"prompt: y", "prompt: given a second time (first in line 4)"},
        {"? [a]\n: b", "a list as a key, expected a name"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char *yaml = text_format(HEAD "prompt: x\n%s\n", wrong[i].line);
        bool field = wrong[i].fault[0] != 'a' || wrong[i].fault[1] != ' ';
        char *expected = text_format("c.yaml:5: %s%s", field ? "field " : "", wrong[i].fault);
        is_refused(yaml, "id\n1\n", expected);
        free(yaml);
        free(expected);
    }
}

/* What a trunk is told, and which renders have the same. */
static void test_trunks(void **state)
{
    (void)state;
    static const char csv[] = "id,colour,place\na,red,Rome\nb,blue,Rome\nc,blue,Oslo\n";
    Campaign *c =
        plan(HEAD NUMBER "prompt: \"a {{colour}} {{toy|ball}} in {{place}}\"\nseed: 1\nreuse: {trunk_steps: 1}\n", csv);
    assert_int_equal(c->shot_count, 3);
    assert_int_equal(c->trunk_count, 1);
    assert_int_equal(c->shot[2].spec.trunk_steps, 1);
    assert_string_equal(c->shot[2].spec.trunk_prompt, "a  ball in ");
    campaign_free(&c);
    c = plan(HEAD NUMBER "prompt: \"a {{colour}} ball in {{place}}\"\nseed: 1\n"
                         "reuse: {trunk_steps: 1, trunk_prompt: \"a ball in {{place}}\"}\n",
             csv);
    assert_int_equal(c->trunk_count, 2);
    assert_string_equal(c->shot[2].spec.trunk_prompt, "a ball in Oslo");
    campaign_free(&c);
    is_refused(HEAD NUMBER "prompt: x\nreuse: {trunk_steps: 2}\n", csv,
               "c.yaml:9: field reuse.trunk_steps: 2, expected 0 to 1: steps says 2 steps");
    is_refused(HEAD NUMBER "prompt: x\nreuse: {guided_from: 0.3, guided_to: 0.4}\n", csv,
               "c.yaml:9: field reuse.guided_to: 0.4, expected less than guided_from = 0.3: noise falls from 1 to 0");
    is_warned(
        HEAD NUMBER "prompt: \"{{colour}}\"\nseed: 1\nreuse: {trunk_prompt: x}\n", csv,
        (const char *[]){"c.yaml:10: field reuse.trunk_prompt: changes nothing without trunk_steps, the number of "
                         "steps that it is for"},
        1);
    is_warned(
        HEAD NUMBER "prompt: \"{{id}}\"\nseed: \"{{n|1}}\"\nreuse: {trunk_steps: 1, trunk_prompt: \"{{id}}\"}\n",
        "id,n\na,1\nb,2\n",
        (const char *[]){
            "c.yaml:10: field reuse.trunk_steps: no two renders share their first steps: they differ in more than "
            "the prompt (seed, pictures or trunk_prompt). It saves nothing and changes the clips"},
        1);
}

#define CACHE                                                                                                          \
    "{\"format\":\"reelwright-cache 1\",\"model_sha256\":\"%s\",\"width\":%d,\"height\":64,\"frames\":5,\"steps\":%d," \
    "\"guidance\":2.0,\"guidance_2\":0.0,\"flow_shift\":3.0,\"scheduler\":\"unipc\",\"guided_from\":0.0,\"guided_"     \
    "to\":0.0,"                                                                                                        \
    "\"reused_steps\":\"%s\",\"bound\":0.1,\"difference\":%g}"

/* A cache is for the shots that it was measured for, and keeps to its bound. */
static void test_cache(void **state)
{
    (void)state;
    static const char yaml[] =
        HEAD "size: 64x64\nframes: 5\nfps: 8\nsteps: 4\nguidance: 2\nprompt: x\nseed: 1\nreuse: {cache: cache.json}\n";
    static const struct {
        int width, steps;
        const char *reused;
        double difference;
        const char *fault; /* NULL: none */
    } row[] = {{64, 4, "2", 0.05, NULL},
               {80, 4, "2", 0.05, "width is 80, and the campaign's 64"},
               {64, 5, "2", 0.05, "steps is 5, and the campaign's 4"},
               {64, 4, "2", 0.11, "difference is 0.11, more than its bound, 0.1"},
               {64, 4, "2,9", 0.05, "expected steps from 1 to 3 that rise"}};
    Campaign *c = plan(HEAD NUMBER "prompt: x\nseed: 1\n", "id\n1\n");
    char model[HASH_TEXT];
    memcpy(model, c->model_hash, sizeof model);
    campaign_free(&c);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char *text = text_format(CACHE, model, row[i].width, row[i].steps, row[i].reused, row[i].difference);
        write_text("cache.json", text, strlen(text));
        Status s = load(yaml, "id\n1\n", &c);
        if (row[i].fault && (!strstr(s.message, row[i].fault) || !strstr(s.message, "`reelwright calibrate ")))
            fail_msg("%s: %s", row[i].fault, s.message);
        if (!row[i].fault) {
            assert_string_equal(s.message, "");
            assert_string_equal(c->shot[0].spec.reused_steps, "2");
            campaign_free(&c);
        }
        free(text);
    }
    char *text = text_format(CACHE, model, 64, 4, "2", 0.05), *with; /* measured with an adapter that no row has */
    text[strlen(text) - 1] = 0;
    with = text_format("%s,\"adapters\":\"00 1 both\"}", text);
    write_text("cache.json", with, strlen(with));
    Status s = load(yaml, "id\n1\n", &c);
    if (!strstr(s.message, "reuse.cache: was measured with the adapter 00 1 both, and a render has none"))
        fail_msg("%s", s.message);
    free(with);
    free(text);
    char *path = path_join(folder, "cache.json");
    unlink(path);
    free(path);
    assert_int_equal(load(yaml, "id\n1\n", &c).err, ERR_INPUT);
}

/* The values that ask for nothing. */
static void test_nothing_asked_for(void **state)
{
    (void)state;
    Campaign *c = plan(HEAD NUMBER
                       "prompt: x\npilot: 0\ndeadline: none\nvoice: none\noverlays: []\nlabel: none\n"
                       "gates: none\nreview: {policy: none}\ncredentials: none\nreuse: {shots: true, trunk_steps: 0}\n",
                       "id\n1\n");
    campaign_free(&c);
}

/* What it asks of gates and proofs goes into the finish document, and what is wrong with it is named. */
static void test_proofs(void **state)
{
    (void)state;
    Campaign *c =
        plan(HEAD NUMBER "prompt: x\ngates: {set: brand, flicker: {hold: 4.5}}\nwatermark: true\n", "id\n1\n");
    json_t *j = json_loads(c->finish, 0, NULL), *gates = json_object_get(j, "gates");
    assert_true(json_number_value(json_object_get(json_object_get(gates, "flicker"), "hold")) == 4.5);
    assert_true(json_number_value(json_object_get(json_object_get(gates, "flicker"), "fail")) > 4.5);
    assert_non_null(json_object_get(gates, "black"));
    assert_true(json_is_true(json_object_get(j, "watermark")));
    assert_non_null(json_string_value(json_object_get(j, "campaign")));
    assert_null(json_object_get(j, "credentials"));
    json_decref(j);
    campaign_free(&c);
    c = plan(HEAD NUMBER "prompt: x\ngates: none\nwatermark: false\ncredentials: none\nreview: none\n", "id\n1\n");
    j = json_loads(c->finish, 0, NULL);
    assert_int_equal(json_object_size(j), 1); /* renditions: as if none of these keys were there */
    json_decref(j);
    campaign_free(&c);
    is_refused(
        HEAD "prompt: x\ngates: brnad\n", "id\n1\n",
        "c.yaml:5: field gates: no set of gates \"brnad\"; did you mean brand? There are default, brand, pocket");
    is_refused(HEAD "prompt: x\ncredentials: {key: absent.pem}\n", "id\n1\n",
               "2 faults in the input, nothing was started:\n"
               "c.yaml:5: field credentials.key: expected a certificate and a key (or a signer), both or none of them\n"
               "c.yaml:5: field credentials.key: absent.pem: no such file; `reelwright keys init DIR` makes one to try "
               "things with");
}

static void test_yaml_syntax(void **state)
{
    (void)state;
    const struct {
        const char *yaml, *fault;
    } wrong[] = {
        {"", "c.yaml: empty, expected keys and values"},
        {"# nothing\n", "c.yaml: empty, expected keys and values"},
        {"- a\n", "c.yaml:1: a list, expected keys and values"},
        {"text\n", "c.yaml:1: \"text\", expected keys and values"},
        {"campaign: a\n\tmodel: b\n",
         "c.yaml:2: column 1: found a tab character that violates indentation while scanning a "
         "plain scalar; a tab, expected spaces to indent with"},
        {"campaign: [a\n", "c.yaml:2: column 1: did not find expected ',' or ']' while parsing a flow sequence"},
        {"campaign: a\nprompt: {{x}} y\nseed: 1\n", "c.yaml:2: column 15: did not find expected key while parsing a "
                                                    "block mapping; put a text that begins with {{ into "
                                                    "quotes"},
        {"campaign: M\xfcller\n",
         "c.yaml:1: byte 12 of the file (0xfc): invalid leading UTF-8 octet; expected UTF-8 text"},
        {"campaign: a\x01\n",
         "c.yaml:1: byte 12 of the file (0x01): control characters are not allowed; expected UTF-8 text"},
        {"campaign: *nobody\n", "c.yaml:1: column 11: found undefined alias"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) is_refused(wrong[i].yaml, "id\n1\n", wrong[i].fault);
}

static void test_second_document(void **state)
{
    (void)state;
    is_refused(HEAD "prompt: x\n---\ncampaign: b\n", "id\n1\n", "c.yaml:5: a second document, expected one");
}

/* Ten levels of ten aliases each would be 10^10 words if they were copied. */
static void test_exploding_aliases(void **state)
{
    (void)state;
    char *yaml = text_copy(HEAD "prompt: x\na0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for (int i = 1; i < 10; i++) {
        char *more = text_format("%sa%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", yaml, i,
                                 i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
        free(yaml);
        yaml = more;
    }
    char *bomb = text_format("%srenditions: *a9\nreuse: &r {shots: *r}\n", yaml);
    Campaign *c;
    Status s = load(bomb, "id\n1\n", &c);
    assert_int_equal(s.err, ERR_INPUT);
    assert_non_null(strstr(s.message, "c.yaml:5: field a0: unknown key"));
    assert_non_null(strstr(s.message, "field renditions: a list, expected a list of 1 to 16 names, [a, b]"));
    assert_non_null(strstr(s.message, "c.yaml:16: field reuse.shots: a table, expected true or false"));
    free(yaml);
    free(bomb);
}

static void test_huge_files(void **state)
{
    (void)state;
    size_t bytes = (300 << 10) + 1;
    char *text = memory_get(bytes, 1);
    memset(text, '#', bytes - 1);
    Campaign *c;
    message_is(load(text, "id\n1\n", &c), "c.yaml: larger than the 262144 bytes expected at most");
    memset(text, '[', bytes - 1);
    text[200 << 10] = 0;
    Status s = load(text, "id\n1\n", &c);
    assert_int_equal(s.err, ERR_INPUT);
    assert_non_null(strstr(s.message, "c.yaml:1: lists and tables within each other, expected at most 20 levels"));
    text[0] = 0;
    for (int i = 0; i < 200; i++) snprintf(text + strlen(text), 32, "- &a%d x\n", i);
    s = load(text, "id\n1\n", &c);
    assert_non_null(strstr(s.message, "c.yaml:101: anchors (&name), expected at most 100"));
    free(text);
}

static void test_rows(void **state)
{
    (void)state;
    is_refused(HEAD "prompt: \"{{a|}}{{b|}}\"\nseed: \"{{n}}\"\n", "id,a,b,n\n1,,,1\n2,x,,\n3,x,,x\n4,x,,-1\n5,,y,5\n",
               "4 faults in the input, nothing was started:\n"
               "c.csv:2: field a: the prompt is empty; expected what the clip shows\n"
               "c.csv:3: field n: empty, and seed in c.yaml:5 has no fallback; expected a value, or {{n|...}} there\n"
               "c.csv:4: field n: \"x\" as the seed, expected a whole number from 0 to 18446744073709551615\n"
               "c.csv:5: field n: \"-1\" as the seed, expected a whole number from 0 to 18446744073709551615");
    char *text = memory_get(18000, 1);
    memset(text, 'x', 17000);
    char *csv = text_format("id,a\n1,%s\n", text);
    is_refused(HEAD "prompt: \"{{a}}\"\n", csv, "c.csv:2: field a: the prompt has 17000 bytes, expected at most 16384");
    free(csv);
    free(text);
    is_refused(HEAD "prompt: x\nseed: 1x\n", "id\n1\n2\n",
               "c.yaml:5: field seed: \"1x\", expected a whole number from 0 to 18446744073709551615");
}

/* ---- the manual ---- */

static void test_reference_file(void **state)
{
    (void)state;
    char *text;
    size_t bytes;
    int count;
    assert_int_equal(file_read(SOURCE_DIR "/configs/campaign.reference.yaml", 1 << 20, &text, &bytes).err, OK);
    Faults *faults = faults_new();
    CampaignFile f;
    assert_true(campaign_file_parse("campaign.reference.yaml", text, bytes, faults, &f));
    assert_string_equal(faults_status(faults).message, ""); /* it has no key that there is not */
    const YamlField *field = campaign_schema(&count);
    for (int i = 0; i < count; i++) {
        const bool one_of_many = strncmp(field[i].name, "gates.", 6) == 0; /* NAME: {hold, ...} there */
        bool named = f.line[i] > 0 || one_of_many || strcmp(field[i].name, "gates") == 0 ||
                     strcmp(field[i].name, "review") == 0 || strcmp(field[i].name, "credentials") == 0 ||
                     strstr(text, field[i].name); /* named in a comment: it stands instead of another one */
        if (!named) fail_msg("campaign.reference.yaml says nothing of %s", field[i].name);
        const char *key = strrchr(field[i].name, '.') ? strrchr(field[i].name, '.') + 1 : field[i].name;
        char *plain = text_format("%s: %s", key, field[i].fallback ? field[i].fallback : "");
        char *list = text_format("%s: [%s]", key, field[i].fallback ? field[i].fallback : "");
        if (field[i].fallback && f.line[i] && !strstr(text, plain) && !strstr(text, list))
            fail_msg("campaign.reference.yaml gives %s another value than its default, %s", field[i].name,
                     field[i].fallback);
        free(plain);
        free(list);
    }
    campaign_file_clear(&f);
    faults_free(&faults);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_sharing),
        cmocka_unit_test(test_derived_seeds),
        cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_postcards),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_secret_of_others),
        cmocka_unit_test(test_id_under_another_name),
        cmocka_unit_test(test_travel),
        cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_missing_keys_and_files),
        cmocka_unit_test(test_types_and_ranges),
        cmocka_unit_test(test_trunks),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_nothing_asked_for),
        cmocka_unit_test(test_proofs),
        cmocka_unit_test(test_yaml_syntax),
        cmocka_unit_test(test_second_document),
        cmocka_unit_test(test_exploding_aliases),
        cmocka_unit_test(test_huge_files),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_reference_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
