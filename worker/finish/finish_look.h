/* finish_look.h - what only this room's libraries can tell of a clip's document before anything is rendered: whether a font has every glyph,
 * a picture can be read, a text fits and a voice ends within the clip. `check` and `run` ask it for each row (campaign/finish_keys.h). */
#ifndef REELWRIGHT_FINISH_LOOK_H
#define REELWRIGHT_FINISH_LOOK_H

#include "common/finish_look.h"

/* Of every clip: glyphs, pictures, times. Of each set of texts that differs: whether it fits in every rendition; of each voice that differs, and
 * may be too long (more than a tenth of a second a character): whether it ends in time, spoken by espeak, or by another engine where it is
 * among the ten longest. Of the shorter ones one for each language and voice, "1, 2, 3" where a command speaks: whether it speaks at all. The
 * longest come first, by as many processes as there are cores, for a minute in all; what is left then is said.
 * What was well is not looked at again: $XDG_CACHE_HOME/reelwright/looked (else ~/.cache) keeps a hash of each, no text. */
Status finish_look(const FinishLookJob *job);

#endif
