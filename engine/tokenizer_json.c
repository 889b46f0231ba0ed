#include "tokenizer_json.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"

static const size_t json_max_bytes = (size_t)1 << 28;

Status tokenizer_json_load(const char *path, bool may_be_missing, json_t **out)
{
    *out = NULL;
    if (may_be_missing && !file_exists(path)) return status_ok();
    char *text = NULL;
    size_t n = 0;
    json_error_t error;
    TRY(file_read(path, json_max_bytes, &text, &n));
    json_t *root = json_loadb(text, n, JSON_ALLOW_NUL, &error);
    free(text);
    if (!root) return status_fail(ERR_INPUT, "%s:%d: not JSON (%s)", path, error.line, error.text);
    if (!json_is_object(root)) {
        json_decref(root);
        return status_fail(ERR_INPUT, "%s: expected a JSON object", path);
    }
    *out = root;
    return status_ok();
}

static Status read_pieces(const json_t *vocab, TokenizerVocab *v)
{
    if (!json_is_array(vocab))
        return status_fail(ERR_INPUT, "model.vocab: expected a list of [piece, score] (a Unigram model)");
    for (size_t i = 0; i < json_array_size(vocab); i++) {
        const json_t *pair = json_array_get(vocab, i);
        const json_t *text = json_array_get(pair, 0), *score = json_array_get(pair, 1);
        if (!json_is_string(text) || !json_is_number(score))
            return status_fail(ERR_INPUT, "model.vocab[%zu]: expected [piece, score]", i);
        TRY(tokenizer_vocab_add(v, json_string_value(text), json_string_length(text), json_number_value(score),
                                PIECE_NORMAL));
    }
    if (v->count <= TOKENIZER_UNKNOWN_ID)
        return status_fail(ERR_INPUT, "model.vocab has %zu pieces, expected at least 3", v->count);
    return status_ok();
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static Status read_charsmap(const json_t *text, TokenizerVocab *v)
{
    const char *in = json_string_value(text);
    size_t length = json_string_length(text), n = 0;
    uint8_t *bytes = malloc(length + 1);
    if (!bytes) return status_fail(ERR_NODE, "out of memory: %zu bytes", length);
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < length; i++) {
        int value = base64_value(in[i]);
        if (value < 0) continue;
        bits = (bits << 6 | (uint32_t)value) & 0xffffff;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        bytes[n++] = (uint8_t)(bits >> have);
    }
    Status status = tokenizer_vocab_set_charsmap(v, bytes, n);
    free(bytes);
    return status;
}

/* null, a Precompiled normaliser, or a sequence with one in it: the first counts. */
static Status read_normalizer(const json_t *normalizer, TokenizerVocab *v)
{
    const json_t *list = json_object_get(normalizer, "normalizers");
    size_t n = list ? json_array_size(list) : 1;
    for (size_t i = 0; i < n; i++) {
        const json_t *one = list ? json_array_get(list, i) : normalizer;
        const char *type = json_string_value(json_object_get(one, "type"));
        const json_t *map = json_object_get(one, "precompiled_charsmap");
        if (type && strcmp(type, "Precompiled") == 0 && json_is_string(map)) return read_charsmap(map, v);
    }
    return status_ok();
}

Status tokenizer_json_read(const json_t *root, TokenizerVocab *v)
{
    TRY(read_pieces(json_object_get(json_object_get(root, "model"), "vocab"), v));
    return read_normalizer(json_object_get(root, "normalizer"), v);
}
