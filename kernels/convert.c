#include "kernels/convert.h"

#ifdef __clang__ /* 14 has _Float16 only where the processor computes in it; this one is only stored */
typedef __fp16 Half;
#else
typedef _Float16 Half;
#endif

void convert_to_float(const void *from, DType dtype, int64_t count, float *to)
{
    if (dtype == F32) {
        memcpy(to, from, (size_t)count * sizeof *to);
    } else if (dtype == BF16) {
        const uint16_t *v = from;
        for (int64_t i = 0; i < count; i++) to[i] = convert_bf16_to_float(v[i]);
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
    } else {
        Half *v = to;
        for (int64_t i = 0; i < count; i++) v[i] = (Half)from[i];
    }
}
