/* convert.h - numbers of 16 and 8 bits in host memory.
 *
 * bf16 is the upper half of an fp32; rounding is to nearest, ties to even, as the processors' own instructions and PyTorch
 * do it, so that a value rounds to the same bits on every back end. */
#ifndef REELWRIGHT_CONVERT_H
#define REELWRIGHT_CONVERT_H

#include <stdint.h>
#include <string.h>

#include "kernels/tensor.h"

static inline float convert_bf16_to_float(uint16_t v)
{
    uint32_t bits = (uint32_t)v << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint16_t convert_float_to_bf16(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((bits >> 16) | 0x40); /* NaN stays NaN */
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16);
}

/* e4m3 has 4 bits of exponent (bias 7) and 3 of mantissa: steps of 1/8 between 1 and 2, at most 448, no infinity (OCP "8-bit
 * Floating Point Specification"). Rounding as above; what is larger becomes 448, NaN stays NaN. */
enum { E4M3_MOST = 448 };
uint8_t convert_float_to_e4m3(float f);
float convert_e4m3_to_float(uint8_t v);

/* count numbers of the given type <-> fp32 */
void convert_to_float(const void *from, DType dtype, int64_t count, float *to);
void convert_from_float(const float *from, DType dtype, int64_t count, void *to);

#endif
