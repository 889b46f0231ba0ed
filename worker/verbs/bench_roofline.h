/* bench_roofline.h - what single operations reach of what this machine's processors could do: `bench --stage roofline`.
 *
 * Measured are the machine's peaks (fused multiplications and additions in fp32 registers, and reading two arrays and writing a third
 * one that no cache holds, each on all threads), and operations at the sizes of a model's denoising step and of its decoder.
 * Operations and bytes are those of the definition: each operand is read once, the result written once, all of them in fp32: where
 * products are computed in fewer bytes, less is read. */
#ifndef REELWRIGHT_BENCH_ROOFLINE_H
#define REELWRIGHT_BENCH_ROOFLINE_H

#include <jansson.h>

#include "worker/verbs/bench.h"

/* -> {"stage", "threads", "dtype", "tokens", "peak_flop_per_s", "peak_bytes_per_s", "operations": [{"name", "flop", "bytes", "s"}]}, to be
 * released. At most 2048 tokens are taken: attention over those of a long clip would take minutes. */
Status bench_roofline(const BackendOptions *backend, const DitConfig *dit, const VaeConfig *vae,
                      const int64_t latent[3], json_t **out);
Status bench_roofline_verb(int argc, char **argv);

/* Of `threads` threads together. */
double bench_peak_flop_per_s(int threads);
double bench_peak_bytes_per_s(int threads);

#endif
