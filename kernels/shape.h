/* shape.h - the checks that ops*.c make before a kernel runs. */
#ifndef REELWRIGHT_SHAPE_H
#define REELWRIGHT_SHAPE_H

#include "kernels/backend.h"

static inline int64_t shape_last(Tensor t) { return t.ndim ? t.dim[t.ndim - 1] : 1; }
static inline int64_t shape_rows(Tensor t) { return shape_last(t) ? tensor_count(t) / shape_last(t) : 0; }
bool shape_same(Tensor a, Tensor b);
/* x with another last dimension and type, without data */
Tensor shape_with_last(Tensor x, int64_t last, DType dtype);

/* If `fits` is false the back end fails with "op_NAME: A [..] and B [..] do not fit"; B may be none. False after any
 * failure: the op then returns its shape without data. */
bool shape_check(Backend *be, bool fits, const char *op, Tensor a, Tensor b);
/* Gives `shape` its place in the arena. */
Tensor shape_alloc(Backend *be, Tensor shape);

#endif
