/* finish_look.h - what only this room's libraries can tell of a clip's document before anything is rendered: whether a font has every glyph,
 * a picture can be read, a text fits and a voice ends within the clip. `check` and `run` ask it for each row (campaign/finish_keys.h). */
#ifndef REELWRIGHT_FINISH_LOOK_H
#define REELWRIGHT_FINISH_LOOK_H

#include "common/status.h"

typedef void FinishLookFound(void *self, const char *member, const char *message);

/* campaign, clip: the documents. found() for each fault; what stays the same from row to row is looked at once. A voice by espeak is
 * spoken where it may be too long (more than a tenth of a second a character), and by another engine for the first few such rows.
 * Fails only where the documents are none. */
Status finish_look(const char *campaign, const char *clip, double shot_s, FinishLookFound *found, void *self);

/* One voice as a WAV file, for `reelwright voices`. spec: the document's "voice". *seconds: how long it is. */
Status finish_say(const char *spec, const char *path, double *seconds);

#endif
