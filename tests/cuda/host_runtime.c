/* host_runtime.c - what the CUDA back end calls of the CUDA runtime, in host memory: every call is done when it returns, but for
 * those that are captured. */
#include <cuda_runtime_api.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/cuda/host.h"

/* ---- graphs: lists of calls ------------------------------------------------------------------------------------------------- */

typedef struct Kept Kept;
struct Kept {
    Kept *next;
    void (*run)(const void *what);
    _Alignas(16) char what[];
};

typedef struct {
    Kept *first, **last;
    int users;
} HostGraph;

static HostGraph *captured;
int64_t host_graphs, host_waits, host_up_bytes;

bool host_keep(void (*run)(const void *what), const void *what, size_t bytes)
{
    if (!captured) return false;
    Kept *k = malloc(sizeof *k + bytes);
    k->next = NULL;
    k->run = run;
    memcpy(k->what, what, bytes);
    *captured->last = k;
    captured->last = &k->next;
    return true;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    (void)stream;
    (void)mode;
    if (captured) return cudaErrorIllegalState;
    captured = calloc(1, sizeof *captured);
    captured->last = &captured->first;
    captured->users = 1;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *out)
{
    (void)stream;
    *out = (cudaGraph_t)captured;
    captured = NULL;
    return *out ? cudaSuccess : cudaErrorIllegalState;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long flags)
{
    (void)flags;
    ((HostGraph *)graph)->users++;
    *out = (cudaGraphExec_t)graph;
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    HostGraph *g = (HostGraph *)graph;
    if (--g->users > 0) return cudaSuccess;
    for (Kept *k = g->first, *next; k; k = next) {
        next = k->next;
        free(k);
    }
    free(g);
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) { return cudaGraphDestroy((cudaGraph_t)graph); }

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream)
{
    (void)stream;
    for (const Kept *k = ((HostGraph *)graph)->first; k; k = k->next) k->run(k->what);
    host_graphs++;
    return cudaSuccess;
}

/* ---- memory --------------------------------------------------------------------------------------------------------------------- */

/* Fresh memory holds no number, so that what a kernel forgets to write is seen. */
cudaError_t cudaMallocAsync(void **out, size_t bytes, cudaStream_t stream)
{
    (void)stream;
    if (captured) return cudaErrorStreamCaptureUnsupported;
    if (posix_memalign(out, 256, bytes ? bytes : 1)) return cudaErrorMemoryAllocation;
    memset(*out, 0xff, bytes);
    return cudaSuccess;
}

cudaError_t cudaFreeAsync(void *memory, cudaStream_t stream)
{
    (void)stream;
    free(memory);
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **out, size_t bytes) { return cudaMallocAsync(out, bytes, NULL); }

cudaError_t cudaFreeHost(void *memory) { return cudaFreeAsync(memory, NULL); }

typedef struct {
    void *to;
    const void *from;
    size_t to_step, from_step, width, rows;
    int value;
} HostCopy;

static void copy(const void *what)
{
    const HostCopy *c = what;
    for (size_t i = 0; i < c->rows; i++)
        memmove((char *)c->to + i * c->to_step, (const char *)c->from + i * c->from_step, c->width);
}

static void fill(const void *what)
{
    const HostCopy *c = what;
    memset(c->to, c->value, c->width);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    const HostCopy c = {.to = to, .from = from, .width = bytes, .rows = 1};
    (void)stream;
    if (captured && kind != cudaMemcpyDeviceToDevice) return cudaErrorStreamCaptureUnsupported;
    if (kind == cudaMemcpyDeviceToHost) host_waits++;
    if (kind == cudaMemcpyHostToDevice) host_up_bytes += (int64_t)bytes;
    if (!host_keep(copy, &c, sizeof c)) copy(&c);
    return cudaSuccess;
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_step, const void *from, size_t from_step, size_t width, size_t rows,
                              enum cudaMemcpyKind kind, cudaStream_t stream)
{
    const HostCopy c = {to, from, to_step, from_step, width, rows, 0};
    (void)kind;
    (void)stream;
    if (width > to_step || width > from_step) return cudaErrorInvalidPitchValue;
    if (!host_keep(copy, &c, sizeof c)) copy(&c);
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream)
{
    const HostCopy c = {.to = to, .width = bytes, .value = value};
    (void)stream;
    if (!host_keep(fill, &c, sizeof c)) fill(&c);
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *all)
{
    *available = *all = (size_t)sysconf(_SC_PHYS_PAGES) / 2 * (size_t)sysconf(_SC_PAGESIZE);
    return cudaSuccess;
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr name, void *value)
{
    (void)pool;
    (void)name;
    *(uint64_t *)value = 0;
    return cudaSuccess;
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr name, void *value)
{
    (void)pool;
    (void)name;
    (void)value;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *pool, int device)
{
    (void)device;
    *pool = NULL;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device)
{
    *device = 0;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device)
{
    (void)device;
    *value = attribute == cudaDevAttrComputeCapabilityMajor ? 9 : attribute == cudaDevAttrMultiProcessorCount ? 132 : 0;
    return cudaSuccess;
}

/* Tests open several back ends at once, in one process and in many: none of them is told that it shares a device. */
cudaError_t cudaDeviceGetPCIBusId(char *text, int room, int device)
{
    (void)text;
    (void)room;
    (void)device;
    return cudaErrorInvalidDevice;
}

cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    (void)flags;
    *stream = (cudaStream_t)&host_runs; /* not NULL */
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    (void)stream;
    host_waits++;
    return captured ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) { return cudaStreamSynchronize(stream); }

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    (void)stream;
    (void)event;
    (void)flags;
    return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    (void)event;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    (void)stream;
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    (void)flags;
    *event = (cudaEvent_t)&host_runs;
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event) { return cudaEventCreateWithFlags(event, 0); }

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t begin, cudaEvent_t end)
{
    *ms = begin && end ? 1.0f : 0.0f;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    (void)event;
    (void)stream;
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    (void)event;
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    (void)event;
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void) { return cudaSuccess; }

const char *cudaGetErrorString(cudaError_t e) { return e == cudaSuccess ? "no error" : "an error"; }

int64_t host_runs;
