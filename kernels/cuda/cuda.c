/* Opening, the small ops, and the table. */
#include "kernels/cuda/cuda.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "kernels/cuda/cudnn_graph.h"

/* ---- life -------------------------------------------------------------------------------------------------------------- */

/* Processes of one machine take its devices in turn. */
static int local_rank(void)
{
    static const char *const name[] = {"OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        const char *value = getenv(name[i]);
        if (value) return (int)strtol(value, NULL, 10);
    }
    return 0;
}

/* What is freed stays with the process: the next tensor of that size costs nothing. */
static Status keep_memory(int device)
{
    cudaMemPool_t pool;
    uint64_t all = UINT64_MAX;
    CUDA_TRY(cudaDeviceGetDefaultMemPool(&pool, device));
    CUDA_TRY(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all));
    return status_ok();
}

static Status name_device(Cuda *c, const BackendOptions *o, int device)
{
    int major = 0, minor = 0, processors = 0;
    CUDA_TRY(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
    CUDA_TRY(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
    CUDA_TRY(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device));
    if (o->scores == INT8 && (major != 9 || minor != 0))
        return status_fail(
            ERR_INPUT,
            "--dtype int8 on a GPU is made for compute capability 9.0 (H100, H200), not %d.%d: take bf16 or fp8", major,
            minor);
    snprintf(c->device, sizeof c->device, "sm_%d%d %d", major, minor, processors);
    return status_ok();
}

static const char *cuda_instructions(const Backend *be)
{
    return be->options.plan ? "" : cuda_of(be)->device; /* a plan has no device */
}

/* Two processes on one device have half of its memory and of its speed, and nobody sees why. The claim is a socket in Linux's
 * abstract name space: it goes with the process, however that ends. */
static void claim_device(Cuda *c, int device)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    char bus[32] = "";
    if (cudaDeviceGetPCIBusId(bus, sizeof bus, device) != cudaSuccess) return;
    const int n = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "reelwright.cuda.%s", bus);
    c->claim = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (c->claim < 0) return;
    const socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    if (bind(c->claim, (const struct sockaddr *)&name, length) == 0) return;
    if (errno == EADDRINUSE)
        log_line(LOG_WARNING,
                 "CUDA device %d (%s) is shared with another process of this program: start one for each device",
                 device, bus);
    close(c->claim);
    c->claim = -1;
}

static Status open_device(Cuda *c, const BackendOptions *o)
{
    int devices = 0;
    CUDA_TRY(cudaGetDeviceCount(&devices));
    if (devices < 1) return status_fail(ERR_NODE, "no CUDA device");
    const int device = local_rank() % devices;
    CUDA_TRY(cudaSetDevice(device));
    TRY(name_device(c, o, device));
    claim_device(c, device);
    TRY(keep_memory(device));
    CUDA_TRY(cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking));
    CUDA_TRY(cudaMallocAsync(&c->workspace, WORKSPACE_BYTES, c->stream));
    TRY(cuda_staging_new(c));
    if (cublasLtCreate(&c->blas) != CUBLAS_STATUS_SUCCESS) return status_fail(ERR_NODE, "cublasLtCreate failed");
    return cudnn_open(c->stream, &c->generation, &c->cudnn);
}

static void cuda_close(Backend *be)
{
    Cuda *c = be->own;
    if (!c) return; /* it only planned */
    if (c->stream) cudaStreamSynchronize(c->stream);
    replays_free(c);
    products_free(c);
    cudnn_close(&c->cudnn);
    if (c->blas) cublasLtDestroy(c->blas);
    cuda_staging_free(c);
    if (c->claim >= 0) close(c->claim);
    if (c->workspace) cudaFreeAsync(c->workspace, c->stream);
    if (c->stream) {
        cudaStreamSynchronize(c->stream);
        cudaStreamDestroy(c->stream);
    }
    free(c);
    be->own = NULL;
}

/* A plan needs no device: it may be made on another machine. */
static Status cuda_open(Backend *be)
{
    if (be->options.plan) return status_ok();
    Cuda *c = calloc(1, sizeof *c);
    if (!c) return status_fail(ERR_NODE, "out of memory");
    be->own = c;
    c->claim = -1;
    Status status = open_device(c, &be->options);
    if (failed(status)) cuda_close(be);
    return status_at(status, "the cuda back end");
}

void cuda_avoid_cudnn(Backend *be, bool avoid)
{
    Cuda *c = cuda_of(be);
    if (avoid)
        cudnn_close(&c->cudnn);
    else if (!c->cudnn)
        backend_fail(be, cudnn_open(c->stream, &c->generation, &c->cudnn));
}

void cuda_always_cudnn(Backend *be) { cuda_of(be)->always_cudnn = true; }

void cuda_bound_convs(Backend *be, int64_t numbers) { cuda_of(be)->conv_numbers = numbers; }

void cuda_choose_attention(Backend *be, int form, int skips)
{
    cuda_of(be)->attention_form = form;
    cuda_of(be)->attention_skips = skips;
}

const char *cuda_notes(const Backend *be, char *text, size_t room)
{
    const Cuda *c = cuda_of(be);
    const int64_t *n = c->note;
    snprintf(
        text, room,
        "attention: cudnn %lld, own %lld, int8 %lld; conv: cudnn %lld, own %lld; fused activations %lld; fp8 %lld of "
        "%lld quantised, scaled apart %lld; graphs %lld%s%s",
        (long long)n[NOTE_ATTENTION_CUDNN], (long long)n[NOTE_ATTENTION_OWN], (long long)n[NOTE_ATTENTION_INT8],
        (long long)n[NOTE_CONV_CUDNN], (long long)n[NOTE_CONV_OWN], (long long)n[NOTE_ACT_FUSED],
        (long long)n[NOTE_FP8], (long long)n[NOTE_FP8_QUANTIZED], (long long)n[NOTE_FP8_SCALED_APART],
        (long long)n[NOTE_GRAPHS], c->cudnn && *cudnn_refusal(c->cudnn) ? "; cuDNN refused: " : "",
        c->cudnn ? cudnn_refusal(c->cudnn) : "");
    return text;
}

/* ---- small ops ----------------------------------------------------------------------------------------------------------- */

static Status run_elements(Backend *be, Elements e)
{
    CUDA_TRY(launch_elements(cuda_of(be)->stream, &e));
    return status_ok();
}

static Status run_rows(Backend *be, Rows r)
{
    CUDA_TRY(launch_rows(cuda_of(be)->stream, &r));
    return status_ok();
}

static Status cuda_activation(Backend *be, Tensor x, Activation act, Tensor out)
{
    return run_elements(be, (Elements){.kind = ELEMENT_ACT, .out = out, .a = x, .act = (int)act});
}

static Status cuda_add(Backend *be, Tensor a, Tensor b, Tensor out)
{
    return run_elements(be, (Elements){.kind = ELEMENT_ADD, .out = out, .a = a, .b = b});
}

static Status cuda_add_to(Backend *be, Tensor acc, Tensor x, float factor)
{
    return run_elements(be, (Elements){.kind = ELEMENT_ADD_TIMES, .out = acc, .a = acc, .b = x, .factor = factor});
}

static Status cuda_combine(Backend *be, Tensor out, int count, const Tensor *x, const double *weight)
{
    _Static_assert((int)COMBINE_TERMS == (int)COMBINE_MOST, "as many on both sides");
    Combine c = {.out = out, .count = count};
    memcpy(c.x, x, (size_t)count * sizeof *x);
    memcpy(c.weight, weight, (size_t)count * sizeof *weight);
    CUDA_TRY(launch_combine(cuda_of(be)->stream, &c));
    return status_ok();
}

static Status cuda_embed(Backend *be, Tensor table, const int64_t *ids, int64_t n, Tensor out)
{
    Tensor sent = backend_alloc(be, F32, 1, (int64_t[]){2 * n}); /* 8 bytes each */
    if (failed(be->first) || n == 0) return be->first;
    TRY(cuda_send(be, ids, (size_t)n * sizeof *ids, sent.data));
    CUDA_TRY(launch_embed(cuda_of(be)->stream, table, sent.data, out));
    return status_ok();
}

static Status cuda_layernorm(Backend *be, Tensor x, Tensor gain, Tensor bias, float eps, Tensor out)
{
    return run_rows(be, (Rows){.kind = ROWS_LAYER, .x = x, .out = out, .gain = gain, .bias = bias, .eps = eps});
}

static Status cuda_rmsnorm(Backend *be, Tensor x, Tensor gain, float eps, Tensor out)
{
    return run_rows(be, (Rows){.kind = ROWS_RMS, .x = x, .out = out, .gain = gain, .eps = eps});
}

static Status cuda_norm_modulate(Backend *be, Tensor x, Tensor scale, Tensor shift, float eps, Tensor out)
{
    return run_rows(
        be, (Rows){.kind = ROWS_LAYER, .x = x, .out = out, .gain = scale, .bias = shift, .eps = eps, .more = 1});
}

static Status cuda_channel_norm(Backend *be, Tensor x, Tensor gain, bool silu, Tensor out)
{
    return run_rows(be, (Rows){.kind = ROWS_CHANNELS, .x = x, .out = out, .gain = gain, .silu = silu});
}

static Status cuda_sumsq(Backend *be, Tensor x, Tensor out)
{
    CUDA_TRY(launch_squares(cuda_of(be)->stream, x, out));
    return status_ok();
}

static Status cuda_qk_norm_rope(Backend *be, Tensor x, const QkNorm *n)
{
    const Rope r = {.x = x,
                    .gain = n->gain,
                    .cos = n->cos,
                    .sin = n->sin,
                    .squares = n->sumsq,
                    .width = n->sumsq.data ? n->width : x.dim[x.ndim - 1],
                    .eps = n->eps,
                    .heads = n->heads};
    CUDA_TRY(launch_rope(cuda_of(be)->stream, &r));
    return status_ok();
}

/* ---- rearrangements ------------------------------------------------------------------------------------------------------- */

/* in and out have four dimensions, as places.h reads them */
static Status run_gather(Backend *be, Places places, Tensor in, Tensor out)
{
    memcpy(places.in, in.dim, sizeof places.in);
    memcpy(places.out, out.dim, sizeof places.out);
    CUDA_TRY(launch_gather(cuda_of(be)->stream, &places, in, out));
    return status_ok();
}

static Status cuda_patchify(Backend *be, Tensor latent, const int patch[3], Tensor out)
{
    return run_gather(be, (Places){.kind = PLACE_PATCHIFY, .p = {patch[0], patch[1], patch[2]}}, latent, out);
}

static Status cuda_unpatchify(Backend *be, Tensor tokens, const int patch[3], Tensor out)
{
    return run_gather(be, (Places){.kind = PLACE_UNPATCHIFY, .p = {patch[0], patch[1], patch[2]}}, tokens, out);
}

/* `count` columns of every row of one tensor to another, from column `from` to column `to`; of the same type */
static Status copy_columns(Backend *be, Tensor src, int64_t from, Tensor dst, int64_t to, int64_t count)
{
    const int64_t wide = src.dim[src.ndim - 1], wide_to = dst.dim[dst.ndim - 1],
                  rows = wide ? tensor_count(src) / wide : 0;
    const size_t number = dtype_bytes(src.dtype);
    if (rows == 0 || count == 0) return status_ok();
    CUDA_TRY(cudaMemcpy2DAsync((char *)dst.data + (size_t)to * number, (size_t)wide_to * number,
                               (const char *)src.data + (size_t)from * number, (size_t)wide * number,
                               (size_t)count * number, (size_t)rows, cudaMemcpyDeviceToDevice, cuda_of(be)->stream));
    return status_ok();
}

static Status cuda_columns(Backend *be, Tensor x, int64_t first, int64_t count, Tensor out)
{
    return copy_columns(be, x, first, out, 0, count);
}

static Status cuda_put_columns(Backend *be, Tensor dst, Tensor x, int64_t first)
{
    return copy_columns(be, x, 0, dst, first, x.dim[x.ndim - 1]);
}

static Status cuda_time_split(Backend *be, Tensor x, Tensor out)
{
    return run_gather(be, (Places){.kind = PLACE_TIME_SPLIT}, x, out);
}

static Status cuda_pixel_shuffle(Backend *be, Tensor x, int p, Tensor out)
{
    return run_gather(be, (Places){.kind = PLACE_SHUFFLE, .p = {p}}, x, out);
}

static Status cuda_pixel_unshuffle(Backend *be, Tensor x, int p, Tensor out)
{
    return run_gather(be, (Places){.kind = PLACE_UNSHUFFLE, .p = {p}}, x, out);
}

static Status cuda_to_channels_first(Backend *be, Tensor x, Tensor out)
{
    return run_gather(be, (Places){.kind = PLACE_CHANNELS_FIRST}, x, out);
}

static Status cuda_dup_up(Backend *be, Tensor x, int factor_t, int factor_s, bool first_chunk, Tensor out)
{
    const int64_t skipped = first_chunk ? factor_t - 1 : 0;
    return run_gather(be, (Places){.kind = PLACE_DUP_UP, .p = {factor_t, factor_s, skipped}}, x, out);
}

static Status cuda_avg_down(Backend *be, Tensor x, int factor_t, int factor_s, Tensor out)
{
    AvgDown a = {.ft = factor_t,
                 .fs = factor_s,
                 .group = (int)(x.dim[3] * factor_t * factor_s * factor_s / out.dim[3]),
                 .before = out.dim[0] * factor_t - x.dim[0]};
    memcpy(a.in, x.dim, sizeof a.in);
    memcpy(a.out, out.dim, sizeof a.out);
    CUDA_TRY(launch_avg_down(cuda_of(be)->stream, &a, x, out));
    return status_ok();
}

__attribute__((visibility("default"))) const Kernels cuda_kernels = {
    .name = "cuda",
    .open = cuda_open,
    .close = cuda_close,
    .memory = cuda_memory,
    .instructions = cuda_instructions,
    .notes = cuda_notes,
    .finish = cuda_finish,
    .repeat = cuda_repeat,
    .coll = cuda_coll_open,
    .memory_new = cuda_memory_new,
    .memory_free = cuda_memory_free,
    .upload = cuda_upload,
    .download = cuda_download,
    .copy = cuda_copy,
    .zero = cuda_zero,
    .linear_pack = cuda_linear_pack,
    .linear_free = cuda_linear_free,
    .conv_pack = cuda_conv_pack,
    .conv_numbers = cuda_conv_numbers,
    .conv_scratch_bytes = cuda_conv_scratch_bytes,
    .conv_free = cuda_conv_free,
    .linear = cuda_linear,
    .project = cuda_project,
    .linear_add = cuda_linear_add,
    .linear_geglu = cuda_linear_geglu,
    .activation = cuda_activation,
    .add = cuda_add,
    .add_to = cuda_add_to,
    .combine = cuda_combine,
    .embed = cuda_embed,
    .layernorm = cuda_layernorm,
    .rmsnorm = cuda_rmsnorm,
    .norm_modulate = cuda_norm_modulate,
    .sumsq = cuda_sumsq,
    .qk_norm_rope = cuda_qk_norm_rope,
    .attention = cuda_attention,
    .patchify = cuda_patchify,
    .unpatchify = cuda_unpatchify,
    .columns = cuda_columns,
    .put_columns = cuda_put_columns,
    .conv = cuda_conv,
    .conv_add = cuda_conv_add,
    .conv_upsampled = cuda_conv_upsampled,
    .channel_norm = cuda_channel_norm,
    .time_split = cuda_time_split,
    .avg_down = cuda_avg_down,
    .dup_up = cuda_dup_up,
    .pixel_shuffle = cuda_pixel_shuffle,
    .pixel_unshuffle = cuda_pixel_unshuffle,
    .to_channels_first = cuda_to_channels_first,
};
