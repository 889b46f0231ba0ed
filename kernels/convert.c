#include "kernels/convert.h"

#include <math.h>

#ifdef __clang__ /* 14 has _Float16 only where the processor computes in it; this one is only stored */
typedef __fp16 Half;
#else
typedef _Float16 Half;
#endif

float convert_e4m3_to_float(uint8_t v)
{
    const int exponent = v >> 3 & 15, mantissa = v & 7;
    float f = exponent ? ldexpf((float)(8 + mantissa), exponent - 10) : ldexpf((float)mantissa, -9);
    if ((v & 127) == 127) f = NAN;
    return v & 128 ? -f : f;
}

uint8_t convert_float_to_e4m3(float f)
{
    const int sign = signbit(f) ? 128 : 0;
    const float size = fabsf(f);
    int exponent;
    if (isnan(f)) return (uint8_t)(sign | 127);
    if (size >= E4M3_MOST) return (uint8_t)(sign | 126);
    frexpf(size, &exponent);                                       /* size = m 2^exponent, 1/2 <= m < 1 */
    if (size == 0 || exponent < -5) exponent = -5;                 /* the smallest numbers have steps of 2^-9 */
    const int steps = (int)nearbyintf(ldexpf(size, 4 - exponent)); /* 8 to 16; below 8 among the smallest */
    return (uint8_t)(sign | (steps + (exponent + 5) * 8));
}

void convert_to_float(const void *from, DType dtype, int64_t count, float *to)
{
    if (dtype == F32) {
        memcpy(to, from, (size_t)count * sizeof *to);
    } else if (dtype == BF16) {
        const uint16_t *v = from;
        for (int64_t i = 0; i < count; i++) to[i] = convert_bf16_to_float(v[i]);
    } else if (dtype == E4M3) {
        const uint8_t *v = from;
        for (int64_t i = 0; i < count; i++) to[i] = convert_e4m3_to_float(v[i]);
    } else {
        const Half *v = from;
        for (int64_t i = 0; i < count; i++) to[i] = (float)v[i];
    }
}

void convert_from_float(const float *from, DType dtype, int64_t count, void *to)
{
    if (dtype == F32) {
        memcpy(to, from, (size_t)count * sizeof *from);
    } else if (dtype == BF16) {
        uint16_t *v = to;
        for (int64_t i = 0; i < count; i++) v[i] = convert_float_to_bf16(from[i]);
    } else if (dtype == E4M3) {
        uint8_t *v = to;
        for (int64_t i = 0; i < count; i++) v[i] = convert_float_to_e4m3(from[i]);
    } else {
        Half *v = to;
        for (int64_t i = 0; i < count; i++) v[i] = (Half)from[i];
    }
}
