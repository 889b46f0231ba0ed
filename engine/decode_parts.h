/* decode_parts.h - latents to frames, part by part: a video that was made clip by clip (clips.h) is decoded so too, any other is one part. */
#ifndef REELWRIGHT_DECODE_PARTS_H
#define REELWRIGHT_DECODE_PARTS_H

#include "engine/engine.h"

/* Who takes the frames as they come: [n,H,W,3] fp32 in [0,1]. */
typedef struct {
    Status (*put)(void *self, const float *frames, int n, int height, int width);
    void *self;
} FrameSink;

int decode_parts(const ModelConfig *c, int64_t latent_frames);
typedef struct { /* the i-th of them */
    int i;
    int64_t most;       /* frames that are wanted: what follows them is not decoded */
    const Trace *trace; /* or NULL */
} DecodePart;
/* latents: [C,F,H,W] of all. The frames that stand for what a clip followed are not handed over. */
Status decode_part(Engine *e, const float *latents, const int64_t dim[4], const DecodePart *part, FrameSink sink);

#endif
