/* AMX-bf16: as AVX-512-bf16, and one instruction multiplies tiles of 16 x 32 and 32 x 16 numbers of bf16 */
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,fma,f16c,amx-tile,amx-bf16")
#define ISA       isa_amxbf16
#define ISA_NAME  "AMX-bf16"
#define LANES     16
#define TILE_ROWS 32
#define PAIRS     1
#define QUADS     0
#define TILES     1
#include "kernels/cpu/isa_kernels.h"
