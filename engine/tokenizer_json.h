/* tokenizer_json.h - the other file a tokenizer folder may hold, tokenizer.json: where it is there, transformers takes pieces and
 * normaliser from it and not from spiece.model (of its other parts only the added tokens count, and those only sometimes). */
#ifndef REELWRIGHT_TOKENIZER_JSON_H
#define REELWRIGHT_TOKENIZER_JSON_H

#include <jansson.h>

#include "engine/tokenizer_vocab.h"

/* A JSON file that is an object. *out is NULL when the file is missing and may be; else json_decref() it. */
Status tokenizer_json_load(const char *path, bool may_be_missing, json_t **out);

/* model.vocab and the Precompiled normaliser of a tokenizer.json. */
Status tokenizer_json_read(const json_t *root, TokenizerVocab *v);

#endif
