/* In place of kernels/cpu/isa.c: whatever this processor has, products are on tiles of AMX, which tests/ops/amx.h computes. */
#include <stddef.h>

#include "kernels/cpu/isa.h"

extern const Isa isa_wide, isa_wide_tiles, isa_wide_tiles_quads;

Status isa_check_environment(void) { return status_ok(); }

const Isa *isa_of_this_machine(DType compute)
{
    return compute == BF16 ? &isa_wide_tiles : compute == INT8 ? &isa_wide_tiles_quads : &isa_wide;
}
