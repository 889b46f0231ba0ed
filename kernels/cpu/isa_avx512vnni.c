/* AVX-512-vnni: as AVX-512, and one instruction adds the products of fours of int8 to 16 sums */
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma,f16c")
#define ISA       isa_avx512vnni
#define ISA_NAME  "AVX-512-vnni"
#define LANES     16
#define TILE_ROWS 14
#define PAIRS     0
#define QUADS     1
#define TILES     0
#include "kernels/cpu/isa_kernels.h"
