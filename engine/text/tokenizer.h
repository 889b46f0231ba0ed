/* tokenizer.h - prompt text to token ids, as the Wan pipelines do it (clean, then the T5 tokenizer of the model folder). */
#ifndef REELWRIGHT_TOKENIZER_H
#define REELWRIGHT_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

typedef struct Tokenizer Tokenizer;

/* FOLDER/tokenizer_config.json, and tokenizer.json, spiece.model or both; where neither is there, `pieces`: a spiece.model of so many bytes that
 * came with the weights, or NULL. ERR_INPUT names the file that is missing or damaged. */
Status tokenizer_open(const char *folder, const void *pieces, size_t bytes, Tokenizer **out);
void tokenizer_close(Tokenizer **t);
int tokenizer_vocab_size(const Tokenizer *t);

/* text (UTF-8) -> ids, exactly those of the pipeline: cleaned, encoded, truncated to max_tokens with </s> last.
 * ids has room for max_tokens; *count receives how many are real, the rest of ids is filled with the pad id (0).
 * ERR_INPUT when text is not UTF-8. */
Status tokenizer_encode(const Tokenizer *t, const char *text, int max_tokens, int64_t *ids, int *count);

#endif
