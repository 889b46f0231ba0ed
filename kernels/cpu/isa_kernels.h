/* isa_kernels.h - the functions of isa.h for one instruction set; included once by each isa_SET.c, which defines
 *   ISA       the name of its table            LANES  numbers in a vector
 *   TILE_ROWS rows of a tile
 *   PAIRS     1 if products of bf16 take pairs
 *   QUADS     1 if products take fours of int8
 *   TILES     1 if products are on tiles of AMX
 * Plain C on GCC's vector types; intrinsics only for what C cannot say: the product of pairs, rounding to bf16, max. */
#include "kernels/cpu/isa_vector.h"

#include "kernels/cpu/isa_product.h"

#include "kernels/cpu/isa_rows.h"

#include "kernels/cpu/isa_winograd.h"

const Isa ISA = {
    .name = ISA_NAME,
    .lanes = LANES,
    .tile_rows = TILE_ROWS,
    .steps = TILES ? 16 : 1,
    .pairs = PAIRS,
    .quads = QUADS,
    .product = product,
    .finish = finish,
    .unpack = unpack,
    .unpack_quads = unpack_quads,
    .unpack_e4m3 = unpack_e4m3,
    .peak = peak,
    .quantize = quantize,
    .rescale = rescale,
    .spread = spread,
    .interleave = interleave,
    .load = load,
    .store = store,
    .round = round_bf16,
    .softmax = softmax,
    .scale = scale,
    .activate = activate,
    .sum = sum,
    .sum_squares = sum_squares,
    .affine = affine,
    .rotate = rotate,
    .winograd_points = winograd_points,
    .winograd_outputs = winograd_outputs,
};
