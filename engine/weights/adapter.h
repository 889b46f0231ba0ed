/* adapter.h - LoRA files: small changes to a model's weights, merged into them as they are loaded.
 *
 * For a weight W [N,K] an adapter of rank R holds A [R,K] and B [N,R]; what is loaded is
 *
 *     W' = W + scale * (alpha / R) * B A            (Hu et al. 2021, arXiv 2106.09685)
 *
 * computed in fp32. alpha is a tensor of the file, or stands in the metadata that diffusers writes, or is R. A file may also hold a
 * whole difference: W' = W + scale * diff, b' = b + scale * diff_b, and of a modulation diff_m.
 *
 * Three kinds of names are understood, with or without a prefix ("transformer.", "diffusion_model.", "base_model.model."):
 * diffusers' (PEFT), the publishers' (names.h), and kohya's (all dots are underscores). DoRA, LoHa and LoKr are refused by name. */
#ifndef REELWRIGHT_ADAPTER_H
#define REELWRIGHT_ADAPTER_H

#include "common/status.h"
#include "engine/weights/safetensors.h"

typedef struct { /* one adapter, as it is asked for */
    const char *file;
    double scale;
    bool two;  /* the model has another transformer: tensors that the file names for that one are not looked at */
    bool both; /* which gets this file as well: it need not hold anything for this one */
} AdapterOrder;

typedef struct Adapters Adapters; /* those that one transformer gets, in this order */

/* Headers only. `second` is true for the transformer that a two-expert model takes at low noise: tensors that a file holds under
 * "transformer_2." are its, and no other's. ERR_INPUT names file and tensor. count may be 0. */
Status adapters_open(const AdapterOrder *order, int count, bool second, Adapters **out);
void adapters_close(Adapters **a);

/* "DoRA", "LoHa", ...: the kind that a file is of and that is refused, and the tensor that says so; NULL: it is of none of those. */
const char *adapters_other_kind(const Safetensors *file, const StoredTensor **tensor);
/* An adapter changes this tensor (diffusers' name, with its end). */
bool adapters_touch(const Adapters *a, const char *tensor);
/* Merged with the one set this tensor is another than with the other: not the same files in the same order with the same scales change it.
 * NULL: none do. */
bool adapters_differ(const Adapters *a, const Adapters *b, const char *tensor);
/* Its name, size and time of change: another text, another file. free() it. */
char *adapters_identity(const char *file);
/* Before anything is loaded, for each tensor of the model: the shapes fit; remembers what has found its place. */
Status adapters_claim(Adapters *a, const char *tensor, Tensor shape);
/* After all were claimed: ERR_INPUT names the first tensor of a file that matches nothing in the model, or a file that holds nothing for
 * this transformer. */
Status adapters_check_claimed(const Adapters *a);
/* weight: fp32 of this shape on the host, changed in place. ERR_CLIP: what is merged is infinite, or larger than any
 * weight is (1e18). ERR_NODE: out of memory. */
Status adapters_apply(Adapters *a, const char *tensor, Tensor shape, float *weight);

#endif
