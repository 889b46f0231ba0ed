/* The kernels as AVX-512-bf16 has them (same vectors, tiles and operands), in AVX2 instructions: so that every machine can check
 * what only some can run. */
#pragma GCC target("avx2,fma,f16c")
#define ISA       isa_wide_pairs
#define ISA_NAME  "wide_pairs"
#define LANES     16
#define TILE_ROWS 14
#define PAIRS     1
#define QUADS     0
#define TILES     0
#include "kernels/cpu/isa_kernels.h"
