/* trace.h - handing inner tensors to whoever asked for them (Trace). One call, the same on every back end. */
#ifndef REELWRIGHT_ENGINE_TRACE_H
#define REELWRIGHT_ENGINE_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/ops.h"

/* What a tool may want to see of the inside. `data` is valid during the call only. dtype "f32" or "i64". */
typedef struct {
    void (*put)(void *self, const char *name, const char *dtype, const void *data, int ndim, const int64_t *dim);
    void *self;
    bool blocks; /* also trace.* : embeddings, blocks */
} Trace;

/* Does nothing when t is NULL. x is downloaded as fp32. */
void trace_tensor(const Trace *t, Backend *be, Tensor x, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void trace_floats(const Trace *t, const float *data, int ndim, const int64_t *dim, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
void trace_ints(const Trace *t, const int64_t *data, int ndim, const int64_t *dim, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

#endif
