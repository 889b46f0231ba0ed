/* conditions.h - the pictures, videos and sounds that a shot names, read from their files into what the engine takes. `render` and a
 * worker's lease go the same way, so that they give the same clip. */
#ifndef REELWRIGHT_CONDITIONS_H
#define REELWRIGHT_CONDITIONS_H

#include "common/shot.h"
#include "engine/engine.h"
#include "worker/pictures/image.h"

typedef struct { /* owns the pixels: conditions_clear */
    ImageList image, last_image, reference, video, mask;
    float scale[VACE_MAX_LAYERS];
    float *sound;   /* 16,000 samples a second, or NULL */
    Conditions all; /* borrows them */
} MediaPixels;

/* Takes the SHA-256 of every file of the shot. ERR_INPUT names the key and the file. */
Status conditions_hash(ShotMedia *m);
/* Compares every file with the hash that the shot was planned with. ERR_CLIP: it has changed. ERR_RETRY: this machine cannot read
 * it. The message names the key ("image"), not the file: its name may be a customer's. */
Status conditions_verify(const ShotMedia *m);
/* m may be NULL. ERR_INPUT names the key and the file; with `private` only the key. */
Status conditions_read(const ShotMedia *m, const ModelConfig *c, int frames, bool private, MediaPixels *out);
void conditions_hear(MediaPixels *p, float *sound, int64_t samples); /* takes 16,000 samples a second */
void conditions_clear(MediaPixels *p);
const Conditions *conditions_of(const MediaPixels *p); /* NULL: nothing is given */

#endif
