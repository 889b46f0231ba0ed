/* voices.h - computes what a fixture of make_speech.py holds, and compares: all hidden states of wav2vec2, what clips take of them, the tokens of
 * the audio encoder. */
#ifndef REELWRIGHT_VOICES_H
#define REELWRIGHT_VOICES_H

#include "kernels/coll.h"
#include "kernels/ops.h"

/* worst: the largest parity_ratio. The ranks of `group` compute together, and each compares. ERR_INPUT: something is missing or of another
 * shape. */
Status voices_compare(const char *folder, const BackendOptions *o, Coll *group, double *worst);

#endif
