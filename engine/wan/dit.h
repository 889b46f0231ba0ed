/* dit.h - the Wan diffusion transformer: latents, timestep and prompt -> velocity.
 *
 *     x = patches W + b
 *     per layer, with (shift, scale, gate) x 2 = table + time projection:
 *         x += gate1 * self(norm(x) * (1 + scale1) + shift1)
 *         x += cross(norm2(x))
 *         x += gate2 * ffn(norm(x) * (1 + scale2) + shift2)
 *     v = unpatch((norm(x) * (1 + scale) + shift) W + b)
 *
 * One implementation for every kind. What differs is data: channels of the input, image tokens beside the prompt's, a
 * control branch whose hints are added after listed layers, one timestep for all tokens or 0 for the first frames', and, for a
 * model that speaks, tokens behind the latents' that show who speaks and what was before, and sound that is heard after listed layers. */
#ifndef REELWRIGHT_DIT_H
#define REELWRIGHT_DIT_H

#include "common/model_config.h"
#include "engine/weights/trace.h"
#include "engine/weights/weights.h"
#include "kernels/coll.h"
#include "kernels/ops.h"

typedef struct Dit Dit;

Dit *dit_new(const DitConfig *c); /* no weights yet */
/* Heads and feed-forward columns are divided among the ranks of `tensor`, whose number divides the heads; tokens among those
 * of `sequence`: before dit_load. Both borrowed. All ranks of both call dit_shot_* and dit_forward together. */
void dit_divide(Dit *d, Coll *tensor, Coll *sequence);
const WeightPlan *dit_plan(const Dit *d);
Status dit_reload(Dit *d, WeightSource *s, Backend *be, const Adapters *before,
                  const Adapters *now); /* weights_reload */
Status dit_load(Dit *d, WeightSource *s, Backend *be);
bool dit_is_loaded(const Dit *d);
void dit_unload(Dit *d); /* frees the weights, not its shots; dit_load brings them back */
void dit_free(Dit **d);

/* One shot on one transformer: the rotary tables of its size and, per branch of the guidance, the keys and values that
 * its prompt gives to every layer. They do not depend on the timestep. */
typedef struct DitShot DitShot;
enum { DIT_COND, DIT_UNCOND, DIT_BRANCHES };

/* What a model that speaks looks at besides the latents, on the host. */
typedef struct {
    const float *reference; /* [C,1,H,W]: who speaks */
    const float *motion;    /* [C,CHAIN_MOTION_LATENTS,H,W]: what was before, or NULL: nothing was */
} DitGiven;

/* dim: of the latent [C,F,H,W]; given: for a model that speaks, else NULL. Read during the call only. */
Status dit_shot_begin(Dit *d, const int64_t dim[4], const DitGiven *given, DitShot **out);
/* rows [n, text_dim] on the host: the prompt without its padding; padded: rows of the padded prompt (512). */
Status dit_shot_prompt(DitShot *s, int branch, const float *rows, int n, int padded);
/* Image tokens [n, image_dim] of both branches, for models that have an image branch. */
Status dit_shot_image(DitShot *s, const float *rows, int n);
/* How much each of Speech's layers counts in what is heard, [sound_states] before SiLU: read from the transformer's file alone. */
Status dit_sound_shares(const DitConfig *c, WeightSource *source, Backend *be, float *shares);
/* What a branch hears, on the host: [sound_dim, CHAIN_CLIP_FRAMES], the layers mixed, or NULL: nothing. */
Status dit_shot_sound(DitShot *s, int branch, const float *clip);
void dit_shot_end(DitShot **s);

/* What a step does with what the layers add to the tokens, which changes little from step to step. */
typedef enum {
    DIT_COMPUTE, /* computes it */
    DIT_KEEP,    /* computes it, and keeps it in the shot, for its branch */
    DIT_REUSE,   /* adds what was kept, and runs no layer */
} DitReuse;

typedef struct {
    Tensor latent; /* [in_channels,F,H,W] fp32 */
    float timestep;
    int frames_at_zero;         /* the tokens of the first n latent frames are at timestep 0 */
    Tensor control;             /* [vace_in,F,H,W], or none */
    const float *control_scale; /* one per VACE layer */
    DitReuse reuse;
    const Trace *trace; /* of the inside, or NULL */
    const char *name;   /* "transformer": between "trace." and the tensor's name */
    bool per_token;     /* the trace shows one time embedding per token: the first and the last */
} DitInput;

/* -> velocity [out_channels,F,H,W] fp32. Failures stay in the back end. */
void dit_forward(DitShot *s, int branch, const DitInput *in, Tensor velocity);
/* What was kept: [tokens of this rank, D] fp32, borrowed. */
Tensor dit_shot_kept(const DitShot *s, int branch);

#endif
