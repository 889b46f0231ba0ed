/* test_lookup.c - finding numbered things by their hashes, and rows that are alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "coordinator/campaign/alike.h"

enum { COUNT = 5000 };

static bool finds(const Lookup *l, uint64_t hash, int64_t number)
{
    size_t at = 0;
    for (int64_t i; (i = lookup_next(l, hash, &at)) >= 0;)
        if (i == number) return true;
    return false;
}

/* Whatever the hashes are: each thing is found by its own, as often as it was added, and nothing is found that was not. */
static void everything_is_found(uint64_t (*hash_of)(int64_t))
{
    Lookup l = {0};
    assert_false(finds(&l, hash_of(0), 0));
    for (int64_t i = 0; i < COUNT; i++) {
        assert_false(finds(&l, hash_of(i), i));
        lookup_add(&l, hash_of(i), i);
    }
    assert_int_equal(l.count, COUNT);
    for (int64_t i = 0; i < COUNT; i++) {
        assert_true(finds(&l, hash_of(i), i));
        assert_false(finds(&l, hash_of(i), i + COUNT));
    }
    lookup_clear(&l);
    assert_null(l.slot);
}

static uint64_t of_text(int64_t i)
{
    char text[24];
    snprintf(text, sizeof text, "r%lld", (long long)i);
    return lookup_hash(0, text, strlen(text));
}
static uint64_t all_alike(int64_t i) { return (void)i, UINT64_MAX; }
static uint64_t lower_half(int64_t i) { return (uint64_t)i; }
static uint64_t upper_half(int64_t i) { return (uint64_t)i << 32; }

static void test_all_found(void **state)
{
    (void)state;
    everything_is_found(of_text);
    everything_is_found(all_alike);
    everything_is_found(lower_half);
    everything_is_found(upper_half);
}

/* Short texts that differ in one letter anywhere have other hashes, in the half that says where they belong. */
static void test_hash(void **state)
{
    (void)state;
    Lookup l = {0};
    int alike = 0;
    for (int64_t i = 0; i < COUNT; i++) {
        size_t at = 0;
        alike += lookup_next(&l, of_text(i), &at) >= 0;
        lookup_add(&l, of_text(i), i);
    }
    assert_in_range(alike, 0, 1); /* by chance 0.003 of 5000 */
    lookup_clear(&l);
    assert_true(lookup_hash(0, "ab", 2) != lookup_hash(0, "ab", 1));
    assert_true(lookup_hash(lookup_hash(0, "a", 1), "b", 1) != lookup_hash(lookup_hash(0, "", 0), "ab", 2));
    assert_true(lookup_hash(0, "\0", 1) != lookup_hash(0, "", 0));
}

/* The second and the third column count: ("a", "bc") is not ("ab", "c"). */
static void test_alike(void **state)
{
    (void)state;
    static const char text[] = "id,x,y,z\n1,a,bc,1\n2,ab,c,2\n3,a,bc,3\n4,,abc,4\n5,ab,c,5\n6,A,bc,6\n";
    static const int64_t kind[] = {0, 1, 0, 2, 1, 3}, first[] = {0, 1, 3, 5};
    static const int column[] = {1, 2};
    Customers c;
    Faults *faults = faults_new();
    customers_parse_csv("c.csv", text, sizeof text - 1, NULL, faults, &c);
    Alike a = {.customers = &c, .column = column, .column_count = 2}, all = {.customers = &c};
    for (int64_t row = 0; row < c.row_count; row++) {
        assert_int_equal(alike_kind(&a, row), kind[row]);
        assert_int_equal(alike_kind(&all, row), 0); /* no column: all are alike */
    }
    assert_int_equal(c.row_count, 6);
    assert_int_equal(a.count, 4);
    assert_memory_equal(a.first, first, sizeof first);
    alike_clear(&a);
    alike_clear(&all);
    customers_free(&c);
    faults_free(&faults);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_found), cmocka_unit_test(test_hash),
                                       cmocka_unit_test(test_alike)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
