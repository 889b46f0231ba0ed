#include "kernels/cpu/isa.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

const Isa *isa_of_this_machine(DType compute)
{
    const char *most = getenv("REELWRIGHT_ISA");
    __builtin_cpu_init();
    bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    if (most && strcmp(most, "avx2") == 0) wide = false;
    bool pairs = !most || strcmp(most, "avx512") != 0;
    if (wide && pairs && compute == BF16 && __builtin_cpu_supports("avx512bf16")) return &isa_avx512bf16;
    if (wide && !most && compute == INT8 && __builtin_cpu_supports("avx512vnni")) return &isa_avx512vnni;
    if (wide) return &isa_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
        return &isa_avx2;
    return NULL;
}
