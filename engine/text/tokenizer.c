/* The order of things is the tokenizers library's: tokens that are found in the text (as it is, then normalised), white space,
 * a mark before each word, and then the best pieces of each word by itself. */
#include "tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "clean.h"
#include "common/file.h"
#include "tokenizer_added.h"
#include "tokenizer_json.h"
#include "tokenizer_normal.h"
#include "tokenizer_spiece.h"
#include "tokenizer_vocab.h"

static const char word_mark[] = "\xe2\x96\x81"; /* U+2581 stands for the space before a word */
enum { WORD_MARK_BYTES = 3 };

struct Tokenizer {
    TokenizerVocab vocab;
    TokenizerNormal normal; /* borrows vocab.charsmap */
    TokenizerAddedList added;
};

/* ------------------------------------------------------------------------------------------------- open */

typedef struct {
    char *spiece, *json, *config;
} Paths;

typedef struct {
    const uint8_t *data;
    size_t count;
} Bytes;

/* Without tokenizer.json the extra ids are not among the pieces yet; they follow them, the last one first. */
static Status add_extra_ids(const TokenizerFiles *files, TokenizerVocab *v)
{
    int extra_ids;
    TRY(tokenizer_added_extra_ids(files->config, &extra_ids));
    for (int i = extra_ids - 1; i >= 0; i--) {
        char text[32];
        int length = snprintf(text, sizeof text, "<extra_id_%d>", i);
        TRY(tokenizer_vocab_add(v, text, (size_t)length, 0, PIECE_NORMAL));
    }
    return status_ok();
}

/* tokenizer.json has the last word; spiece.model, which newer libraries no longer save beside it, must be whole where it is there. */
static Status read_vocab(const Paths *p, Bytes brought, TokenizerFiles *files, TokenizerVocab *v)
{
    TokenizerVocab pieces = {0};
    const bool there = file_exists(p->spiece);
    Status status = status_ok();
    if (!there && !file_exists(p->json)) {
        if (!brought.data)
            return status_fail(ERR_INPUT, "%s: neither this file nor tokenizer.json is there", p->spiece);
        status = status_at(tokenizer_spiece_parse(brought.data, brought.count, &pieces), "spiece_model in the weights");
    } else if (there) {
        status = tokenizer_spiece_read(p->spiece, &pieces);
    }
    if (!failed(status)) status = tokenizer_json_read(p->json, v, &files->tokenizer);
    if (!failed(status) && !files->tokenizer) {
        *v = pieces;
        return status_at(add_extra_ids(files, v), "%s", p->config);
    }
    tokenizer_vocab_free(&pieces);
    return status;
}

static Status open_files(const char *folder, Bytes brought, Tokenizer *t, TokenizerFiles *files)
{
    const Paths p = {path_join(folder, "spiece.model"), path_join(folder, "tokenizer.json"),
                     path_join(folder, "tokenizer_config.json")};
    char *map = path_join(folder, "special_tokens_map.json");
    char *added = path_join(folder, "added_tokens.json");
    Status status = status_ok();
    TRY_OUT(tokenizer_json_load(p.config, false, &files->config));
    TRY_OUT(tokenizer_json_load(map, true, &files->special_map));
    TRY_OUT(tokenizer_json_load(added, true, &files->added));
    TRY_OUT(read_vocab(&p, brought, files, &t->vocab));
    TRY_OUT(tokenizer_vocab_index(&t->vocab));
    TRY_OUT(status_at(tokenizer_normal_open(t->vocab.charsmap, t->vocab.charsmap_bytes, &t->normal), "%s",
                      files->tokenizer ? p.json : p.spiece));
    TRY_OUT(status_at(tokenizer_added_read(files, &t->vocab, &t->normal, &t->added), "%s", p.config));
out:
    free(added);
    free(map);
    free(p.config);
    free(p.json);
    free(p.spiece);
    return status;
}

Status tokenizer_open(const char *folder, const void *pieces, size_t bytes, Tokenizer **out)
{
    TokenizerFiles files = {0};
    Tokenizer *t = memory_get(1, sizeof *t);
    Status status = open_files(folder, (Bytes){pieces, bytes}, t, &files);
    json_decref(files.config);
    json_decref(files.special_map);
    json_decref(files.added);
    json_decref(files.tokenizer);
    if (failed(status)) tokenizer_close(&t);
    *out = t;
    return status;
}

void tokenizer_close(Tokenizer **t)
{
    if (!*t) return;
    tokenizer_added_free(&(*t)->added);
    tokenizer_vocab_free(&(*t)->vocab);
    free(*t);
    *t = NULL;
}

int tokenizer_vocab_size(const Tokenizer *t) { return (int)t->added.id_limit; }

/* ------------------------------------------------------------------------------------------------- encode */

typedef struct {
    const Tokenizer *t;
    int64_t *ids;
    int count, limit; /* what is beyond the limit is cut off */
} Encoder;

static void emit(void *context, int64_t id)
{
    Encoder *e = context;
    if (e->count < e->limit) e->ids[e->count++] = id;
}

/* A word has its mark in front, unless it brings one; each mark inside begins another part, encoded by itself. */
static void encode_word(Encoder *e, const char *word, size_t length)
{
    char *marked = memory_get(length + WORD_MARK_BYTES + 1, 1);
    size_t skip = length >= WORD_MARK_BYTES && memcmp(word, word_mark, WORD_MARK_BYTES) == 0 ? WORD_MARK_BYTES : 0;
    memcpy(marked, word_mark, WORD_MARK_BYTES);
    memcpy(marked + WORD_MARK_BYTES, word + skip, length - skip);
    const char *end = marked + WORD_MARK_BYTES + length - skip;
    for (const char *part = marked, *next; part < end; part = next) {
        next = memmem(part + WORD_MARK_BYTES, (size_t)(end - part) - WORD_MARK_BYTES, word_mark, WORD_MARK_BYTES);
        if (!next) next = end;
        tokenizer_vocab_encode(&e->t->vocab, part, (size_t)(next - part), emit, e);
    }
    free(marked);
}

static void encode_words(Encoder *e, const char *text, size_t length)
{
    for (size_t from = 0, end; from < length && e->count < e->limit; from = end) {
        end = from;
        size_t space = 0;
        while (end < length && (space = tokenizer_added_space(text + end, length - end)) == 0) end++;
        if (end > from) encode_word(e, text + from, end - from);
        end += space;
    }
}

static void encode_normalized(Encoder *e, const char *text, size_t length)
{
    size_t n, start, end;
    char *normal = tokenizer_normal_apply(&e->t->normal, text, length, &n);
    const TokenizerAdded *token;
    size_t from = 0;
    for (; (token = tokenizer_added_find(&e->t->added, true, normal, n, from, &start, &end)); from = end) {
        encode_words(e, normal + from, start - from);
        emit(e, token->id);
    }
    encode_words(e, normal + from, n - from);
    free(normal);
}

Status tokenizer_encode(const Tokenizer *t, const char *text, int max_tokens, int64_t *ids, int *count)
{
    char *clean;
    if (max_tokens < 1) return status_fail(ERR_INPUT, "max_tokens = %d, expected at least 1", max_tokens);
    TRY(clean_prompt(text, &clean));
    Encoder e = {.t = t, .ids = ids, .limit = max_tokens - 1};
    size_t length = strlen(clean), from = 0, start, end;
    const TokenizerAdded *token;
    for (; (token = tokenizer_added_find(&t->added, false, clean, length, from, &start, &end)); from = end) {
        encode_normalized(&e, clean + from, start - from);
        emit(&e, token->id);
    }
    encode_normalized(&e, clean + from, length - from);
    free(clean);
    ids[e.count++] = t->added.end_id;
    *count = e.count;
    for (int i = e.count; i < max_tokens; i++) ids[i] = t->added.pad_id;
    return status_ok();
}
