/* clips.h - a video that a model that speaks makes clip by clip (common/chain.h): what it is given, what one clip leaves to the next, and
 * what of all of them is decoded.
 *
 * A clip is decoded behind the latents that it followed: the first behind the picture of who speaks (1 latent frame), a later one behind
 * what was before (19). So what is to be decoded, of all clips one after the other, has 21 latent frames of the first clip and 39 of
 * every later one. Source: Wan2.2's wan/speech2video.py.
 *
 * A checkpoint holds all that is made so far, once a minute unless the campaign says otherwise: 16 MB a clip at 480x832, 0.1 GB at the end of
 * the 30 seconds that `frames: voice` allows at first, 1.9 GB at the end of ten minutes, which then takes some seconds of each minute. One file
 * that is whole is worth them: parts would have to be kept, checked, moved and erased together. */
#ifndef REELWRIGHT_CLIPS_H
#define REELWRIGHT_CLIPS_H

#include "engine/engine.h"
#include "engine/speech/speech.h"

typedef struct {
    int count;               /* clips of the video */
    int clip;                /* the one that is made */
    int64_t dim[4];          /* of a clip's latents */
    float *reference;        /* [C,1,H,W] */
    float *motion;           /* [C,CHAIN_MOTION_LATENTS,H,W], or NULL before the first clip's end */
    float *done;             /* [C,chain_latents(clip),H,W]: of the clips that are made */
    SpeechFeatures features; /* what is heard */
} Clips;

void clips_clear(Clips *c);
/* The clip's sound, or NULL: nothing is heard any more. */
const float *clips_heard(const Clips *c);
/* The clip is made: latents [C,F,H,W] go behind what is done and, unless it was the last, become what the next one sees before it: they are
 * decoded, and the last frames encoded anew. On every rank; the first one decodes and encodes. */
Status clips_finish(Clips *c, Engine *e, const float *latents);

/* What is to be decoded, when all are made -> [C,chain_latents(count),H,W]. */
Status clips_result(const Clips *c, float *latents);

/* The state that a run goes on from besides that of the clip itself. Borrowed. */
int clips_state(const Clips *c, StateTensor out[STATE_MOST_TENSORS]);
/* After so many clips: ERR_INPUT when a tensor is missing, of another shape, or one too many. Copied. */
Status clips_restore(Clips *c, int made, const StateTensor *tensor, int count);

#endif
