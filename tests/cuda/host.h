/* host.h - the host's stand-ins for the device's libraries, as the tests steer and question them. */
#ifndef REELWRIGHT_TESTS_CUDA_HOST_H
#define REELWRIGHT_TESTS_CUDA_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern int64_t host_runs;           /* plans of cuDNN that were run */
extern bool host_blas_no_epilogues; /* cuBLASLt has no algorithm with a fused epilogue */
extern bool host_blas_no_scales;    /* ... with a scale for each row */
extern bool host_cudnn_no_fusion;   /* ... for a graph of more than one operation */
extern bool host_cudnn_no_engines;  /* cuDNN has no engine for any graph */

/* While a stream captures, calls are kept instead of run: whether this one was, with a copy of what it needs. */
bool host_keep(void (*run)(const void *what), const void *what, size_t bytes);
extern int64_t host_graphs; /* that were launched */

extern int64_t host_waits;    /* of the host for the device's stream, and copies down, which wait too */
extern int64_t host_up_bytes; /* that were sent to the device */

#endif
