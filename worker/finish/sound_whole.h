/* sound_whole.h - is all of a sound file there? What its format says of its own length, compared with the file. libav takes what is there. */
#ifndef REELWRIGHT_SOUND_WHOLE_H
#define REELWRIGHT_SOUND_WHOLE_H

#include <stdbool.h>

#include "common/status.h"

typedef enum {
    SOUND_ASK_LIBAV,    /* another format than these: */
    SOUND_SAYS_NOTHING, /* of its length: Ogg without a last page, WAV from a pipe */
    SOUND_IS_WHOLE      /* its last byte is there: WAV, RF64, W64, AIFF, Ogg */
} SoundWhole;

/* ERR_INPUT: cut short, with the file's name. What cannot be read is another one's to tell. */
Status sound_whole(const char *path, SoundWhole *out);

#endif
