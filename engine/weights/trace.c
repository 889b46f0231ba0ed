#include "trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/file.h"

enum { NAME_MAX_BYTES = 128 };

#define FORMAT_NAME(name, fmt)                                                                                         \
    char name[NAME_MAX_BYTES];                                                                                         \
    va_list args;                                                                                                      \
    va_start(args, fmt);                                                                                               \
    vsnprintf(name, sizeof name, fmt, args);                                                                           \
    va_end(args)

void trace_tensor(const Trace *t, Backend *be, Tensor x, const char *fmt, ...)
{
    if (!t || !t->put || failed(backend_status(be))) return;
    FORMAT_NAME(name, fmt);
    float *host = memory_get((size_t)tensor_count(x), sizeof *host);
    backend_download(be, x, host);
    t->put(t->self, name, "f32", host, x.ndim, x.dim);
    free(host);
}

void trace_floats(const Trace *t, const float *data, int ndim, const int64_t *dim, const char *fmt, ...)
{
    if (!t || !t->put) return;
    FORMAT_NAME(name, fmt);
    t->put(t->self, name, "f32", data, ndim, dim);
}

void trace_ints(const Trace *t, const int64_t *data, int ndim, const int64_t *dim, const char *fmt, ...)
{
    if (!t || !t->put) return;
    FORMAT_NAME(name, fmt);
    t->put(t->self, name, "i64", data, ndim, dim);
}
