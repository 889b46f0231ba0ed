/* AVX-512-bf16: as AVX-512, and one instruction adds the products of bf16 pairs to 16 sums */
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,fma,f16c")
#define ISA       isa_avx512bf16
#define ISA_NAME  "AVX-512-bf16"
#define LANES     16
#define TILE_ROWS 14
#define PAIRS     1
#define QUADS     0
#define TILES     0
#include "kernels/cpu/isa_kernels.h"
