/* AMX-int8: as AVX-512, and one instruction multiplies tiles of 16 x 64 and 64 x 16 numbers of int8 */
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,fma,f16c,amx-tile,amx-int8")
#define ISA       isa_amxint8
#define ISA_NAME  "AMX-int8"
#define LANES     16
#define TILE_ROWS 32
#define PAIRS     0
#define QUADS     1
#define TILES     1
#include "kernels/cpu/isa_kernels.h"
