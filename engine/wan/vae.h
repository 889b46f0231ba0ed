/* vae.h - Wan's causal video autoencoder, decoder and encoder, as streams: one latent frame, or a few, at a time.
 *
 * Every convolution over time looks back two frames and never ahead, so a stream carries the last frames of each
 * convolution's input (zeros at the start) and its memory does not grow with the clip. The first latent frame stands for
 * one frame of video, each later one for scale_time.
 *
 * Two generations are data: z16 (residual blocks, halving upsamplers) and z48 (is_residual: average shortcuts around each
 * stage; patch_size 2: pixels folded into channels). Features are [T,H,W,C].
 *
 * Computed in backend_begin_exact's precision: fp32, unless BackendOptions.exact asks for less. */
#ifndef REELWRIGHT_VAE_H
#define REELWRIGHT_VAE_H

#include "common/model_config.h"
#include "engine/weights/weights.h"
#include "kernels/ops.h"

typedef enum { VAE_DECODER, VAE_ENCODER } VaeHalf;

typedef struct Vae Vae; /* one half of the autoencoder */

Vae *vae_new(const VaeConfig *c, VaeHalf half); /* no weights yet */
const WeightPlan *vae_plan(const Vae *v);
Status vae_load(Vae *v, WeightSource *s, Backend *be);
bool vae_is_loaded(const Vae *v);
void vae_unload(Vae *v); /* frees the weights; vae_load brings them back */
void vae_free(Vae **v);

/* How much of a clip is computed together: the numbers are the same. Features of more than piece_bytes go through a stage in pieces, of
 * as many frames as fit, one at the least. After the first latent frame up to `latents` may be decoded at once. */
typedef struct {
    int64_t piece_bytes;
    int latents;
} VaePace;
extern const VaePace vae_least_pace; /* for a processor's caches, and where memory is short */

typedef struct VaeStream VaeStream;
VaeStream *vae_begin(Vae *v, VaePace pace);
void vae_end(VaeStream **s);
/* latent [k,H,W,z] (not normalised) -> pixels [n,H*scale,W*scale,3], k = n = 1 for the first, then n = k * scale_time; not clamped.
 * Both live in the arena; failures stay in the back end. */
Tensor vae_decode(VaeStream *s, Tensor latent);
/* vae_decode in two parts. The first looks at whole frames (attention in the middle) at the latent's size and gives
 * [k,H,W,width]; the second, where nearly all of the memory and time goes, looks no further than vae_halo() latent pixels around
 * a pixel, so it may be given a window of a frame: away from the window's edge its pixels are the same. */
Tensor vae_decode_middle(VaeStream *s, Tensor latent);
Tensor vae_decode_outer(VaeStream *s, Tensor middle);
/* pixels [n,H,W,3] in [-1,1], n = 1 for the first, then scale_time -> mean of the latent [1,H/scale,W/scale,z] */
Tensor vae_encode(VaeStream *s, Tensor pixels);
/* The same two parts of vae_encode: a window of pixels -> [1,H/scale,W/scale,width] -> the mean. */
Tensor vae_encode_outer(VaeStream *s, Tensor pixels);
Tensor vae_encode_middle(VaeStream *s, Tensor features);
int vae_halo(const Vae *v);   /* latent pixels to each side that an outer part's result depends on */
int vae_middle(const Vae *v); /* width of what lies between the parts */
int vae_scale(const Vae *v);  /* pixels of video per latent pixel */

#endif
