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

#include "kernels/cpu/cpu.h"
#include "tests/ops/cases.h"

extern const Isa isa_wide, isa_wide_pairs;

static Backend *opened(BackendKind kind, DType compute, int threads)
{
    Backend *be = NULL;
    Status s = backend_open(&(BackendOptions){.kind = kind, .compute = compute, .threads = threads}, &be);
    if (failed(s)) fail_msg("%s", s.message);
    return be;
}

/* cpu with another set's kernels than this machine's */
static Backend *opened_as(const Isa *isa, DType compute)
{
    Backend *be = opened(BACKEND_CPU, compute, 2);
    Cpu *c = be->own;
    *c = (Cpu){isa, compute == F32 ? OPERAND_FLOAT : isa->pairs ? OPERAND_PAIRS : OPERAND_ROUNDED, 2 * isa->lanes};
    return be;
}

static void check(const Isa *isa, DType compute)
{
    Backend *be = isa ? opened_as(isa, compute) : opened(BACKEND_CPU, compute, 2);
    const int bad = case_compare_all(be, isa ? isa->name : cpu_of(be)->isa->name, "");
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

/* A resumed render may run on another number of threads and must still give the same bits. */
static void test_threads_do_not_change_bits(void **state)
{
    (void)state;
    for (int compute = F32; compute <= BF16; compute++) {
        Backend *one = opened(BACKEND_CPU, (DType)compute, 1), *three = opened(BACKEND_CPU, (DType)compute, 3);
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
                  {"cpu bf16", opened(BACKEND_CPU, BF16, 0)}};
    for (int i = 0; i < case_count; i++) {
        printf("%-18s", cases[i].op);
        for (int j = 0; j < 3; j++) {
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
    for (int j = 0; j < 3; j++) backend_close(&column[j].be);
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
        cmocka_unit_test(test_fp32),       cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_wide_fp32),  cmocka_unit_test(test_wide_bf16),
        cmocka_unit_test(test_wide_pairs), cmocka_unit_test(test_threads_do_not_change_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
