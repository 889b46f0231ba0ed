/* parts.h - the parts of reelwright_gpu, each with the command line's arguments; 0 when all was within tolerance. */
#ifndef REELWRIGHT_TESTS_GPU_PARTS_H
#define REELWRIGHT_TESTS_GPU_PARTS_H

#include "kernels/backend.h"
#include "tests/parity/parity.h"

int part_ops(int argc, char **argv);
int part_parity(int argc, char **argv);
int part_bench(int argc, char **argv);
int part_ranks(int argc, char **argv);
int part_rate(int argc, char **argv);
int part_fault(int argc, char **argv);

/* One reference's line, with the tolerances of a type; whether it is within them. */
typedef enum { PARITY_FP32, PARITY_BF16, PARITY_FP8 } ParityType;
bool parity_part_print(const char *folder, const char *how, ParityType type, Status status, const ParityReport *r);

BackendKind gpu_backend(void); /* what this program was built for */
bool gpu_flag(int argc, char **argv, const char *name);
const char *gpu_value(int argc, char **argv, const char *name, const char *fallback);
void gpu_print_text(const char *text); /* as a JSON string */

#endif
