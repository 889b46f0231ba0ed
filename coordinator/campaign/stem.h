/* stem.h - file names for clips: a customer's id made safe for any file system, and unique even where case does not
 * count.
 *
 * Letters a-z and A-Z, digits, - and _ stay; an accent is taken off (ü becomes u); everything else becomes _, the
 * dot too, because STEM.preview.mp4 would else be ambiguous. A stem that is taken gets the first eight digits of its
 * id's SHA-256 behind it, and, should that be taken as well, a number. */
#ifndef REELWRIGHT_STEM_H
#define REELWRIGHT_STEM_H

#include <stdint.h>

#include "coordinator/campaign/texts.h"

enum { STEM_BYTES = 101 }; /* at most 100, and the 0 byte */

/* Safe, but not yet unique; at most 80 bytes. */
void stem_from_id(const char *id, char stem[STEM_BYTES]);

/* What that becomes when it is taken. */
void stem_mark(const char *id, char stem[STEM_BYTES]);

typedef struct Stems Stems;    /* the stems that are taken */
Stems *stems_new(Texts *text); /* where it keeps stems; borrowed */
void stems_free(Stems **s);
/* A stem that is taken already. */
void stems_note(Stems *s, const char *stem);
/* The stem for this id; it counts as taken from now on. It is the id itself, which must live as long as s does, or lives as long as `text`. */
const char *stems_take(Stems *s, const char *id);

#endif
