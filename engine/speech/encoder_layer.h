/* encoder_layer.h - a layer of an encoder that norms before it computes: wav2vec2's of sound here, CLIP's of pictures in engine/wan/vision.c.
 * Their files name its tensors differently, which is each encoder's own table. */
#ifndef REELWRIGHT_ENCODER_LAYER_H
#define REELWRIGHT_ENCODER_LAYER_H

#include "kernels/coll.h"
#include "kernels/ops.h"

typedef struct {
    Tensor norm1_gain, norm1_bias, norm2_gain, norm2_bias; /* [width] */
    Linear q, k, v, out, up, down;
} EncoderLayer;

/* x [rows, width] fp32 += attention of norm1(x), then += MLP of norm2(x), with torch's exact GELU. heads: of this rank of `tensor`, each
 * head_width wide. */
void encoder_layer_add(Backend *be, Coll *tensor, const EncoderLayer *l, int heads, int head_width, float eps,
                       Tensor x);

#endif
