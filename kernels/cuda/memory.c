/* Device memory, and numbers on their way up and down. */
#include <string.h>
#include <time.h>

#include "kernels/cuda/cuda.h"

enum { NAP_NS = 50000, BUSY_NS = 200000 /* before the first nap */ };

Status cuda_status(cudaError_t e, const char *what)
{
    if (e == cudaSuccess) return status_ok();
    cudaGetLastError(); /* reported here: the next call must not report it again */
    return status_fail(ERR_NODE, "%.80s: %s", what, cudaGetErrorString(e));
}

Status cuda_memory_new(Backend *be, size_t bytes, void **out)
{
    *out = NULL;
    TRY(cuda_no_capture(be, "device memory that is new"));
    cuda_of(be)->generation++;
    cudaError_t e = cudaMallocAsync(out, bytes, cuda_of(be)->stream);
    if (e == cudaSuccess) return status_ok();
    int64_t all, available;
    cudaGetLastError();
    cuda_memory(be, &all, &available);
    return status_fail(ERR_NODE, "%zu bytes of device memory (%lld of %lld are free): %s", bytes, (long long)available,
                       (long long)all, cudaGetErrorString(e));
}

void cuda_memory_free(Backend *be, void *memory, size_t bytes)
{
    (void)bytes;
    cuda_of(be)->generation++;
    if (memory) cudaFreeAsync(memory, cuda_of(be)->stream);
}

/* What the pool holds and nobody uses is available too. */
void cuda_memory(const Backend *be, int64_t *all, int64_t *available)
{
    size_t device_free = 0, device_all = 0;
    uint64_t reserved = 0, used = 0;
    cudaMemPool_t pool;
    int device;
    (void)be;
    *all = *available = 0;
    if (cudaMemGetInfo(&device_free, &device_all) != cudaSuccess) return;
    *all = (int64_t)device_all;
    *available = (int64_t)device_free;
    if (cudaGetDevice(&device) != cudaSuccess || cudaDeviceGetDefaultMemPool(&pool, device) != cudaSuccess) return;
    if (cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &reserved) != cudaSuccess) return;
    if (cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used) != cudaSuccess) return;
    *available += (int64_t)(reserved - used);
}

/* ---- up ------------------------------------------------------------------------------------------------------------------ */

static Status slots_new(Slot *slot, int count, size_t bytes)
{
    char *all;
    CUDA_TRY(cudaMallocHost((void **)&all, (size_t)count * bytes));
    slot[0].memory = all;
    for (int i = 0; i < count; i++) {
        slot[i].memory = all + (size_t)i * bytes;
        CUDA_TRY(cudaEventCreateWithFlags(&slot[i].copied, cudaEventDisableTiming));
    }
    return status_ok();
}

Status cuda_staging_new(Cuda *c)
{
    TRY(slots_new(c->small, SMALL_SLOTS, SMALL_BYTES));
    return slots_new(c->large, LARGE_SLOTS, LARGE_BYTES);
}

static void slots_free(Slot *slot, int count)
{
    for (int i = 0; i < count; i++)
        if (slot[i].copied) cudaEventDestroy(slot[i].copied);
    if (slot[0].memory) cudaFreeHost(slot[0].memory);
}

void cuda_staging_free(Cuda *c)
{
    slots_free(c->small, SMALL_SLOTS);
    slots_free(c->large, LARGE_SLOTS);
}

/* Several threads: from a file's pages one thread reads a fraction of what the disk and the memory can give. */
static void copy_parallel(char *to, const char *from, size_t bytes, int threads)
{
    const size_t part = 1 << 20;
    if (bytes < 4 * part) {
        memcpy(to, from, bytes);
        return;
    }
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (size_t i = 0; i < bytes; i += part) memcpy(to + i, from + i, bytes - i < part ? bytes - i : part);
}

Status cuda_send(Backend *be, const void *host, size_t bytes, void *device)
{
    Cuda *c = cuda_of(be);
    const bool small = bytes <= SMALL_BYTES;
    TRY(cuda_no_capture(be, "numbers from the host"));
    const size_t room = small ? SMALL_BYTES : LARGE_BYTES;
    for (size_t i = 0; i < bytes; i += room) {
        Slot *s = small ? &c->small[c->next_small] : &c->large[c->next_large];
        const size_t n = bytes - i < room ? bytes - i : room;
        if (small)
            c->next_small = (c->next_small + 1) % SMALL_SLOTS;
        else
            c->next_large = (c->next_large + 1) % LARGE_SLOTS;
        if (c->watch && cudaEventQuery(s->copied) == cudaErrorNotReady) TRY(cuda_finish(be));
        CUDA_TRY(cudaEventSynchronize(s->copied));
        copy_parallel(s->memory, (const char *)host + i, n, be->options.threads);
        CUDA_TRY(cudaMemcpyAsync((char *)device + i, s->memory, n, cudaMemcpyHostToDevice, c->stream));
        CUDA_TRY(cudaEventRecord(s->copied, c->stream));
    }
    return status_ok();
}

Status cuda_upload(Backend *be, const float *host, Tensor out)
{
    const size_t bytes = (size_t)tensor_count(out) * sizeof *host;
    if (out.dtype == F32) return cuda_send(be, host, bytes, out.data);
    Tensor numbers = backend_alloc(be, F32, out.ndim, out.dim);
    if (failed(be->first)) return be->first;
    TRY(cuda_send(be, host, bytes, numbers.data));
    return cuda_copy(be, out, numbers);
}

/* ---- down, across ---------------------------------------------------------------------------------------------------------- */

Status cuda_download(Backend *be, Tensor x, float *host)
{
    Cuda *c = cuda_of(be);
    Tensor numbers = x;
    TRY(cuda_no_capture(be, "numbers for the host"));
    if (x.dtype != F32) {
        numbers = backend_alloc(be, F32, x.ndim, x.dim);
        if (failed(be->first)) return be->first;
        TRY(cuda_copy(be, numbers, x));
    }
    if (c->watch) TRY(cuda_finish(be)); /* a copy to ordinary memory waits, deaf to the group */
    CUDA_TRY(cudaMemcpyAsync(host, numbers.data, tensor_bytes(numbers), cudaMemcpyDeviceToHost, c->stream));
    CUDA_TRY(cudaStreamSynchronize(c->stream));
    return status_ok();
}

int64_t cuda_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void cuda_rest(int64_t begun_ns)
{
    if (cuda_now_ns() - begun_ns >= BUSY_NS) nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
}

Status cuda_finish(Backend *be)
{
    Cuda *c = cuda_of(be);
    const int64_t begun_ns = cuda_now_ns();
    if (!c->watch) {
        CUDA_TRY(cudaStreamSynchronize(c->stream));
        return status_ok();
    }
    cudaError_t e = cudaStreamQuery(c->stream);
    for (; e == cudaErrorNotReady; e = cudaStreamQuery(c->stream)) {
        TRY(c->watch(be));
        cuda_rest(begun_ns);
    }
    TRY(cuda_status(e, "cudaStreamQuery"));
    return c->watch(be);
}

Status cuda_copy(Backend *be, Tensor dst, Tensor src)
{
    Cuda *c = cuda_of(be);
    if (dst.data == src.data && dst.dtype == src.dtype) return status_ok();
    if (dst.dtype == src.dtype)
        CUDA_TRY(cudaMemcpyAsync(dst.data, src.data, tensor_bytes(src), cudaMemcpyDeviceToDevice, c->stream));
    else
        CUDA_TRY(launch_elements(c->stream, &(Elements){.kind = ELEMENT_COPY, .out = dst, .a = src}));
    return status_ok();
}

Status cuda_zero(Backend *be, Tensor out)
{
    CUDA_TRY(cudaMemsetAsync(out.data, 0, tensor_bytes(out), cuda_of(be)->stream));
    return status_ok();
}

/* ---- weights, operands ------------------------------------------------------------------------------------------------------ */

/* A counted tensor outside the arena */
static Status kept_new(Backend *be, DType type, int ndim, const int64_t *dim, Tensor *out)
{
    *out = tensor_view(NULL, type, ndim, dim);
    TRY(cuda_memory_new(be, tensor_bytes(*out), &out->data));
    backend_count(be, tensor_bytes(*out), 0);
    return status_ok();
}

/* The host's numbers as they are, in memory that the caller gives back, after a failure too. */
static Status sent_new(Backend *be, const void *host, DType type, int ndim, const int64_t *dim, Tensor *out)
{
    *out = tensor_view(NULL, type, ndim, dim);
    TRY(cuda_memory_new(be, tensor_bytes(*out), &out->data));
    return cuda_send(be, host, tensor_bytes(*out), out->data);
}

static void sent_free(Backend *be, Tensor *t)
{
    if (t->data) cuda_memory_free(be, t->data, tensor_bytes(*t));
}

Status cuda_weight_new(Backend *be, const void *host, DType type, int64_t count, DType kept_type, Tensor *out)
{
    Tensor sent = {0};
    Status status = kept_new(be, kept_type, 1, &count, out);
    if (failed(status)) return status;
    if (type == kept_type) {
        status = cuda_send(be, host, tensor_bytes(*out), out->data);
    } else {
        status = sent_new(be, host, type, 1, &count, &sent);
        if (!failed(status)) status = cuda_copy(be, *out, sent);
        sent_free(be, &sent);
    }
    if (failed(status)) backend_drop(be, out);
    return status;
}

Status cuda_weight_quantized(Backend *be, const void *host, DType type, const int64_t dim[2], Tensor *out,
                             Tensor *scale)
{
    Tensor sent;
    TRY(kept_new(be, E4M3, 2, dim, out));
    TRY(kept_new(be, F32, 1, dim, scale));
    Status status = sent_new(be, host, type, 2, dim, &sent);
    if (!failed(status))
        status = cuda_status(launch_quantize(cuda_of(be)->stream, sent, out->data, scale->data), "launch_quantize");
    sent_free(be, &sent);
    return status; /* after a failure the caller drops both */
}

Tensor cuda_operand(Backend *be, Tensor x)
{
    if (x.dtype == be->options.compute) return x;
    Tensor t = backend_alloc(be, be->options.compute, x.ndim, x.dim);
    if (t.data) backend_fail(be, cuda_copy(be, t, x));
    if (failed(be->first)) t.data = NULL;
    return t;
}
