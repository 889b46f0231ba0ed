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
    const DType type = be->options.compute;
    Status status = l->quantize
                        ? cuda_weight_quantized(be, weight.data, weight.dtype, weight.dim, &p->weight, &p->scale)
                        : cuda_weight_new(be, weight.data, weight.dtype, tensor_count(weight), type, &p->weight);
    if (!failed(status)) status = bias_new(be, bias, l->out, p);
    if (failed(status)) cuda_linear_free(be, l);
    return status;
}

/* c (+)= x W^T, without a bias; a NULL after a failure */
static ProductCall linear_product(Backend *be, Tensor x, const Linear *l, bool add, Tensor c)
{
    const CudaLinear *p = l->packed;
    const int64_t rows = l->in ? tensor_count(x) / l->in : 0;
    ProductCall call = {.b = p->weight.data,
                        .c = c.data,
                        .m = rows,
                        .n = l->out,
                        .k = l->in,
                        .a_row = l->in,
                        .b_row = l->in,
                        .c_row = l->out,
                        .type = l->quantize ? E4M3 : be->options.compute,
                        .c_type = c.dtype,
                        .add = add,
                        .alpha = 1};
    if (!l->quantize) {
        call.a = cuda_operand(be, x).data;
        return call;
    }
    Tensor a = backend_alloc(be, E4M3, 2, (int64_t[]){rows, l->in}), scale = backend_alloc(be, F32, 1, &rows);
    if (failed(be->first)) return call;
    backend_fail(
        be, cuda_status(launch_quantize(cuda_of(be)->stream, x, a.data, scale.data), "quantising a product's rows"));
    call.a = a.data;
    call.a_scale = scale.data;
    call.b_scale = p->scale.data;
    return call;
}

static Tensor product_room(Backend *be, Tensor x, const Linear *l)
{
    return backend_alloc(be, F32, 2, (int64_t[]){l->in ? tensor_count(x) / l->in : 0, l->out});
}

/* out (+)= x W^T + b of fp8, out fp32 or bf16, in one pass; ERR_INPUT where the library cannot */
static Status quantized_at_once(Backend *be, ProductCall call, const Linear *l, Epilogue epilogue)
{
    const CudaLinear *p = l->packed;
    call.epilogue = epilogue;
    call.bias = p->narrow.data;
    call.bias_type = BF16;
    Status status = product_run(be, &call);
    if (!failed(status)) cuda_of(be)->note[NOTE_FP8]++;
    return status;
}

/* out (+)= x W^T + b of fp8, out fp32 */
static Status quantized_biased(Backend *be, Tensor x, const Linear *l, bool add, Tensor out)
{
    const CudaLinear *p = l->packed;
    ProductCall call = linear_product(be, x, l, add, out);
    if (failed(be->first)) return be->first;
    Status status = quantized_at_once(be, call, l, EPILOGUE_BIAS);
    if (status.err != ERR_INPUT) return status;
    Tensor y = add ? product_room(be, x, l) : out;
    const float *a_scale = call.a_scale;
    if (failed(be->first)) return be->first;
    call.a_scale = call.b_scale = NULL;
    call.add = false;
    call.c = y.data;
    TRY(product_run(be, &call));
    cuda_of(be)->note[NOTE_FP8_SCALED_APART]++;
    CUDA_TRY(launch_scale_product(cuda_of(be)->stream, y, a_scale, p->scale.data, p->bias, out, add));
    return status_ok();
}

/* c (+)= x W^T + b, c fp32 */
static Status linear_biased(Backend *be, Tensor x, const Linear *l, bool add, Tensor c)
{
    const CudaLinear *p = l->packed;
    if (l->quantize) return quantized_biased(be, x, l, add, c);
    const ProductCall call = linear_product(be, x, l, add, c);
    return failed(be->first) ? be->first : product_biased(be, call, p->bias);
}

/* out = x W^T + b, or gelu_tanh of it, in one pass, out bf16; ERR_INPUT where the library cannot */
static Status linear_narrow(Backend *be, Tensor x, const Linear *l, Epilogue epilogue, Tensor out)
{
    const CudaLinear *p = l->packed;
    ProductCall call = linear_product(be, x, l, false, out);
    if (failed(be->first)) return be->first;
    if (l->quantize) return quantized_at_once(be, call, l, epilogue);
    call.epilogue = epilogue;
    call.bias = p->narrow.data;
    call.bias_type = BF16;
    return product_run(be, &call);
}

Status cuda_linear(Backend *be, Tensor x, const Linear *l, Activation act, Tensor out)
{
    Cuda *c = cuda_of(be);
    if (act == ACT_NONE && out.dtype == F32) return linear_biased(be, x, l, false, out);
    if ((act == ACT_GELU_TANH || act == ACT_NONE) && out.dtype == BF16) {
        Status status = linear_narrow(be, x, l, act == ACT_NONE ? EPILOGUE_BIAS : EPILOGUE_GELU_BIAS, out);
        if (!failed(status)) c->note[NOTE_ACT_FUSED] += act != ACT_NONE;
        if (status.err != ERR_INPUT) return status;
    }
    Tensor y = out.dtype == F32 ? out : product_room(be, x, l);
    if (failed(be->first)) return be->first;
    TRY(linear_biased(be, x, l, false, y));
    CUDA_TRY(launch_elements(c->stream, &(Elements){.kind = ELEMENT_ACT, .out = out, .a = y, .act = (int)act}));
    return status_ok();
}

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
    if (!gate.data) return linear_biased(be, x, l, true, acc);
    if (tensor_count(gate) == l->out) {
        CudaLinear p;
        TRY(gated(be, l->packed, gate, &p));
        return linear_biased(be, x, &(Linear){.in = l->in, .out = l->out, .quantize = l->quantize, .packed = &p}, true,
                             acc);
    }
    Tensor y = product_room(be, x, l);
    if (failed(be->first)) return be->first;
    TRY(linear_biased(be, x, l, false, y));
    const Elements e = {.kind = ELEMENT_GATED, .out = acc, .a = acc, .b = y, .c = gate};
    CUDA_TRY(launch_elements(cuda_of(be)->stream, &e));
    return status_ok();
}

Status cuda_linear_geglu(Backend *be, Tensor x, const Linear *a, const Linear *b, Tensor out)
{
    Tensor in = a->quantize || b->quantize ? x : cuda_operand(be, x);
    Tensor y = product_room(be, x, a), z = product_room(be, x, b);
    if (failed(be->first)) return be->first;
    TRY(linear_biased(be, in, a, false, y));
    TRY(linear_biased(be, in, b, false, z));
    CUDA_TRY(launch_elements(cuda_of(be)->stream, &(Elements){.kind = ELEMENT_GEGLU, .out = out, .a = y, .b = z}));
    return status_ok();
}
