/* fp8 (e4m3) in host memory: every code, every midpoint between two, and what has no code. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "kernels/convert.h"

enum { LARGEST = 126 /* 448 */, NOT_A_NUMBER = 127 };

static void test_values(void **state)
{
    (void)state;
    assert_true(convert_e4m3_to_float(0) == 0.0f && convert_e4m3_to_float(1) == 0x1p-9f);
    assert_true(convert_e4m3_to_float(8) == 0x1p-6f && convert_e4m3_to_float(56) == 1.0f);
    assert_true(convert_e4m3_to_float(57) == 1.125f && convert_e4m3_to_float(LARGEST) == E4M3_MOST);
    assert_true(isnan(convert_e4m3_to_float(NOT_A_NUMBER)));
}

static void test_round_trip(void **state)
{
    (void)state;
    for (int v = 0; v <= LARGEST; v++) {
        assert_int_equal(convert_float_to_e4m3(convert_e4m3_to_float((uint8_t)v)), v);
        assert_int_equal(convert_float_to_e4m3(-convert_e4m3_to_float((uint8_t)v)), v | 128);
    }
}

/* To the nearer neighbour; from the middle to the even one. */
static void test_rounding(void **state)
{
    (void)state;
    for (int v = 0; v < LARGEST; v++) {
        const float low = convert_e4m3_to_float((uint8_t)v), high = convert_e4m3_to_float((uint8_t)(v + 1));
        const float middle = 0.5f * (low + high);
        assert_int_equal(convert_float_to_e4m3(middle), v + (v & 1));
        assert_int_equal(convert_float_to_e4m3(nextafterf(middle, low)), v);
        assert_int_equal(convert_float_to_e4m3(nextafterf(middle, high)), v + 1);
    }
}

static void test_out_of_range(void **state)
{
    (void)state;
    assert_int_equal(convert_float_to_e4m3(1e30f), LARGEST);
    assert_int_equal(convert_float_to_e4m3(-INFINITY), LARGEST | 128);
    assert_int_equal(convert_float_to_e4m3(1e-30f), 0);
    assert_int_equal(convert_float_to_e4m3(NAN) & 127, NOT_A_NUMBER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_round_trip),
                                       cmocka_unit_test(test_rounding), cmocka_unit_test(test_out_of_range)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
