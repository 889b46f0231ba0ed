/* words.h - which moment each word of a text has. Engines report the words as they read them ("three", "Euro"): they are laid over
 * those that stand in the text ("3 €"), by their share of the letters. */
#ifndef REELWRIGHT_WORDS_H
#define REELWRIGHT_WORDS_H

#include "worker/finish/voice.h"

/* Sets v->word from text (parted at spaces; bidirectional marks left out) and the engine's list, which may be NULL. */
void words_set(Voice *v, const char *text, const json_t *reported);
/* The text of SSML: without what stands between < and >, its five entities resolved; free() it. */
char *words_of_ssml(const char *ssml);

#endif
