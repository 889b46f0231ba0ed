/* AVX2: 16 registers hold 6 x 16 sums, two columns and a broadcast */
#pragma GCC target("avx2,fma,f16c")

#define ISA       isa_avx2
#define ISA_NAME  "AVX2"
#define LANES     8
#define TILE_ROWS 6
#define PAIRS     0
#define QUADS     0
#define TILES     0
#include "kernels/cpu/isa_kernels.h"
