/* trace.h - handing inner tensors to whoever asked for them (engine.h: Trace). One call, the same on every back end. */
#ifndef REELWRIGHT_TRACE_H
#define REELWRIGHT_TRACE_H

#include "engine/engine.h"

/* Does nothing when t is NULL. x is downloaded as fp32. */
void trace_tensor(const Trace *t, Backend *be, Tensor x, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void trace_floats(const Trace *t, const float *data, int ndim, const int64_t *dim, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
void trace_ints(const Trace *t, const int64_t *data, int ndim, const int64_t *dim, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

#endif
