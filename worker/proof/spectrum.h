/* spectrum.h - where in a picture a pattern lies: circular cross-correlation of two square fields by Fourier transform. */
#ifndef REELWRIGHT_SPECTRUM_H
#define REELWRIGHT_SPECTRUM_H

#include "common/status.h"

enum { SPECTRUM_SIDE = 512 };

typedef struct Spectrum Spectrum;
typedef struct {
    float re, im;
} SpectrumPoint;

Status spectrum_new(Spectrum **out);
void spectrum_free(Spectrum **s);
/* field [SPECTRUM_SIDE][SPECTRUM_SIDE] to out [same], unnormalised */
void spectrum_forward(Spectrum *s, const float *field, SpectrumPoint *out);
/* out[dy][dx] = sum over (y, x) of a[y][x] * b[y + dy][x + dx], of the transforms of a and b; a is overwritten. */
void spectrum_correlate(Spectrum *s, SpectrumPoint *a, const SpectrumPoint *b, float *out);

#endif
