/* test_cuda_host - the CUDA back end without a device: its own kernels as they are written, run on the host (host_device.h), its
 * calls of cuBLASLt and cuDNN answered by plain code (host_*.c). Every case of tests/ops against ref, in fp32 and bf16, with
 * cuDNN and without, with fused epilogues and without. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/convert.h"
#include "kernels/cuda/cuda.h"
#include "tests/cuda/host.h"
#include "tests/ops/cases.h"

static bool fp8; /* ask for it */

static Backend *opened(BackendKind kind, DType compute)
{
    Backend *be = NULL;
    backend_register_cuda(&cuda_kernels);
    const BackendOptions options = {.kind = kind, .compute = compute, .fp8 = fp8 && kind == BACKEND_CUDA};
    Status s = backend_open(&options, &be);
    if (failed(s)) fail_msg("%s", s.message);
    return be;
}

static float *result_of(Backend *be, const Case *c, Tensor *shape)
{
    ArenaMark mark = backend_mark(be);
    case_begin();
    *shape = c->run(be, c->p);
    if (failed(backend_status(be))) fail_msg("%s: %s", c->op, backend_status(be).message);
    float *v = malloc((size_t)tensor_count(*shape) * sizeof *v);
    backend_download(be, *shape, v);
    backend_release(be, mark);
    return v;
}

static double difference(const float *a, const float *b, int64_t count)
{
    double d = 0, size = 0;
    for (int64_t i = 0; i < count; i++) {
        d += pow((double)a[i] - (double)b[i], 2);
        size += pow((double)b[i], 2);
    }
    return sqrt(d / (size > 0 ? size : 1));
}

/* The cases whose op begins with `op`. */
static void check(DType compute, const char *name, const char *op)
{
    Backend *ref = opened(BACKEND_REF, F32), *be = opened(BACKEND_CUDA, compute);
    cuda_always_cudnn(be);
    int bad = 0;
    for (int i = 0; i < case_count; i++) {
        const Case *c = &cases[i];
        if (strncmp(c->op, op, strlen(op)) != 0) continue;
        Tensor want, got;
        float *w = result_of(ref, c, &want), *g = result_of(be, c, &got);
        assert_memory_equal(want.dim, got.dim, sizeof want.dim);
        const double d = difference(g, w, tensor_count(want)), limit = compute == F32 ? c->fp32
                                                                       : fp8          ? CASE_FP8
                                                                                      : c->bf16;
        if (getenv("OPS_VERBOSE")) printf("%-12s %-18s #%-3d %.1e of %.1e\n", name, c->op, i, d, limit);
        if (!(d <= limit)) {
            print_error("%s, case %d, %s: off by %.2e, allowed %.2e\n", name, i, c->op, d, limit);
            bad++;
        }
        free(w);
        free(g);
    }
    backend_close(&ref);
    backend_close(&be);
    assert_int_equal(bad, 0);
}

static void test_fp32(void **state)
{
    (void)state;
    check(F32, "fp32", "");
}

static void test_bf16(void **state)
{
    (void)state;
    host_runs = 0;
    check(BF16, "bf16", "");
    assert_true(host_runs > 10); /* attention and convolutions went to cuDNN */
}

static void test_bf16_without_cudnn(void **state)
{
    (void)state;
    host_runs = 0;
    host_cudnn_no_engines = true;
    check(BF16, "no cudnn", "conv");
    check(BF16, "no cudnn", "attention");
    host_cudnn_no_engines = false;
    assert_int_equal(host_runs, 0);
}

/* The one attention operation, and convolutions without their bias. */
static void test_bf16_without_fusion(void **state)
{
    (void)state;
    host_runs = 0;
    host_cudnn_no_fusion = true;
    check(BF16, "no fusion", "conv");
    check(BF16, "no fusion", "attention");
    host_cudnn_no_fusion = false;
    assert_true(host_runs > 10);
}

static void test_without_epilogues(void **state)
{
    (void)state;
    host_blas_no_epilogues = true;
    check(BF16, "no epilogue", "conv");
    check(BF16, "no epilogue", "linear");
    check(F32, "no epilogue", "linear");
    host_blas_no_epilogues = false;
}

static void test_fp8(void **state)
{
    (void)state;
    fp8 = true;
    check(BF16, "fp8", "linear");
    check(BF16, "fp8", "project");
    host_blas_no_scales = true;
    check(BF16, "fp8 apart", "linear");
    check(BF16, "fp8 apart", "project");
    host_blas_no_scales = fp8 = false;
}

/* Rows as launch_quantize makes them, by plain code. */
static void quantize(const float *x, int rows, int d, float *out)
{
    for (int i = 0; i < rows; i++) {
        float most = 0;
        for (int j = 0; j < d; j++) most = fmaxf(most, fabsf(x[i * d + j]));
        for (int j = 0; j < d; j++) {
            const uint8_t v = convert_float_to_e4m3(x[i * d + j] * (E4M3_MOST / most));
            out[i * d + j] = convert_e4m3_to_float(v) * (most / E4M3_MOST);
        }
    }
}

/* The product of fp8 is the product of these very numbers. */
static void test_fp8_numbers(void **state)
{
    enum { T = 5, K = 48, N = 32 };
    float x[T * K], w[N * K], x8[T * K], w8[N * K], got[T * N];
    Linear l = {.quantize = true};
    (void)state;
    fp8 = true;
    Backend *be = opened(BACKEND_CUDA, BF16);
    fp8 = false;
    for (int i = 0; i < T * K; i++) x[i] = sinf((float)(i * i % 97)) * (float)(1 + i % 7);
    for (int i = 0; i < N * K; i++) w[i] = cosf((float)(i * 7 % 101)) / (float)(1 + i % 5);
    quantize(x, T, K, x8);
    quantize(w, N, K, w8);
    assert_int_equal(linear_pack(be, tensor_view(w, F32, 2, (int64_t[]){N, K}), (Tensor){0}, &l).err, OK);
    assert_true(l.quantize);
    Tensor y = op_linear(be, backend_upload(be, x, 2, (int64_t[]){T, K}), &l, ACT_NONE);
    backend_download(be, y, got);
    assert_int_equal(backend_status(be).err, OK);
    for (int i = 0; i < T * N; i++) {
        double sum = 0, size = 0;
        for (int k = 0; k < K; k++) {
            const double term = (double)x8[i / N * K + k] * (double)w8[i % N * K + k];
            sum += term;
            size += fabs(term);
        }
        assert_true(fabs(sum - (double)got[i]) <= 1e-6 * size);
    }
    linear_free(be, &l);
    backend_close(&be);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fp32),
                                       cmocka_unit_test(test_bf16),
                                       cmocka_unit_test(test_bf16_without_cudnn),
                                       cmocka_unit_test(test_bf16_without_fusion),
                                       cmocka_unit_test(test_without_epilogues),
                                       cmocka_unit_test(test_fp8),
                                       cmocka_unit_test(test_fp8_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
