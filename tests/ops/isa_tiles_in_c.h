/* isa_tiles_in_c.h - the layer under isa_tiles.h as functions instead of instructions. */
#include "tests/ops/amx.h"

#define TILE_SHAPE(from)           amx_load_shape(from)
#define TILE_SHAPE_NOW(to)         amx_store_shape(to)
#define TILE_ZERO(t)               amx_zero(t)
#define TILE_LOAD(t, from, stride) amx_load(t, from, stride)
#define TILE_LOAD_ONCE             TILE_LOAD
#define TILE_STORE(t, to, stride)  amx_store(t, to, stride)
#if QUADS
#define TILE_MULTIPLY(sums, a, b) amx_dpbusd(sums, a, b)
#else
#define TILE_MULTIPLY(sums, a, b) amx_dpbf16ps(sums, a, b)
#endif
