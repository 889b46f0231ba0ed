/* condition.h - pictures and control video turned into what the transformer takes: latents through the autoencoder, masks,
 * image tokens. Made once per shot. */
#ifndef REELWRIGHT_CONDITION_H
#define REELWRIGHT_CONDITION_H

#include "engine/engine.h"

typedef struct {
    int64_t dim[4];    /* of the latents that are denoised: [C,F,H,W], references included */
    int references;    /* leading latent frames that show reference pictures */
    int extra;         /* channels beside the latents' (mask, then encoded pictures) */
    float *channels;   /* [extra,F,H,W], or NULL */
    float *first;      /* [C,H,W]: the first latent frame, given (one timestep per token), or NULL */
    float *image_rows; /* [image_tokens, image_dim], or NULL */
    int image_tokens;
    float *control; /* [control_dim], or NULL */
    int64_t control_dim[4];
    float control_scale[VACE_MAX_LAYERS];
} Condition;

/* ERR_INPUT: the model does not take what is given, or needs what is not. c may be NULL. */
Status condition_make(Engine *e, const ShotSpec *s, const Conditions *c, const Trace *trace, Condition *out);
void condition_clear(Condition *c);

#endif
