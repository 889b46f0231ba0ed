/* test_record.c - what nights have taken, from a ledger to a record: memory by the stage that it grew in, workers of each host, groups, parts of a finish, sizes; and
 * the record as a file and back, with what was measured beside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "coordinator/plan/record.h"
#include "ledger_fixture.h"

/* A render, and the finish of its first clip, by the worker. */
static void work(Ledger *l, int64_t shot, const char *worker, double at_s, const char *rendered, const char *finished)
{
    Lease lease;
    bool gone;
    assert_good(ledger_begin(l, at_s));
    assert_good(ledger_give_render(l, shot, worker, &lease));
    assert_good(ledger_commit(l));
    LeaseResult r = fixture_render_result(&lease);
    r.encode_text_s = 1, r.denoise_s = 5, r.decode_s = 2;
    r.figures = text_copy(rendered);
    assert_good(ledger_begin(l, at_s + 10));
    assert_good(ledger_take_result(l, &r, &gone));
    lease_clear(&lease);
    int64_t of;
    assert_good(ledger_give_finish(l, 2 * shot, worker, &lease, &of));
    assert_good(ledger_commit(l));
    lease_result_clear(&r);
    r = fixture_finish_result(&lease);
    r.figures = text_copy(finished);
    free(r.clip.document);
    r.clip.document = text_copy("{\"files\": [{\"name\": \"a\", \"bytes\": 100}, {\"name\": \"b\", \"bytes\": 50}]}");
    assert_good(ledger_begin(l, at_s + 14));
    assert_good(ledger_take_result(l, &r, &gone));
    assert_good(ledger_commit(l));
    lease_result_clear(&r);
    lease_clear(&lease);
}

static void sit_down(Ledger *l, int rank, const char *host, int takes)
{
    const WorkerLine w = {.rank = rank,
                          .host = host,
                          .state = "gone",
                          .stage = "",
                          .clip = "",
                          .lease = 0,
                          .shot = -1,
                          .takes = takes,
                          .heard_s = 200};
    assert_good(ledger_begin(l, 200));
    assert_good(ledger_note_worker(l, &w));
    assert_good(ledger_commit(l));
}

static void from_a_ledger(void **state)
{
    (void)state;
    const int both = 1 << LEASE_RENDER | 1 << LEASE_FINISH, finishes = 1 << LEASE_FINISH;
    Fixture f = open_fixture(6, 2);
    Record r;
    work(f.ledger, 0, "n1:1", 110,
         "{\"peak\":{\"start\":100,\"load\":700,\"text\":800},\"ranks\":2,\"first_frame_s\":6.5}",
         "{\"peak\":{\"finish\":1000},\"gates_s\":0.5}");
    work(f.ledger, 1, "n1:1", 130, "{\"peak\":{\"denoise\":1500},\"ranks\":2,\"first_frame_s\":6}",
         "{\"gates_s\":0.7,\"credentials_s\":0.2}");
    work(f.ledger, 2, "n2:3", 112, "{\"peak\":{\"start\":100,\"load\":900},\"ranks\":2,\"first_frame_s\":7}", "");
    sit_down(f.ledger, 1, "n1", both);
    sit_down(f.ledger, 2, "n1", both);
    sit_down(f.ledger, 3, "n2", both);
    sit_down(f.ledger, 4, "n2", both);
    sit_down(f.ledger, 5, "n2", finishes);
    ledger_close(&f.ledger);
    record_begin(&r);
    assert_good(record_add_folder(f.folder, 60, &r));
    record_settle(&r);
    assert_int_equal(r.nodes, 2);
    assert_int_equal(r.workers, 2);
    assert_int_equal(r.finishers, 1);
    assert_int_equal(r.group_size, 2);
    assert_true(r.both);
    assert_int_equal(r.renderer_bytes, 1500);
    assert_int_equal(json_integer_value(json_object_get(r.memory_added, "start")), 100);
    assert_int_equal(json_integer_value(json_object_get(r.memory_added, "load")), 600);
    assert_int_equal(json_integer_value(json_object_get(r.memory_added, "finish")), 200);
    assert_int_equal(json_integer_value(json_object_get(r.memory_added, "denoise")), 500);
    assert_null(json_object_get(r.memory_added, "decode")); /* it did not grow there */
    assert_float_equal(r.gates_s, 0.6, 1e-9);
    assert_float_equal(r.credentials_s, 0.2, 1e-9);
    assert_float_equal(r.watermark_s, 0, 1e-9);
    assert_int_equal(r.first_frame.count, 3);
    assert_float_equal(json_number_value(json_object_get(json_array_get(r.nights, 0), "first_frame_s")), 16.5,
                       1e-9); /* 110 + 6.5, planned at 100 */
    assert_float_equal(r.clip_bytes, 150, 1e-9);
    record_clear(&r);
    f.ledger = NULL;
    close_fixture(&f);
}

static void as_a_file_and_back(void **state)
{
    (void)state;
    static const char file[] = "test_record.json";
    Record r, back;
    record_begin(&r);
    r.workers = 2, r.group_size = 1, r.renderer_bytes = 5000000000, r.finisher_bytes = 7, r.master_bytes = 8.5,
    r.clip_bytes = 9, r.checkpoint_bytes = 10, r.gates_s = 0.25;
    json_object_set_new(r.memory_added, "load", json_integer(42));
    r.roofline = json_pack("{s:i}", "threads", 3);
    Record *other = record_add_other(&r);
    other->workers = 4, other->group_size = 2;
    const Record *const all[] = {&r, other};
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 6; k++) {
            Record *to = i ? other : &r;
            measured_add(&to->load, 1), measured_add(&to->render, 10 * (i + 1)), measured_add(&to->finish, 2),
                measured_add(&to->first_frame, 3);
        }
    assert_ptr_equal(record_of(&r, 0), all[0]);
    assert_ptr_equal(record_of(&r, 1), all[1]);
    assert_null(record_of(&r, 2));
    assert_good(record_write(&r, file));
    assert_good(record_read(file, &back));
    assert_int_equal(back.renderer_bytes, 5000000000);
    assert_int_equal(back.finisher_bytes, 7);
    assert_int_equal(json_integer_value(json_object_get(back.memory_added, "load")), 42);
    assert_true(back.master_bytes + back.clip_bytes + back.checkpoint_bytes == 27.5);
    assert_float_equal(back.gates_s, 0.25, 1e-9);
    assert_int_equal(json_integer_value(json_object_get(back.roofline, "threads")), 3);
    assert_null(back.network); /* not measured */
    assert_true(back.measured_s > 1.7e9);
    assert_int_equal(back.other_count, 1);
    assert_int_equal(back.other[0].workers, 4);
    assert_int_equal(back.other[0].group_size, 2);
    assert_float_equal(measured_quantile(&back.other[0].render, 0.5), 20, 1e-9);
    assert_int_equal(back.first_frame.count, 6);
    record_clear(&back);
    record_clear(&r);
}

static void energy_of_nights(void **state)
{
    (void)state;
    Record r;
    record_begin(&r);
    r.workers = 1;
    for (int i = 0; i < 2; i++) {
        json_array_append_new(r.nights, json_pack("{s:f, s:i, s:i}", "wall_s", 100.0, "shots", 1, "clips", 50));
        record_add_energy(&r, 5000, i == 0 ? 20000 : 0);
    }
    assert_float_equal(record_watts(&r).processors, 50, 1e-9);
    assert_float_equal(record_watts(&r).gpus, 0, 1e-9); /* of one night of two nobody knows it */
    assert_float_equal(record_watts_known(&r), 50, 1e-9);
    json_object_set_new(r.work, "backend", json_string("cuda"));
    assert_float_equal(record_watts_known(&r), 0, 1e-9); /* without the GPUs that did the work it is no figure */
    record_add_energy(&r, 5000, 20000);
    assert_float_equal(record_watts_known(&r), 250, 1e-9);
    assert_float_equal(record_rates(&r).kwh, 50 / 100.0 * 3600 * 1000 / 250, 1e-6);
    record_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(from_a_ledger), cmocka_unit_test(as_a_file_and_back),
                                       cmocka_unit_test(energy_of_nights)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
