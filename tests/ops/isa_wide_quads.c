/* The kernels as AVX-512-vnni has them (same vectors, tiles and operands), in AVX2 instructions: so that every machine can check
 * what only some can run. */
#pragma GCC target("avx2,fma,f16c")
#define ISA       isa_wide_quads
#define ISA_NAME  "wide_quads"
#define LANES     16
#define TILE_ROWS 14
#define PAIRS     0
#define QUADS     1
#define TILES     0
#include "kernels/cpu/isa_kernels.h"
