#include "kernels/tensor.h"

#include <assert.h>

const char *dtype_name(DType t)
{
    static const char *const name[] = {
        [F32] = "fp32", [BF16] = "bf16", [F16] = "fp16", [E4M3] = "e4m3", [INT8] = "int8"};
    return name[t];
}

int64_t tensor_count(Tensor t)
{
    int64_t n = 1;
    for (int i = 0; i < t.ndim; i++) n *= t.dim[i];
    return n;
}

size_t tensor_bytes(Tensor t) { return (size_t)tensor_count(t) * dtype_bytes(t.dtype); }

Tensor tensor_view(void *data, DType dtype, int ndim, const int64_t *dim)
{
    assert(ndim >= 0 && ndim <= TENSOR_MAX_DIM);
    Tensor t = {.data = data, .dtype = dtype, .ndim = ndim};
    for (int i = 0; i < TENSOR_MAX_DIM; i++) t.dim[i] = i < ndim ? dim[i] : 1;
    return t;
}

Tensor tensor_reshape(Tensor t, int ndim, const int64_t *dim)
{
    Tensor r = tensor_view(t.data, t.dtype, ndim, dim);
    assert(tensor_count(r) == tensor_count(t));
    return r;
}

Tensor tensor_rows(Tensor t, int64_t first, int64_t count)
{
    assert(t.ndim >= 1 && first >= 0 && count >= 0 && first + count <= t.dim[0]);
    if (t.data) {
        int64_t row = t.dim[0] ? tensor_count(t) / t.dim[0] : 0;
        t.data = (char *)t.data + (size_t)(first * row) * dtype_bytes(t.dtype);
    }
    t.dim[0] = count;
    return t;
}

int64_t tensor_piece(Tensor t, int64_t most_bytes)
{
    int64_t rows = t.dim[0];
    if (rows < 2) return 1;
    const int64_t row_bytes = (int64_t)tensor_bytes(t) / rows;
    while (rows > 1 && (rows * row_bytes > most_bytes || t.dim[0] % rows)) rows--;
    return rows;
}
