/* y = x W^T + b, alone, with an activation function, added to a residual stream, and as T5's gated unit.
 *
 * A quantised weight is e4m3 with a scale for each row, and so is x made at every product: the library multiplies the sums by
 * both scales where it can, else a kernel does. */
#include <stdlib.h>

#include "kernels/cuda/cuda.h"

typedef struct {
    Tensor weight; /* [N,K] in the compute type, or e4m3 */
    Tensor scale;  /* [N] fp32 of e4m3, else none */
    Tensor bias;   /* [N] fp32 */
    Tensor narrow; /* the same in bf16, for an epilogue that takes bf16 */
} CudaLinear;

void cuda_linear_free(Backend *be, Linear *l)
{
    CudaLinear *p = l->packed;
    backend_drop(be, &p->weight);
    backend_drop(be, &p->scale);
    backend_drop(be, &p->bias);
    backend_drop(be, &p->narrow);
    free(p);
    l->packed = NULL;
}

static Status bias_new(Backend *be, Tensor bias, int64_t n, CudaLinear *p)
{
    float *zeros = bias.data ? NULL : calloc((size_t)n, sizeof *zeros);
    if (!bias.data && !zeros) return status_fail(ERR_NODE, "out of memory");
    const void *host = bias.data ? bias.data : zeros;
    const DType type = bias.data ? bias.dtype : F32;
    Status status = cuda_weight_new(be, host, type, n, F32, &p->bias);
    if (!failed(status)) status = cuda_weight_new(be, host, type, n, BF16, &p->narrow);
    free(zeros);
    return status;
}

Status cuda_linear_pack(Backend *be, Tensor weight, Tensor bias, Linear *l)
{
    CudaLinear *p = calloc(1, sizeof *p);
    if (!p) return status_fail(ERR_NODE, "out of memory");
    l->packed = p;
    const DType type = l->exact ? F32 : be->options.compute;
    Status status = l->quantize
                        ? cuda_weight_quantized(be, weight.data, weight.dtype, weight.dim, &p->weight, &p->scale)
                        : cuda_weight_new(be, weight.data, weight.dtype, tensor_count(weight), type, &p->weight);
    if (!failed(status)) status = bias_new(be, bias, l->out, p);
    if (failed(status)) cuda_linear_free(be, l);
    return status;
}

/* ---- products -------------------------------------------------------------------------------------------------------------- */

typedef struct { /* x as a product takes it: made once, for all the weights that it meets */
    Tensor numbers;
    Tensor scale; /* [rows] fp32 of e4m3, else none */
    int64_t rows;
} Operand;

/* In the compute type, or as l's weight is quantised; numbers.data NULL after a failure */
static Operand operand_of(Backend *be, Tensor x, const Linear *l)
{
    Operand o = {.rows = l->in ? tensor_count(x) / l->in : 0};
    if (!l->quantize) {
        o.numbers = l->exact ? x : cuda_operand(be, x);
        return o;
    }
    o.numbers = backend_alloc(be, E4M3, 2, (int64_t[]){o.rows, l->in});
    o.scale = backend_alloc(be, F32, 1, &o.rows);
    if (failed(be->first)) return o;
    cuda_of(be)->note[NOTE_FP8_QUANTIZED]++;
    backend_fail(be, cuda_status(launch_quantize(cuda_of(be)->stream, x, o.numbers.data, o.scale.data),
                                 "quantising a product's rows"));
    return o;
}

/* c (+)= x W^T, without a bias */
static ProductCall linear_product(const Operand *x, const Linear *l, bool add, Tensor c)
{
    const CudaLinear *p = l->packed;
    return (ProductCall){.a = x->numbers.data,
                         .b = p->weight.data,
                         .c = c.data,
                         .a_scale = x->scale.data,
                         .b_scale = p->scale.data,
                         .m = x->rows,
                         .n = l->out,
                         .k = l->in,
                         .a_row = l->in,
                         .b_row = l->in,
                         .c_row = l->out,
                         .type = x->numbers.dtype,
                         .c_type = c.dtype,
                         .add = add,
                         .alpha = 1};
}

static Tensor product_room(Backend *be, int64_t rows, const Linear *l)
{
    return backend_alloc(be, F32, 2, (int64_t[]){rows, l->out});
}

/* out (+)= x W^T + b, or gelu_tanh of it, in one pass, the bias in bf16; ERR_INPUT where the library cannot */
static Status linear_at_once(Backend *be, const Operand *x, const Linear *l, Epilogue epilogue, bool add, Tensor out)
{
    const CudaLinear *p = l->packed;
    ProductCall call = linear_product(x, l, add, out);
    call.epilogue = epilogue;
    call.bias = p->narrow.data;
    call.bias_type = BF16;
    Status status = product_run(be, &call);
    if (!failed(status) && l->quantize) cuda_of(be)->note[NOTE_FP8]++;
    return status;
}

/* out (+)= x W^T + b of fp8, out fp32 */
static Status quantized_biased(Backend *be, const Operand *x, const Linear *l, bool add, Tensor out)
{
    const CudaLinear *p = l->packed;
    Status status = linear_at_once(be, x, l, EPILOGUE_BIAS, add, out);
    if (status.err != ERR_INPUT) return status;
    Tensor y = add ? product_room(be, x->rows, l) : out;
    if (failed(be->first)) return be->first;
    ProductCall call = linear_product(x, l, false, y);
    call.a_scale = call.b_scale = NULL;
    TRY(product_run(be, &call));
    cuda_of(be)->note[NOTE_FP8_SCALED_APART]++;
    CUDA_TRY(launch_scale_product(cuda_of(be)->stream, y, x->scale.data, p->scale.data, p->bias, out, add));
    return status_ok();
}

/* c (+)= x W^T + b, c fp32 */
static Status linear_biased(Backend *be, const Operand *x, const Linear *l, bool add, Tensor c)
{
    const CudaLinear *p = l->packed;
    if (failed(be->first)) return be->first;
    return l->quantize ? quantized_biased(be, x, l, add, c) : product_biased(be, linear_product(x, l, add, c), p->bias);
}

static Status linear_of(Backend *be, const Operand *x, const Linear *l, Activation act, Tensor out)
{
    Cuda *c = cuda_of(be);
    if (act == ACT_NONE && out.dtype == F32) return linear_biased(be, x, l, false, out);
    if (failed(be->first)) return be->first;
    if ((act == ACT_GELU_TANH || act == ACT_NONE) && out.dtype == BF16) {
        Status status = linear_at_once(be, x, l, act == ACT_NONE ? EPILOGUE_BIAS : EPILOGUE_GELU_BIAS, false, out);
        if (!failed(status)) c->note[NOTE_ACT_FUSED] += act != ACT_NONE;
        if (status.err != ERR_INPUT) return status;
    }
    Tensor y = out.dtype == F32 ? out : product_room(be, x->rows, l);
    TRY(linear_biased(be, x, l, false, y));
    CUDA_TRY(launch_elements(c->stream, &(Elements){.kind = ELEMENT_ACT, .out = out, .a = y, .act = (int)act}));
    return status_ok();
}

Status cuda_linear(Backend *be, Tensor x, const Linear *l, Activation act, Tensor out)
{
    const Operand operand = operand_of(be, x, l);
    return linear_of(be, &operand, l, act, out);
}

Status cuda_project(Backend *be, Tensor x, int count, const Linear *const *l, const Tensor *out)
{
    Operand operand;
    for (int i = 0; i < count; i++) {
        if (i == 0 || l[i]->quantize != l[i - 1]->quantize) operand = operand_of(be, x, l[i]);
        ArenaMark mark = backend_mark(be);
        TRY(linear_of(be, &operand, l[i], ACT_NONE, out[i]));
        backend_release(be, mark);
    }
    return status_ok();
}

/* ---- with a gate, in pairs ------------------------------------------------------------------------------------------------- */

static Status times(Backend *be, ElementKind kind, Tensor a, Tensor b, Tensor out)
{
    if (failed(be->first)) return be->first;
    CUDA_TRY(launch_elements(cuda_of(be)->stream, &(Elements){.kind = kind, .out = out, .a = a, .b = b}));
    return status_ok();
}

/* What gives gate * (x W^T + b), gate [N]: each row of W, or its scale, and b times its number. It takes two passes over the
 * weight, where a product without it would take three more over a result as long as the clip. In scratch memory. */
static Status gated(Backend *be, const CudaLinear *p, Tensor gate, CudaLinear *out)
{
    const int64_t n = tensor_count(gate), numbers = tensor_count(p->weight);
    const bool quantized = p->scale.data != NULL;
    *out = *p;
    out->bias = backend_alloc(be, F32, 1, &n);
    out->narrow = backend_alloc(be, BF16, 1, &n);
    if (quantized)
        out->scale = backend_alloc(be, F32, 1, &n);
    else
        out->weight = backend_alloc(be, p->weight.dtype, 1, &numbers);
    TRY(times(be, ELEMENT_MUL, p->bias, gate, out->bias));
    TRY(times(be, ELEMENT_MUL, p->bias, gate, out->narrow));
    if (quantized) return times(be, ELEMENT_MUL, p->scale, gate, out->scale);
    return times(be, ELEMENT_MUL_ROWS, p->weight, gate, out->weight);
}

Status cuda_linear_add(Backend *be, Tensor acc, Tensor x, const Linear *l, Tensor gate)
{
    const Operand operand = operand_of(be, x, l);
    Linear with_gate = *l;
    CudaLinear p;
    if (gate.data) {
        TRY(gated(be, l->packed, gate, &p));
        with_gate.packed = &p;
    }
    return linear_biased(be, &operand, &with_gate, true, acc);
}

Status cuda_linear_geglu(Backend *be, Tensor x, const Linear *a, const Linear *b, Tensor out)
{
    const Operand operand = operand_of(be, x, a);
    Tensor y = product_room(be, operand.rows, a), z = product_room(be, operand.rows, b);
    TRY(linear_biased(be, &operand, a, false, y));
    TRY(linear_biased(be, &operand, b, false, z));
    CUDA_TRY(launch_elements(cuda_of(be)->stream, &(Elements){.kind = ELEMENT_GEGLU, .out = out, .a = y, .b = z}));
    return status_ok();
}
