/* Rearrangements: numbers change place, in rows of neighbours where there are any, divided among the threads. */
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/host.h"

enum { CHUNK = 1 << 16 }; /* numbers that a thread takes at once */

static char *moves_at(Tensor t, int64_t i) { return (char *)t.data + (size_t)i * dtype_bytes(t.dtype); }

Status cpu_copy(Backend *be, Tensor dst, Tensor src)
{
    const Cpu *c = cpu_of(be);
    int64_t count = tensor_count(src);
    const char *end = moves_at(src, count);
    if (dst.dtype == F16 || src.dtype == F16 || ((char *)dst.data < end && (char *)src.data < moves_at(dst, count)))
        return host_copy(be, dst, src); /* overlapping, or a type that only weights have */
#pragma omp parallel for schedule(static) num_threads(be->options.threads) if (count > CHUNK)
    for (int64_t i = 0; i < count; i += CHUNK) {
        int64_t n = count - i < CHUNK ? count - i : CHUNK;
        if (dst.dtype == src.dtype)
            memcpy(moves_at(dst, i), moves_at(src, i), (size_t)n * dtype_bytes(src.dtype));
        else if (dst.dtype == F32)
            c->isa->load(moves_at(src, i), src.dtype, n, (float *)moves_at(dst, i));
        else
            c->isa->store((const float *)moves_at(src, i), n, dst.dtype, moves_at(dst, i));
    }
    return status_ok();
}

Status cpu_zero(Backend *be, Tensor out)
{
    int64_t count = tensor_count(out);
#pragma omp parallel for schedule(static) num_threads(be->options.threads) if (count > CHUNK)
    for (int64_t i = 0; i < count; i += CHUNK)
        memset(moves_at(out, i), 0, (size_t)(count - i < CHUNK ? count - i : CHUNK) * dtype_bytes(out.dtype));
    return status_ok();
}

Status cpu_columns(Backend *be, Tensor x, int64_t first, int64_t count, Tensor out)
{
    int64_t width = x.dim[x.ndim - 1], rows = width ? tensor_count(x) / width : 0;
    size_t bytes = (size_t)count * dtype_bytes(x.dtype);
#pragma omp parallel for schedule(static) num_threads(be->options.threads)
    for (int64_t t = 0; t < rows; t++) memcpy(moves_at(out, t * count), moves_at(x, t * width + first), bytes);
    return status_ok();
}

Status cpu_put_columns(Backend *be, Tensor dst, Tensor x, int64_t first)
{
    int64_t count = x.dim[x.ndim - 1], rows = count ? tensor_count(x) / count : 0, width = dst.dim[dst.ndim - 1];
    size_t bytes = (size_t)count * dtype_bytes(x.dtype);
#pragma omp parallel for schedule(static) num_threads(be->options.threads)
    for (int64_t t = 0; t < rows; t++) memcpy(moves_at(dst, t * width + first), moves_at(x, t * count), bytes);
    return status_ok();
}

Status cpu_time_split(Backend *be, Tensor x, Tensor out)
{
    int64_t places = x.dim[1] * x.dim[2], c = out.dim[3], rows = out.dim[0] * places;
    size_t bytes = (size_t)c * dtype_bytes(x.dtype);
#pragma omp parallel for schedule(static) num_threads(be->options.threads)
    for (int64_t i = 0; i < rows; i++) {
        int64_t frame = i / places;
        memcpy(moves_at(out, i * c), moves_at(x, (frame / 2 * places + i % places) * 2 * c + frame % 2 * c), bytes);
    }
    return status_ok();
}

/* A row of the large picture: row r of p within a row of places of the small one. */
static inline void shuffle_row(const char *from, int64_t places, int p, int r, int64_t channels, const size_t bytes,
                               char *to)
{
    for (int64_t x = 0; x < places; x++, from += (size_t)(channels * p * p) * bytes)
        for (int q = 0; q < p; q++)
            for (int64_t c = 0; c < channels; c++, to += bytes)
                memcpy(to, from + (size_t)((c * p + q) * p + r) * bytes, bytes);
}

Status cpu_pixel_shuffle(Backend *be, Tensor x, int p, Tensor out)
{
    const int64_t places = x.dim[2], channels = out.dim[3], rows = out.dim[0] * out.dim[1];
    const size_t bytes = dtype_bytes(x.dtype);
#pragma omp parallel for schedule(static) num_threads(be->options.threads)
    for (int64_t row = 0; row < rows; row++) {
        const char *from = moves_at(x, row / p * places * x.dim[3]);
        char *to = moves_at(out, row * places * p * channels);
        if (bytes == 4)
            shuffle_row(from, places, p, (int)(row % p), channels, 4, to);
        else
            shuffle_row(from, places, p, (int)(row % p), channels, bytes, to);
    }
    return status_ok();
}
