/* host_blas.c - what the CUDA back end calls of cuBLASLt, from its documentation: columns one after the other,
 * D = epilogue(alpha op(A) op(B) + beta C), the bias one number per row of D. */
#include <cublasLt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/convert.h"
#include "tests/cuda/host.h"

bool host_blas_no_epilogues, host_blas_no_scales;

typedef struct {
    cudaDataType_t type;
    int64_t rows, columns, step, batch_step;
    int32_t batch;
} Layout;

typedef struct {
    cublasOperation_t a, b;
    cublasLtEpilogue_t epilogue;
    cudaDataType_t bias_type;
    const void *bias;
    int32_t a_mode, b_mode; /* of scales: 0 one for all, here 1; or one a row */
    const float *a_scale, *b_scale;
} Operation;

cublasStatus_t cublasLtCreate(cublasLtHandle_t *h)
{
    *h = malloc(1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t h)
{
    free(h);
    return CUBLAS_STATUS_SUCCESS;
}

const char *cublasLtGetStatusString(cublasStatus_t e) { return e == CUBLAS_STATUS_SUCCESS ? "success" : "a failure"; }

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *out, cudaDataType type, uint64_t rows,
                                          uint64_t columns, int64_t step)
{
    Layout *l = calloc(1, sizeof *l);
    *l = (Layout){type, (int64_t)rows, (int64_t)columns, step, 0, 1};
    *out = (cublasLtMatrixLayout_t)l;
    return step < (int64_t)rows ? CUBLAS_STATUS_INVALID_VALUE : CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l)
{
    free(l);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t name,
                                                const void *value, size_t bytes)
{
    Layout *l = (Layout *)layout;
    if (name == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT && bytes == sizeof l->batch)
        memcpy(&l->batch, value, bytes);
    else if (name == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET && bytes == sizeof l->batch_step)
        memcpy(&l->batch_step, value, bytes);
    else
        return CUBLAS_STATUS_INVALID_VALUE;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *out, cublasComputeType_t compute, cudaDataType_t scale)
{
    Operation *o = calloc(1, sizeof *o);
    o->a = o->b = CUBLAS_OP_N;
    o->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    *out = (cublasLtMatmulDesc_t)o;
    return compute == CUBLAS_COMPUTE_32F && scale == CUDA_R_32F ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t o)
{
    free(o);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t name,
                                              const void *value, size_t bytes)
{
    Operation *o = (Operation *)operation;
    if (name == CUBLASLT_MATMUL_DESC_TRANSA && bytes == sizeof o->a)
        memcpy(&o->a, value, bytes);
    else if (name == CUBLASLT_MATMUL_DESC_TRANSB && bytes == sizeof o->b)
        memcpy(&o->b, value, bytes);
    else if (name == CUBLASLT_MATMUL_DESC_EPILOGUE && bytes == sizeof o->epilogue)
        memcpy(&o->epilogue, value, bytes);
    else if (name == CUBLASLT_MATMUL_DESC_BIAS_POINTER && bytes == sizeof o->bias)
        memcpy(&o->bias, value, bytes);
    else if (name == CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE && bytes == sizeof o->bias_type)
        memcpy(&o->bias_type, value, bytes);
    else if (name == CUBLASLT_MATMUL_DESC_A_SCALE_MODE && bytes == sizeof o->a_mode)
        memcpy(&o->a_mode, value, bytes);
    else if (name == CUBLASLT_MATMUL_DESC_B_SCALE_MODE && bytes == sizeof o->b_mode)
        memcpy(&o->b_mode, value, bytes);
    else if (name == CUBLASLT_MATMUL_DESC_A_SCALE_POINTER && bytes == sizeof o->a_scale)
        memcpy(&o->a_scale, value, bytes);
    else if (name == CUBLASLT_MATMUL_DESC_B_SCALE_POINTER && bytes == sizeof o->b_scale)
        memcpy(&o->b_scale, value, bytes);
    else if (name == CUBLASLT_MATMUL_DESC_FAST_ACCUM && bytes == sizeof(int8_t))
        return CUBLAS_STATUS_SUCCESS;
    else
        return CUBLAS_STATUS_INVALID_VALUE;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *out)
{
    *out = malloc(1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p)
{
    free(p);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p,
                                                    cublasLtMatmulPreferenceAttributes_t name, const void *value,
                                                    size_t bytes)
{
    (void)p;
    (void)value;
    const size_t want = name == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES ? sizeof(uint64_t) : sizeof(uint32_t);
    return bytes == want ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

/* Shapes that do not fit each other have no algorithm. */
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t h, cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t first, cublasLtMatrixLayout_t second,
                                              cublasLtMatrixLayout_t third, cublasLtMatrixLayout_t result,
                                              cublasLtMatmulPreference_t preference, int asked,
                                              cublasLtMatmulHeuristicResult_t *found, int *count)
{
    const Operation *o = (const Operation *)operation;
    const Layout *a = (const Layout *)first, *b = (const Layout *)second, *d = (const Layout *)result;
    (void)h, (void)third, (void)preference, (void)asked;
    const int64_t m = o->a == CUBLAS_OP_N ? a->rows : a->columns, k = o->a == CUBLAS_OP_N ? a->columns : a->rows;
    const int64_t kb = o->b == CUBLAS_OP_N ? b->rows : b->columns, n = o->b == CUBLAS_OP_N ? b->columns : b->rows;
    const bool fits = k == kb && d->rows == m && d->columns == n && a->batch == b->batch && a->batch == d->batch;
    memset(found, 0, sizeof *found);
    found->state = CUBLAS_STATUS_SUCCESS;
    const bool fp8 =
        a->type == CUDA_R_8F_E4M3; /* both stored along what is added up, in whole sixteens; the bias bf16 */
    const bool fp8_fits = o->a == CUBLAS_OP_T && o->b == CUBLAS_OP_N && m % 16 == 0 && k % 16 == 0 &&
                          (o->epilogue == CUBLASLT_EPILOGUE_DEFAULT || o->bias_type == CUDA_R_16BF) &&
                          !(host_blas_no_scales && o->a_mode);
    *count = fits && a->type == b->type && (!fp8 || fp8_fits) &&
             !(host_blas_no_epilogues && o->epilogue != CUBLASLT_EPILOGUE_DEFAULT);
    return *count ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

static DType type_of(cudaDataType_t t)
{
    return t == CUDA_R_32F ? F32 : t == CUDA_R_16BF ? BF16 : t == CUDA_R_16F ? F16 : E4M3;
}

static float number(const void *p, cudaDataType_t type, int64_t i)
{
    float v;
    convert_to_float((const char *)p + (size_t)i * dtype_bytes(type_of(type)), type_of(type), 1, &v);
    return v;
}

/* [outer][inner] fp32 of one operand of a batch: outer = the result's rows or columns, inner = what is added up */
static float *operand(const void *p, const Layout *l, int64_t batch, bool inner_is_row, int64_t outer, int64_t inner)
{
    float *all = malloc((size_t)(outer * inner) * sizeof *all);
    for (int64_t i = 0; i < outer; i++)
        for (int64_t x = 0; x < inner; x++)
            all[i * inner + x] =
                number(p, l->type, batch * l->batch_step + (inner_is_row ? i * l->step + x : x * l->step + i));
    return all;
}

static double dot(const float *a, const float *b, int64_t k)
{
    double sum = 0;
    for (int64_t x = 0; x < k; x++) sum += (double)a[x] * (double)b[x];
    return sum;
}

static float finished(const Operation *o, double sum, int64_t row)
{
    if (o->epilogue & CUBLASLT_EPILOGUE_BIAS) sum += (double)number(o->bias, o->bias_type, row);
    if (o->epilogue & CUBLASLT_EPILOGUE_GELU)
        sum = 0.5 * sum * (1 + tanh(0.7978845608028654 * (sum + 0.044715 * sum * sum * sum)));
    return (float)sum;
}

typedef struct {
    Operation operation;
    Layout first, second, third, result;
    const void *a, *b, *c;
    void *d;
    float alpha, beta;
} Matmul;

static void run_matmul(const void *what)
{
    const Matmul *p = what;
    const Operation *o = &p->operation;
    const Layout *la = &p->first, *lb = &p->second, *lc = &p->third, *ld = &p->result;
    const int64_t k = o->a == CUBLAS_OP_N ? la->columns : la->rows;
    for (int64_t batch = 0; batch < ld->batch; batch++) {
        float *rows = operand(p->a, la, batch, o->a == CUBLAS_OP_T, ld->rows, k);
        float *columns = operand(p->b, lb, batch, o->b == CUBLAS_OP_N, ld->columns, k);
#pragma omp parallel for schedule(static)
        for (int64_t j = 0; j < ld->columns; j++)
            for (int64_t i = 0; i < ld->rows; i++) {
                double sum = (double)p->alpha * dot(rows + i * k, columns + j * k, k);
                if (o->a_mode) sum *= (double)o->a_scale[i] * (double)o->b_scale[j];
                if (p->beta != 0)
                    sum += (double)p->beta * (double)number(p->c, lc->type, batch * lc->batch_step + j * lc->step + i);
                const float v = finished(o, sum, i);
                const int64_t to = batch * ld->batch_step + j * ld->step + i;
                const DType type = type_of(ld->type);
                convert_from_float(&v, type, 1, (char *)p->d + (size_t)to * dtype_bytes(type));
            }
        free(rows);
        free(columns);
    }
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t h, cublasLtMatmulDesc_t operation, const void *alpha, const void *a,
                              cublasLtMatrixLayout_t first, const void *b, cublasLtMatrixLayout_t second,
                              const void *beta, const void *c, cublasLtMatrixLayout_t third, void *d,
                              cublasLtMatrixLayout_t result, const cublasLtMatmulAlgo_t *algorithm, void *workspace,
                              size_t workspace_bytes, cudaStream_t stream)
{
    const Matmul p = {*(const Operation *)operation,
                      *(const Layout *)first,
                      *(const Layout *)second,
                      *(const Layout *)third,
                      *(const Layout *)result,
                      a,
                      b,
                      c,
                      d,
                      *(const float *)alpha,
                      *(const float *)beta};
    (void)h, (void)algorithm, (void)workspace, (void)workspace_bytes, (void)stream;
    if (!host_keep(run_matmul, &p, sizeof p)) run_matmul(&p);
    return CUBLAS_STATUS_SUCCESS;
}
