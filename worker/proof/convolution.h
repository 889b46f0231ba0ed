/* convolution.h - the code that carries a watermark's bits: convolutional, rate 1/2, constraint length 7, generators 171 and 133
 * (octal), ended by six zeros (as in IEEE 802.11); decoded with Viterbi's algorithm from soft values. About 5 dB better than each bit
 * alone. */
#ifndef REELWRIGHT_CONVOLUTION_H
#define REELWRIGHT_CONVOLUTION_H

#include <stdint.h>

enum { CONVOLUTION_BITS = 64, CONVOLUTION_CODED = 2 * (CONVOLUTION_BITS + 6) };

void convolution_encode(uint64_t bits, uint8_t coded[CONVOLUTION_CODED]); /* 0 or 1 each */
/* soft[i]: how much coded bit i looks like 1 (above 0) or 0 (below). */
uint64_t convolution_decode(const double soft[CONVOLUTION_CODED]);

#endif
