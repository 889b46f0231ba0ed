/* looked.h - what `check` found well before: a file of the user's cache folder, one line for each text that was laid out and each voice that was
 * measured, by the SHA-256 of all that was looked at. Without such a folder nothing is kept. */
#ifndef REELWRIGHT_LOOKED_H
#define REELWRIGHT_LOOKED_H

#include <stdio.h>

/* frames: of a clip that follows this voice, else 0 */
void looked_recall(void (*see)(void *self, const char *key, int frames), void *self);
FILE *looked_open(void); /* to add to it; NULL: it cannot be written */
void looked_add(FILE *f, const char *key, int frames);

#endif
