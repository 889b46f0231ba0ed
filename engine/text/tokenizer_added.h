/* tokenizer_added.h - the tokens that are found in the text itself, before it is normalised and cut into words: "</s>", "<pad>",
 * "<unk>" and what else tokenizer_config.json (or, in older folders, special_tokens_map.json and added_tokens.json) names. */
#ifndef REELWRIGHT_TOKENIZER_ADDED_H
#define REELWRIGHT_TOKENIZER_ADDED_H

#include <jansson.h>
#include <stdbool.h>

#include "engine/text/tokenizer_normal.h"
#include "engine/text/tokenizer_vocab.h"

typedef struct {
    char *text;
    size_t length;
    int64_t id;
    bool left_strip, right_strip; /* takes the white space beside it */
    bool single_word;             /* only where no word character is beside it */
    bool normalized;              /* looked for after normalisation (and text is normalised) */
} TokenizerAdded;

typedef struct {
    TokenizerAdded *token;
    size_t count;
    int64_t end_id, pad_id;
    int64_t id_limit; /* all ids are below */
} TokenizerAddedList;

/* What the files of a tokenizer folder say; NULL where one is missing. They are changed. */
typedef struct {
    json_t *config, *special_map, *added, *tokenizer;
} TokenizerFiles;

/* How many "<extra_id_N>" a configuration asks for: extra_ids, 100 by default. */
Status tokenizer_added_extra_ids(const json_t *config, int *extra_ids);

/* vocab holds the pieces, already indexed, the extra ids among them. */
Status tokenizer_added_read(TokenizerFiles *files, const TokenizerVocab *vocab, const TokenizerNormal *normal,
                            TokenizerAddedList *out);
void tokenizer_added_free(TokenizerAddedList *list);

/* The first token at or after byte from, the longest of those that begin there; NULL when there is none. *start and *end are its
 * bytes with the white space that it takes, but none before from. */
const TokenizerAdded *tokenizer_added_find(const TokenizerAddedList *list, bool normalized, const char *text,
                                           size_t length, size_t from, size_t *start, size_t *end);

/* How many bytes of white space (Unicode's White_Space) text begins with: 0 or those of one character. */
size_t tokenizer_added_space(const char *text, size_t length);

#endif
