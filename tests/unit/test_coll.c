/* A group of one exchanges nothing; a back end that plans exchanges nothing but takes the memory; and what coll.c makes of a
 * home's calls: order, shares, the first failure, the end of the group. (Real ranks: tests/parity/test_ranks.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/coll.h"

static Backend *open_backend(bool plan)
{
    Backend *be;
    assert_int_equal(backend_open(&(BackendOptions){.kind = BACKEND_REF, .threads = 1, .plan = plan}, &be).err, OK);
    return be;
}

static Tensor counted(Backend *be, int64_t rows, int64_t columns)
{
    float v[256];
    for (int i = 0; i < rows * columns; i++) v[i] = (float)i;
    return backend_upload(be, v, 2, (int64_t[]){rows, columns});
}

static void a_group_of_one_changes_nothing(void **state)
{
    (void)state;
    Coll *c = coll_self();
    Backend *be = open_backend(false);
    Tensor x = counted(be, 3, 4);
    coll_sum(c, be, x);
    assert_ptr_equal(coll_columns(c, be, x).data, x.data);
    assert_ptr_equal(coll_to_heads(c, be, x, 3, 2).data, x.data);
    assert_ptr_equal(coll_to_tokens(c, be, x, 3, 2).data, x.data);
    assert_ptr_equal(coll_all_tokens(c, be, x, 3).data, x.data);
    assert_null(coll_sumsq(c, be, x, x).data);
    for (int i = 0; i < 12; i++) assert_float_equal(((float *)x.data)[i], (float)i, 0);
    int mine = 7, all = 0;
    assert_int_equal(coll_host_broadcast(c, &mine, sizeof mine, 0).err, OK);
    assert_int_equal(coll_host_gather(c, &mine, sizeof mine, &all).err, OK);
    assert_int_equal(all, 7);
    assert_int_equal(coll_agree(c, status_fail(ERR_CLIP, "no")).err, ERR_CLIP);
    coll_close(&c);
    assert_null(c);
    backend_close(&be);
}

static void shares_are_near_equal_and_cover_everything(void **state)
{
    (void)state;
    for (int size = 1; size <= 7; size++) {
        Coll *c = coll_planned(0, size);
        assert_int_equal(coll_first(c, 0, 30), 0);
        assert_int_equal(coll_first(c, size, 30), 30);
        for (int r = 0; r < size; r++)
            assert_in_range(coll_first(c, r + 1, 30) - coll_first(c, r, 30), 30 / size, 30 / size + 1);
        coll_close(&c);
    }
}

static void a_plan_has_the_shapes_and_the_memory(void **state)
{
    (void)state;
    Backend *be = open_backend(true);
    Coll *c = coll_planned(1, 3);
    Tensor x = backend_zeros(be, 2, (int64_t[]){10, 8}); /* 4 heads of 2; rank 1 of 3 has tokens 10/3.., heads 1.. */
    Tensor own = tensor_rows(x, 0, coll_first(c, 2, 10) - coll_first(c, 1, 10));
    Tensor h = coll_to_heads(c, be, own, 10, 4);
    assert_int_equal(h.dim[0], 10);
    assert_int_equal(h.dim[1], 2 * (coll_first(c, 2, 4) - coll_first(c, 1, 4)));
    Tensor t = coll_to_tokens(c, be, h, 10, 4);
    assert_int_equal(t.dim[0], own.dim[0]);
    assert_int_equal(t.dim[1], 8);
    assert_int_equal(coll_columns(c, be, x).dim[1], 24);
    assert_int_equal(coll_all_tokens(c, be, own, 10).dim[0], 10);
    assert_int_equal(coll_sumsq(c, be, x, x).dim[1], 10);
    assert_int_equal(backend_status(be).err, OK);
    assert_true(backend_peak_bytes(be) > 0);
    coll_close(&c);
    backend_close(&be);
}

/* ---- a home whose other ranks hold the same numbers ---- */

typedef struct {
    Status next; /* what the next call gives */
    int begun, waited, aborted;
    Tensor oldest[COLL_MAX_PENDING];
} Echo;

static Status echo_sum_begin(Coll *c, Backend *be, Tensor x)
{
    Echo *e = c->own;
    (void)be;
    if (failed(e->next)) return e->next;
    e->oldest[e->begun++ - e->waited] = x;
    return status_ok();
}

static Status echo_wait(Coll *c, Backend *be)
{
    Echo *e = c->own;
    (void)be;
    float *v = e->oldest[0].data;
    for (int64_t i = 0; i < tensor_count(e->oldest[0]); i++) v[i] *= (float)c->size;
    e->oldest[0] = e->oldest[1];
    e->waited++;
    return status_ok();
}

static void echo_abort(Coll *c) { ((Echo *)c->own)->aborted++; }

static const CollHome echo_home = {.name = "echo", .sum_begin = echo_sum_begin, .wait = echo_wait, .abort = echo_abort};

static void a_product_is_summed_in_pieces(void **state)
{
    (void)state;
    enum { ROWS = 1100, IN = 3, OUT = 2 };
    static float v[ROWS * IN];
    float weight[OUT * IN] = {1, 0, 0, 0, 1, 0};
    Echo echo = {.next = status_ok()};
    Coll *c = coll_new(&echo_home, 0, 2, &echo);
    Backend *be = open_backend(false);
    Linear w;
    assert_int_equal(linear_pack(be, tensor_view(weight, F32, 2, (int64_t[]){OUT, IN}), (Tensor){0}, &w).err, OK);
    for (int i = 0; i < ROWS * IN; i++) v[i] = (float)i;
    Tensor x = backend_upload(be, v, 2, (int64_t[]){ROWS, IN}), acc = backend_zeros(be, 2, (int64_t[]){ROWS, OUT});
    coll_linear_add(c, be, acc, x, &w, (Tensor){0});
    for (int i = 0; i < ROWS; i++) {
        assert_float_equal(((float *)acc.data)[OUT * i], 2 * v[IN * i], 0);
        assert_float_equal(((float *)acc.data)[OUT * i + 1], 2 * v[IN * i + 1], 0);
    }
    assert_int_equal(echo.begun, 4);
    assert_int_equal(echo.waited, 4);
    linear_free(be, &w);
    backend_close(&be);
    coll_close(&c);
}

static void a_failed_rank_ends_the_group(void **state)
{
    (void)state;
    Echo echo = {.next = status_ok()};
    Coll *c = coll_new(&echo_home, 0, 2, &echo), *part;
    Backend *be = open_backend(false);
    Tensor x = counted(be, 2, 2), y = counted(be, 1, 3);
    op_add_to(be, x, y, 1.0f); /* does not fit */
    assert_int_not_equal(backend_status(be).err, OK);
    coll_sum(c, be, x);
    assert_int_equal(echo.begun, 0);
    assert_int_equal(echo.aborted, 1);
    assert_true(coll_is_aborted(c));
    backend_clear(be);
    coll_sum(c, be, x);
    assert_int_equal(backend_status(be).err, ERR_RETRY);
    assert_int_equal(coll_agree(c, status_ok()).err, ERR_RETRY);
    assert_int_equal(coll_agree(c, status_fail(ERR_CLIP, "mine")).err, ERR_CLIP);
    assert_int_equal(coll_part(c, (int[]){0, 1}, 2, &part).err, OK);
    assert_ptr_equal(part, c);
    assert_int_equal(echo.aborted, 1);
    coll_close(&c);
    backend_close(&be);
}

static void a_failed_call_is_the_back_ends_failure(void **state)
{
    (void)state;
    Echo echo = {.next = {ERR_RETRY, "rank 1 died"}};
    Coll *c = coll_new(&echo_home, 0, 2, &echo);
    Backend *be = open_backend(false);
    coll_sum(c, be, counted(be, 2, 2));
    assert_int_equal(backend_status(be).err, ERR_RETRY);
    assert_string_equal(backend_status(be).message, "rank 1 died");
    assert_int_equal(echo.aborted, 1);
    coll_close(&c);
    backend_close(&be);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_of_one_changes_nothing),
        cmocka_unit_test(shares_are_near_equal_and_cover_everything),
        cmocka_unit_test(a_plan_has_the_shapes_and_the_memory),
        cmocka_unit_test(a_product_is_summed_in_pieces),
        cmocka_unit_test(a_failed_rank_ends_the_group),
        cmocka_unit_test(a_failed_call_is_the_back_ends_failure),
    };
    return cmocka_run_group_tests_name("coll", tests, NULL, NULL);
}
