/* condition.h - what pictures and control video are to the transformer: latents, masks, image tokens. Made once per shot
 * (engine/condition_make.h). */
#ifndef REELWRIGHT_CONDITION_H
#define REELWRIGHT_CONDITION_H

#include <stdint.h>

#include "common/model_config.h"

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
    float *speaker; /* [C,1,H,W]: who speaks, or NULL */
} Condition;

void condition_clear(Condition *c);

#endif
