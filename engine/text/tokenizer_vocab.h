/* tokenizer_vocab.h - the pieces of a Unigram model, and the best way to write a word with them.
 *
 * The pipelines' tokenizer is not SentencePiece, though it is made from its model: it works word by word, has neither byte
 * fallback nor user-defined or unused pieces (all pieces compete by score alone), fuses what is unknown, and normalises
 * differently (tokenizer_normal.h). So this reads spiece.model itself; libsentencepiece would only parse it. */
#ifndef REELWRIGHT_TOKENIZER_VOCAB_H
#define REELWRIGHT_TOKENIZER_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

enum {
    PIECE_NORMAL = 1,
    PIECE_CONTROL = 3,
    PIECE_USER_DEFINED = 4
}; /* SentencePiece's numbers, of those that matter */

/* The id that unknown text gets: fixed by the T5 tokenizer, whatever the model calls its unknown piece. */
enum { TOKENIZER_UNKNOWN_ID = 2 };

typedef struct {
    size_t at; /* text[at], length bytes */
    uint32_t length;
    uint8_t type;
    double score;
} TokenizerPiece;

typedef struct {
    uint64_t head; /* the first eight bytes, big-endian: orders most pairs without looking at the text */
    uint32_t id;
} TokenizerEntry;

typedef struct {
    char *text; /* of all pieces */
    size_t text_bytes, text_room;
    TokenizerPiece *piece; /* by id */
    size_t count, room;
    TokenizerEntry *sorted;
    size_t sorted_count; /* of two pieces with the same text only the last counts */
    double unknown_score;
    uint8_t *charsmap; /* the normaliser's tables as SentencePiece stores them, or NULL */
    size_t charsmap_bytes;
} TokenizerVocab;

/* text (not 0-terminated) becomes the piece of the next id. */
Status tokenizer_vocab_add(TokenizerVocab *v, const char *text, size_t length, double score, int type);
Status tokenizer_vocab_set_charsmap(TokenizerVocab *v, const void *bytes, size_t n);
/* Once, after the last piece. */
Status tokenizer_vocab_index(TokenizerVocab *v);
void tokenizer_vocab_free(TokenizerVocab *v);

/* The id of a piece, or -1. */
int64_t tokenizer_vocab_find(const TokenizerVocab *v, const char *text, size_t length);

typedef void TokenizerEmit(void *context, int64_t id);
/* The ids of a word of length > 0 bytes, in order. */
void tokenizer_vocab_encode(const TokenizerVocab *v, const char *word, size_t length, TokenizerEmit *emit,
                            void *context);

#endif
