/* amx.h - the tile instructions of AMX in C, for processors without them: exactly what Intel's manual says they compute.
 *
 * After the pseudo code of each instruction in the "Intel 64 and IA-32 Architectures Software Developer's Manual", volume 2 (LDTILECFG,
 * STTILECFG, TILERELEASE, TILEZERO, TILELOADD(T1), TILESTORED, TDPBF16PS, TDPBUSD), and volume 1, chapter "Programming with Intel AMX".
 * Where a processor would raise an exception, the program ends with a message. Each thread has tiles of its own, and begins without a shape.
 *
 * Two ways lead here: the product of isa_tiles.h compiled over these functions (isa_wide_tiles.c), which every machine runs; and
 * amx_trap, which lets a processor without AMX run the instructions themselves, as the compiler made them. */
#ifndef REELWRIGHT_TEST_AMX_H
#define REELWRIGHT_TEST_AMX_H

#include <stdbool.h>
#include <stdint.h>

void amx_load_shape(const void *from); /* LDTILECFG: 64 bytes */
void amx_store_shape(void *to);        /* STTILECFG */
void amx_release(void);                /* TILERELEASE */
void amx_zero(int t);
void amx_load(int t, const void *from, int64_t stride);
void amx_store(int t, void *to, int64_t stride);
void amx_dpbf16ps(int sums, int a, int b);
void amx_dpbusd(int sums, int a, int b);

/* From now on an instruction of AMX that the processor does not know is carried out by the functions above. */
void amx_trap(void);
/* How many were, in all threads. */
int64_t amx_trapped(void);

#endif
