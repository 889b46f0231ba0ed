/* ops.h - every operation the Wan family is made of, on any back end.
 *
 * A Backend is one device with an arena for activations and a table of kernels: `ref` (naive fp32, the specification),
 * `cpu` (own kernels per instruction set, fp32 or bf16), `cuda`. The model code calls op_* only and never looks at the
 * numbers; op_* checks shapes, takes the output from the arena and calls the table.
 *
 * Failures: the first one is kept in the back end and every later op does nothing, so that model code needs no branches;
 * backend_status() is read once per step. Tensors returned after a failure have data == NULL and the right shape.
 *
 * Types: weights are stored as fp32 or as the compute type. Activations that carry the residual stream are fp32 on every
 * back end; what lies between two ops of a branch may be bf16 when the back end computes in bf16 (each op takes both). The
 * host reads and writes through backend_upload / backend_download, always fp32.
 *
 * Layouts: tokens are rows, [T,D]. Video features are [T,H,W,C], channels last, so that causal history is what lies
 * before a frame in memory and a norm over channels is contiguous. */
#ifndef REELWRIGHT_OPS_H
#define REELWRIGHT_OPS_H

#include <stdbool.h>

#include "common/status.h"
#include "kernels/tensor.h"

typedef struct Backend Backend;

typedef enum { BACKEND_REF, BACKEND_CPU, BACKEND_CUDA } BackendKind;

enum { BACKEND_SCORES_HEAD = 128 }; /* numbers of a head whose scores can be computed in int8 */

typedef struct {
    BackendKind kind;
    DType compute; /* F32 or BF16: type of matrix-product inputs (ref computes in fp32 whatever it is) */
    /* E4M3 (fp8, `cuda`) or INT8 (`cpu`), beside compute BF16: products with weights that may be quantised (Linear.quantize) take such
     * numbers, one scale for each row of the weight, made when it is packed, and one for each row of x, made at every product. F32:
     * nothing is quantised. Any back end plans either. */
    DType quantized;
    /* INT8 (`cuda`, compute capability 9.0), beside compute BF16: the scores of attention over many keys, of heads of BACKEND_SCORES_HEAD numbers, are
     * products of int8 - a scale for each query, and for 128 keys less the mean of all. F32: they are products like others. */
    DType scores;
    /* F32, or BF16 where time or memory is short: what networks compute in that lose by bf16 (backend_begin_exact). Never more
     * than `compute`. */
    DType exact;
    int threads; /* 0 = as many as the process may run on */
    /* What large intermediate results should stay below; 0 = half of the machine's memory for all of its cores, or three quarters
     * of the device's. */
    int64_t memory_bytes;
    bool plan; /* count what a run would take (backend_peak_bytes) and neither allocate nor compute anything */
} BackendOptions;

/* Of a number of the transformer's large matrices: 4, 2, or 1 where they are quantised. */
static inline int backend_elem_bytes(const BackendOptions *o)
{
    return (int)dtype_bytes(o->quantized != F32 ? o->quantized : o->compute);
}
/* ... and of every other matrix, and of what goes into attention: what is quantised stands beside bf16. */
static inline int backend_plain_bytes(int elem_bytes) { return elem_bytes == 1 ? 2 : elem_bytes; }
/* What those networks compute in. */
static inline DType backend_exact_type(const BackendOptions *o) { return o->compute == F32 ? F32 : o->exact; }
/* "fp32", "bf16", "fp8" or "int8", as it was asked for */
static inline const char *backend_dtype_name(const BackendOptions *o)
{
    return o->quantized == E4M3 ? "fp8" : dtype_name(o->quantized == INT8 || o->scores == INT8 ? INT8 : o->compute);
}
Status backend_open(const BackendOptions *o, Backend **out);
void backend_close(Backend **be);
Status backend_status(const Backend *be); /* the first failure since the last backend_clear, or OK */
Status backend_finish(Backend *be);       /* waits until all that was issued is done; then as backend_status */
void backend_clear(Backend *be);          /* forget the failure (the caller has dealt with it) */
DType backend_compute(const Backend *be);
/* Between these two the back end computes in backend_exact_type: the autoencoder and the image encoder do, which the model cards load in
 * fp32 beside a bf16 transformer. What is packed between them is used between them. begin returns what end takes. */
DType backend_begin_exact(Backend *be);
void backend_end_exact(Backend *be, DType before);
const char *backend_dtype(const Backend *be); /* backend_dtype_name of its options */
/* "cpu AVX-512": two that say the same give the same bits. */
const char *backend_kind(const Backend *be, char *text, size_t room);
/* Weights of products may be E4M3 with a scale. Where memory is saved by it they stay so, and become what the products take, in the same
 * bits as if they had been packed in fp32, each time that they are used. */
bool backend_takes_e4m3(const Backend *be);
/* Where they stay so: on a CPU, unless they are to be quantised otherwise. */
static inline bool backend_keeps_e4m3(const BackendOptions *o) { return o->kind == BACKEND_CPU; }
bool backend_plans(const Backend *be);              /* opened to plan: there are no numbers */
BackendOptions backend_options(const Backend *be);  /* with threads and memory_bytes resolved */
int64_t backend_available_bytes(const Backend *be); /* that the machine, or the device, could still give; 0 = unknown */

/* ---- memory ---------------------------------------------------------------------------------------------------- */

/* Activations: everything op_* returns lives until the release of the mark taken before it. Marks nest. */
typedef struct {
    size_t block, used;
} ArenaMark;
ArenaMark backend_mark(Backend *be);
void backend_release(Backend *be, ArenaMark m);
size_t backend_peak_bytes(const Backend *be); /* high-water mark of arena and packed weights */
size_t backend_kept_bytes(const Backend *be); /* of it, what lives outside the arena now */

int64_t
backend_spare_bytes(const Backend *be); /* that activations have had and do not use now: taken before any more is */
void backend_trim(Backend *be);         /* gives them back */

Tensor backend_alloc(Backend *be, DType dtype, int ndim, const int64_t *dim); /* in the arena, undefined contents */
Tensor backend_zeros(Backend *be, int ndim, const int64_t *dim);              /* fp32 in the arena */
Tensor backend_upload(Backend *be, const float *host, int ndim, const int64_t *dim); /* fp32 copy in the arena */
void backend_put(Backend *be, const float *host, Tensor t);                          /* fp32 from the host into t */
void backend_download(Backend *be, Tensor t, float *host);                           /* any dtype -> fp32 on the host */
/* A tensor outside the arena (KV caches, causal history): the caller frees it. */
Tensor backend_keep(Backend *be, DType dtype, int ndim, const int64_t *dim);
void backend_drop(Backend *be, Tensor *t);
/* Runs body(self). Where launches cost time (cuda: a CUDA graph) it is recorded at the second call with the same key and replayed
 * from then on without calling body, which therefore does nothing but ops, on tensors whose addresses the key and the arena's state
 * determine, and takes no numbers from the host. What cannot be recorded is run as it is, with a message. */
enum { REPEAT_KEY = 8 };
void backend_repeat(Backend *be, const int64_t key[REPEAT_KEY], void (*body)(void *self), void *self);

void op_copy(Backend *be, Tensor dst, Tensor src); /* same count; converts the dtype */
void op_zero(Backend *be, Tensor t);

/* ---- weights: packed once, when the model is loaded ------------------------------------------------------------- */

typedef struct Linear { /* y = x W^T + b */
    int64_t in, out;
    bool
        quantize; /* may be, where BackendOptions.quantized asks for it and the sizes allow it: set before linear_pack */
    bool exact;   /* weight, x and result are fp32 whatever the back end computes in: set before linear_pack */
    float scale;  /* of a weight of E4M3: what its numbers are to be multiplied by, 0 = 1: set before linear_pack */
    void *packed; /* the back end's own form; the file's bytes are not needed any more */
} Linear;
/* weight [N,K] and bias [N] (bias.data may be NULL) of any dtype in host memory, copied; of E4M3 only where backend_takes_e4m3. */
Status linear_pack(Backend *be, Tensor weight, Tensor bias, Linear *out);
void linear_free(Backend *be, Linear *l);

typedef struct Conv { /* cross-correlation over [T,H,W,C] */
    int64_t in, out;
    int kernel[3]; /* t, h, w */
    int stride[3];
    int pad[2][2]; /* zero padding of {h, w} at {begin, end}; never in t: the caller prepends the causal history */
    void *packed;
} Conv;
/* weight [Cout,Cin,kt,kh,kw] or [Cout,Cin,kh,kw] as in the file, bias [Cout]; kernel sizes are taken from it, stride and pad
 * must be set in *out before. */
Status conv_pack(Backend *be, Tensor weight, Tensor bias, Conv *out);
void conv_free(Backend *be, Conv *c);

/* A weight that is used as it is (norm gains, tables): fp32 copy on the device; free with backend_drop. */
Status vector_pack(Backend *be, Tensor weight, Tensor *out);

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

typedef enum { ACT_NONE, ACT_GELU_TANH, ACT_SILU, ACT_GELU_ERF, ACT_RELU } Activation;

Tensor op_linear(Backend *be, Tensor x, const Linear *w, Activation act); /* [T,K] -> [T,N] */
/* x W^T + b for attention's queries, keys and values, of `count` weights: in the compute type where the back end writes products so.
 * x is converted and packed once, and all the products use it. */
void op_project(Backend *be, Tensor x, int count, const Linear *const *w, Tensor *out);
/* acc += gate * (x W^T + b); gate [N] or none */
void op_linear_add(Backend *be, Tensor acc, Tensor x, const Linear *w, Tensor gate);
Tensor op_activation(Backend *be, Tensor x, Activation act);
Tensor op_add(Backend *be, Tensor a, Tensor b); /* b: same shape, or its rows repeat (fewer elements) */
void op_add_to(Backend *be, Tensor acc, Tensor x, float factor); /* acc += factor * x */
enum { COMBINE_MOST = 5 };
/* out = sum of weight[i] * x[i], each number added up in double, in this order, and rounded once. All are fp32 and of one size;
 * out may be one of x. */
void op_combine(Backend *be, Tensor out, int count, const Tensor *x, const double *weight);
Tensor op_embed(Backend *be, Tensor table, const int64_t *ids,
                int64_t n); /* [V,D] -> [n,D] fp32; ids on the host, in range */
/* T5 gated unit: gelu_tanh(x A^T) * (x B^T), [T,K] -> [T,N] */
Tensor op_linear_geglu(Backend *be, Tensor x, const Linear *a, const Linear *b);

Tensor op_layernorm(Backend *be, Tensor x, Tensor gain, Tensor bias,
                    float eps);                                   /* over the last dimension; gain and bias may
                                                                                     be none */
Tensor op_rmsnorm(Backend *be, Tensor x, Tensor gain, float eps); /* x / sqrt(mean(x^2) + eps) * gain */
/* out = layernorm(x) * (1 + scale) + shift; scale, shift [D]. Given, because tokens differ in them: out may be rows of a larger tensor. */
void op_norm_modulate(Backend *be, Tensor x, Tensor scale, Tensor shift, float eps, Tensor out);
/* The sum of squares of each row, [T,D] -> out [T] fp32 (given: it may be a row of a larger tensor). */
void op_sumsq(Backend *be, Tensor x, Tensor out);
typedef struct {
    Tensor gain; /* [heads*d] */
    float eps;
    int heads;       /* in x */
    Tensor cos, sin; /* [T, d/2] fp32, or none: not rotated */
    Tensor sumsq;    /* [T] fp32: of rows `width` wide, of which x is a part; or none: x is all of it */
    int64_t width;
} QkNorm;
/* rmsnorm over all heads, then rotate pairs (2i, 2i+1) of each head: x [T, heads*d] in place. */
void op_qk_norm_rope(Backend *be, Tensor x, const QkNorm *n);

/* softmax(scale q k^T + bias) v per head; q [Tq, heads*d], k and v [Tk, heads*d] -> [Tq, heads*d].
 * bias: none, [Tk] (added to every row of every head) or [heads,Tq,Tk]. Never builds the full score matrix. */
Tensor op_attention(Backend *be, Tensor q, Tensor k, Tensor v, int heads, float scale, Tensor bias);

/* [C,F,H,W] fp32 -> [T, C*pt*ph*pw] in the order of a [D,C,pt,ph,pw] convolution weight; T = F/pt * H/ph * W/pw */
Tensor op_patchify(Backend *be, Tensor latent, const int patch[3]);
/* [T, pt*ph*pw*C] (channel fastest, as proj_out gives it) -> [C,F,H,W]; dims of the result */
Tensor op_unpatchify(Backend *be, Tensor tokens, const int patch[3], const int64_t dim[4]);

/* ---- video features, [T,H,W,C] ------------------------------------------------------------------------------------ */

Tensor op_conv(Backend *be, Tensor x, const Conv *c); /* T outputs = (T - kt) / st + 1 */
/* The same into out, which is given because it outlives x: fp32, or in the compute type where only a branch reads it. */
void op_conv_to(Backend *be, Tensor out, Tensor x, const Conv *c);
/* conv over x with its spatial size doubled by nearest neighbour first (stride 1, kernel 1x3x3, pad 1): [T,H,W,C] -> [T,2H,2W,C'] */
Tensor op_conv_upsampled(Backend *be, Tensor x, const Conv *c);
void op_conv_add(Backend *be, Tensor acc, Tensor x, const Conv *c); /* acc += conv(x) */
/* Wan's RMS norm over channels: x / max(|x|_2, 1e-12) * sqrt(C) * gain, then silu if asked */
Tensor op_channel_norm(Backend *be, Tensor x, Tensor gain, bool silu);
/* The same into out, which is given because it may be frames of a larger tensor. */
void op_channel_norm_to(Backend *be, Tensor out, Tensor x, Tensor gain, bool silu);
/* [T,H,W,2C] -> [2T,H,W,C]: frame 2t+j takes channels j*C.. of frame t */
Tensor op_time_split(Backend *be, Tensor x);
/* three projections side by side, [T, 3D] -> columns part*D .. (part+1)*D: [T,D] */
Tensor op_columns(Backend *be, Tensor x, int64_t first, int64_t count);
/* The other way: x [T,n] into columns first .. of dst [T,D], of the same type. */
void op_put_columns(Backend *be, Tensor dst, Tensor x, int64_t first);
/* the residual shortcuts of the z48 autoencoder (AvgDown3D, DupUp3D of diffusers' AutoencoderKLWan), channels last */
Tensor op_avg_down(Backend *be, Tensor x, int64_t out_channels, int factor_t, int factor_s);
Tensor op_dup_up(Backend *be, Tensor x, int64_t out_channels, int factor_t, int factor_s, bool first_chunk);
/* pixel (un)shuffle of the autoencoder: [T,H,W,C*p*p] <-> [T,H*p,W*p,C], channel order c, (q over width), (r over height) as
 * diffusers' patchify/unpatchify has it */
Tensor op_pixel_shuffle(Backend *be, Tensor x, int p);
Tensor op_pixel_unshuffle(Backend *be, Tensor x, int p);
/* [T,H,W,C] -> [C,T,H,W] */
Tensor op_to_channels_first(Backend *be, Tensor x);

#endif
