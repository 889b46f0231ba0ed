/* dit_parts.h - the inside of the transformer, for dit*.c. */
#ifndef REELWRIGHT_DIT_PARTS_H
#define REELWRIGHT_DIT_PARTS_H

#include "engine/speech/audio_encoder.h"
#include "engine/wan/dit.h"

typedef struct {
    Linear q, k, v, out;
    Tensor norm_q, norm_k; /* over all heads */
} DitAttention;

typedef struct {
    Tensor table; /* [6,D] */
    DitAttention self, cross;
    Linear image_k, image_v;
    Tensor image_norm_k;
    Tensor norm2_gain, norm2_bias;
    Linear up, down;
    Linear control_in, control_out; /* of a VACE block */
} DitBlock;

typedef struct { /* where a model that speaks hears */
    DitAttention cross;
    Linear adapt; /* a latent frame's sound as a whole -> shift and scale of its tokens */
} DitEar;

enum { DIT_PACKS = 3 }; /* in which frames that were before are seen: the last whole, earlier ones coarser */

struct Dit {
    DitConfig config;
    Backend *be;
    Coll *tensor, *sequence;
    int heads; /* of this rank of `tensor` */
    WeightPlan plan;
    Linear patch, control_patch;
    Linear time1, time2, time_proj, text1, text2;
    Tensor image_norm1_gain, image_norm1_bias, image_norm2_gain, image_norm2_bias, image_pos;
    Linear image1, image2;
    DitBlock *block; /* layers, then the VACE blocks */
    int blocks;
    Tensor table; /* [2,D] */
    Linear proj;
    Linear pose, pack[DIT_PACKS];
    Tensor kinds; /* [3,D]: added to the tokens of the latents, of the reference, of what was before */
    DitEar *ear;  /* sound_count */
    AudioEncoder *audio;
};

typedef struct
{ /* what one prompt gives to one block: [n + 1, D'] (the last row stands for all padding) and [m, D'], D' being the
                    width of this rank's heads */
    Tensor k, v, image_k, image_v;
} DitContext;

typedef struct {  /* what one branch hears in one place */
    Tensor k, v;  /* [F * (sound_tokens + 1), D'] */
    Tensor adapt; /* [F * 2, D]: of each latent frame shift, then scale */
} DitHeard;

typedef struct
{ /* tokens in the order frame, row, column. Their places go from..to on each axis in equal steps, truncated */
    int64_t grid[3];
    int from[3], to[3];
} DitPart;
enum { DIT_MOST_PARTS = 2 + DIT_PACKS };

struct DitShot {
    Dit *d;
    Backend *be; /* outlives the weights */
    int64_t dim[4], grid[3];
    DitPart part[DIT_MOST_PARTS]; /* the latents', then what a model that speaks looks at */
    int parts;
    int64_t shown;        /* tokens of the latents */
    int64_t tokens;       /* of all ranks */
    int64_t first, count; /* tokens of this rank */
    Tensor cos, sin;      /* [count, head_dim / 2] */
    DitContext *context[DIT_BRANCHES];
    Tensor text[DIT_BRANCHES]; /* [n + 1, D] */
    Tensor bias[DIT_BRANCHES]; /* [n + 1] */
    int rows[DIT_BRANCHES];    /* of the prompt without padding */
    Tensor image;              /* [m, D], for the trace */
    Tensor kept[DIT_BRANCHES]; /* [count, D]: what all layers together added to the tokens (DIT_KEEP) */
    Tensor begin;              /* [1,D]: added to the latents' tokens of a model that speaks */
    Tensor given;              /* [.., D]: this rank's tokens behind the latents', or none */
    DitHeard *heard[DIT_BRANCHES];
};

/* A copy that stays until it is dropped. */
Tensor dit_keep(Backend *be, DType type, Tensor t);
/* The norm of q or k without rotation; sumsq: what coll_sumsq gave, and the row of it. */
QkNorm dit_norm(const Dit *d, Tensor gain, Tensor sumsq, int row);

/* ---- dit_sound.c ---- */

/* The parts behind the latents'. */
void dit_sound_parts(DitShot *s, const DitGiven *given);
/* Their tokens, which are the same at every step. */
void dit_sound_begin(DitShot *s, const DitGiven *given);
void dit_sound_end(DitShot *s);
/* This rank's tokens before the first layer: patches of the latents [shown, ..] projected, then what is given. */
Tensor dit_sound_tokens(const DitShot *s, Tensor patches);
/* The latents' tokens x += O cross(adapted norm(x), sound), in the ear-th place. */
void dit_sound_hear(const DitShot *s, int branch, int ear, Tensor x);

#endif
