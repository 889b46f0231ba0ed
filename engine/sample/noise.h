/* noise.h - the noise that a shot starts from. */
#ifndef REELWRIGHT_NOISE_H
#define REELWRIGHT_NOISE_H

#include <stdint.h>

/* Exactly torch.randn(dim, generator=Generator("cpu").manual_seed(seed), dtype=float32); count elements. */
void noise_fill(uint64_t seed, float *out, int64_t count);

#endif
