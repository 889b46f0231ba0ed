/* launch.h - the own kernels, as the C side of the back end calls them. Each function puts its work on the stream and returns
 * what the launch said; tensors are on the device, contiguous, F32 or BF16 where nothing else is said. Shapes are checked
 * by ops*.c. */
#ifndef REELWRIGHT_CUDA_LAUNCH_H
#define REELWRIGHT_CUDA_LAUNCH_H

#include <cuda_runtime_api.h>
#include <stdbool.h>

#include "kernels/cuda/places.h"

#ifdef __cplusplus
extern "C" {
#endif
#include "kernels/tensor.h"

/* ---- elements.cu: y[i] from a[i] and b[i % b's count], in fp32 ------------------------------------------- */

typedef enum {
    ELEMENT_COPY,      /* a, any type to any type, F16 too */
    ELEMENT_MUL,       /* a b */
    ELEMENT_MUL_ROWS,  /* a b[row], b a number for each row of a */
    ELEMENT_ADD,       /* a + b */
    ELEMENT_ADD_TIMES, /* a + factor b */
    ELEMENT_GEGLU,     /* gelu_tanh(a) b */
    ELEMENT_BIAS,      /* act(a + b) */
    ELEMENT_ACT        /* act(a) */
} ElementKind;

typedef struct {
    ElementKind kind;
    Tensor out, a, b; /* b is none where the kind does not name it; out may be a */
    float factor;
    int act; /* Activation of ops.h */
} Elements;

cudaError_t launch_elements(cudaStream_t stream, const Elements *e);

enum { COMBINE_TERMS = 5 }; /* COMBINE_MOST of ops.h */

typedef struct { /* out = sum of weight[i] * x[i] in double; all fp32 and of one size, out may be one of x */
    Tensor out, x[COMBINE_TERMS];
    double weight[COMBINE_TERMS];
    int count;
} Combine;

cudaError_t launch_combine(cudaStream_t stream, const Combine *c);

/* ---- rows.cu ------------------------------------------------------------------------------------------------------------- */

typedef enum { ROWS_LAYER, ROWS_RMS, ROWS_CHANNELS } RowsKind;

typedef struct { /* y = act((x - mean) * r * (gain + more) + bias) over the last dimension */
    RowsKind kind;
    Tensor x, out, gain, bias; /* gain, bias: [D] fp32 or none (1 and 0) */
    float eps, more;
    bool silu;
} Rows;

cudaError_t launch_rows(cudaStream_t stream, const Rows *r);

typedef struct {              /* rms norm over a row, then the rotation of pairs (2i, 2i+1) of each head, in place */
    Tensor x, gain, cos, sin; /* cos.data NULL: no rotation */
    Tensor squares; /* [T] fp32: each row's sum of squares over `width` numbers of a group, or none: the row's own */
    int64_t width;  /* numbers that the norm spans */
    float eps;
    int heads; /* in x */
} Rope;

cudaError_t launch_rope(cudaStream_t stream, const Rope *r);
/* [T,D] -> [T]: each row's sum of squares */
cudaError_t launch_squares(cudaStream_t stream, Tensor x, Tensor out);

typedef struct
{ /* softmax of rows of scores [heads, queries, keys] fp32, already scaled -> numbers that add up to one */
    Tensor scores, out; /* out: the same shape; may be scores when it is fp32 */
    const float
        *bias; /* added first, or NULL: element (head, query, key) at head * bias_head + query * bias_query + key */
    int64_t bias_head, bias_query;
} Softmax;

cudaError_t launch_softmax(cudaStream_t stream, const Softmax *s);

/* ---- quantize.cu --------------------------------------------------------------------------------------------------------- */

/* x [...,D], any type -> out the same shape in e4m3, and [rows] fp32: x is about out * scale, the largest of a row exactly */
cudaError_t launch_quantize(cudaStream_t stream, Tensor x, void *out, float *scale);
/* out (+)= y * row * column + bias, all fp32: y, out [T,N], row [T], column and bias [N] */
cudaError_t launch_scale_product(cudaStream_t stream, Tensor y, const float *row, const float *column, Tensor bias,
                                 Tensor out, bool add);

/* ---- attention_tiles.cu, attention_int8.cu: heads of ATTENTION_TILE numbers ------------------------------------------------------- */

enum { ATTENTION_TILE = 128 };

typedef struct { /* memory for [heads][tiles] of ATTENTION_TILE rows: a last tile's other rows are zeros */
    int8_t *q, *k;
    uint16_t *v;              /* bf16, keys along rows */
    float *q_scale, *k_scale; /* [heads][q_tiles * ATTENTION_TILE], of a row; [heads][k_tiles] */
    int64_t heads, queries, keys, q_tiles;
    int k_tiles;
} AttentionTiles;

/* [rows,width] -> [width] fp32; partial [column_mean_parts(rows),width] fp32 is scratch; width in whole units of 4 */
cudaError_t launch_column_means(cudaStream_t stream, Tensor x, Tensor partial, Tensor mean);
int64_t column_mean_parts(int64_t rows);
/* q, k, v [rows, heads * ATTENTION_TILE] in bf16; mean of k's columns; the scores are scale * q k^T */
cudaError_t launch_attention_tiles(cudaStream_t stream, Tensor q, Tensor k, Tensor v, const float *mean, float scale,
                                   const AttentionTiles *t);
/* out [queries, heads * ATTENTION_TILE] = softmax(q k^T) v; on a device of compute capability 9.0 */
cudaError_t launch_attention_int8(cudaStream_t stream, const AttentionTiles *t, Tensor out);

/* ---- moves.cu ------------------------------------------------------------------------------------------------------------ */

/* out[i] = in[place_source(places, i)], converted */
cudaError_t launch_gather(cudaStream_t stream, const Places *places, Tensor in, Tensor out);
cudaError_t launch_avg_down(cudaStream_t stream, const AvgDown *a, Tensor in, Tensor out);
/* rows of a table; ids on the device, in range */
cudaError_t launch_embed(cudaStream_t stream, Tensor table, const int64_t *ids, Tensor out);
/* `rows` rows of a convolution's matrix; the input and the matrix have whole units of 16 bytes per place */
cudaError_t launch_conv_rows(cudaStream_t stream, const ConvPlaces *places, const void *in, int64_t rows, void *out);

#ifdef __cplusplus
}
#endif
#endif
