/* ref.h - the naive back end: fp32 in host memory, every kernel written as its definition. It is the specification that the
 * other back ends are compared with, so it prefers saying what is meant to being fast; sums run in double.
 *
 * Semantics: diffusers 0.42.1 (models/transformers/transformer_wan.py, models/autoencoders/autoencoder_kl_wan.py) and
 * transformers 5.23 (models/umt5). */
#ifndef REELWRIGHT_REF_H
#define REELWRIGHT_REF_H

#include "kernels/backend.h"

/* The tensor's numbers as fp32: itself, or a copy in scratch memory. After a failure NULL. */
float *ref_floats(Backend *be, Tensor t);
/* fp32 room for an output: itself, or scratch memory that ref_store converts into it. */
float *ref_room(Backend *be, Tensor t);
void ref_store(Tensor t, const float *numbers);

double ref_dot(const float *a, const float *b, int64_t n);
float ref_activation_of(float x, Activation act);

Status ref_linear_pack(Backend *be, Tensor weight, Tensor bias, Linear *l);
void ref_linear_free(Backend *be, Linear *l);
Status ref_linear(Backend *be, Tensor x, const Linear *w, Activation act, Tensor out);
Status ref_linear_add(Backend *be, Tensor acc, Tensor x, const Linear *w, Tensor gate);
Status ref_linear_geglu(Backend *be, Tensor x, const Linear *a, const Linear *b, Tensor out);

Status ref_activation(Backend *be, Tensor x, Activation act, Tensor out);
Status ref_add(Backend *be, Tensor a, Tensor b, Tensor out);
Status ref_add_to(Backend *be, Tensor acc, Tensor x, float factor);
Status ref_combine(Backend *be, Tensor out, int count, const Tensor *x, const double *weight);
Status ref_embed(Backend *be, Tensor table, const int64_t *ids, int64_t n, Tensor out);
Status ref_layernorm(Backend *be, Tensor x, Tensor gain, Tensor bias, float eps, Tensor out);
Status ref_rmsnorm(Backend *be, Tensor x, Tensor gain, float eps, Tensor out);
Status ref_norm_modulate(Backend *be, Tensor x, Tensor scale, Tensor shift, float eps, Tensor out);
Status ref_sumsq(Backend *be, Tensor x, Tensor out);
Status ref_qk_norm_rope(Backend *be, Tensor x, const QkNorm *n);
Status ref_attention(Backend *be, Tensor q, Tensor k, Tensor v, int heads, float scale, Tensor bias, Tensor out);
Status ref_patchify(Backend *be, Tensor latent, const int patch[3], Tensor out);
Status ref_unpatchify(Backend *be, Tensor tokens, const int patch[3], Tensor out);
Status ref_columns(Backend *be, Tensor x, int64_t first, int64_t count, Tensor out);
Status ref_put_columns(Backend *be, Tensor dst, Tensor x, int64_t first);

Status ref_conv_pack(Backend *be, Tensor weight, Tensor bias, Conv *c);
int64_t ref_conv_numbers(const Conv *c);
void ref_conv_free(Backend *be, Conv *c);
Status ref_conv(Backend *be, Tensor x, const Conv *c, Tensor out);
Status ref_conv_add(Backend *be, Tensor acc, Tensor x, const Conv *c);
Status ref_conv_upsampled(Backend *be, Tensor x, const Conv *c, Tensor out);
Status ref_channel_norm(Backend *be, Tensor x, Tensor gain, bool silu, Tensor out);
Status ref_time_split(Backend *be, Tensor x, Tensor out);
Status ref_avg_down(Backend *be, Tensor x, int factor_t, int factor_s, Tensor out);
Status ref_dup_up(Backend *be, Tensor x, int factor_t, int factor_s, bool first_chunk, Tensor out);
Status ref_pixel_shuffle(Backend *be, Tensor x, int p, Tensor out);
Status ref_pixel_unshuffle(Backend *be, Tensor x, int p, Tensor out);
Status ref_to_channels_first(Backend *be, Tensor x, Tensor out);

#endif
