/* The kernels as AMX-int8 has them (same tiles and operands), in AVX2 instructions and amx.h: so that every machine can check what
 * only some can run. */
#pragma GCC target("avx2,fma,f16c")
#define ISA       isa_wide_tiles_quads
#define ISA_NAME  "wide_tiles_quads"
#define LANES     16
#define TILE_ROWS 32
#define PAIRS     0
#define QUADS     1
#define TILES     1
#include "tests/ops/isa_tiles_in_c.h"

#include "kernels/cpu/isa_kernels.h"
