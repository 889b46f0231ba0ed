/* dit_parts.h - the inside of the transformer, for dit*.c. */
#ifndef REELWRIGHT_DIT_PARTS_H
#define REELWRIGHT_DIT_PARTS_H

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
};

typedef struct
{ /* what one prompt gives to one block: [n + 1, D'] (the last row stands for all padding) and [m, D'], D' being the
                    width of this rank's heads */
    Tensor k, v, image_k, image_v;
} DitContext;

struct DitShot {
    Dit *d;
    Backend *be; /* outlives the weights */
    int64_t dim[4], grid[3];
    int64_t tokens;       /* of all ranks */
    int64_t first, count; /* tokens of this rank */
    Tensor cos, sin;      /* [count, head_dim / 2] */
    DitContext *context[DIT_BRANCHES];
    Tensor text[DIT_BRANCHES]; /* [n + 1, D] */
    Tensor bias[DIT_BRANCHES]; /* [n + 1] */
    int rows[DIT_BRANCHES];    /* of the prompt without padding */
    Tensor image;              /* [m, D], for the trace */
    Tensor kept[DIT_BRANCHES]; /* [count, D]: what all layers together added to the tokens (DIT_KEEP) */
};

/* The norm of q or k without rotation; sumsq: what coll_sumsq gave, and the row of it. */
QkNorm dit_norm(const Dit *d, Tensor gain, Tensor sumsq, int row);

#endif
