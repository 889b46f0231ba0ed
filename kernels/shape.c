#include "kernels/shape.h"

#include <stdio.h>

bool shape_same(Tensor a, Tensor b)
{
    if (a.ndim != b.ndim) return false;
    for (int i = 0; i < a.ndim; i++)
        if (a.dim[i] != b.dim[i]) return false;
    return true;
}

Tensor shape_with_last(Tensor x, int64_t last, DType dtype)
{
    Tensor t = tensor_view(NULL, dtype, x.ndim, x.dim);
    if (t.ndim) t.dim[t.ndim - 1] = last;
    return t;
}

static const char *shape_text(Tensor t, char text[128])
{
    int at = snprintf(text, 128, "%s [", dtype_name(t.dtype));
    for (int i = 0; i < t.ndim && at < 100; i++)
        at += snprintf(text + at, 128 - (size_t)at, i ? ",%lld" : "%lld", (long long)t.dim[i]);
    snprintf(text + at, 128 - (size_t)at, "]");
    return text;
}

bool shape_check(Backend *be, bool fits, const char *op, Tensor a, Tensor b)
{
    char ta[128], tb[128];
    if (failed(be->first)) return false;
    if (fits) return true;
    backend_fail(be, status_fail(ERR_CLIP, "%s: %s and %s do not fit", op, shape_text(a, ta), shape_text(b, tb)));
    return false;
}

Tensor shape_alloc(Backend *be, Tensor shape) { return backend_alloc(be, shape.dtype, shape.ndim, shape.dim); }
