/* lexicon.h - how words are said: a CSV file with the columns word and say. */
#ifndef REELWRIGHT_LEXICON_H
#define REELWRIGHT_LEXICON_H

#include <jansson.h>

#include "coordinator/campaign/faults.h"

typedef struct Lexicon Lexicon;

/* NULL, and faults, when there is no such file or it is none. */
Lexicon *lexicon_read(const char *path, Place place, Faults *faults);
void lexicon_free(Lexicon **l);
/* The entries whose word stands in the text, [{word, say}]. */
json_t *lexicon_for(const Lexicon *l, const char *text);

#endif
