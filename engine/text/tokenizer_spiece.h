/* tokenizer_spiece.h - the pieces and the normaliser's tables out of a spiece.model. */
#ifndef REELWRIGHT_TOKENIZER_SPIECE_H
#define REELWRIGHT_TOKENIZER_SPIECE_H

#include "engine/text/tokenizer_vocab.h"

/* ERR_INPUT says what is wrong with the file, and at which byte. The pieces are added to v. */
Status tokenizer_spiece_read(const char *path, TokenizerVocab *v);
Status tokenizer_spiece_parse(const uint8_t *bytes, size_t n, TokenizerVocab *v);

#endif
