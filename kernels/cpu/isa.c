#include "kernels/cpu/isa.h"

#include <stddef.h>

const Isa *isa_of_this_machine(DType compute)
{
    __builtin_cpu_init();
    bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    if (wide && compute == BF16 && __builtin_cpu_supports("avx512bf16")) return &isa_avx512bf16;
    if (wide) return &isa_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
        return &isa_avx2;
    return NULL;
}
