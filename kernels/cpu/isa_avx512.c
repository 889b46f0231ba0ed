/* AVX-512: 32 registers hold 14 x 32 sums, two columns and a broadcast */
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,fma,f16c")

#define ISA       isa_avx512
#define ISA_NAME  "AVX-512"
#define LANES     16
#define TILE_ROWS 14
#define PAIRS     0
#define QUADS     0
#define TILES     0
#include "kernels/cpu/isa_kernels.h"
