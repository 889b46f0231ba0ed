/* cpu.h - the CPU back end: one product (isa.h) under linear layers, attention and convolutions, and rows of numbers between
 * them; fp32 or bf16.
 *
 * Why not oneDNN: kernels/SPEED.md has the measurements. In short, its matrix product needs its own opaque weight format per
 * shape, has no bf16 below AVX-512, and its calls do not nest into tiles of an attention or of a Winograd convolution
 * without a full-size temporary; one small kernel in C gives the same speed and all of these.
 *
 * Work is divided by tiles of rows (and panels of columns where rows are few) among OpenMP threads; no sum is ever divided,
 * so the number of threads does not change a bit of the result. */
#ifndef REELWRIGHT_CPU_H
#define REELWRIGHT_CPU_H

#include "kernels/backend.h"
#include "kernels/cpu/isa.h"

/* How numbers enter a product. ROUNDED: values of bf16 carried as fp32, where there is no product of pairs; WHOLE: int8 carried
 * so, where there is none of fours. */
typedef enum { OPERAND_FLOAT, OPERAND_ROUNDED, OPERAND_PAIRS, OPERAND_WHOLE, OPERAND_QUADS } CpuOperand;

typedef struct {
    const Isa *isa;
    CpuOperand operand;
    int width; /* columns of a panel */
} Cpu;

/* The back end's own state: how it computes, how in fp32, and how with quantised weights. */
typedef struct {
    Cpu compute, exact, quantized;
    char name[40]; /* of the instruction sets */
} CpuSets;

/* For products that stay fp32 (Linear.exact), or all of them (backend_begin_exact). */
static inline const Cpu *cpu_exact(const Backend *be) { return &((const CpuSets *)be->own)->exact; }
static inline const Cpu *cpu_quantized(const Backend *be) { return &((const CpuSets *)be->own)->quantized; }
static inline const Cpu *cpu_of(const Backend *be)
{
    return be->options.compute == F32 ? cpu_exact(be) : &((const CpuSets *)be->own)->compute;
}
Cpu cpu_with(const Isa *isa, DType compute); /* F32, BF16 or INT8, as this set has them */
static inline bool cpu_is_whole(const Cpu *c) { return c->operand == OPERAND_WHOLE || c->operand == OPERAND_QUADS; }
/* Bytes of a number as an operand, and in a packed weight. */
static inline size_t cpu_operand_bytes(const Cpu *c)
{
    return c->operand == OPERAND_QUADS ? 1 : c->operand == OPERAND_PAIRS ? 2 : 4;
}
static inline size_t cpu_weight_bytes(const Cpu *c)
{
    return c->operand == OPERAND_FLOAT ? 4 : cpu_is_whole(c) ? 1 : 2;
}
/* k numbers as operands take this many (bf16 weights are packed in whole pairs, int8 in whole fours) */
static inline int64_t cpu_unit(const Cpu *c) { return c->operand == OPERAND_FLOAT ? 1 : cpu_is_whole(c) ? 4 : 2; }
static inline int64_t cpu_padded(const Cpu *c, int64_t k) { return (k + cpu_unit(c) - 1) / cpu_unit(c) * cpu_unit(c); }
/* Numbers in a step of a product, and the steps of a product over k numbers. */
static inline int64_t cpu_step(const Cpu *c)
{
    return c->operand == OPERAND_QUADS ? 4 : c->operand == OPERAND_PAIRS ? 2 : 1;
}
static inline int64_t cpu_steps(const Cpu *c, int64_t k) { return cpu_padded(c, k) / cpu_step(c); }
/* n numbers of any type -> operands, zeros behind them up to cpu_padded(n). Not of int8. */
void cpu_operands(const Cpu *c, const void *from, DType dtype, int64_t n, void *to);
/* The same of int8 -> what a whole number stands for: the largest |number| / 127. */
float cpu_quantize(const Cpu *c, const void *from, DType dtype, int64_t n, void *to);
/* x can be read by a product where it lies */
static inline bool cpu_is_operand(const Cpu *c, DType dtype, int64_t k)
{
    return (c->operand == OPERAND_FLOAT && dtype == F32) ||
           (c->operand == OPERAND_PAIRS && dtype == BF16 && k % 2 == 0);
}

/* ---- panels: the B of a product ------------------------------------------------------------------------------------ */

typedef struct {
    int64_t columns, k;  /* k is padded */
    size_t number_bytes; /* 4: fp32, 2: bf16 in pairs, 1: int8 in fours, or e4m3 in pairs */
    float factor;        /* of e4m3, else 0: what each number is to be multiplied by */
    char *data;          /* panel after panel */
    size_t bytes;
    /* of int8, [columns padded to panels]: what a whole number stands for, and the sum of the whole numbers */
    float *scale;
    int32_t *sum;
} CpuPanels;

/* column `n` of B as k fp32 numbers */
typedef void (*CpuColumn)(const void *source, int64_t n, float *to);

static inline int64_t cpu_panel_count(const Cpu *c, const CpuPanels *p)
{
    return (p->columns + c->width - 1) / c->width;
}
static inline bool cpu_panel_narrow(const Cpu *c, const CpuPanels *p, int64_t panel)
{
    return p->columns - panel * c->width <= c->isa->lanes;
}
static inline const char *cpu_panel(const Cpu *c, const CpuPanels *p, int64_t panel)
{
    return p->data + (size_t)(panel * c->width * p->k) * p->number_bytes;
}

/* Weights: packed once, owned, counted; as c computes. */
Status cpu_panels_new(Backend *be, const Cpu *c, int64_t columns, int64_t k, CpuColumn column, const void *source,
                      CpuPanels *out);
/* The same of weight [columns,k] of E4M3, which it stays. */
Status cpu_panels_e4m3(Backend *be, const Cpu *c, Tensor weight, float factor, CpuPanels *out);
void cpu_panels_free(Backend *be, CpuPanels *p);

/* C (+)= A B with B the panel's steps from number `first` of k on; the caller sets what concerns A and C in *p. `room`:
 * scratch of cpu_unpack_bytes(all numbers of the segments, which are even for e4m3). */
size_t cpu_unpack_bytes(const Cpu *c, const CpuPanels *b, int64_t k);
void cpu_panel_product(const Cpu *c, const CpuPanels *b, int64_t panel, int64_t first, IsaProduct *p, float *room);

Status cpu_linear_pack(Backend *be, Tensor weight, Tensor bias, Linear *l);
void cpu_linear_free(Backend *be, Linear *l);
Status cpu_linear(Backend *be, Tensor x, const Linear *w, Activation act, Tensor out);
Status cpu_linear_add(Backend *be, Tensor acc, Tensor x, const Linear *w, Tensor gate);
Status cpu_linear_geglu(Backend *be, Tensor x, const Linear *a, const Linear *b, Tensor out);
Status cpu_attention(Backend *be, Tensor q, Tensor k, Tensor v, int heads, float scale, Tensor bias, Tensor out);

Status cpu_activation(Backend *be, Tensor x, Activation act, Tensor out);
Status cpu_add(Backend *be, Tensor a, Tensor b, Tensor out);
Status cpu_add_to(Backend *be, Tensor acc, Tensor x, float factor);
Status cpu_combine(Backend *be, Tensor out, int count, const Tensor *x, const double *weight);
Status cpu_layernorm(Backend *be, Tensor x, Tensor gain, Tensor bias, float eps, Tensor out);
Status cpu_rmsnorm(Backend *be, Tensor x, Tensor gain, float eps, Tensor out);
Status cpu_norm_modulate(Backend *be, Tensor x, Tensor scale, Tensor shift, float eps, Tensor out);
Status cpu_sumsq(Backend *be, Tensor x, Tensor out);
Status cpu_qk_norm_rope(Backend *be, Tensor x, const QkNorm *n);

Status cpu_conv_pack(Backend *be, Tensor weight, Tensor bias, Conv *c);
int64_t cpu_conv_numbers(const Conv *c);
void cpu_conv_free(Backend *be, Conv *c);
Status cpu_conv(Backend *be, Tensor x, const Conv *c, Tensor out);
Status cpu_conv_add(Backend *be, Tensor acc, Tensor x, const Conv *c);
Status cpu_conv_upsampled(Backend *be, Tensor x, const Conv *c, Tensor out);
Status cpu_channel_norm(Backend *be, Tensor x, Tensor gain, bool silu, Tensor out);

Status cpu_copy(Backend *be, Tensor dst, Tensor src);
Status cpu_zero(Backend *be, Tensor out);
Status cpu_columns(Backend *be, Tensor x, int64_t first, int64_t count, Tensor out);
Status cpu_put_columns(Backend *be, Tensor dst, Tensor x, int64_t first);
Status cpu_time_split(Backend *be, Tensor x, Tensor out);
Status cpu_pixel_shuffle(Backend *be, Tensor x, int p, Tensor out);

#endif
