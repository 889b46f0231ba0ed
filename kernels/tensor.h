/* tensor.h - a contiguous view of numbers. It owns nothing: weights own weights, an arena owns activations. */
#ifndef REELWRIGHT_TENSOR_H
#define REELWRIGHT_TENSOR_H

#include <stddef.h>
#include <stdint.h>

typedef enum { F32, BF16, F16, E4M3 /* fp8 */, INT8 /* these two of quantised products only */ } DType;

enum { TENSOR_MAX_DIM = 5 };

typedef struct {
    void *data; /* row-major, on the back end's device; NULL = no tensor */
    DType dtype;
    int ndim;
    int64_t dim[TENSOR_MAX_DIM]; /* outermost first; those beyond ndim are 1 */
} Tensor;

static inline size_t dtype_bytes(DType t) { return t == F32 ? 4 : t == E4M3 || t == INT8 ? 1 : 2; }
const char *dtype_name(DType t); /* "fp32", "bf16", "fp16", "e4m3", "int8" */
int64_t tensor_count(Tensor t);  /* number of elements */
size_t tensor_bytes(Tensor t);
Tensor tensor_view(void *data, DType dtype, int ndim, const int64_t *dim);
Tensor tensor_reshape(Tensor t, int ndim,
                      const int64_t *dim);                  /* the same elements; asserts that the count is the same */
Tensor tensor_rows(Tensor t, int64_t first, int64_t count); /* a slice of the outermost dimension, no copy */
/* How many rows of t (slices of the outermost dimension) to take at a time, so that they stay within most_bytes and every piece has as many:
 * the largest such number, at least 1. */
int64_t tensor_piece(Tensor t, int64_t most_bytes);

#endif
