/* Opening a back end, its first failure, and its arena. */
#include "kernels/backend.h"

#include <assert.h>
#include <dlfcn.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/convert.h"
#include "kernels/machine.h"

enum {
    ALIGN = 64,
    BLOCK_MIN = 64 << 20,
    FP8_UNIT = 16 /* sizes of an fp8 product */,
    INT8_MOST_IN = 1 << 16 /* 255 * 127 * in is below 2^31 */
};

/* ---- life and failure ---------------------------------------------------------------------------------------------- */

/* Half of the machine for a process that has all cores; the processes of a machine share it as they share the cores. Of a
 * device, which a process has to itself, three quarters. It does not depend on what is free at the moment, so that the same
 * clip is made the same way every time. */
static int64_t memory_share(const Backend *be)
{
    int64_t all = 0, available = 0;
    if (be->kernels->memory) be->kernels->memory(be, &all, &available);
    if (all > 0) return all / 4 * 3;
    const int64_t half = machine_memory_bytes() / 2;
    const int cores = omp_get_num_procs(), threads = be->options.threads;
    return threads >= cores ? half : half / cores * threads;
}

int64_t backend_available_bytes(const Backend *be)
{
    int64_t all = 0, available = 0;
    if (!be->kernels->memory) return machine_available_bytes();
    be->kernels->memory(be, &all, &available);
    return available;
}

static const Kernels *cuda; /* loaded at first use, or a test's */

void backend_register_cuda(const Kernels *k) { cuda = k; }

/* The CUDA back end is a module of its own beside the executable: its libraries take a second and 200 MB to load, and a machine
 * without a device may lack them. */
static Status load_cuda(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
    while (n > 0 && path[n - 1] != '/') n--;
    snprintf(path + (n > 0 ? n : 0), 64, "libreelwright_cuda.so");
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
#ifdef REELWRIGHT_CUDA_MODULE
    if (!module && access(path, F_OK) != 0) module = dlopen(REELWRIGHT_CUDA_MODULE, RTLD_NOW | RTLD_LOCAL);
    if (!module) return status_fail(ERR_INPUT, "no CUDA back end: %s", dlerror());
#else
    if (!module && access(path, F_OK) == 0) return status_fail(ERR_INPUT, "no CUDA back end: %s", dlerror());
    if (!module)
        return status_fail(ERR_INPUT, "this build has no CUDA back end: nvcc, cuBLASLt, cuDNN or NCCL was missing");
#endif
    cuda = dlsym(module, "cuda_kernels");
    return cuda ? status_ok() : status_fail(ERR_INPUT, "no CUDA back end: %s", dlerror());
}

static Status kernels_of(BackendKind kind, const Kernels **out)
{
    if (kind == BACKEND_CUDA && !cuda) TRY(load_cuda());
#ifdef __clang__ /* the fuzzers' build: cpu/ is written for gcc */
    const Kernels *cpu = &ref_kernels;
#else
    const Kernels *cpu = &cpu_kernels;
#endif
    *out = kind == BACKEND_CUDA ? cuda : kind == BACKEND_REF ? &ref_kernels : cpu;
    return status_ok();
}

Status backend_open(const BackendOptions *o, Backend **out)
{
    const Kernels *kernels;
    TRY(kernels_of(o->kind, &kernels));
    if (o->compute != F32 && o->compute != BF16)
        return status_fail(ERR_INPUT, "computing in %s, expected fp32 or bf16", dtype_name(o->compute));
    if (o->exact != F32 && o->exact != BF16)
        return status_fail(ERR_INPUT, "computing in %s, expected fp32 or bf16", dtype_name(o->exact));
    if (o->quantized == E4M3 && ((o->kind != BACKEND_CUDA && !o->plan) || o->compute != BF16))
        return status_fail(ERR_INPUT, "fp8 is computed by the CUDA back end beside bf16; use bf16 or fp32 here");
    if (o->quantized == INT8 && ((o->kind != BACKEND_CPU && !o->plan) || o->compute != BF16))
        return status_fail(ERR_INPUT, "int8 is computed by the CPU back end beside bf16; use bf16 or fp32 here");
    if (o->scores == INT8 && (o->kind != BACKEND_CUDA || o->compute != BF16 || o->quantized != F32))
        return status_fail(ERR_INPUT, "scores in int8 are computed by the CUDA back end beside bf16; use bf16 here");
    Backend *be = calloc(1, sizeof *be);
    if (!be) return status_fail(ERR_NODE, "out of memory");
    be->options = *o;
    if (be->options.threads <= 0) be->options.threads = omp_get_num_procs();
    be->kernels = kernels;
    be->first = status_ok();
    Status s = be->kernels->open(be);
    if (failed(s)) {
        free(be);
        return s;
    }
    if (be->options.memory_bytes <= 0) be->options.memory_bytes = memory_share(be);
    *out = be;
    return s;
}

/* A planning back end hands out addresses that nobody follows. */
static Status memory_take(Backend *be, size_t bytes, void **out)
{
    static char nowhere[ALIGN];
    if (!be->options.plan) return be->kernels->memory_new(be, bytes, out);
    *out = nowhere;
    return status_ok();
}

static void memory_give_back(Backend *be, void *memory, size_t bytes)
{
    if (!be->options.plan) be->kernels->memory_free(be, memory, bytes);
}

void backend_close(Backend **be)
{
    if (!*be) return;
    for (size_t i = 0; i < (*be)->blocks; i++)
        if ((*be)->block[i].memory) memory_give_back(*be, (*be)->block[i].memory, (*be)->block[i].bytes);
    free((*be)->block);
    (*be)->kernels->close(*be);
    free(*be);
    *be = NULL;
}

/* The message lives as long as any other's: who closes the back end may still tell it. */
Status backend_status(const Backend *be)
{
    return failed(be->first) ? status_lines(be->first.err, be->message) : status_ok();
}

Status backend_finish(Backend *be)
{
    if (be->kernels->finish && !be->options.plan) backend_fail(be, be->kernels->finish(be));
    return backend_status(be);
}
void backend_clear(Backend *be) { be->first = status_ok(); }
DType backend_compute(const Backend *be) { return be->options.compute; }

DType backend_begin_exact(Backend *be)
{
    const DType before = be->options.compute;
    be->options.compute = backend_exact_type(&be->options);
    return before;
}

void backend_end_exact(Backend *be, DType before) { be->options.compute = before; }

const char *backend_dtype(const Backend *be) { return backend_dtype_name(&be->options); }

const char *backend_kind(const Backend *be, char *text, size_t room)
{
    const char *more = be->kernels->instructions ? be->kernels->instructions(be) : "";
    snprintf(text, room, "%s%s%s", be->kernels->name, *more ? " " : "", more);
    return text;
}

bool backend_takes_e4m3(const Backend *be) { return be->kernels->takes_e4m3; }

bool backend_plans(const Backend *be) { return be->options.plan; }
BackendOptions backend_options(const Backend *be) { return be->options; }

void backend_fail(Backend *be, Status s)
{
    if (!failed(s) || failed(be->first)) return;
    snprintf(be->message, sizeof be->message, "%s", s.message);
    be->first = (Status){s.err, be->message, s.error};
}

void backend_count(Backend *be, size_t more_bytes, size_t fewer_bytes)
{
    be->kept_bytes += more_bytes;
    be->kept_bytes -= fewer_bytes;
    size_t now = be->kept_bytes + be->arena_bytes;
    if (now > be->peak_bytes) be->peak_bytes = now;
}

size_t backend_peak_bytes(const Backend *be) { return be->peak_bytes; }
size_t backend_kept_bytes(const Backend *be) { return be->kept_bytes; }

int64_t backend_spare_bytes(const Backend *be)
{
    int64_t spare = 0;
    for (size_t i = be->top.block; i < be->blocks; i++) spare += (int64_t)be->block[i].bytes;
    return spare > 0 && be->top.block < be->blocks ? spare - (int64_t)be->top.used : spare;
}

/* ---- arena ---------------------------------------------------------------------------------------------------------
 * Blocks in a row; `top` is (block, used). A tensor that does not fit into the rest of the current block goes to the next,
 * which is made, or made anew if it is too small (nothing lives beyond top). After the first pass of a model the blocks
 * have the sizes it needs and stay. */

ArenaMark backend_mark(Backend *be) { return be->top; }

void backend_release(Backend *be, ArenaMark m)
{
    be->top = m;
    be->arena_bytes = m.used;
    for (size_t i = 0; i < m.block && i < be->blocks; i++) be->arena_bytes += be->block[i].bytes;
}

void backend_trim(Backend *be)
{
    for (size_t i = be->top.block + (be->top.used > 0); i < be->blocks; i++) {
        memory_give_back(be, be->block[i].memory, be->block[i].bytes);
        be->block[i] = (ArenaBlock){0};
    }
}

/* Makes block[index] at least `bytes` large; it holds nothing that lives. */
static Status arena_make_block(Backend *be, size_t index, size_t bytes)
{
    if (index < be->blocks && be->block[index].bytes >= bytes) return status_ok();
    if (index < be->blocks) {
        if (be->block[index].memory) memory_give_back(be, be->block[index].memory, be->block[index].bytes);
        be->block[index] = (ArenaBlock){0};
    } else {
        ArenaBlock *more = realloc(be->block, (index + 1) * sizeof *more);
        if (!more) return status_fail(ERR_NODE, "out of memory");
        be->block = more;
        be->block[be->blocks++] = (ArenaBlock){0};
    }
    size_t size = bytes > BLOCK_MIN ? bytes : BLOCK_MIN;
    void *memory;
    TRY(memory_take(be, size, &memory));
    be->block[index] = (ArenaBlock){memory, size};
    return status_ok();
}

static Status arena_take(Backend *be, size_t bytes, void **out)
{
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    size_t index = be->top.block, used = be->top.used;
    if (index < be->blocks && be->block[index].bytes - used < bytes) {
        index += used > 0; /* an empty block that is too small is made anew, not passed over */
        used = 0;
    }
    TRY(arena_make_block(be, index, bytes));
    *out = be->block[index].memory + used;
    be->arena_bytes += bytes;
    backend_release(be, (ArenaMark){index, used + bytes});
    backend_count(be, 0, 0);
    return status_ok();
}

/* The shape with its storage's size, or a failure if that is no size. */
static Status tensor_shape(DType dtype, int ndim, const int64_t *dim, Tensor *out)
{
    *out = tensor_view(NULL, dtype, ndim, dim);
    int64_t count = (int64_t)dtype_bytes(dtype);
    for (int i = 0; i < ndim; i++)
        if (dim[i] < 0 || __builtin_mul_overflow(count, dim[i], &count))
            return status_fail(ERR_CLIP, "a tensor with dimension %lld is out of range", (long long)dim[i]);
    return status_ok();
}

Tensor backend_alloc(Backend *be, DType dtype, int ndim, const int64_t *dim)
{
    Tensor t;
    Status s = tensor_shape(dtype, ndim, dim, &t);
    if (failed(be->first)) return t;
    if (!failed(s)) s = arena_take(be, tensor_bytes(t), &t.data);
    backend_fail(be, s);
    return t;
}

Tensor backend_zeros(Backend *be, int ndim, const int64_t *dim)
{
    Tensor t = backend_alloc(be, F32, ndim, dim);
    BACKEND_RUN(be, zero(be, t));
    return t;
}

Tensor backend_upload(Backend *be, const float *host, int ndim, const int64_t *dim)
{
    Tensor t = backend_alloc(be, F32, ndim, dim);
    backend_put(be, host, t);
    return t;
}

void backend_put(Backend *be, const float *host, Tensor t) { BACKEND_RUN(be, upload(be, host, t)); }

void backend_download(Backend *be, Tensor t, float *host) { BACKEND_RUN(be, download(be, t, host)); }

Tensor backend_keep(Backend *be, DType dtype, int ndim, const int64_t *dim)
{
    Tensor t;
    Status s = tensor_shape(dtype, ndim, dim, &t);
    if (failed(be->first)) return t;
    size_t bytes = tensor_bytes(t) ? tensor_bytes(t) : 1;
    if (!failed(s)) s = memory_take(be, bytes, &t.data);
    if (!failed(s)) backend_count(be, bytes, 0);
    backend_fail(be, s);
    return t;
}

void backend_drop(Backend *be, Tensor *t)
{
    size_t bytes = tensor_bytes(*t) ? tensor_bytes(*t) : 1;
    if (t->data) {
        memory_give_back(be, t->data, bytes);
        backend_count(be, 0, bytes);
    }
    t->data = NULL;
}

void backend_plan_scratch(Backend *be, size_t bytes)
{
    if (!be->options.plan) return;
    ArenaMark mark = backend_mark(be);
    backend_alloc(be, F32, 1, (int64_t[]){(int64_t)(bytes / sizeof(float))});
    backend_release(be, mark);
}

void backend_repeat(Backend *be, const int64_t key[REPEAT_KEY], void (*body)(void *self), void *self)
{
    int64_t whole[REPEAT_KEY + 2];
    if (failed(be->first) || be->options.plan || !be->kernels->repeat) {
        body(self);
        return;
    }
    memcpy(whole, key, REPEAT_KEY * sizeof *key);
    whole[REPEAT_KEY] = (int64_t)be->top.block;
    whole[REPEAT_KEY + 1] = (int64_t)be->top.used;
    backend_fail(be, be->kernels->repeat(be, whole, body, self));
}

/* ---- weights ------------------------------------------------------------------------------------------------------- */

static Status plan_weight(Backend *be, int64_t numbers, int64_t bias, DType type)
{
    backend_count(be, (size_t)numbers * dtype_bytes(type) + (size_t)bias * sizeof(float), 0);
    return status_ok();
}

static bool can_quantize(DType to, int64_t out, int64_t in)
{
    return to == E4M3 ? out % FP8_UNIT == 0 && in % FP8_UNIT == 0 : to == INT8 && in <= INT8_MOST_IN;
}

static Status plan_quantized(Backend *be, const Linear *l)
{
    backend_count(be, (size_t)(l->in * l->out) + 2 * (size_t)l->out * sizeof(float), 0);
    return status_ok();
}

Status linear_pack(Backend *be, Tensor weight, Tensor bias, Linear *out)
{
    if (weight.ndim != 2 || (bias.data && (bias.ndim != 1 || bias.dim[0] != weight.dim[0])))
        return status_fail(ERR_INPUT, "linear: the weight has %d dimensions and %lld rows, the bias %lld", weight.ndim,
                           (long long)weight.dim[0], (long long)tensor_count(bias));
    const bool exact = out->exact;
    const bool quantize = !exact && out->quantize && can_quantize(be->options.quantized, weight.dim[0], weight.dim[1]);
    assert(weight.dtype != E4M3 || backend_takes_e4m3(be));
    *out =
        (Linear){.in = weight.dim[1], .out = weight.dim[0], .quantize = quantize, .exact = exact, .scale = out->scale};
    if (be->options.plan && quantize) return plan_quantized(be, out);
    const DType as = weight.dtype == E4M3 && backend_keeps_e4m3(&be->options) ? E4M3
                     : exact                                                  ? F32
                                                                              : be->options.compute;
    if (be->options.plan) return plan_weight(be, out->in * out->out, out->out, as);
    return be->kernels->linear_pack(be, weight, bias, out);
}

void linear_free(Backend *be, Linear *l)
{
    if (l->packed) be->kernels->linear_free(be, l);
    l->packed = NULL;
}

Status conv_pack(Backend *be, Tensor weight, Tensor bias, Conv *out)
{
    if ((weight.ndim != 4 && weight.ndim != 5) || (bias.data && (bias.ndim != 1 || bias.dim[0] != weight.dim[0])))
        return status_fail(ERR_INPUT, "convolution: the weight has %d dimensions and %lld rows, the bias %lld",
                           weight.ndim, (long long)weight.dim[0], (long long)tensor_count(bias));
    const int64_t *kernel = weight.dim + weight.ndim - 2;
    int64_t dim[5] = {weight.dim[0], weight.dim[1], weight.ndim == 5 ? weight.dim[2] : 1, kernel[0], kernel[1]};
    out->out = dim[0];
    out->in = dim[1];
    for (int i = 0; i < 3; i++) out->kernel[i] = (int)dim[2 + i];
    out->packed = NULL;
    if (be->options.plan) return plan_weight(be, be->kernels->conv_numbers(out), out->out, be->options.compute);
    return be->kernels->conv_pack(be, tensor_reshape(weight, 5, dim), bias, out);
}

void conv_free(Backend *be, Conv *c)
{
    if (c->packed) be->kernels->conv_free(be, c);
    c->packed = NULL;
}

Status vector_pack(Backend *be, Tensor weight, Tensor *out)
{
    if (be->options.plan) {
        *out = backend_keep(be, F32, weight.ndim, weight.dim);
        return be->first;
    }
    float *host = malloc((size_t)tensor_count(weight) * sizeof *host + 1);
    if (!host) return status_fail(ERR_NODE, "out of memory");
    convert_to_float(weight.data, weight.dtype, tensor_count(weight), host);
    *out = backend_keep(be, F32, weight.ndim, weight.dim);
    backend_put(be, host, *out);
    free(host);
    return be->first;
}
