/* tokenizer_json.h - the other file a tokenizer folder may hold, tokenizer.json: where it is there, transformers takes pieces and
 * normaliser from it and not from spiece.model (of its other parts only the added tokens count, and those only sometimes). */
#ifndef REELWRIGHT_TOKENIZER_JSON_H
#define REELWRIGHT_TOKENIZER_JSON_H

#include <jansson.h>

#include "engine/text/tokenizer_vocab.h"

/* A JSON file that is an object. *out is NULL when the file is missing and may be; else json_decref() it. */
Status tokenizer_json_load(const char *path, bool may_be_missing, json_t **out);

/* model.vocab and the Precompiled normaliser of a tokenizer.json. *rest is the file without model.vocab (json_decref() it), NULL
 * when the file is missing, which is fine. The vocabulary of the released models, 250,000 pairs, is read by a scanner of its own:
 * 0.1 s instead of the 0.5 s and 100 MB that a tree of it takes. */
Status tokenizer_json_read(const char *path, TokenizerVocab *v, json_t **rest);
/* The same of text (n bytes and a 0 byte), which is changed; name is for the messages. */
Status tokenizer_json_parse(const char *name, char *text, size_t n, TokenizerVocab *v, json_t **rest);

#endif
