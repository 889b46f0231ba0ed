/* render_sound.h - `render --audio FILE`: how long the video of a model that speaks is, and the sound in its file. */
#ifndef REELWRIGHT_WORKER_RENDER_SOUND_H
#define REELWRIGHT_WORKER_RENDER_SOUND_H

#include "common/shot.h"
#include "worker/finish/track.h"

typedef struct {
    Sound sound;
    Track track; /* render_sound_track's */
} RenderSound;

/* path NULL: there is none. s->frames becomes as many as the sound is long, unless frames says otherwise (0: it does not). */
Status render_sound_read(RenderSound *r, const char *path, int frames, ShotSpec *s);
/* As long as the picture, and beginning with it; NULL without a sound. Borrowed. */
Status render_sound_track(RenderSound *r, const ShotSpec *s, const Track **out);
void render_sound_clear(RenderSound *r);

#endif
