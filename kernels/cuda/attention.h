/* attention.h - what the ways to compute attention share: attention.c, attention_int8.c. */
#ifndef REELWRIGHT_CUDA_ATTENTION_H
#define REELWRIGHT_CUDA_ATTENTION_H

#include "kernels/cuda/cuda.h"

typedef struct {
    Tensor q, k, v, bias, out; /* q, k, v in the compute type */
    int64_t heads, d, tq, tk;
    float scale;
} Attention;

/* Whether its scores are to be products of int8 (BackendOptions.scores), and it is one that can and is worth it. */
bool attention_int8_fits(const Backend *be, const Attention *a);
Status attention_int8(Backend *be, const Attention *a);

#endif
