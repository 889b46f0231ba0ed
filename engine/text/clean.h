/* clean.h - the text cleaning that the Wan pipelines apply to a prompt before the tokenizer:
 * ftfy.fix_text, html.unescape twice, strip, runs of white space to one space, strip. */
#ifndef REELWRIGHT_CLEAN_H
#define REELWRIGHT_CLEAN_H

#include "common/status.h"

/* UTF-8 in, newly allocated UTF-8 out (the caller frees). ERR_INPUT with the byte offset when text is not UTF-8. */
Status clean_prompt(const char *text, char **out);

#endif
