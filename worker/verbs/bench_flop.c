/* Floating-point operations by definition. Norms, activation functions and the like are left out: below one in a hundred. */
#include "worker/verbs/bench.h"

double bench_flop_transformer(const DitConfig *c, const int64_t latent[3], int64_t prompt_rows)
{
    double t = 1, volume = 1, d = (double)c->heads * c->head_dim, layers = c->layers, p = (double)prompt_rows;
    for (int i = 0; i < 3; i++) {
        t *= (double)(latent[i] / c->patch[i]);
        volume *= c->patch[i];
    }
    double ends = 2 * t * d * volume * (c->in_channels + c->out_channels);
    double time = 2 * (c->freq_dim * d + d * d + 6 * d * d);
    double self = 8 * t * d * d + 4 * t * t * d;
    double cross = 4 * t * d * d + 4 * t * p * d; /* keys and values are made once per shot */
    double ffn = 4 * t * d * c->ffn_dim;
    return ends + time + layers * (self + cross + ffn);
}

double bench_flop_text(const TextConfig *c, int64_t tokens)
{
    double t = (double)tokens, d = c->d_model, inner = (double)c->heads * c->d_kv;
    return c->layers * (8 * t * d * inner + 4 * t * t * inner + 6 * t * d * c->d_ff);
}

/* A clip on its way through the autoencoder. The first latent frame stays one frame, so its count is kept apart. */
typedef struct {
    double first, later; /* frames */
    double h, w;
    double flop;
} BenchClip;

static void clip_conv(BenchClip *v, double in, double out, int taps)
{
    v->flop += 2 * (v->first + v->later) * v->h * v->w * in * out * taps;
}

static void clip_res(BenchClip *v, double in, double out)
{
    clip_conv(v, in, out, 27);
    clip_conv(v, out, out, 27);
    if (in != out) clip_conv(v, in, out, 1);
}

static void clip_mid(BenchClip *v, double width)
{
    clip_res(v, width, width);
    clip_conv(v, width, 4 * width, 1);
    v->flop += 4 * (v->first + v->later) * v->h * v->w * v->h * v->w * width;
    clip_res(v, width, width);
}

double bench_flop_vae_decode(const VaeConfig *c, const int64_t latent[3])
{
    BenchClip v = {1, (double)latent[0] - 1, (double)latent[1], (double)latent[2], 0};
    int last = c->stages - 1, width = c->decoder_base_dim * c->dim_mult[last];
    clip_conv(&v, c->z_dim, c->z_dim, 1);
    clip_conv(&v, c->z_dim, width, 27);
    clip_mid(&v, width);
    for (int i = 0; i <= last; i++) {
        int out = c->decoder_base_dim * c->dim_mult[last - i];
        for (int j = 0; j <= c->res_blocks; j++, width = out) clip_res(&v, width, out);
        if (i == last) break;
        if (c->time_down[last - 1 - i]) {
            v.flop += 2 * v.later * v.h * v.w * out * 2 * out * 3;
            v.later *= 2;
        }
        v.h *= 2;
        v.w *= 2;
        width = c->residual ? out : out / 2;
        clip_conv(&v, out, width, 9);
    }
    clip_conv(&v, width, c->out_channels, 27);
    return v.flop;
}

double bench_flop_vae_encode(const VaeConfig *c, const int64_t latent[3])
{
    double scale = c->scale_space / c->patch;
    BenchClip v = {1, (double)((latent[0] - 1) * c->scale_time), (double)latent[1] * scale, (double)latent[2] * scale,
                   0};
    int last = c->stages - 1, width = c->base_dim;
    clip_conv(&v, c->in_channels, width, 27);
    for (int i = 0; i <= last; i++) {
        int out = c->base_dim * c->dim_mult[i];
        for (int j = 0; j < c->res_blocks; j++, width = out) clip_res(&v, width, out);
        if (i == last) break;
        v.h /= 2;
        v.w /= 2;
        clip_conv(&v, out, out, 9);
        if (!c->time_down[i]) continue;
        v.later /= 2;
        v.flop += 2 * v.later * v.h * v.w * out * out * 3;
    }
    clip_mid(&v, width);
    clip_conv(&v, width, 2 * c->z_dim, 27);
    clip_conv(&v, 2 * c->z_dim, 2 * c->z_dim, 1);
    return v.flop;
}
