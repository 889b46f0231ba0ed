/* fuzz_tokenizer.c - the first byte says what the rest is: M a spiece.model, J a tokenizer.json, any other a text. Whatever the
 * bytes are, they are read or refused, and words are encoded with what was read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text/clean.h"
#include "engine/text/tokenizer_json.h"
#include "engine/text/tokenizer_normal.h"
#include "engine/text/tokenizer_spiece.h"

static void check_id(void *context, int64_t id)
{
    const TokenizerVocab *v = context;
    if (id < 0 || (size_t)id >= v->count) abort();
}

static void use(TokenizerVocab *v)
{
    static const char text[] =
        "\xe2\x96\x81 A small cat\xcc\x81 \xc2\xad\xe2\x84\xa2\xcc\x88 <0x41> \xf0\x9f\x90\xb1\xe8\x80\x81 1234567890";
    TokenizerNormal normal;
    size_t n = 0;
    if (failed(tokenizer_vocab_index(v)) || failed(tokenizer_normal_open(v->charsmap, v->charsmap_bytes, &normal)))
        return;
    char *out = tokenizer_normal_apply(&normal, text, sizeof text - 1, &n);
    if (n > 0) tokenizer_vocab_encode(v, out, n, check_id, v);
    free(out);
    for (size_t i = 0; i < v->count && i < 50; i++) {
        const TokenizerPiece *p = &v->piece[i];
        int64_t id = tokenizer_vocab_find(v, v->text + p->at, p->length);
        if (id < (int64_t)i || v->piece[id].length != p->length)
            abort(); /* itself, or a later one with the same text */
    }
}

static void read_json(const uint8_t *data, size_t size, TokenizerVocab *v)
{
    char *text = malloc(size + 1);
    json_t *rest = NULL;
    if (!text) return;
    memcpy(text, data, size);
    text[size] = 0;
    if (!failed(tokenizer_json_parse("fuzz", text, size, v, &rest))) use(v);
    json_decref(rest);
    free(text);
}

/* What was cleaned is UTF-8, without white space at its ends. */
static void clean(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *once = NULL, *twice = NULL;
    if (!text) return;
    memcpy(text, data, size);
    text[size] = 0;
    if (!failed(clean_prompt(text, &once))) {
        size_t n = strlen(once);
        if (n > 0 && (once[0] == ' ' || once[n - 1] == ' ')) abort();
        if (failed(clean_prompt(once, &twice))) abort();
    }
    free(twice);
    free(once);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TokenizerVocab v = {0};
    if (size == 0) return 0;
    if (data[0] == 'M') {
        if (!failed(tokenizer_spiece_parse(data + 1, size - 1, &v))) use(&v);
    } else if (data[0] == 'J') {
        read_json(data + 1, size - 1, &v);
    } else {
        clean(data + 1, size - 1);
    }
    tokenizer_vocab_free(&v);
    return 0;
}
