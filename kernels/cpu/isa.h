/* isa.h - what is compiled once per instruction set: products on tiles, and loops over rows of numbers.
 *
 * Theory of operation. Linear layers, attention and convolutions are all made of one product, C += A B, where
 *   A  is rows of operands in memory, k contiguous, one stride from row to row: activations as they lie, nothing is repacked;
 *      a convolution's taps (and a Winograd product's frames) are `segments`: the same rows at other offsets;
 *   B  is one panel: `width` = 2 vectors of columns, k by k, packed once (weights) or once per call (keys, values);
 *   C  is fp32.
 * The inner kernel holds tile_rows x width sums in registers (6x16 with AVX2, 14x32 with AVX-512), broadcasts A's numbers
 * and reads the panel from the second-level cache: 10 bytes per cycle, a third of what that cache gives. AMX holds 32 x 32 sums in
 * tiles (isa_tiles.h); operands and panels are the same.
 *
 * Operands are fp32, or bf16 in pairs of neighbours in k: a step is then one pair, the panel is [k/2][width][2], and k is
 * padded to even. Sets without a bf16 instruction take the same numbers as fp32: activations rounded to bf16, panels
 * unpacked into scratch memory for each tile of rows; so that results agree to fp32 accuracy between machines.
 *
 * Or operands are 8-bit integers in fours of neighbours in k (`quads`): A is unsigned with 128 for zero, B is signed, sums are 32-bit
 * integers, the panel is [k/4][width][4], and k is padded to fours. IsaScales makes fp32 of the sums. Sets without such an
 * instruction take the same integers as fp32.
 *
 * The functions are single-threaded, pure in their arguments, and sum in an order that depends on shapes only: the same
 * inputs give the same bits whatever the number of threads. */
#ifndef REELWRIGHT_ISA_H
#define REELWRIGHT_ISA_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/ops.h"

typedef struct {
    const char *a;
    int64_t a_stride;       /* bytes from row to row */
    const int64_t *segment; /* byte offsets added to a */
    int segments;
    int64_t steps;    /* per segment: numbers, pairs of bf16, or fours of int8 */
    const char *b;    /* [segments * steps][width], a vector wide if `narrow` */
    float *c;         /* [rows][width]; of fours, int32_t */
    int64_t c_stride; /* numbers from row to row */
    int64_t rows;
    bool add;    /* C += A B, else C = A B */
    bool narrow; /* the panel has one vector of columns */
} IsaProduct;

/* What happens to a tile of sums on its way out: act(c + bias), then stored, or multiplied by `gate` and added. */
typedef struct {
    const float *bias; /* [columns] or NULL */
    Activation act;
    const float *other; /* gated unit: the result is act(c) * other, same tile layout as c; or NULL */
    const float *gate;  /* [columns]; NULL = 1 */
    bool add;           /* out += result (out is fp32), else out = result */
    DType dtype;        /* of out */
} IsaEpilogue;

typedef struct { /* what the numbers of a product of int8 mean: c[r][n] = row[r] column[n] (c[r][n] - 128 sum[n]) */
    const float *row, *column;
    const int32_t *sum; /* of the panel's column; where A is signed, 128 sum[n] is left out */
} IsaScales;

typedef struct { /* y = act((x - less) * times * (gain + more) + bias) */
    float less, times, more;
    const float *gain, *bias; /* [n] or NULL: factor 1, nothing */
    Activation act;
} IsaAffine;

typedef struct {   /* an online softmax over blocks of keys; begins with {-INFINITY, 0, 0} */
    float highest; /* score so far, in units of log 2 */
    float sum;     /* of exp2(score - highest) */
    float factor;  /* what sums from earlier blocks must be multiplied by */
} IsaSoftmax;

typedef struct {              /* where a Winograd transform puts what it makes of a patch */
    DType dtype;              /* of the patch */
    int64_t channels, padded; /* numbers read, operands written */
    bool rounded, pairs;      /* operands: fp32, rounded to bf16, or bf16 */
    int64_t point;            /* bytes from point to point */
} IsaPoints;

typedef struct {
    const char *name;
    int lanes;     /* numbers in a vector; a panel is twice as wide */
    int tile_rows; /* rows whose sums are in registers at once */
    int steps;     /* that `product` takes at once: chunks of k are multiples of this; more than 1: tiles of AMX */
    bool pairs;    /* `product` is of bf16 pairs */
    bool quads;    /* `product` is of fours of int8 */

    void (*product)(const IsaProduct *p);
    /* sums [rows][c_stride], of which `columns` count -> out, rows out_stride numbers apart */
    void (*finish)(const float *c, int64_t c_stride, int64_t rows, int64_t columns, const IsaEpilogue *e, void *out,
                   int64_t out_stride);
    /* n pairs of bf16 per column -> fp32 panel of 2n steps */
    void (*unpack)(const uint16_t *pairs, int64_t n, int width, float *panel);
    /* n fours of int8 per column -> fp32 panel of 4n steps */
    void (*unpack_quads)(const int8_t *quads, int64_t n, int width, float *panel);
    /* n pairs of e4m3 per column, each number times `factor` -> pairs of bf16 where `product` is of them; else an fp32 panel of 2n
     * steps, its numbers rounded to bf16 if asked */
    void (*unpack_e4m3)(const uint8_t *pairs, int64_t n, int width, float factor, bool rounded, void *panel);
    float (*peak)(const float *x, int64_t n); /* the largest |x|; NaN when one is NaN or infinite */
    /* times x to the nearest whole number: where product is of fours as unsigned bytes with 128 for zero, else as fp32 */
    void (*quantize)(const float *x, int64_t n, float times, void *to);
    void (*rescale)(float *c, int64_t c_stride, int64_t rows, int64_t columns, const IsaScales *s); /* in place */

    /* n numbers of 32 bits (fp32, or pairs) -> one column of a panel */
    void (*spread)(const void *row, int64_t n, int width, void *panel);
    /* two rows of n bf16, whole vectors of them -> pairs */
    void (*interleave)(const uint16_t *even, const uint16_t *odd, int64_t n, uint16_t *pairs);

    void (*load)(const void *from, DType dtype, int64_t n, float *to);
    void (*store)(const float *from, int64_t n, DType dtype, void *to);
    void (*round)(const float *from, int64_t n, float *to); /* to the nearest bf16, as fp32 */
    /* one row of scores -> its numerators exp(times * s + bias), relative to the highest so far */
    void (*softmax)(float *s, int64_t keys, float times, const float *bias, IsaSoftmax *state);
    void (*scale)(float *x, int64_t n, float factor);
    void (*activate)(float *x, int64_t n, Activation act);
    double (*sum)(const float *x, int64_t n);
    double (*sum_squares)(const float *x, int64_t n, float less); /* of x - less */
    void (*affine)(const float *x, int64_t n, const IsaAffine *f, DType dtype, void *out);
    void (*rotate)(float *x, int64_t pairs, const float *cosine, const float *sine); /* (2i, 2i+1) by angle i */
    /* V = B^T d B of the 4x4 places of a patch; A^T M A of 16 sums, `stride` numbers apart, to 2x2 places (NULL: outside) */
    void (*winograd_points)(const void *const patch[16], const IsaPoints *p, char *to);
    void (*winograd_outputs)(const float *sums, int64_t stride, int64_t columns, const IsaEpilogue *e,
                             void *const to[4]);
} Isa;

extern const Isa isa_avx2, isa_avx512, isa_avx512bf16, isa_avx512vnni, isa_amxbf16, isa_amxint8;

/* The widest set that this processor has for products of this type (F32, BF16, INT8); NULL without AVX2 and FMA. REELWRIGHT_ISA in the
 * environment is an upper bound: so that all machines of a mixed farm compute the same bits, and for tests. */
const Isa *isa_of_this_machine(DType compute);
/* ERR_INPUT: REELWRIGHT_ISA is none of avx2, avx512, avx512bf16, amx. */
Status isa_check_environment(void);

#endif
