/* Video features [T,H,W,C]: check, take the output from the arena, call the back end's kernel. */
#include "kernels/ops.h"
#include "kernels/shape.h"

static Tensor video_shape(DType dtype, int64_t t, int64_t h, int64_t w, int64_t c)
{
    return tensor_view(NULL, dtype, 4, (int64_t[]){t, h, w, c});
}

static Tensor conv_weight_shape(const Conv *c)
{
    return tensor_view(NULL, F32, 5, (int64_t[]){c->out, c->in, c->kernel[0], c->kernel[1], c->kernel[2]});
}

/* Output size along dimension i of (t, h, w); < 1 if the kernel does not fit. */
static int64_t conv_size(Tensor x, const Conv *c, int i)
{
    int64_t padded = x.dim[i] + (i ? c->pad[i - 1][0] + c->pad[i - 1][1] : 0);
    return padded < c->kernel[i] || c->stride[i] < 1 ? 0 : (padded - c->kernel[i]) / c->stride[i] + 1;
}

static Tensor conv_shape(Tensor x, const Conv *c)
{
    return video_shape(F32, conv_size(x, c, 0), conv_size(x, c, 1), conv_size(x, c, 2), c->out);
}

static bool conv_fits(Tensor x, const Conv *c, Tensor out)
{
    return x.ndim == 4 && x.dim[3] == c->in && out.dim[0] > 0 && out.dim[1] > 0 && out.dim[2] > 0;
}

static void plan_conv(Backend *be, Tensor x, const Conv *c, Tensor out, bool doubled)
{
    if (!be->options.plan || failed(be->first) || !be->kernels->conv_scratch_bytes) return;
    backend_plan_scratch(be, (size_t)be->kernels->conv_scratch_bytes(be, x, c, out, doubled));
}

Tensor op_conv(Backend *be, Tensor x, const Conv *c)
{
    Tensor out = conv_shape(x, c);
    if (!shape_check(be, conv_fits(x, c, out), "op_conv", x, conv_weight_shape(c))) return out;
    out = shape_alloc(be, out);
    op_conv_to(be, out, x, c);
    return out;
}

void op_conv_to(Backend *be, Tensor out, Tensor x, const Conv *c)
{
    Tensor shape = conv_shape(x, c);
    if (!shape_check(be, conv_fits(x, c, shape), "op_conv_to", x, conv_weight_shape(c))) return;
    const bool same = shape_same(out, shape) && (out.dtype == F32 || out.dtype == backend_branch(be));
    if (!shape_check(be, same, "op_conv_to", out, shape)) return;
    plan_conv(be, x, c, out, false);
    BACKEND_RUN(be, conv(be, x, c, out));
}

void op_conv_add(Backend *be, Tensor acc, Tensor x, const Conv *c)
{
    Tensor out = conv_shape(x, c);
    if (!shape_check(be, conv_fits(x, c, out), "op_conv_add", x, conv_weight_shape(c))) return;
    if (!shape_check(be, acc.dtype == F32 && shape_same(acc, out), "op_conv_add", acc, out)) return;
    plan_conv(be, x, c, acc, false);
    BACKEND_RUN(be, conv_add(be, acc, x, c));
}

Tensor op_conv_upsampled(Backend *be, Tensor x, const Conv *c)
{
    Tensor out = video_shape(F32, x.dim[0], 2 * x.dim[1], 2 * x.dim[2], c->out);
    bool fits = conv_fits(x, c, out) && c->kernel[0] == 1 && c->kernel[1] == 3 && c->kernel[2] == 3;
    for (int i = 0; i < 3; i++) fits = fits && c->stride[i] == 1;
    for (int i = 0; i < 2; i++) fits = fits && c->pad[i][0] == 1 && c->pad[i][1] == 1;
    if (!shape_check(be, fits, "op_conv_upsampled", x, conv_weight_shape(c))) return out;
    out = shape_alloc(be, out);
    plan_conv(be, x, c, out, true);
    BACKEND_RUN(be, conv_upsampled(be, x, c, out));
    return out;
}

Tensor op_channel_norm(Backend *be, Tensor x, Tensor gain, bool silu)
{
    Tensor out = shape_alloc(be, shape_with_last(x, shape_last(x), backend_branch(be)));
    op_channel_norm_to(be, out, x, gain, silu);
    return out;
}

void op_channel_norm_to(Backend *be, Tensor out, Tensor x, Tensor gain, bool silu)
{
    const bool fits = gain.data && gain.dtype == F32 && tensor_count(gain) == shape_last(x);
    const bool same = shape_same(x, out) && out.dtype == backend_branch(be);
    if (!shape_check(be, fits, "op_channel_norm", x, gain)) return;
    if (!shape_check(be, same, "op_channel_norm_to", out, x)) return;
    BACKEND_RUN(be, channel_norm(be, x, gain, silu, out));
}

Tensor op_time_split(Backend *be, Tensor x)
{
    Tensor out = video_shape(x.dtype, 2 * x.dim[0], x.dim[1], x.dim[2], x.dim[3] / 2);
    if (!shape_check(be, x.ndim == 4 && x.dim[3] % 2 == 0, "op_time_split", x, out)) return out;
    out = shape_alloc(be, out);
    BACKEND_RUN(be, time_split(be, x, out));
    return out;
}

Tensor op_avg_down(Backend *be, Tensor x, int64_t out_channels, int factor_t, int factor_s)
{
    bool fits = x.ndim == 4 && factor_t > 0 && factor_s > 0 && x.dim[1] % factor_s == 0 && x.dim[2] % factor_s == 0 &&
                out_channels > 0 && x.dim[3] * factor_t * factor_s * factor_s % out_channels == 0;
    int64_t ft = fits ? factor_t : 1, fs = fits ? factor_s : 1;
    Tensor out = video_shape(F32, (x.dim[0] + ft - 1) / ft, x.dim[1] / fs, x.dim[2] / fs, out_channels);
    if (!shape_check(be, fits, "op_avg_down", x, out)) return out;
    out = shape_alloc(be, out);
    BACKEND_RUN(be, avg_down(be, x, factor_t, factor_s, out));
    return out;
}

Tensor op_dup_up(Backend *be, Tensor x, int64_t out_channels, int factor_t, int factor_s, bool first_chunk)
{
    bool fits = x.ndim == 4 && factor_t > 0 && factor_s > 0 && x.dim[0] > 0 && x.dim[3] > 0 && out_channels > 0 &&
                out_channels * factor_t * factor_s * factor_s % x.dim[3] == 0;
    int64_t frames = x.dim[0] * factor_t - (first_chunk ? factor_t - 1 : 0);
    Tensor out = video_shape(F32, frames, x.dim[1] * factor_s, x.dim[2] * factor_s, out_channels);
    if (!shape_check(be, fits, "op_dup_up", x, out)) return out;
    out = shape_alloc(be, out);
    BACKEND_RUN(be, dup_up(be, x, factor_t, factor_s, first_chunk, out));
    return out;
}

Tensor op_pixel_shuffle(Backend *be, Tensor x, int p)
{
    bool fits = x.ndim == 4 && p > 0 && x.dim[3] % (p * p) == 0;
    Tensor out = video_shape(x.dtype, x.dim[0], x.dim[1] * p, x.dim[2] * p, fits ? x.dim[3] / (p * p) : 0);
    if (!shape_check(be, fits, "op_pixel_shuffle", x, out)) return out;
    out = shape_alloc(be, out);
    BACKEND_RUN(be, pixel_shuffle(be, x, p, out));
    return out;
}

Tensor op_pixel_unshuffle(Backend *be, Tensor x, int p)
{
    bool fits = x.ndim == 4 && p > 0 && x.dim[1] % p == 0 && x.dim[2] % p == 0;
    int64_t s = fits ? p : 1;
    Tensor out = video_shape(x.dtype, x.dim[0], x.dim[1] / s, x.dim[2] / s, x.dim[3] * s * s);
    if (!shape_check(be, fits, "op_pixel_unshuffle", x, out)) return out;
    out = shape_alloc(be, out);
    BACKEND_RUN(be, pixel_unshuffle(be, x, p, out));
    return out;
}

Tensor op_to_channels_first(Backend *be, Tensor x)
{
    Tensor out = video_shape(x.dtype, x.dim[3], x.dim[0], x.dim[1], x.dim[2]);
    if (!shape_check(be, x.ndim == 4, "op_to_channels_first", x, out)) return out;
    out = shape_alloc(be, out);
    BACKEND_RUN(be, to_channels_first(be, x, out));
    return out;
}
