#include "profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpu/parts.h"

#ifdef REELWRIGHT_GPU_CUDA
#include "kernels/cuda/cuda.h"

enum { MOST_CALLS = 1 << 15, MOST_NAMES = 256 };

typedef struct {
    char name[96];
    double ms;
    int64_t calls;
} Entry;

static Entry entry[MOST_NAMES];
static int entries;
static struct {
    cudaEvent_t begin, end;
    int entry;
} call[MOST_CALLS];
static int calls;
static Kernels wrapped;

/* "linear 75600x5120 x 5120" */
static int find_entry(const char *op, Tensor x, int64_t more)
{
    char name[96];
    int at = snprintf(name, sizeof name, "%s", op);
    for (int i = 0; i < x.ndim && at < 80; i++)
        at += snprintf(name + at, sizeof name - (size_t)at, "%c%lld", i ? 'x' : ' ', (long long)x.dim[i]);
    if (more && at < 80) snprintf(name + at, sizeof name - (size_t)at, " -> %lld", (long long)more);
    for (int i = 0; i < entries; i++)
        if (strcmp(entry[i].name, name) == 0) return i;
    if (entries == MOST_NAMES) return MOST_NAMES - 1;
    snprintf(entry[entries].name, sizeof entry->name, "%s", name);
    return entries++;
}

static int begin_call(Backend *be, const char *op, Tensor x, int64_t more)
{
    if (calls == MOST_CALLS) return -1;
    const int i = calls++;
    call[i].entry = find_entry(op, x, more);
    cudaEventCreate(&call[i].begin);
    cudaEventCreate(&call[i].end);
    cudaEventRecord(call[i].begin, cuda_of(be)->stream);
    return i;
}

static Status end_call(Backend *be, int i, Status s)
{
    if (i >= 0) cudaEventRecord(call[i].end, cuda_of(be)->stream);
    return s;
}

/* All that was recorded has passed. The first evaluation prepares plans between its events and does not count. */
static void collect(void)
{
    static int evaluation;
    const bool counts = evaluation++ > 0;
    for (int i = 0; i < calls; i++) {
        float ms = 0;
        if (counts && cudaEventElapsedTime(&ms, call[i].begin, call[i].end) == cudaSuccess) {
            entry[call[i].entry].ms += (double)ms;
            entry[call[i].entry].calls++;
        }
        cudaEventDestroy(call[i].begin);
        cudaEventDestroy(call[i].end);
    }
    calls = 0;
}

static Status profiled_finish(Backend *be)
{
    Status s = cuda_kernels.finish(be);
    collect();
    return s;
}

/* Which ways were taken; a back end that only planned has none. */
static void profiled_close(Backend *be)
{
    char notes[2048];
    if (be->own) {
        printf("{\"part\": \"notes\", \"notes\": ");
        gpu_print_text(cuda_kernels.notes(be, notes, sizeof notes));
        printf("}\n");
    }
    cuda_kernels.close(be);
}

#define WRAP_AS(op, name, x, more, parameters, arguments)                                                              \
    static Status profiled_##op parameters                                                                             \
    {                                                                                                                  \
        const int i = begin_call(be, name, x, more);                                                                   \
        return end_call(be, i, cuda_kernels.op arguments);                                                             \
    }
#define WRAP(op, x, more, parameters, arguments) WRAP_AS(op, #op, x, more, parameters, arguments)
WRAP(copy, src, 0, (Backend * be, Tensor dst, Tensor src), (be, dst, src))
WRAP(zero, out, 0, (Backend * be, Tensor out), (be, out))
WRAP(linear, x, w->out, (Backend * be, Tensor x, const Linear *w, Activation act, Tensor out), (be, x, w, act, out))
WRAP(project, x, count *w[0]->out, (Backend * be, Tensor x, int count, const Linear *const *w, const Tensor *out),
     (be, x, count, w, out))
WRAP_AS(linear_add, gate.data ? "linear_add gated" : "linear_add", x, w->out,
        (Backend * be, Tensor acc, Tensor x, const Linear *w, Tensor gate), (be, acc, x, w, gate))
WRAP(add, a, 0, (Backend * be, Tensor a, Tensor b, Tensor out), (be, a, b, out))
WRAP(add_to, x, 0, (Backend * be, Tensor acc, Tensor x, float factor), (be, acc, x, factor))
WRAP(combine, out, count, (Backend * be, Tensor out, int count, const Tensor *x, const double *weight),
     (be, out, count, x, weight))
WRAP(layernorm, x, 0, (Backend * be, Tensor x, Tensor gain, Tensor bias, float eps, Tensor out),
     (be, x, gain, bias, eps, out))
WRAP(norm_modulate, x, 0, (Backend * be, Tensor x, Tensor scale, Tensor shift, float eps, Tensor out),
     (be, x, scale, shift, eps, out))
WRAP(qk_norm_rope, x, 0, (Backend * be, Tensor x, const QkNorm *n), (be, x, n))
WRAP(attention, q, k.dim[0],
     (Backend * be, Tensor q, Tensor k, Tensor v, int heads, float scale, Tensor bias, Tensor out),
     (be, q, k, v, heads, scale, bias, out))
WRAP(patchify, latent, 0, (Backend * be, Tensor latent, const int patch[3], Tensor out), (be, latent, patch, out))
WRAP(unpatchify, tokens, 0, (Backend * be, Tensor tokens, const int patch[3], Tensor out), (be, tokens, patch, out))
WRAP(conv, x, c->out, (Backend * be, Tensor x, const Conv *c, Tensor out), (be, x, c, out))
WRAP(conv_add, x, c->out, (Backend * be, Tensor acc, Tensor x, const Conv *c), (be, acc, x, c))
WRAP(conv_upsampled, x, c->out, (Backend * be, Tensor x, const Conv *c, Tensor out), (be, x, c, out))
WRAP(channel_norm, x, 0, (Backend * be, Tensor x, Tensor gain, bool silu, Tensor out), (be, x, gain, silu, out))
WRAP(time_split, x, 0, (Backend * be, Tensor x, Tensor out), (be, x, out))
WRAP(columns, x, 0, (Backend * be, Tensor x, int64_t first, int64_t count, Tensor out), (be, x, first, count, out))
WRAP(put_columns, x, 0, (Backend * be, Tensor dst, Tensor x, int64_t first), (be, dst, x, first))

void profile_begin(bool times)
{
    gpu_backend();
    wrapped = cuda_kernels;
#define USE(op) wrapped.op = profiled_##op
    USE(close);
    backend_register_cuda(&wrapped);
    if (!times) return;
    wrapped.repeat = NULL; /* calls in a graph have no times of their own */
    USE(finish), USE(copy), USE(zero), USE(linear), USE(project), USE(linear_add), USE(add), USE(add_to), USE(combine);
    USE(layernorm), USE(norm_modulate), USE(qk_norm_rope), USE(attention), USE(patchify), USE(unpatchify), USE(conv),
        USE(conv_add);
    USE(conv_upsampled), USE(channel_norm), USE(time_split), USE(columns), USE(put_columns);
}

static int longer(const void *a, const void *b)
{
    const double x = ((const Entry *)a)->ms, y = ((const Entry *)b)->ms;
    return (x < y) - (x > y);
}

void profile_print(int evaluations)
{
    qsort(entry, (size_t)entries, sizeof *entry, longer);
    for (int i = 0; i < entries; i++)
        printf("{\"part\": \"profile\", \"op\": \"%s\", \"ms\": %.3f, \"calls\": %.1f}\n", entry[i].name,
               entry[i].ms / evaluations, (double)entry[i].calls / evaluations);
}

#else

void profile_begin(bool times) { (void)times; }
void profile_print(int evaluations) { (void)evaluations; }

#endif
