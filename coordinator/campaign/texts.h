/* texts.h - many small texts with one owner and one end: a growing pool without a header per text.
 *
 * glibc's obstack does this, too, but its macros compute on null pointers, which the sanitizers rightly stop at. */
#ifndef REELWRIGHT_TEXTS_H
#define REELWRIGHT_TEXTS_H

#include <stddef.h>

typedef struct Texts Texts;

Texts *texts_new(void); /* aborts when out of memory, as texts_keep does */
void texts_free(Texts **t);
/* A copy with a 0 byte behind it. */
char *texts_keep(Texts *t, const char *text, size_t bytes);

#endif
