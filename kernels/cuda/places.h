/* places.h - where each element of a rearrangement comes from: index arithmetic alone, one function per op, for the kernels
 * on the device and for the tests on the host. An index is an element's number in a contiguous tensor; NOWHERE reads as zero.
 *
 * Tensors here have four dimensions, as ops.h has them: video features [T,H,W,C], latents [C,F,H,W], tokens [1,1,T,D]. */
#ifndef REELWRIGHT_CUDA_PLACES_H
#define REELWRIGHT_CUDA_PLACES_H

#include <stdint.h>

#ifdef __CUDACC__
#define PLACES __host__ __device__ static inline
#else
#define PLACES static inline
#endif

typedef enum {
    PLACE_PAD_CHANNELS, /* or cuts them off */
    PLACE_PHASES,       /* of a picture doubled in height and width: [T,h+1,w+1,4C] -> [T,2h,2w,C] (conv.c) */
    PLACE_TIME_SPLIT,
    PLACE_SHUFFLE,
    PLACE_UNSHUFFLE,
    PLACE_CHANNELS_FIRST,
    PLACE_DUP_UP,
    PLACE_PATCHIFY,
    PLACE_UNPATCHIFY
} PlaceKind;

#define NOWHERE ((int64_t)-1)

typedef struct {
    PlaceKind kind;
    int64_t in[4], out[4]; /* dimensions; of (un)patchify the latent's: in | out */
    int64_t p[3];          /* SHUFFLE: side; PATCHIFY: the patch; DUP_UP: time, space, skipped leading frames */
} Places;

typedef struct {
    int64_t t, h, w, c;
} Place;

/* *i / n stays in *i, the rest is returned; neither is negative. A division of 64 bits takes several times as many instructions as one
 * of 32, and most places fit 32. */
PLACES int64_t place_split(int64_t *i, int64_t n)
{
    const int64_t all = *i;
    *i = (all | n) >> 32 ? all / n : (int64_t)((uint32_t)all / (uint32_t)n);
    return all - *i * n;
}

PLACES Place place_of(int64_t i, const int64_t d[4])
{
    Place o;
    o.c = place_split(&i, d[3]);
    o.w = place_split(&i, d[2]);
    o.h = place_split(&i, d[1]);
    o.t = i;
    return o;
}

PLACES int64_t place_index(const int64_t d[4], int64_t t, int64_t h, int64_t w, int64_t c)
{
    return ((t * d[1] + h) * d[2] + w) * d[3] + c;
}

/* Element of the tokens, channel slowest inside a token -> the latent's. */
PLACES int64_t place_patchify(const Places *j, int64_t i)
{
    const int64_t *d = j->in, *p = j->p, volume = p[0] * p[1] * p[2], width = volume * d[0];
    const int64_t rows = d[2] / p[1], columns = d[3] / p[2], token = i / width, c = i % width / volume,
                  inside = i % volume;
    const int64_t f = token / (rows * columns) * p[0] + inside / (p[1] * p[2]);
    const int64_t h = token / columns % rows * p[1] + inside / p[2] % p[1];
    return place_index(d, c, f, h, token % columns * p[2] + inside % p[2]);
}

/* Element of the latent -> the tokens', channel fastest inside a token. */
PLACES int64_t place_unpatchify(const Places *j, int64_t i)
{
    const int64_t *d = j->out, *p = j->p, volume = p[0] * p[1] * p[2];
    const Place o = place_of(i, d); /* t = channel, h = frame, w = row, c = column */
    const int64_t token = (o.h / p[0] * (d[2] / p[1]) + o.w / p[1]) * (d[3] / p[2]) + o.c / p[2];
    const int64_t inside = (o.h % p[0] * p[1] + o.w % p[1]) * p[2] + o.c % p[2];
    return (token * volume + inside) * d[0] + o.t;
}

/* DupUp3D: channels repeat until there are C' * ft * fs * fs of them, laid out as (c', t, h, w). */
PLACES int64_t place_dup_up(const Places *j, Place o)
{
    const int64_t ft = j->p[0], fs = j->p[1], t = o.t + j->p[2], repeats = j->out[3] * ft * fs * fs / j->in[3];
    return place_index(j->in, t / ft, o.h / fs, o.w / fs,
                       (((o.c * ft + t % ft) * fs + o.h % fs) * fs + o.w % fs) / repeats);
}

PLACES int64_t place_source(const Places *j, int64_t i)
{
    if (j->kind == PLACE_PATCHIFY) return place_patchify(j, i);
    if (j->kind == PLACE_UNPATCHIFY) return place_unpatchify(j, i);
    const int64_t p = j->p[0];
    const Place o = place_of(i, j->out);
    switch (j->kind) {
    case PLACE_PAD_CHANNELS:
        return o.c < j->in[3] ? place_index(j->in, o.t, o.h, o.w, o.c) : NOWHERE;
    case PLACE_PHASES:
        return place_index(j->in, o.t, (o.h + 1) / 2, (o.w + 1) / 2, (o.h % 2 * 2 + o.w % 2) * j->out[3] + o.c);
    case PLACE_TIME_SPLIT:
        return place_index(j->in, o.t / 2, o.h, o.w, o.t % 2 * j->out[3] + o.c);
    case PLACE_SHUFFLE: /* channel of the small picture: (c, q over width, r over height) */
        return place_index(j->in, o.t, o.h / p, o.w / p, (o.c * p + o.w % p) * p + o.h % p);
    case PLACE_UNSHUFFLE:
        return place_index(j->in, o.t, o.h * p + o.c % p, o.w * p + o.c / p % p, o.c / (p * p));
    case PLACE_CHANNELS_FIRST: /* out [C,T,H,W], in [T,H,W,C] */
        return place_index(j->in, o.h, o.w, o.c, o.t);
    default:
        return place_dup_up(j, o);
    }
}

/* AvgDown3D: element k of the block that the output element at o is the mean of; zeros stand in front of the first frame. A block's
 * elements are counted in 32 bits: divisions of 64 cost a subroutine with registers of its own. */
typedef struct {
    int64_t in[4], out[4], before;
    int ft, fs, group;
} AvgDown;

PLACES int64_t place_avg_down(const AvgDown *j, Place o, int k)
{
    const int n = (int)o.c * j->group + k, fs = j->fs;
    const int64_t t = o.t * j->ft + n / (fs * fs) % j->ft - j->before;
    if (t < 0) return NOWHERE;
    return place_index(j->in, t, o.h * fs + n / fs % fs, o.w * fs + n % fs, n / (j->ft * fs * fs));
}

/* A convolution's input, row by row of its matrix: [output place][tap][channel], in units of 16 bytes of a place's channels. */
typedef struct {
    int64_t in[3]; /* T,H,W; channels are whole units */
    int64_t out[3];
    int64_t kernel[3], stride[3], pad[2]; /* pad: before, of h and w */
    int64_t units;                        /* of a place */
    int64_t first;                        /* output place of the first row */
} ConvPlaces;

PLACES int64_t place_conv(const ConvPlaces *j, int64_t row, int64_t tap, int64_t unit)
{
    int64_t t = j->first + row, f = tap;
    const int64_t w = place_split(&t, j->out[2]), h = place_split(&t, j->out[1]);
    const int64_t x = w * j->stride[2] + place_split(&f, j->kernel[2]) - j->pad[1];
    const int64_t y = h * j->stride[1] + place_split(&f, j->kernel[1]) - j->pad[0];
    f += t * j->stride[0];
    if (y < 0 || y >= j->in[1] || x < 0 || x >= j->in[2]) return NOWHERE;
    return ((f * j->in[1] + y) * j->in[2] + x) * j->units + unit;
}

#endif
