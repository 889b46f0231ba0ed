#include "kernels/cpu/isa.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* avx512bf16: all of AVX-512, int8 (VNNI) included, but no tiles */
enum { BOUND_AVX2, BOUND_AVX512, BOUND_AVX512BF16, BOUND_AMX, BOUNDS };

/* -1: it is no set's name. */
static int bound_of_environment(void)
{
    static const char *const name[BOUNDS] = {"avx2", "avx512", "avx512bf16", "amx"};
    const char *most = getenv("REELWRIGHT_ISA");
    int i = most ? BOUNDS - 1 : BOUND_AMX;
    while (most && i >= 0 && strcmp(most, name[i]) != 0) i--;
    return i;
}

Status isa_check_environment(void)
{
    if (bound_of_environment() >= 0) return status_ok();
    return status_fail(ERR_INPUT, "REELWRIGHT_ISA=%s in the environment: expected avx2, avx512, avx512bf16 or amx",
                       getenv("REELWRIGHT_ISA"));
}

/* A thread that uses tiles has 8 KiB more of state, so Linux (5.16 or later) wants to be asked, once for the process. */
static bool tiles_are_allowed(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0;
}

static const Isa *tiles_of_this_machine(DType compute)
{
    if (compute == BF16 && __builtin_cpu_supports("amx-bf16") && __builtin_cpu_supports("avx512bf16"))
        return tiles_are_allowed() ? &isa_amxbf16 : NULL;
    if (compute == INT8 && __builtin_cpu_supports("amx-int8")) return tiles_are_allowed() ? &isa_amxint8 : NULL;
    return NULL;
}

const Isa *isa_of_this_machine(DType compute)
{
    const int most = bound_of_environment();
    __builtin_cpu_init();
    const bool wide = most >= BOUND_AVX512 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    const Isa *const tiles = wide && most >= BOUND_AMX ? tiles_of_this_machine(compute) : NULL;
    if (tiles) return tiles;
    const bool more = wide && most >= BOUND_AVX512BF16;
    /* Intel's processors, which have AMX and may be told to hide it, take two cycles for a vdpbf16ps and one for two fp32 products:
     * 71 GFLOP/s, unpacked to fp32 140 (Emerald Rapids; Cooper Lake was not measured). On AMD's processors
     * pairs were twice as fast as fp32. */
    const bool fast = most == BOUND_AVX512BF16 || !__builtin_cpu_is("intel");
    if (more && fast && compute == BF16 && __builtin_cpu_supports("avx512bf16")) return &isa_avx512bf16;
    if (more && compute == INT8 && __builtin_cpu_supports("avx512vnni")) return &isa_avx512vnni;
    if (wide) return &isa_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
        return &isa_avx2;
    return NULL;
}
