/* audio_encoder.h - the part of a speaking transformer that makes tokens of what Speech heard; its weights are in the transformer's file.
 *
 * Of each frame the layers are mixed, SiLU(w) their shares, which Speech does; three causal convolutions take four frames together. The
 * clip's first frame, many times, stands for the frames before it, of which nothing is kept.
 * Source: Wan2.2's wan/modules/s2v/audio_utils.py and auxi_blocks.py (CausalAudioEncoder, MotionEncoder_tc). */
#ifndef REELWRIGHT_AUDIO_ENCODER_H
#define REELWRIGHT_AUDIO_ENCODER_H

#include "common/chain.h"
#include "engine/weights/weights.h"
#include "kernels/ops.h"

typedef struct {
    int layers; /* Speech's hidden layers + 1 */
    int width;  /* of a row of Speech; audio_dim */
    int dim;    /* of the transformer; a multiple of 4 */
    int tokens; /* num_audio_token */
} AudioConfig;

typedef struct AudioEncoder AudioEncoder;

AudioEncoder *audio_encoder_new(const AudioConfig *c);
/* Its tensors, "PREFIXweights" and so on, become part of the transformer's plan, which loads and frees them; "casual_audio_encoder." in
 * published files. */
void audio_encoder_add(AudioEncoder *a, WeightPlan *plan, const char *prefix);
void audio_encoder_free(AudioEncoder **a);

/* The weights of the mixture alone, [layers]: read from the transformer's file before the transformer is loaded. */
Status audio_encoder_shares(const AudioConfig *c, WeightSource *source, const char *prefix, Backend *be, float *shares);

typedef struct {   /* fp32, in the arena */
    Tensor local;  /* [CHAIN_CLIP_LATENTS * (tokens + 1), dim]: the last of each latent frame is the padding token */
    Tensor global; /* [CHAIN_CLIP_LATENTS, dim] */
} AudioTokens;
/* clip: speech_clip, [width][CHAIN_CLIP_FRAMES] on the host, or NULL: nothing is heard, as the unconditional branch has it. */
AudioTokens audio_encoder_run(const AudioEncoder *a, Backend *be, const float *clip);

#endif
