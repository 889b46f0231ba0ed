/* cuda.h - the CUDA back end: products by cuBLASLt, attention and convolutions by cuDNN, own kernels between them (launch.h),
 * everything on one stream, in order.
 *
 * Memory comes from the device's stream-ordered pool. The host waits for the device when it downloads, and when more than
 * the staging slots are on their way up; nowhere else. Products take bf16 (or, computing in fp32, fp32: no TF32) and add up
 * in fp32; norms, softmax and the residual stream are fp32. Products with quantised weights (fp8) take e4m3, a scale a row.
 *
 * Where cuDNN has no engine for a shape (head dimensions above its own, odd channels, fp32) the same op is made of
 * products and own kernels: attention.c, conv.c. cuda_notes counts what took which way. */
#ifndef REELWRIGHT_CUDA_H
#define REELWRIGHT_CUDA_H

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include "kernels/backend.h"
#include "kernels/cuda/launch.h"

enum {
    SMALL_SLOTS = 64,
    SMALL_BYTES = 256 << 10,
    LARGE_SLOTS = 3,
    LARGE_BYTES = 32 << 20,
    WORKSPACE_BYTES = 256 << 20
};

typedef struct { /* pinned host memory on its way to the device */
    char *memory;
    cudaEvent_t copied;
} Slot;

typedef struct Product Product; /* a prepared product: products.c */
typedef struct Cudnn Cudnn;     /* the handle and prepared plans: cudnn_graph.c */

typedef enum {
    NOTE_ATTENTION_CUDNN,
    NOTE_ATTENTION_OWN,
    NOTE_ATTENTION_INT8,
    NOTE_CONV_CUDNN,
    NOTE_CONV_OWN,
    NOTE_ACT_FUSED,
    NOTE_FP8,
    NOTE_FP8_QUANTIZED, /* a product's other side */
    NOTE_FP8_SCALED_APART,
    NOTE_GRAPHS,
    NOTES
} CudaNote;

typedef struct {
    char device[48]; /* "sm_90 132": its instructions, and how many processors share the work */
    int claim;       /* a socket whose name says that this process has the device; -1: none */
    cudaStream_t stream;
    cublasLtHandle_t blas;
    void *workspace; /* WORKSPACE_BYTES, for products and plans: they follow each other */
    Slot small[SMALL_SLOTS], large[LARGE_SLOTS];
    int next_small, next_large;
    Product **product;
    int products;
    Cudnn *cudnn;                        /* NULL: not used */
    bool always_cudnn;                   /* for small shapes too */
    int64_t conv_numbers;                /* cuda_bound_convs; 0: as opened */
    int attention_form, attention_skips; /* cuda_choose_attention */
    int64_t generation;                  /* counts device memory taken and given back, and plans that went */
    bool captures;                       /* what is put on the stream goes into a graph */
    struct Replays *replays;
    int64_t note[NOTES];
    bool told_own_attention;
    struct Nccl *groups;          /* that exchange on this device: coll_nccl.c */
    int64_t looked_ns;            /* when the processes' group was looked at last */
    Status (*watch)(Backend *be); /* whether they are well, while the host waits; NULL without any */
} Cuda;

static inline Cuda *cuda_of(const Backend *be) { return be->own; }

Status cuda_status(cudaError_t e, const char *what);
#define CUDA_TRY(call) TRY(cuda_status(call, #call))

/* How often each way was taken since the back end was opened, "attention cudnn 40, own 2; ...", and why cuDNN refused. */
const char *cuda_notes(const Backend *be, char *text, size_t room);
/* Without cuDNN from now on (true), or with it where it can: for comparing the two. */
void cuda_avoid_cudnn(Backend *be, bool avoid);
/* cuDNN for small shapes too, where building a plan takes longer than the op will ever: to prove it on small shapes. */
void cuda_always_cudnn(Backend *be);
/* Convolutions go in pieces of frames whose input and result have at most so many numbers, one frame at the least. As opened: 2^31 - 1, for
 * cuDNN's engines may count them in 32 bits. */
void cuda_bound_convs(Backend *be, int64_t numbers);

/* Attention by one form of its graph (1 on; 0: the first that has a plan) and the first engine after `skips` that cuDNN offers:
 * for comparing their speeds. A chosen form that has no plan is a failure. */
void cuda_choose_attention(Backend *be, int form, int skips);

/* ---- memory.c ------------------------------------------------------------------------------------------------------------- */
Status cuda_memory_new(Backend *be, size_t bytes, void **out);
void cuda_memory_free(Backend *be, void *memory, size_t bytes);
void cuda_memory(const Backend *be, int64_t *all, int64_t *available);
Status cuda_staging_new(Cuda *c);
void cuda_staging_free(Cuda *c);
Status cuda_send(Backend *be, const void *host, size_t bytes,
                 void *device); /* any bytes; the host's may change afterwards */
Status cuda_upload(Backend *be, const float *host, Tensor out);
Status cuda_download(Backend *be, Tensor x, float *host);
Status cuda_copy(Backend *be, Tensor dst, Tensor src);
Status cuda_zero(Backend *be, Tensor out);
Status cuda_finish(Backend *be); /* waits for the device, or for the failure of a group that its work waits for */
int64_t cuda_now_ns(void);
/* Between two looks at what is not ready yet, waited for since cuda_now_ns was begun_ns. At first it returns at once: most waits are
 * short, and a nap of 50 microseconds takes twice as long. */
void cuda_rest(int64_t begun_ns);
/* Rows in host memory of any type -> e4m3 [rows,d] and their scales [rows] */
Status cuda_weight_quantized(Backend *be, const void *host, DType type, const int64_t dim[2], Tensor *out,
                             Tensor *scale);
/* Numbers in host memory of any type -> device memory in the compute type, outside the arena and counted. */
Status cuda_weight_new(Backend *be, const void *host, DType type, int64_t count, DType kept_type, Tensor *out);
/* x in the compute type: itself, or a copy in scratch memory; data NULL after a failure */
Tensor cuda_operand(Backend *be, Tensor x);

/* ---- products.c: C = alpha A B^T (+ beta C) (+ bias), row-major, batched -------------------------------------------------- */
typedef enum { EPILOGUE_NONE, EPILOGUE_BIAS, EPILOGUE_GELU_BIAS } Epilogue;

typedef struct {
    const void *a, *b;              /* a [m,k]; b [n,k], or [k,n] if b_plain */
    void *c;                        /* [m,n]; also added if `add` */
    const void *bias;               /* [n], of bias_type */
    const float *a_scale, *b_scale; /* of e4m3: [m] and [n], both or none */
    int64_t m, n, k;
    int64_t a_row, b_row, c_row; /* numbers from one row to the next */
    int64_t batch, a_step, b_step, c_step;
    DType type, c_type, bias_type;
    bool b_plain, add;
    Epilogue epilogue;
    float alpha;
} ProductCall;

/* ERR_INPUT when the library has no way to do it, ERR_NODE when it failed. */
Status product_run(Backend *be, const ProductCall *p);
/* One product of whole rows into fp32 with `bias` [n] fp32 added: in the epilogue, or apart where the library cannot. */
Status product_biased(Backend *be, ProductCall p, Tensor bias);
void products_free(Cuda *c);

/* ---- graphs.c ----------------------------------------------------------------------------------------------------------- */
Status cuda_repeat(Backend *be, const int64_t key[REPEAT_KEY + 2], void (*body)(void *self), void *self);
void replays_free(Cuda *c);
Status cuda_no_capture(const Backend *be, const char *what); /* a failure while a graph is captured */

/* ---- coll_nccl.c: the group `host` of processes, for tensors of this back end ------------------------------------------------ */
Status cuda_coll_open(Backend *be, Coll *host, Coll **out);

/* ---- the table ---------------------------------------------------------------------------------------------------------------- */
Status cuda_linear_pack(Backend *be, Tensor weight, Tensor bias, Linear *l);
void cuda_linear_free(Backend *be, Linear *l);
Status cuda_linear(Backend *be, Tensor x, const Linear *w, Activation act, Tensor out);
Status cuda_project(Backend *be, Tensor x, int count, const Linear *const *w, const Tensor *out);
Status cuda_linear_add(Backend *be, Tensor acc, Tensor x, const Linear *w, Tensor gate);
Status cuda_linear_geglu(Backend *be, Tensor x, const Linear *a, const Linear *b, Tensor out);
Status cuda_attention(Backend *be, Tensor q, Tensor k, Tensor v, int heads, float scale, Tensor bias, Tensor out);
Status cuda_conv_pack(Backend *be, Tensor weight, Tensor bias, Conv *c);
int64_t cuda_conv_numbers(const Conv *c);
/* Frames of `out` that are made at once of x. */
int64_t cuda_conv_frames(const Backend *be, Tensor x, const Conv *c, Tensor out);
int64_t cuda_conv_scratch_bytes(const Backend *be, Tensor x, const Conv *c, Tensor out, bool doubled);
void cuda_conv_free(Backend *be, Conv *c);
Status cuda_conv(Backend *be, Tensor x, const Conv *c, Tensor out);
Status cuda_conv_add(Backend *be, Tensor acc, Tensor x, const Conv *c);
Status cuda_conv_upsampled(Backend *be, Tensor x, const Conv *c, Tensor out);

#endif
