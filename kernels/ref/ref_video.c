/* What lies between the convolutions of the autoencoder: its norm and its rearrangements. */
#include <math.h>

#include "kernels/ref/ref.h"

Status ref_channel_norm(Backend *be, Tensor x, Tensor gain, bool silu, Tensor out)
{
    int64_t c = x.dim[x.ndim - 1], rows = tensor_count(x) / c;
    const float *in = ref_floats(be, x), *g = gain.data;
    float *y = ref_room(be, out);
    if (failed(be->first)) return be->first;
    for (int64_t t = 0; t < rows; t++) {
        double r = sqrt((double)c) / fmax(sqrt(ref_dot(in + t * c, in + t * c, c)), 1e-12);
        for (int64_t i = 0; i < c; i++) {
            float v = (float)((double)in[t * c + i] * r * (double)g[i]);
            y[t * c + i] = silu ? ref_activation_of(v, ACT_SILU) : v;
        }
    }
    ref_store(out, y);
    return status_ok();
}

/* ---- rearrangements: each output element comes from one place ------------------------------------------------------- */

typedef struct { /* of an output element: frame, row, column, channel */
    int64_t t, h, w, c;
} RefPlace;

static RefPlace ref_place(int64_t i, Tensor out)
{
    const int64_t *d = out.dim;
    return (RefPlace){i / (d[1] * d[2] * d[3]), i / (d[2] * d[3]) % d[1], i / d[3] % d[2], i % d[3]};
}

static int64_t ref_index(Tensor x, int64_t t, int64_t h, int64_t w, int64_t c)
{
    return ((t * x.dim[1] + h) * x.dim[2] + w) * x.dim[3] + c;
}

#define REF_REARRANGE(source)                                                                                          \
    const float *in = ref_floats(be, x);                                                                               \
    float *y = ref_room(be, out);                                                                                      \
    if (failed(be->first)) return be->first;                                                                           \
    int64_t count = tensor_count(out);                                                                                 \
    for (int64_t i = 0; i < count; i++) {                                                                              \
        RefPlace o = ref_place(i, out);                                                                                \
        y[i] = in[source];                                                                                             \
    }                                                                                                                  \
    ref_store(out, y);                                                                                                 \
    return status_ok()

Status ref_time_split(Backend *be, Tensor x, Tensor out)
{
    REF_REARRANGE(ref_index(x, o.t / 2, o.h, o.w, o.t % 2 * out.dim[3] + o.c));
}

/* channel of the small picture: (c, q over width, r over height) */
Status ref_pixel_shuffle(Backend *be, Tensor x, int p, Tensor out)
{
    REF_REARRANGE(ref_index(x, o.t, o.h / p, o.w / p, (o.c * p + o.w % p) * p + o.h % p));
}

Status ref_pixel_unshuffle(Backend *be, Tensor x, int p, Tensor out)
{
    REF_REARRANGE(ref_index(x, o.t, o.h * p + o.c % p, o.w * p + o.c / p % p, o.c / (p * p)));
}

Status ref_to_channels_first(Backend *be, Tensor x, Tensor out) { REF_REARRANGE(ref_index(x, o.h, o.w, o.c, o.t)); }

/* DupUp3D: channels repeat until there are C' * ft * fs * fs of them, which are laid out as (c', t, h, w). The first chunk of
 * a video has one frame where the others have ft: its leading copies are dropped. */
Status ref_dup_up(Backend *be, Tensor x, int factor_t, int factor_s, bool first_chunk, Tensor out)
{
    int64_t ft = factor_t, fs = factor_s, skip = first_chunk ? ft - 1 : 0;
    int64_t repeats = out.dim[3] * ft * fs * fs / x.dim[3];
    REF_REARRANGE(ref_index(x, (o.t + skip) / ft, o.h / fs, o.w / fs,
                            (((o.c * ft + (o.t + skip) % ft) * fs + o.h % fs) * fs + o.w % fs) / repeats));
}

/* AvgDown3D: the elements of a block are laid out as channels (c, t, h, w), and each output channel is the mean of the next
 * `group` of them; zeros stand in front of the first frame where the block sticks out. */
Status ref_avg_down(Backend *be, Tensor x, int factor_t, int factor_s, Tensor out)
{
    int64_t ft = factor_t, fs = factor_s, group = x.dim[3] * ft * fs * fs / out.dim[3];
    int64_t before = out.dim[0] * ft - x.dim[0], count = tensor_count(out);
    const float *in = ref_floats(be, x);
    float *y = ref_room(be, out);
    if (failed(be->first)) return be->first;
    for (int64_t i = 0; i < count; i++) {
        RefPlace o = ref_place(i, out);
        double sum = 0;
        for (int64_t j = o.c * group; j < (o.c + 1) * group; j++) {
            int64_t t = o.t * ft + j / (fs * fs) % ft - before, h = o.h * fs + j / fs % fs, w = o.w * fs + j % fs;
            if (t >= 0) sum += (double)in[ref_index(x, t, h, w, j / (ft * fs * fs))];
        }
        y[i] = (float)(sum / (double)group);
    }
    ref_store(out, y);
    return status_ok();
}
