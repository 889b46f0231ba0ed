/* tokenizer_normal.h - the normaliser that a SentencePiece model carries (its precompiled_charsmap), as the tokenizers library
 * applies it: user-perceived character by user-perceived character, and for each the shortest rule that its bytes begin with. */
#ifndef REELWRIGHT_TOKENIZER_NORMAL_H
#define REELWRIGHT_TOKENIZER_NORMAL_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

/* A double-array trie (Darts) whose values are offsets of 0-terminated texts. Borrows the bytes it was opened on. */
typedef struct {
    const uint8_t *units;
    size_t unit_count;
    const char *texts;
    size_t texts_bytes;
} TokenizerNormal;

/* bytes may be NULL: then nothing is changed. ERR_INPUT when they are not such a table. */
Status tokenizer_normal_open(const uint8_t *bytes, size_t n, TokenizerNormal *out);

/* UTF-8 in, newly allocated UTF-8 out (not 0-terminated, *out_length bytes; free() it). */
char *tokenizer_normal_apply(const TokenizerNormal *t, const char *text, size_t length, size_t *out_length);

#endif
