/* A trace keeps names, shapes and types; noise files are read or refused with both shapes named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "worker/render/trace.h"

static const char path[] = "test_trace.h5";
static const int64_t dim[4] = {2, 1, 2, 3}, batched[5] = {1, 2, 1, 2, 3};
static const float values[12] = {0.5f, -1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

static void write_noise(const char *dtype, int ndim, const int64_t *shape, const void *data)
{
    TraceFile *t;
    assert_int_equal(trace_open(path, false, &t).err, OK);
    trace_sink(t)->put(trace_sink(t)->self, "noise", dtype, data, ndim, shape);
    assert_int_equal(trace_close(&t).err, OK);
    assert_null(t);
}

static void reads_the_noise_that_was_written(void **state)
{
    (void)state;
    float *noise;
    write_noise("f32", 4, dim, values);
    assert_string_equal(trace_read_noise(path, dim, &noise).message, "");
    assert_memory_equal(noise, values, sizeof values);
    free(noise);
    write_noise("f32", 5, batched, values);
    assert_string_equal(trace_read_noise(path, dim, &noise).message, "");
    assert_memory_equal(noise, values, sizeof values);
    free(noise);
}

static void refuses_other_noise(void **state)
{
    (void)state;
    float *noise;
    float bad[12] = {0};
    const int64_t ids[12] = {0}, other[4] = {2, 1, 3, 2};
    write_noise("f32", 4, other, values);
    assert_string_equal(trace_read_noise(path, dim, &noise).message,
                        "test_trace.h5: /noise is [2,1,3,2], expected [2,1,2,3]");
    write_noise("i64", 4, dim, ids);
    assert_non_null(strstr(trace_read_noise(path, dim, &noise).message, "no floating-point numbers"));
    bad[5] = (float)(1e300 * 1e300);
    write_noise("f32", 4, dim, bad);
    assert_non_null(strstr(trace_read_noise(path, dim, &noise).message, "not finite"));
    assert_int_equal(file_replace(path, "no", 2).err, OK);
    assert_int_equal(trace_read_noise(path, dim, &noise).err, ERR_INPUT);
    assert_int_equal(trace_read_noise("missing.h5", dim, &noise).err, ERR_INPUT);
}

static void keeps_first_values(void **state)
{
    (void)state;
    TraceFile *t;
    float *noise;
    const float other[12] = {0};
    const int64_t scalar = 7;
    assert_int_equal(trace_open(path, true, &t).err, OK);
    const Trace *sink = trace_sink(t);
    assert_true(sink->blocks);
    sink->put(sink->self, "step.0.timestep", "i64", &scalar, 0, NULL);
    sink->put(sink->self, "noise", "f32", values, 4, dim);
    sink->put(sink->self, "noise", "f32", other, 4, dim);
    assert_int_equal(trace_close(&t).err, OK);
    assert_int_equal(trace_read_noise(path, dim, &noise).err, OK);
    assert_memory_equal(noise, values, sizeof values);
    free(noise);
}

static void says_when_it_cannot_be_written(void **state)
{
    (void)state;
    TraceFile *t;
    Status s = trace_open("no/such/folder/t.h5", false, &t);
    assert_int_equal(s.err, ERR_INPUT);
    assert_non_null(strstr(s.message, "no/such/folder/t.h5"));
    assert_null(t);
}

static int remove_file(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_noise_that_was_written),
        cmocka_unit_test(refuses_other_noise),
        cmocka_unit_test(keeps_first_values),
        cmocka_unit_test(says_when_it_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, remove_file);
}
