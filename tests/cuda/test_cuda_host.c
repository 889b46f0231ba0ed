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

#include "kernels/cuda/cuda.h"
#include "tests/cuda/host.h"
#include "tests/ops/cases.h"

static Backend *opened(BackendKind kind, DType compute)
{
    Backend *be = NULL;
    backend_register_cuda(&cuda_kernels);
    Status s = backend_open(&(BackendOptions){.kind = kind, .compute = compute}, &be);
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
        const double d = difference(g, w, tensor_count(want)), limit = compute == F32 ? c->fp32 : c->bf16;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fp32), cmocka_unit_test(test_bf16), cmocka_unit_test(test_bf16_without_cudnn),
        cmocka_unit_test(test_bf16_without_fusion), cmocka_unit_test(test_without_epilogues)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
