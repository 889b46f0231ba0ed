/* test_tokenizer.c - token ids as the Wan pipelines have them: the recorded cases for three kinds of tokenizer folder, and damaged
 * folders refused with the file's name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/file.h"
#include "engine/text/tokenizer.h"

#define FIXTURES SOURCE_DIR "/tests/parity/fixtures/text"

enum { TOKENS = 512, MAX_TOKENIZERS = 16 };

/* ------------------------------------------------------------------------------------------------- recorded cases */

static Tokenizer *open_tokenizer(const char *name)
{
    const char *parent = getenv("REELWRIGHT_TEXT_FOLDER");
    char *folder = path_join(parent ? parent : FIXTURES, name);
    Tokenizer *t = NULL;
    Status status = tokenizer_open(folder, NULL, 0, &t);
    if (failed(status)) fail_msg("%s", status.message);
    free(folder);
    return t;
}

static void check_ids(const Tokenizer *t, const char *name, const char *text, const json_t *expected)
{
    int64_t ids[TOKENS];
    int count = 0;
    Status status = tokenizer_encode(t, text, TOKENS, ids, &count);
    if (failed(status)) fail_msg("%s: \"%s\": %s", name, text, status.message);
    if ((size_t)count != json_array_size(expected))
        fail_msg("%s: \"%s\": %d ids, expected %zu", name, text, count, json_array_size(expected));
    for (int i = 0; i < TOKENS; i++) {
        int64_t want = i < count ? json_integer_value(json_array_get(expected, (size_t)i)) : 0;
        if (ids[i] != want)
            fail_msg("%s: \"%s\": id %d is %lld, expected %lld", name, text, i, (long long)ids[i], (long long)want);
    }
}

static void test_recorded(void **state)
{
    (void)state;
    const char *path = getenv("REELWRIGHT_TEXT_CASES");
    FILE *f = fopen(path ? path : FIXTURES "/cases.jsonl", "r");
    assert_non_null(f);
    json_t *tokenizers = json_object();
    Tokenizer *opened[MAX_TOKENIZERS];
    char *line = NULL;
    size_t room = 0;
    int count = 0;
    while (getline(&line, &room, f) > 0) {
        json_t *one = json_loads(line, 0, NULL), *ids;
        const char *name;
        assert_non_null(one);
        json_object_foreach(json_object_get(one, "ids"), name, ids)
        {
            const json_t *known = json_object_get(tokenizers, name);
            size_t k = known ? (size_t)json_integer_value(known) : json_object_size(tokenizers);
            assert_true(k < MAX_TOKENIZERS);
            if (!known) {
                opened[k] = open_tokenizer(name);
                json_object_set_new(tokenizers, name, json_integer((json_int_t)k));
            }
            check_ids(opened[k], name, json_string_value(json_object_get(one, "text")), ids);
            count++;
        }
        json_decref(one);
    }
    for (size_t k = 0; k < json_object_size(tokenizers); k++) tokenizer_close(&opened[k]);
    json_decref(tokenizers);
    free(line);
    fclose(f);
    assert_true(count > 0);
}

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int size;
    } row[] = {{"small", 512}, {"full", 612}, {"added", 517}}; /* 512 pieces; 100 or 3 extra ids, 2 added tokens */
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        Tokenizer *t = open_tokenizer(row[i].name);
        assert_int_equal(tokenizer_vocab_size(t), row[i].size);
        tokenizer_close(&t);
        assert_null(t);
    }
    Tokenizer *none = NULL;
    tokenizer_close(&none);
}

static void test_truncated(void **state)
{
    (void)state;
    Tokenizer *t = open_tokenizer("small");
    int64_t whole[TOKENS], cut[TOKENS];
    int whole_count, count;
    const char *text = "A small red cat walks slowly over the old bridge";
    assert_false(failed(tokenizer_encode(t, text, TOKENS, whole, &whole_count)));
    for (int room = 1; room < whole_count; room++) {
        assert_false(failed(tokenizer_encode(t, text, room, cut, &count)));
        assert_int_equal(count, room);
        assert_memory_equal(cut, whole, sizeof *cut * (size_t)(room - 1));
        assert_int_equal(cut[room - 1], 1); /* </s> */
    }
    Status status = tokenizer_encode(t, "x\xff", TOKENS, cut, &count);
    assert_int_equal(status.err, ERR_INPUT);
    assert_int_equal(tokenizer_encode(t, text, 0, cut, &count).err, ERR_INPUT);
    tokenizer_close(&t);
}

/* ------------------------------------------------------------------------------------------------- damaged folders */

typedef struct {
    char folder[64];
    char *model, *config; /* the good files */
    size_t model_bytes, config_bytes;
} Damage;

static void put(const Damage *d, const char *name, const char *bytes, size_t n)
{
    char *path = path_join(d->folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
    free(path);
}

static void drop(const Damage *d, const char *name)
{
    char *path = path_join(d->folder, name);
    unlink(path);
    free(path);
}

static void make_whole(const Damage *d)
{
    put(d, "spiece.model", d->model, d->model_bytes);
    put(d, "tokenizer_config.json", d->config, d->config_bytes);
    drop(d, "tokenizer.json");
}

static int set_up(void **state)
{
    Damage *d = memory_get(1, sizeof *d);
    snprintf(d->folder, sizeof d->folder, "/tmp/test_tokenizer.XXXXXX");
    if (!mkdtemp(d->folder)) return -1;
    if (failed(file_read(FIXTURES "/added/spiece.model", 1 << 20, &d->model, &d->model_bytes))) return -1;
    if (failed(file_read(FIXTURES "/added/tokenizer_config.json", 1 << 20, &d->config, &d->config_bytes))) return -1;
    *state = d;
    return 0;
}

static int tear_down(void **state)
{
    Damage *d = *state;
    drop(d, "spiece.model");
    drop(d, "tokenizer_config.json");
    drop(d, "tokenizer.json");
    rmdir(d->folder);
    free(d->model);
    free(d->config);
    free(d);
    return 0;
}

/* The message names the folder's file and says this. */
static void check_refused(const Damage *d, const char *file, const char *says)
{
    Tokenizer *t = NULL;
    Status status = tokenizer_open(d->folder, NULL, 0, &t);
    char *path = path_join(d->folder, file);
    assert_int_equal(status.err, ERR_INPUT);
    assert_null(t);
    if (!strstr(status.message, path) || !strstr(status.message, says))
        fail_msg("expected %s: ... %s ..., not: %s", path, says, status.message);
    free(path);
}

static void check_opens(const Damage *d)
{
    Tokenizer *t = NULL;
    Status status = tokenizer_open(d->folder, NULL, 0, &t);
    if (failed(status)) fail_msg("%s", status.message);
    tokenizer_close(&t);
}

static void test_missing(void **state)
{
    const Damage *d = *state;
    make_whole(d);
    check_opens(d);
    drop(d, "spiece.model");
    check_refused(d, "spiece.model", "neither this file nor tokenizer.json is there");
    make_whole(d);
    drop(d, "tokenizer_config.json");
    check_refused(d, "tokenizer_config.json", "cannot read");
}

static void test_damaged_model(void **state)
{
    const Damage *d = *state;
    make_whole(d);
    put(d, "spiece.model", "", 0);
    check_refused(d, "spiece.model", "0 pieces");
    put(d, "spiece.model", "<html>not found</html>", 22);
    check_refused(d, "spiece.model", "not a SentencePiece model (byte 0: ");
    put(d, "spiece.model", "\x0a\x05\x0a\xff\xff\xff\x0f", 7);
    check_refused(d, "spiece.model",
                  "not a SentencePiece model (byte 2: a field is longer than the rest of its message)");
    put(d, "spiece.model", "\x0a\x04\x0a\x02\xc3\x41", 6);
    check_refused(d, "spiece.model", "not a SentencePiece model (byte 4: a piece that is not UTF-8)");
    int refused = 0;
    for (size_t n = 0; n < d->model_bytes; n += 37) { /* cut off at the end of a field the file is still a model */
        put(d, "spiece.model", d->model, n);
        Tokenizer *t = NULL;
        refused += failed(tokenizer_open(d->folder, NULL, 0, &t));
        tokenizer_close(&t);
    }
    assert_true(refused > (int)(d->model_bytes / 37 * 8 / 10));
}

static void test_damaged_config(void **state)
{
    const Damage *d = *state;
    static const struct {
        const char *text, *says;
    } row[] = {{"{\n\"extra_ids\": }", ":2: not JSON"},
               {"[]", "expected a JSON object"},
               {"{\"extra_ids\": -1}", "extra_ids: expected an integer"},
               {"{\"extra_ids\": \"many\"}", "extra_ids: expected an integer"},
               {"{\"eos_token\": 7}", "eos_token: expected a token"},
               {"{\"added_tokens_decoder\": {\"3\": {}}}", "added_tokens_decoder.3: expected a token"}};
    make_whole(d);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        put(d, "tokenizer_config.json", row[i].text, strlen(row[i].text));
        check_refused(d, "tokenizer_config.json", row[i].says);
    }
}

/* What the released folders hold: an integer that no machine integer takes. */
static void test_endless_length(void **state)
{
    const Damage *d = *state;
    static const char text[] = "{\"extra_ids\": 0, \"model_max_length\": 1000000000000000019884624838656}";
    make_whole(d);
    put(d, "tokenizer_config.json", text, strlen(text));
    Tokenizer *t = NULL;
    Status s = tokenizer_open(d->folder, NULL, 0, &t);
    assert_string_equal(s.message, "");
    tokenizer_close(&t);
}

static void test_damaged_json(void **state)
{
    const Damage *d = *state;
    static const struct {
        const char *text, *says;
    } row[] = {{"", "model.vocab: expected a list"},
               {"{\"model\": {\"vocab\": {\"a\": 0}}}", "model.vocab: expected a list"},
               {"{\"model\": {\"vocab\": [[\"a\", 0], 7]}}", "expected [piece, score]"},
               {"{\"model\": {\"vocab\": [[\"a\", 0]]}}", "1 pieces, expected at least 3"},
               {"{\"model\": {\"vocab\": [[\"a\\ud800\", 0]]}}", "expected an escape sequence"},
               {"{\"model\": {\"vocab\": [[\"a", "expected UTF-8 text that ends with a quote"},
               {"{\"model\": {\"vocab\": [[\"a\",0],[\"b\",0],[\"c\",0]]}", "not JSON"}};
    make_whole(d);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        put(d, "tokenizer.json", row[i].text, strlen(row[i].text));
        check_refused(d, "tokenizer.json", row[i].says);
    }
    drop(d, "tokenizer.json");
    check_opens(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test_setup_teardown(test_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_model, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_config, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_endless_length, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_json, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
