/* conv.h - convolutions over [T,H,W,C] as products, in three forms; which one is decided when the weight is packed.
 *
 *   direct    every tap is a segment of the product: the same rows of the (zero-padded) picture at another offset
 *   phases    3x3 over a picture doubled by nearest neighbour: each of the four output phases sees only 2x2 different
 *             inputs, with taps added together: 2.25 times fewer products
 *   winograd  kt x 3 x 3 with stride 1: F(2x2, 3x3) (Lavin and Gray 2015, "Fast Algorithms for Convolutional Neural
 *             Networks") over height and width, plain over time: 2.25 times fewer products; fp32 error as the direct form's
 */
#ifndef REELWRIGHT_CONV_H
#define REELWRIGHT_CONV_H

#include "kernels/cpu/cpu.h"

enum { WINOGRAD_POINTS = 16, WINOGRAD_FRAMES = 8 /* at most, of a kernel */ };

typedef struct {
    bool winograd;
    CpuPanels direct;                 /* unless winograd: [Cout, taps * Cin] */
    CpuPanels phase[4];               /* of a 1x3x3 kernel: [Cout, 4 * Cin] for output (row, column) parity 2a + b */
    CpuPanels point[WINOGRAD_POINTS]; /* [Cout, kt * Cin] */
    float *bias;                      /* [Cout] or NULL */
} CpuConv;

/* fp32 weight [Cout,Cin,kt,kh,kw] on its way into panels; Cin is padded to whole operands. */
typedef struct {
    const float *weight;
    int64_t in, padded;
    const int *kernel;
    int part; /* phase or point */
} ConvSource;

/* Column n of the point's matrix: the 3x3 taps of each (kt, Cin) seen through G. */
void winograd_column(const void *source, int64_t n, float *to);
/* acc (+)= conv(x) */
Status winograd_run(Backend *be, Tensor x, const Conv *c, Tensor out, bool add);

#endif
