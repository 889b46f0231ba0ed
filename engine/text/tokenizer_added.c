#include "tokenizer_added.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "clean_text.h"
#include "common/file.h"

enum { DEFAULT_EXTRA_IDS = 100, MAX_EXTRA_IDS = 10000 };

static const char *const named[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                    "pad_token", "cls_token", "mask_token"};

/* ------------------------------------------------------------------------------------------------- what the files say */

Status tokenizer_added_extra_ids(const json_t *config, int *extra_ids)
{
    const json_t *value = json_object_get(config, "extra_ids");
    *extra_ids = DEFAULT_EXTRA_IDS;
    if (!value) return status_ok();
    double count = json_number_value(value);
    if (!json_is_number(value) || count < 0 || count > MAX_EXTRA_IDS || count != floor(count))
        return status_fail(ERR_INPUT, "extra_ids: expected an integer from 0 to %d", MAX_EXTRA_IDS);
    *extra_ids = (int)count;
    return status_ok();
}

static bool is_true(const json_t *value)
{
    return json_is_true(value) || json_array_size(value) > 0 || json_object_size(value) > 0;
}

static void move_key(json_t *config, const char *from, const char *to)
{
    json_object_set(config, to, json_object_get(config, from));
    json_object_del(config, from);
}

/* The content of a token written as text or as an object. */
static const char *content_of(const json_t *token)
{
    return json_string_value(json_is_object(token) ? json_object_get(token, "content") : token);
}

static bool contains(const TokenizerAddedList *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->token[i].text, text) == 0) return true;
    }
    return false;
}

/* Adds a token unless it is empty or there already. special: what it is when the file does not say. */
static Status add(TokenizerAddedList *list, const json_t *token, bool special)
{
    const char *text = content_of(token);
    if (!text) return status_fail(ERR_INPUT, "expected a token: text, or an object with content");
    if (!*text || contains(list, text)) return status_ok();
    const json_t *own = json_object_get(token, "special"), *normalized = json_object_get(token, "normalized");
    if (own) special = json_is_true(own);
    TokenizerAdded *more = realloc(list->token, (list->count + 1) * sizeof *more);
    if (!more) return status_fail(ERR_NODE, "out of memory");
    list->token = more;
    more[list->count++] = (TokenizerAdded){
        .text = text_copy(text),
        .length = strlen(text),
        .left_strip = json_is_true(json_object_get(token, "lstrip")),
        .right_strip = json_is_true(json_object_get(token, "rstrip")),
        .single_word = json_is_true(json_object_get(token, "single_word")),
        .normalized = normalized ? json_is_true(normalized) : !special,
    };
    return status_ok();
}

static Status add_all(TokenizerAddedList *list, const json_t *tokens, const char *what)
{
    for (size_t i = 0; i < json_array_size(tokens); i++)
        TRY(status_at(add(list, json_array_get(tokens, i), true), "%s[%zu]", what, i));
    return status_ok();
}

/* Older folders: special_tokens_map.json overrides the configuration. */
static void merge_special_map(json_t *config, json_t *map)
{
    const char *key;
    json_t *value;
    json_object_foreach(map, key, value)
    {
        json_t *list = json_object_get(config, key);
        if (json_is_array(value) && json_is_array(list) && strcmp(key, "extra_special_tokens") == 0) {
            json_array_extend(list, value);
            continue;
        }
        if (json_is_object(value) && content_of(value)) {
            json_object_set_new(value, "special", json_true());
            if (!json_object_get(value, "normalized")) json_object_set_new(value, "normalized", json_false());
        }
        json_object_set(config, key, value);
    }
}

static bool is_special_text(const json_t *config, const char *text)
{
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        const char *content = content_of(json_object_get(config, named[i]));
        if (content && strcmp(content, text) == 0) return true;
    }
    const json_t *extra = json_object_get(config, "extra_special_tokens");
    for (size_t i = 0; i < json_array_size(extra); i++) {
        const char *content = content_of(json_array_get(extra, i));
        if (content && strcmp(content, text) == 0) return true;
    }
    return false;
}

/* Older folders: added_tokens.json {text: id}, and what tokenizer.json adds, as {id: token}. */
static json_t *older_decoder(const TokenizerFiles *f)
{
    json_t *decoder = json_object();
    const char *text;
    json_t *id, *token;
    size_t i;
    char key[24];
    json_object_foreach(f->added, text, id)
    {
        bool special = is_special_text(f->config, text);
        snprintf(key, sizeof key, "%.0f", json_number_value(id));
        json_object_set_new(decoder, key,
                            json_pack("{s:s, s:b, s:b}", "content", text, "special", special, "normalized", !special));
    }
    json_array_foreach(json_object_get(f->tokenizer, "added_tokens"), i, token)
    {
        snprintf(key, sizeof key, "%.0f", json_number_value(json_object_get(token, "id")));
        json_object_set(decoder, key, token);
    }
    return decoder;
}

static int compare_ids(const void *a, const void *b)
{
    long long x = strtoll(*(const char *const *)a, NULL, 10), y = strtoll(*(const char *const *)b, NULL, 10);
    return (x > y) - (x < y);
}

/* added_tokens_decoder: {id: token}, in the order of the ids. */
static Status add_decoder(TokenizerAddedList *list, const json_t *decoder)
{
    size_t n = 0;
    const char **key = memory_get(json_object_size(decoder) + 1, sizeof *key), *name;
    json_t *token;
    Status status = status_ok();
    json_object_foreach((json_t *)decoder, name, token) key[n++] = name;
    qsort(key, n, sizeof *key, compare_ids);
    for (size_t i = 0; i < n; i++)
        TRY_OUT(status_at(add(list, json_object_get(decoder, key[i]), false), "added_tokens_decoder.%s", key[i]));
out:
    free(key);
    return status;
}

/* bos_token, eos_token and so on, then those that only this model has ("..._token" with a text). */
static Status add_named(TokenizerAddedList *list, json_t *config)
{
    const char *key;
    json_t *value;
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        value = json_object_get(config, named[i]);
        if (value && !json_is_null(value)) TRY(status_at(add(list, value, true), "%s", named[i]));
    }
    json_object_foreach(config, key, value)
    {
        size_t length = strlen(key);
        if (length > 6 && strcmp(key + length - 6, "_token") == 0 && json_is_string(value)) TRY(add(list, value, true));
    }
    return status_ok();
}

/* ------------------------------------------------------------------------------------------------- tokens beyond the named ones */

static bool names_extra_id(const json_t *tokens)
{
    for (size_t i = 0; i < json_array_size(tokens); i++) {
        const char *text = content_of(json_array_get(tokens, i));
        if (text && strstr(text, "<extra_id_")) return true;
    }
    return false;
}

/* Without tokenizer.json the control and user-defined pieces of the model are such tokens. */
static json_t *pieces_as_tokens(const TokenizerVocab *vocab)
{
    json_t *tokens = json_array();
    for (size_t i = 0; i < vocab->count; i++) {
        const TokenizerPiece *p = &vocab->piece[i];
        if (p->type != PIECE_CONTROL && p->type != PIECE_USER_DEFINED) continue;
        json_array_append_new(tokens, json_pack("{s:s%, s:b, s:b}", "content", vocab->text + p->at, (size_t)p->length,
                                                "special", p->type == PIECE_CONTROL, "normalized", 0));
    }
    return tokens;
}

/* The list that a configuration gives counts, also an empty one; only without one there are defaults. */
static Status add_extra(TokenizerAddedList *list, const TokenizerFiles *f, const TokenizerVocab *vocab)
{
    const json_t *given = json_object_get(f->config, "extra_special_tokens");
    if (given) return add_all(list, given, "extra_special_tokens");
    int extra_ids;
    TRY(tokenizer_added_extra_ids(f->config, &extra_ids));
    json_t *tokens =
        f->tokenizer ? json_incref(json_object_get(f->config, "additional_special_tokens")) : pieces_as_tokens(vocab);
    Status status = add_all(list, tokens, "additional_special_tokens");
    for (int i = 0; i < extra_ids && !names_extra_id(tokens) && !failed(status); i++) {
        char text[32];
        snprintf(text, sizeof text, "<extra_id_%d>", i);
        json_t *token = json_string(text);
        status = add(list, token, true);
        json_decref(token);
    }
    json_decref(tokens);
    return status;
}

/* ------------------------------------------------------------------------------------------------- ids */

static void give_ids(TokenizerAddedList *list, const TokenizerVocab *vocab, const TokenizerNormal *normal)
{
    list->id_limit = (int64_t)vocab->count;
    for (size_t i = 0; i < list->count; i++) {
        TokenizerAdded *t = &list->token[i];
        t->id = tokenizer_vocab_find(vocab, t->text, t->length);
        if (t->id < 0) t->id = list->id_limit++;
        if (!t->normalized) continue;
        char *text = tokenizer_normal_apply(normal, t->text, t->length, &t->length);
        free(t->text);
        t->text = text;
    }
}

static Status find_named(const TokenizerAddedList *list, json_t *config, const char *key, const char *otherwise,
                         int64_t *id)
{
    const char *text = content_of(json_object_get(config, key));
    if (!text) text = otherwise;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->token[i].text, text) == 0) {
            *id = list->token[i].id;
            return status_ok();
        }
    }
    return status_fail(ERR_INPUT, "%s: \"%s\" is no token", key, text);
}

static void set_default(json_t *config, const char *key, const char *text)
{
    const json_t *value = json_object_get(config, key);
    if (!value || json_is_null(value)) json_object_set_new(config, key, json_string(text));
}

Status tokenizer_added_read(TokenizerFiles *f, const TokenizerVocab *vocab, const TokenizerNormal *normal,
                            TokenizerAddedList *out)
{
    *out = (TokenizerAddedList){0};
    json_t *config = f->config, *older = NULL;
    Status status = status_ok();
    if (json_object_get(config, "additional_special_tokens") &&
        !is_true(json_object_get(config, "extra_special_tokens")))
        move_key(config, "additional_special_tokens", "extra_special_tokens");
    json_t *decoder = json_object_get(config, "added_tokens_decoder");
    if (!decoder) {
        merge_special_map(config, f->special_map);
        decoder = older = older_decoder(f);
    }
    set_default(config, "eos_token", "</s>");
    set_default(config, "unk_token", "<unk>");
    set_default(config, "pad_token", "<pad>");
    TRY_OUT(add_decoder(out, decoder));
    TRY_OUT(add_named(out, config));
    TRY_OUT(add_extra(out, f, vocab));
    give_ids(out, vocab, normal);
    TRY_OUT(find_named(out, config, "eos_token", "</s>", &out->end_id));
    TRY_OUT(find_named(out, config, "pad_token", "<pad>", &out->pad_id));
out:
    json_decref(older);
    return status;
}

void tokenizer_added_free(TokenizerAddedList *list)
{
    for (size_t i = 0; i < list->count; i++) free(list->token[i].text);
    free(list->token);
    *list = (TokenizerAddedList){0};
}

/* ------------------------------------------------------------------------------------------------- in the text */

size_t tokenizer_added_space(const char *text, size_t length)
{
    uint32_t c = 0;
    size_t used = length ? clean_text_decode((const uint8_t *)text, length, &c) : 0;
    bool space = (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 ||
                 (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
                 c == 0x3000;
    return space ? used : 0;
}

/* The character that ends before text[at]. */
static size_t step_back(const char *text, size_t at)
{
    size_t from = at - 1;
    while (from > 0 && at - from < 4 && ((uint8_t)text[from] & 0xc0) == 0x80) from--;
    return from;
}

static bool is_word(const char *text, size_t length)
{
    uint32_t c = 0;
    if (length == 0 || clean_text_decode((const uint8_t *)text, length, &c) == 0) return false;
    if (c == 0x200c || c == 0x200d) return true;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default:
        return false;
    }
}

static bool stands_alone(const char *text, size_t length, size_t at, size_t end)
{
    size_t before = at > 0 ? step_back(text, at) : 0;
    return !(at > 0 && is_word(text + before, at - before)) && !is_word(text + end, length - end);
}

static const TokenizerAdded *longest_at(const TokenizerAddedList *list, bool normalized, const char *text,
                                        size_t length)
{
    const TokenizerAdded *best = NULL;
    for (size_t i = 0; i < list->count; i++) {
        const TokenizerAdded *t = &list->token[i];
        if (t->normalized != normalized || t->length == 0 || t->length > length || t->text[0] != text[0]) continue;
        if ((!best || t->length > best->length) && memcmp(t->text, text, t->length) == 0) best = t;
    }
    return best;
}

const TokenizerAdded *tokenizer_added_find(const TokenizerAddedList *list, bool normalized, const char *text,
                                           size_t length, size_t from, size_t *start, size_t *end)
{
    for (size_t at = from; at < length;) {
        const TokenizerAdded *t = longest_at(list, normalized, text + at, length - at);
        *start = at;
        *end = at += t ? t->length : 1;
        if (!t || (t->single_word && !stands_alone(text, length, *start, *end))) continue;
        while (t->left_strip && *start > from) {
            size_t before = step_back(text, *start);
            if (before < from || tokenizer_added_space(text + before, *start - before) == 0) break;
            *start = before;
        }
        for (size_t space = 1; t->right_strip && space; *end += space)
            space = tokenizer_added_space(text + *end, length - *end);
        return t;
    }
    return NULL;
}
