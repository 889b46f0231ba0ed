/* The first failure, the arena, and shapes that do not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/convert.h"
#include "kernels/ops.h"

static Backend *opened(void)
{
    Backend *be = NULL;
    assert_false(failed(backend_open(&(BackendOptions){.kind = BACKEND_REF}, &be)));
    return be;
}

static void test_first_failure_is_kept(void **state)
{
    (void)state;
    Backend *be = opened();
    Tensor a = backend_zeros(be, 2, (int64_t[]){3, 4}), b = backend_zeros(be, 2, (int64_t[]){3, 5});
    Tensor y = op_add(be, a, b);
    assert_null(y.data);
    assert_int_equal(y.dim[1], 4);
    assert_non_null(strstr(backend_status(be).message, "op_add: fp32 [3,4] and fp32 [3,5] do not fit"));
    op_add_to(be, a, b, 1);
    Tensor z = op_add(be, a, a);
    assert_null(z.data);
    assert_non_null(strstr(backend_status(be).message, "op_add"));
    backend_clear(be);
    assert_non_null(op_add(be, a, a).data);
    assert_false(failed(backend_status(be)));
    backend_close(&be);
    assert_null(be);
    backend_close(&be);
}

static void test_sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    Backend *be = opened();
    assert_null(backend_zeros(be, 2, (int64_t[]){INT64_MAX / 2, 4}).data);
    assert_true(failed(backend_status(be)));
    backend_clear(be);
    assert_null(backend_zeros(be, 1, (int64_t[]){-1}).data);
    assert_true(failed(backend_status(be)));
    backend_close(&be);
}

static void test_arena_releases_to_marks(void **state)
{
    (void)state;
    Backend *be = opened();
    const int64_t large = 30 << 20; /* 120 MiB: blocks of their own */
    Tensor keep = backend_zeros(be, 1, (int64_t[]){1000});
    ArenaMark mark = backend_mark(be);
    void *first = backend_alloc(be, F32, 1, &large).data;
    assert_non_null(backend_alloc(be, F32, 1, &large).data);
    size_t peak = backend_peak_bytes(be);
    backend_release(be, mark);
    assert_ptr_equal(backend_alloc(be, F32, 1, &large).data, first);
    assert_true(backend_peak_bytes(be) == peak);
    for (int i = 0; i < 1000; i++) assert_true(((float *)keep.data)[i] == 0);
    backend_close(&be);
}

static void test_attention_and_conv_refuse(void **state)
{
    (void)state;
    Backend *be = opened();
    Tensor q = backend_zeros(be, 2, (int64_t[]){3, 8}), k = backend_zeros(be, 2, (int64_t[]){5, 8});
    op_attention(be, q, k, k, 3, 1, (Tensor){0});
    assert_true(failed(backend_status(be)));
    backend_clear(be);
    op_attention(be, q, k, k, 2, 1, q);
    assert_true(failed(backend_status(be)));
    backend_clear(be);
    Conv c = {.stride = {1, 1, 1}};
    float w[27 * 2] = {0};
    assert_false(failed(conv_pack(be, tensor_view(w, F32, 5, (int64_t[]){1, 2, 3, 3, 3}), (Tensor){0}, &c)));
    op_conv(be, backend_zeros(be, 4, (int64_t[]){2, 8, 8, 2}), &c); /* two frames, a kernel of three */
    assert_true(failed(backend_status(be)));
    conv_free(be, &c);
    backend_close(&be);
}

static void test_bf16_rounds_to_even(void **state)
{
    (void)state;
    assert_int_equal(convert_float_to_bf16(1.0f), 0x3f80);
    assert_int_equal(convert_float_to_bf16(1.00390625f), 0x3f80); /* half way: to even */
    assert_int_equal(convert_float_to_bf16(1.01171875f), 0x3f82);
    assert_int_equal(convert_float_to_bf16(3.4e38f), 0x7f80);
    assert_true(convert_bf16_to_float(convert_float_to_bf16(__builtin_nanf(""))) !=
                convert_bf16_to_float(convert_float_to_bf16(__builtin_nanf(""))));
}

/* On a machine without a device, with the back end built or not; where there is one, it opens. */
static void test_cuda_says_what_is_missing(void **state)
{
    (void)state;
    Backend *be = NULL;
    Status s = backend_open(&(BackendOptions){.kind = BACKEND_CUDA}, &be);
    if (!failed(s)) {
        backend_close(&be);
        return;
    }
    assert_null(be);
    assert_true(s.err == ERR_INPUT || s.err == ERR_NODE);
    assert_non_null(strstr(s.message, s.err == ERR_INPUT ? "CUDA" : "the cuda back end"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_failure_is_kept),   cmocka_unit_test(test_sizes_that_overflow_are_refused),
        cmocka_unit_test(test_arena_releases_to_marks), cmocka_unit_test(test_attention_and_conv_refuse),
        cmocka_unit_test(test_bf16_rounds_to_even),     cmocka_unit_test(test_cuda_says_what_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
