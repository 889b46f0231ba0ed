/* speech.h - what is said in a shot, made before it is rendered: a model that speaks moves the lips to it, and the finish lays the same
 * sound under the picture. */
#ifndef REELWRIGHT_RENDER_SPEECH_H
#define REELWRIGHT_RENDER_SPEECH_H

#include <jansson.h>

#include "kernels/coll.h"
#include "worker/render/conditions.h"
#include "worker/render/render.h"

/* Where the sound of a shot lies (voice_make_at): it goes with the shot's latents, latents/KEY.voice. free() it. NULL: nothing is said. */
char *speech_place(const ShotSpec *shot, const char *campaign_folder, const char *key);

/* What the shot's model hears, into p: silence until the voice begins, then the voice, at its place in the clip. By all ranks of the group: the
 * first one makes it, the others get its samples. A shot that follows its voice (frames_most) gets its frames. *fresh: the sound was not there,
 * so latents that are there were made with another one. ERR_CLIP: it cannot be made, or is too long for the shot; ERR_RETRY, ERR_NODE:
 * voice_make's, likeness_read's. */
Status speech_hear(Coll *group, ShotSpec *shot, const char *place, Progress progress, MediaPixels *p, bool *fresh);
/* The frames of a shot that follows its voice, when that is made: as many as it was rendered with. spec: the finish's "voice". */
Status speech_measure(const json_t *spec, const char *place, ShotSpec *shot);

#endif
