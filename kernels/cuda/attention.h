/* attention.h - what the ways to compute attention share: attention.c, attention_int8.c. */
#ifndef REELWRIGHT_CUDA_ATTENTION_H
#define REELWRIGHT_CUDA_ATTENTION_H

#include "kernels/cuda/cuda.h"

typedef struct {
    Tensor q, k, v, bias, out; /* q, k, v in the compute type */
    int64_t heads, d, tq, tk;
    float scale;
} Attention;

/* The back end is asked for scores in int8 (BackendOptions.scores), the kernel can compute this attention, and it has enough keys to gain by it. */
bool attention_int8_fits(const Backend *be, const Attention *a);
Status attention_int8(Backend *be, const Attention *a);

#endif
