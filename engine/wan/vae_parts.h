/* vae_parts.h - between vae_weights.c, which says what an autoencoder is made of, and vae.c, which runs frames through it. */
#ifndef REELWRIGHT_VAE_PARTS_H
#define REELWRIGHT_VAE_PARTS_H

#include "engine/wan/vae.h"

enum { MAX_RES = 17 };

typedef struct {
    Tensor norm1, norm2;
    Conv conv1, conv2, shortcut;
    bool widens; /* has a shortcut convolution */
    int slot;    /* of conv1's history; conv2's is the next */
} VaeRes;

typedef struct { /* the last op of a stage: halves or doubles height and width, and time if it has a time convolution */
    Conv space, time;
    bool present, in_time;
    int slot;
} VaeResample;

typedef struct {
    VaeRes res[MAX_RES];
    int res_count;
    VaeResample sample;
    int64_t out; /* channels */
} VaeStage;

struct Vae {
    VaeConfig config;
    VaeHalf half;
    Backend *be;
    WeightPlan plan;
    Linear quant; /* post_quant_conv before the decoder, quant_conv after the encoder */
    Conv in, out;
    int in_slot, out_slot, slots;
    VaeRes mid[2];
    Tensor attention_norm;
    Linear qkv, proj;
    VaeStage stage[VAE_MAX_STAGES];
    Tensor norm_out;
};

#endif
