/* test_ops [--time] - every case of the table on ref, and then on cpu in fp32 and bf16: with this machine's instructions,
 * and with the forms that wider machines use. Also: the same bits from one thread as from three. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/convert.h"
#include "kernels/cpu/cpu.h"
#include "tests/ops/cases.h"

extern const Isa isa_wide, isa_wide_pairs, isa_wide_quads, isa_wide_tiles, isa_wide_tiles_quads;

/* compute: INT8 is bf16 with quantised weights */
static Backend *opened(BackendKind kind, DType compute, int threads)
{
    Backend *be = NULL;
    const bool quantized = compute == INT8;
    Status s = backend_open(&(BackendOptions){.kind = kind,
                                              .compute = quantized ? BF16 : compute,
                                              .quantized = quantized ? INT8 : F32,
                                              .threads = threads},
                            &be);
    if (failed(s)) fail_msg("%s", s.message);
    return be;
}

/* cpu with another set's kernels than this machine's */
static Backend *opened_as(const Isa *isa, DType compute)
{
    Backend *be = opened(BACKEND_CPU, compute, 2);
    const Isa *const plain = isa->pairs ? &isa_wide : isa; /* the same without pairs */
    CpuSets *c = be->own;
    if (isa->quads)
        c->quantized = cpu_with(isa, INT8);
    else
        *c = (CpuSets){cpu_with(compute == F32 ? plain : isa, compute == F32 ? F32 : BF16), cpu_with(plain, F32),
                       cpu_with(plain, INT8), ""};
    return be;
}

static void check(const Isa *isa, DType compute)
{
    Backend *be = isa ? opened_as(isa, compute) : opened(BACKEND_CPU, compute, 2);
    const int bad = case_compare_all(be, isa ? isa->name : backend_kind(be, (char[64]){0}, 64), "");
    backend_close(&be);
    assert_int_equal(bad, 0);
}

static void test_fp32(void **state)
{
    (void)state;
    check(NULL, F32);
}

static void test_bf16(void **state)
{
    (void)state;
    check(NULL, BF16);
}

static void test_wide_fp32(void **state)
{
    (void)state;
    check(&isa_wide, F32);
}

static void test_wide_bf16(void **state)
{
    (void)state;
    check(&isa_wide, BF16);
}

static void test_wide_pairs(void **state)
{
    (void)state;
    check(&isa_wide_pairs, BF16);
}

static void test_int8(void **state)
{
    (void)state;
    check(NULL, INT8);
}

static void test_wide_int8(void **state)
{
    (void)state;
    check(&isa_wide, INT8);
}

static void test_wide_quads(void **state)
{
    (void)state;
    check(&isa_wide_quads, INT8);
}

static void test_wide_tiles(void **state)
{
    (void)state;
    check(&isa_wide_tiles, BF16);
}

static void test_wide_tiles_quads(void **state)
{
    (void)state;
    check(&isa_wide_tiles_quads, INT8);
}

/* Fours as integers and as fp32 are the same sums, so all forms give nearly the same. What is no number stays none. */
static void test_int8_hides_nothing(void **state)
{
    (void)state;
    const Isa *const as[] = {&isa_wide, &isa_wide_quads, &isa_wide_tiles_quads};
    float weight[3 * 70], x[2 * 70], y[3][6];
    for (int i = 0; i < 3 * 70; i++) weight[i] = (float)(i * 37 % 101 - 50);
    for (int i = 0; i < 2 * 70; i++) x[i] = (float)(i * 29 % 53 - 26);
    x[100] = NAN; /* in the second row */
    for (int i = 0; i < 3; i++) {
        Backend *be = opened_as(as[i], INT8);
        Linear l = {.quantize = true};
        Status s = linear_pack(be, tensor_view(weight, F32, 2, (int64_t[]){3, 70}), (Tensor){0}, &l);
        assert_false(failed(s));
        assert_true(l.quantize);
        backend_download(be, op_linear(be, backend_upload(be, x, 2, (int64_t[]){2, 70}), &l, ACT_NONE), y[i]);
        linear_free(be, &l);
        backend_close(&be);
        for (int n = 3; n < 6; n++) assert_true(isnan(y[i][n]));
    }
    for (int n = 0; n < 3; n++) assert_true(fabsf(y[0][n] - y[1][n]) <= 1e-5f * fabsf(y[0][n]));
    assert_memory_equal(y[1], y[2], 3 * sizeof(float));
}

/* Weights of 8 bits stay so in memory, and what is computed with them has the bits of the same numbers packed as fp32: all codes, panels
 * that are narrow or cut, odd k, several chunks of k, few rows and many. */
static void e4m3_is_what_it_stands_for(const Isa *isa, DType compute, const int64_t shape[3], bool exact)
{
    const int64_t rows = shape[0], in = shape[1], out = shape[2];
    const float scale = 0.0173f;
    uint8_t *code = malloc((size_t)(in * out));
    float *wide = malloc((size_t)(in * out) * sizeof *wide), *x = malloc((size_t)(rows * in) * sizeof *x), *y[2][3];
    for (int64_t i = 0; i < in * out; i++) code[i] = (uint8_t)((i * 37 + i / 256 * 11) % 256);
    for (int64_t i = 0; i < in * out; i++)
        if ((code[i] & 127) == 127) code[i] = 126; /* the other is no number */
    for (int64_t i = 0; i < in * out; i++) wide[i] = convert_e4m3_to_float(code[i]) * scale;
    for (int64_t i = 0; i < rows * in; i++) x[i] = (float)(i * 29 % 53 - 26) / 16;
    size_t bytes[2];
    for (int k = 0; k < 2; k++) {
        Backend *be = isa ? opened_as(isa, compute) : opened(BACKEND_CPU, compute, 2);
        Linear l = {.exact = exact, .scale = scale, .quantize = compute == INT8};
        const Tensor weight = tensor_view(k ? (void *)code : (void *)wide, k ? E4M3 : F32, 2, (int64_t[]){out, in});
        Status s = linear_pack(be, weight, tensor_view(wide, F32, 1, &out), &l);
        assert_false(failed(s));
        bytes[k] = backend_kept_bytes(be);
        Tensor in_x = backend_upload(be, x, 2, (int64_t[]){rows, in}),
               acc = backend_zeros(be, 2, (int64_t[]){rows, out});
        for (int i = 0; i < 3; i++) y[k][i] = calloc((size_t)(rows * out), sizeof(float));
        backend_download(be, op_linear(be, in_x, &l, ACT_NONE), y[k][0]);
        op_linear_add(be, acc, in_x, &l, (Tensor){0});
        backend_download(be, acc, y[k][1]);
        if (!exact) backend_download(be, op_linear_geglu(be, in_x, &l, &l), y[k][2]);
        assert_false(failed(backend_status(be)));
        linear_free(be, &l);
        backend_close(&be);
    }
    for (int i = 0; i < 3; i++) {
        assert_memory_equal(y[0][i], y[1][i], (size_t)(rows * out) * sizeof(float));
        free(y[0][i]);
        free(y[1][i]);
    }
    assert_true(compute == INT8 && !exact ? bytes[1] == bytes[0] : bytes[1] < bytes[0]); /* of int8 they become that */
    free(code);
    free(wide);
    free(x);
}

static void test_e4m3(void **state)
{
    (void)state;
    static const int64_t shape[][3] = {{1, 1, 1}, {3, 7, 5}, {29, 70, 33}, {2, 129, 48}, {300, 256, 64}, {5, 9001, 40}};
    const Isa *const as[] = {NULL, &isa_wide, &isa_wide_pairs, &isa_wide_tiles};
    static const DType compute[] = {F32, BF16, INT8};
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
        for (size_t k = 0; k < sizeof as / sizeof *as; k++)
            for (size_t c = 0; c < sizeof compute / sizeof *compute; c++) {
                e4m3_is_what_it_stands_for(as[k], compute[c], shape[i], false);
                e4m3_is_what_it_stands_for(as[k], compute[c], shape[i], true);
            }
}

/* What is no number stays none, beside others that are. */
static void test_e4m3_hides_nothing(void **state)
{
    (void)state;
    uint8_t code[4 * 3] = {[4] = 127, [8] = 255};
    float x[4] = {1, 1, 1, 1}, y[3];
    for (int half = 0; half < 2; half++) {
        Backend *be = opened(BACKEND_CPU, half ? BF16 : F32, 1);
        Linear l = {.scale = 2};
        assert_false(failed(linear_pack(be, tensor_view(code, E4M3, 2, (int64_t[]){3, 4}), (Tensor){0}, &l)));
        backend_download(be, op_linear(be, backend_upload(be, x, 2, (int64_t[]){1, 4}), &l, ACT_NONE), y);
        assert_true(y[0] == 0 && isnan(y[1]) && isnan(y[2]));
        linear_free(be, &l);
        backend_close(&be);
    }
}

/* A resumed render may run on another number of threads and must still give the same bits. */
static void test_threads_do_not_change_bits(void **state)
{
    (void)state;
    static const DType computes[] = {F32, BF16, INT8};
    for (int k = 0; k < 3; k++) {
        Backend *one = opened(BACKEND_CPU, computes[k], 1), *three = opened(BACKEND_CPU, computes[k], 3);
        for (int i = 0; i < case_count; i++) {
            Tensor a, b;
            float *x = case_result(&cases[i], one, &a), *y = case_result(&cases[i], three, &b);
            assert_true(x && y);
            if (memcmp(x, y, (size_t)tensor_count(a) * sizeof *x) != 0) fail_msg("case %d, %s", i, cases[i].op);
            free(x);
            free(y);
        }
        backend_close(&one);
        backend_close(&three);
    }
}

/* Milliseconds per op and case, the fastest of five, on every back end. */
static void print_times(void)
{
    struct {
        const char *name;
        Backend *be;
    } column[] = {{"ref", opened(BACKEND_REF, F32, 0)},
                  {"cpu fp32", opened(BACKEND_CPU, F32, 0)},
                  {"cpu bf16", opened(BACKEND_CPU, BF16, 0)},
                  {"cpu int8", opened(BACKEND_CPU, INT8, 0)}};
    const int columns = sizeof column / sizeof *column;
    for (int i = 0; i < case_count; i++) {
        printf("%-18s", cases[i].op);
        for (int j = 0; j < columns; j++) {
            double best = INFINITY;
            for (int k = 0; k < 5; k++) {
                Tensor t;
                free(case_result(&cases[i], column[j].be, &t));
                best = fmin(best, case_op_seconds());
            }
            printf("  %s %9.4f ms", column[j].name, 1e3 * best);
        }
        printf("\n");
    }
    for (int j = 0; j < columns; j++) backend_close(&column[j].be);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--time") == 0) {
        print_times();
        return 0;
    }
    if (!isa_of_this_machine(F32)) {
        printf("skipped: this processor has no AVX2, which the cpu back end needs\n");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fp32),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_wide_fp32),
        cmocka_unit_test(test_wide_bf16),
        cmocka_unit_test(test_wide_pairs),
        cmocka_unit_test(test_int8),
        cmocka_unit_test(test_wide_int8),
        cmocka_unit_test(test_wide_quads),
        cmocka_unit_test(test_wide_tiles),
        cmocka_unit_test(test_wide_tiles_quads),
        cmocka_unit_test(test_int8_hides_nothing),
        cmocka_unit_test(test_e4m3),
        cmocka_unit_test(test_e4m3_hides_nothing),
        cmocka_unit_test(test_threads_do_not_change_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
