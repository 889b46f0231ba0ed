/* bench_roofline.h - what single operations reach of what this machine's processors could do: `bench --stage roofline`.
 *
 * Measured are the machine's peaks (multiplications and additions in registers, or in AMX's tiles, by the instructions that the back end takes for
 * fp32, bf16 and int8; and reading two arrays and writing a third one that no cache holds; each on all threads), and operations at the
 * sizes of a model's denoising step and of its decoder. The roof of an operation is that of the type in which it multiplies.
 * Operations and bytes are those of the definition: each operand is read once, the result written once, all of them in fp32: where
 * products are computed in fewer bytes, less is read. */
#ifndef REELWRIGHT_BENCH_ROOFLINE_H
#define REELWRIGHT_BENCH_ROOFLINE_H

#include <jansson.h>

#include "worker/verbs/bench.h"

/* -> {"stage", "threads", "dtype", "instructions", "tokens", "peaks": {"fp32", "bf16", "int8": those that the operations have, FLOP/s},
 * "peak_bytes_per_s", "operations": [{"name", "dtype", "flop", "bytes", "s"}]}, to be released. At most 2048 tokens are taken: attention over those of a long clip would take minutes. */
Status bench_roofline(const BackendOptions *backend, const DitConfig *dit, const VaeConfig *vae,
                      const int64_t latent[3], json_t **out);
Status bench_roofline_verb(int argc, char **argv);

/* Of `threads` threads together. dtype: F32, BF16, INT8; instructions: backend_kind's. */
double bench_peak_flop_per_s(DType dtype, const char *instructions, int threads);
double bench_peak_bytes_per_s(int threads);

#endif
