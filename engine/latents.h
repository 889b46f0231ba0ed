/* latents.h - footage -> latents, by the encoder half of the autoencoder, whole or in tiles (engine/wan/tiles.h). */
#ifndef REELWRIGHT_LATENTS_H
#define REELWRIGHT_LATENTS_H

#include "engine/engine.h"

typedef struct {                                           /* a video that is made frame by frame */
    void (*fill)(const void *self, int frame, float *out); /* out [height,width,3] in [-1,1] */
    const void *self;
    int frames, width, height;
} Footage;

/* -> normalised latents [z,F,h,w] in *out (free() them): the mean of what the encoder gives, one latent frame at a time. Computed by the
 * first rank of the group, on all. number: how many videos of the shot were encoded before, for the trace. */
Status latents_encode(Engine *e, const Footage *v, const Trace *trace, int number, float **out);

#endif
