/* profile.h - a finished video read back, and compared with what its rendition promises: what does not keep it is not delivered.
 *
 * Read from the file's own bytes: the order of its boxes (moov before mdat), no edit list. Read by libav: codec, size, pixel format, colours,
 * the rate and evenness of the frames, each group of pictures closed and as long as it should be, duration, sound of 48 kHz that begins
 * and ends with the picture, the size of the file. */
#ifndef REELWRIGHT_PROFILE_H
#define REELWRIGHT_PROFILE_H

#include <stdbool.h>

#include "common/clip.h"

typedef struct {
    int fps;
    int64_t frames;
    bool sound, subtitles; /* whether there is to be such a track */
} ProfileWish;

/* ERR_CLIP: the first thing that is not as it should be. */
Status profile_check(const char *path, const Rendition *r, const ProfileWish *wish);
/* The same of a poster or a GIF: its kind, its size in pixels (a GIF may have become smaller), its size in bytes; that it can be decoded. */
Status profile_check_still(const char *path, const Rendition *r);

#endif
