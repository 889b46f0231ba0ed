/* Matrix products by cuBLASLt. It stores columns one after the other, so a row-major C = A B^T is asked of it as
 * C^T = B A^T: its first operand is our b, and our rows are its columns. What it prepares for a shape is kept. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/cuda.h"

enum { MOST_PRODUCTS = 512 };

typedef struct { /* what a preparation depends on */
    int64_t m, n, k, a_row, b_row, c_row, batch, a_step, b_step, c_step;
    int type, c_type, bias_type, scaled, b_plain, epilogue, add, align_a, align_b, align_c;
} ProductShape;

struct Product {
    ProductShape shape;
    enum { PRODUCT_NEW, PRODUCT_READY, PRODUCT_REFUSED } state;
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t first, second, result;
    cublasLtMatmulAlgo_t algorithm;
};

static Status blas_status(cublasStatus_t e, const char *what)
{
    if (e == CUBLAS_STATUS_SUCCESS) return status_ok();
    return status_fail(e == CUBLAS_STATUS_NOT_SUPPORTED || e == CUBLAS_STATUS_INVALID_VALUE ? ERR_INPUT : ERR_NODE,
                       "%.80s: %s", what, cublasLtGetStatusString(e));
}
#define BLAS_TRY(call) TRY(blas_status(call, #call))

static cudaDataType_t blas_type(DType t)
{
    return t == F32 ? CUDA_R_32F : t == BF16 ? CUDA_R_16BF : t == F16 ? CUDA_R_16F : CUDA_R_8F_E4M3;
}

/* The largest power of two up to 256 that divides the address of every matrix of the batch. */
static int alignment(const void *p, int64_t step, DType type)
{
    const uintptr_t bits = (uintptr_t)p | (uintptr_t)((size_t)step * dtype_bytes(type));
    int a = 256;
    while (bits % (uintptr_t)a) a /= 2;
    return a;
}

static void product_free(Product *p)
{
    if (!p) return;
    if (p->operation) cublasLtMatmulDescDestroy(p->operation);
    if (p->first) cublasLtMatrixLayoutDestroy(p->first);
    if (p->second) cublasLtMatrixLayoutDestroy(p->second);
    if (p->result) cublasLtMatrixLayoutDestroy(p->result);
    free(p);
}

void products_free(Cuda *c)
{
    for (int i = 0; i < c->products; i++) product_free(c->product[i]);
    free(c->product);
    c->product = NULL;
    c->products = 0;
}

/* ---- preparing ----------------------------------------------------------------------------------------------------------- */

static Status layout_new(cublasLtMatrixLayout_t *out, DType type, int64_t rows, int64_t columns, int64_t step_to_next,
                         int64_t batch, int64_t batch_step)
{
    const int32_t count = (int32_t)batch;
    BLAS_TRY(cublasLtMatrixLayoutCreate(out, blas_type(type), (uint64_t)rows, (uint64_t)columns, step_to_next));
    if (batch == 1) return status_ok();
    BLAS_TRY(cublasLtMatrixLayoutSetAttribute(*out, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count));
    BLAS_TRY(cublasLtMatrixLayoutSetAttribute(*out, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &batch_step,
                                              sizeof batch_step));
    return status_ok();
}

/* Of e4m3: one scale for each row of a and of b, or none. Sums in the tensor cores' own precision, as inference has them. */
static Status operation_scale(const ProductCall *p, cublasLtMatmulDesc_t d)
{
    const int32_t mode = CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
    const int8_t fast = 1;
    if (p->type != E4M3) return status_ok();
    BLAS_TRY(cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_FAST_ACCUM, &fast, sizeof fast));
    if (!p->a_scale) return status_ok();
    BLAS_TRY(cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_A_SCALE_MODE, &mode, sizeof mode));
    BLAS_TRY(cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_B_SCALE_MODE, &mode, sizeof mode));
    return status_ok();
}

/* What differs from call to call; an algorithm is chosen with a first call's. */
static Status operation_point(const ProductCall *p, cublasLtMatmulDesc_t d)
{
    if (p->epilogue != EPILOGUE_NONE)
        BLAS_TRY(cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p->bias, sizeof p->bias));
    if (!p->a_scale) return status_ok();
    BLAS_TRY(cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, &p->b_scale, sizeof p->b_scale));
    BLAS_TRY(cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, &p->a_scale, sizeof p->a_scale));
    return status_ok();
}

static Status operation_new(const ProductCall *p, cublasLtMatmulDesc_t *out)
{
    static const cublasLtEpilogue_t kind[] = {[EPILOGUE_NONE] = CUBLASLT_EPILOGUE_DEFAULT,
                                              [EPILOGUE_BIAS] = CUBLASLT_EPILOGUE_BIAS,
                                              [EPILOGUE_GELU_BIAS] = CUBLASLT_EPILOGUE_GELU_BIAS};
    const cublasOperation_t first = p->b_plain ? CUBLAS_OP_N : CUBLAS_OP_T, second = CUBLAS_OP_N;
    BLAS_TRY(cublasLtMatmulDescCreate(out, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    BLAS_TRY(cublasLtMatmulDescSetAttribute(*out, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first));
    BLAS_TRY(cublasLtMatmulDescSetAttribute(*out, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second));
    TRY(operation_scale(p, *out));
    if (p->epilogue == EPILOGUE_NONE) return status_ok();
    const cublasLtEpilogue_t epilogue = kind[p->epilogue];
    const cudaDataType_t bias_type = blas_type(p->bias_type);
    BLAS_TRY(cublasLtMatmulDescSetAttribute(*out, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
    BLAS_TRY(cublasLtMatmulDescSetAttribute(*out, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &bias_type, sizeof bias_type));
    return status_ok();
}

static Status preference_set(cublasLtMatmulPreference_t preference, const ProductShape *s)
{
    const uint64_t workspace = WORKSPACE_BYTES;
    const struct {
        cublasLtMatmulPreferenceAttributes_t name;
        uint32_t bytes;
    } align[] = {{CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, (uint32_t)s->align_b},
                 {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, (uint32_t)s->align_a},
                 {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, (uint32_t)s->align_c},
                 {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, (uint32_t)s->align_c}};
    BLAS_TRY(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                                  sizeof workspace));
    for (size_t i = 0; i < sizeof align / sizeof *align; i++)
        BLAS_TRY(
            cublasLtMatmulPreferenceSetAttribute(preference, align[i].name, &align[i].bytes, sizeof align[i].bytes));
    return status_ok();
}

static Status algorithm_choose(Cuda *c, Product *p)
{
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t found = {.state = CUBLAS_STATUS_NOT_SUPPORTED};
    int count = 0;
    BLAS_TRY(cublasLtMatmulPreferenceCreate(&preference));
    Status status = preference_set(preference, &p->shape);
    if (!failed(status))
        status = blas_status(cublasLtMatmulAlgoGetHeuristic(c->blas, p->operation, p->first, p->second, p->result,
                                                            p->result, preference, 1, &found, &count),
                             "cublasLtMatmulAlgoGetHeuristic");
    cublasLtMatmulPreferenceDestroy(preference);
    TRY(status);
    if (count < 1 || found.state != CUBLAS_STATUS_SUCCESS) return status_fail(ERR_INPUT, "cuBLASLt has no algorithm");
    p->algorithm = found.algo;
    return status;
}

static Status product_prepare(const ProductCall *call, Product *p)
{
    const ProductShape *s = &p->shape;
    TRY(operation_new(call, &p->operation));
    TRY(layout_new(&p->first, call->type, call->b_plain ? s->n : s->k, call->b_plain ? s->k : s->n, s->b_row, s->batch,
                   s->b_step));
    TRY(layout_new(&p->second, call->type, s->k, s->m, s->a_row, s->batch, s->a_step));
    return layout_new(&p->result, call->c_type, s->n, s->m, s->c_row, s->batch, s->c_step);
}

static ProductShape shape_of(const ProductCall *p)
{
    ProductShape s;
    memset(&s, 0, sizeof s); /* compared as bytes */
    s.m = p->m;
    s.n = p->n;
    s.k = p->k;
    s.a_row = p->a_row;
    s.b_row = p->b_row;
    s.c_row = p->c_row;
    s.batch = p->batch ? p->batch : 1;
    s.a_step = p->a_step;
    s.b_step = p->b_step;
    s.c_step = p->c_step;
    s.type = (int)p->type;
    s.c_type = (int)p->c_type;
    s.bias_type = (int)p->bias_type;
    s.scaled = p->a_scale != NULL;
    s.b_plain = p->b_plain;
    s.epilogue = (int)p->epilogue;
    s.add = p->add;
    s.align_a = alignment(p->a, p->a_step, p->type);
    s.align_b = alignment(p->b, p->b_step, p->type);
    s.align_c = alignment(p->c, p->c_step, p->c_type);
    return s;
}

/* The oldest goes when there is no more room: prompts of every length come by. */
static Product *product_add(Cuda *c, const ProductShape *s)
{
    if (!c->product) c->product = calloc(MOST_PRODUCTS, sizeof *c->product);
    Product *p = calloc(1, sizeof *p);
    if (!c->product || !p) {
        free(p);
        return NULL;
    }
    if (c->products == MOST_PRODUCTS) {
        product_free(c->product[0]);
        memmove(c->product, c->product + 1, (MOST_PRODUCTS - 1) * sizeof *c->product);
        c->products--;
    }
    p->shape = *s;
    c->product[c->products++] = p;
    return p;
}

static Status product_named(Status s, const ProductCall *p)
{
    return status_at(s, "%lld products [%lld,%lld] x [%lld,%lld], %s to %s, epilogue %d", (long long)p->batch,
                     (long long)p->m, (long long)p->k, (long long)p->k, (long long)p->n, dtype_name(p->type),
                     dtype_name(p->c_type), (int)p->epilogue);
}

/* The prepared product of the call's shape, or a new one that is not prepared yet; NULL without memory. */
static Product *product_find(Cuda *c, const ProductCall *call)
{
    const ProductShape s = shape_of(call);
    for (int i = c->products - 1; i >= 0; i--)
        if (memcmp(&c->product[i]->shape, &s, sizeof s) == 0) return c->product[i];
    return product_add(c, &s);
}

/* Prepared, and pointed at the call's numbers. */
static Status product_ready(Cuda *c, const ProductCall *call, Product *p)
{
    const bool fresh = p->state == PRODUCT_NEW;
    if (p->state == PRODUCT_REFUSED) return status_fail(ERR_INPUT, "cuBLASLt has no algorithm for this product");
    if (fresh) p->state = PRODUCT_REFUSED; /* unless all of it can be had */
    if (fresh) TRY(product_prepare(call, p));
    TRY(operation_point(call, p->operation));
    if (fresh) TRY(algorithm_choose(c, p));
    p->state = PRODUCT_READY;
    return status_ok();
}

Status product_run(Backend *be, const ProductCall *call)
{
    Cuda *c = cuda_of(be);
    const float alpha = call->alpha, beta = call->add ? 1.0f : 0.0f;
    if (call->m == 0 || call->n == 0) return status_ok();
    Product *p = product_find(c, call);
    if (!p) return status_fail(ERR_NODE, "out of memory");
    Status status = product_ready(c, call, p);
    if (!failed(status))
        status = blas_status(cublasLtMatmul(c->blas, p->operation, &alpha, call->b, p->first, call->a, p->second, &beta,
                                            call->c, p->result, call->c, p->result, &p->algorithm, c->workspace,
                                            WORKSPACE_BYTES, c->stream),
                             "cublasLtMatmul");
    return product_named(status, call);
}

Status product_biased(Backend *be, ProductCall p, Tensor bias)
{
    p.bias = bias.data;
    p.bias_type = F32;
    p.epilogue = EPILOGUE_BIAS;
    Status status = product_run(be, &p);
    if (status.err != ERR_INPUT) return status;
    p.epilogue = EPILOGUE_NONE;
    TRY(product_run(be, &p));
    Tensor c = tensor_view(p.c, F32, 2, (int64_t[]){p.m, p.n});
    CUDA_TRY(launch_elements(cuda_of(be)->stream, &(Elements){.kind = ELEMENT_ADD, .out = c, .a = c, .b = bias}));
    return status_ok();
}
