/* A lease from beginning to end on a small model: files, results, doing it again, and what goes wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/log.h"
#include "common/moment.h"
#include "common/provoke.h"
#include "worker/render/worker.h"

enum { STEPS = 3 };
static const char folder[] = "test_worker.out", model_folder[] = SOURCE_DIR "/tests/parity/fixtures/t2v-0/model";
static Worker *worker;
static char documents[] = "{\"renditions\":[{\"name\":\"preview\",\"width\":96,\"height\":64,\"crf\":24,\"preset\":"
                          "\"veryfast\",\"max_kbps\":0}]}";
static Lease lease; /* the render */

static char *path_of(const char *name) { return path_join(folder, name); }

static void assert_done(const LeaseResult *r, int resumed)
{
    assert_string_equal(r->reason, "");
    assert_int_equal(r->err, OK);
    assert_int_equal(r->lease, 5);
    assert_int_equal(r->epoch, 2);
    assert_string_equal(r->key, lease.key);
    assert_int_equal(r->steps_resumed, resumed);
    assert_int_equal(r->steps_done, STEPS - resumed);
    char hash[HASH_TEXT], *name = text_format("work/5/%s.mkv", lease.key), *file = path_of(name);
    int64_t bytes;
    assert_int_equal(hash_file(file, hash).err, OK);
    assert_int_equal(file_size(file, &bytes).err, OK);
    assert_string_equal(hash, r->master.sha256);
    assert_int_equal(bytes, r->master.bytes);
    free(name);
    free(file);
}

/* As the coordinator does with a result. */
static void adopt_master(void)
{
    char *from = text_format("%s/work/5/%s.mkv", folder, lease.key),
         *to = text_format("%s/masters/%s.mkv", folder, lease.key), *masters = path_of("masters");
    assert_int_equal(file_make_folders(masters).err, OK);
    assert_int_equal(rename(from, to), 0);
    free(from);
    free(to);
    free(masters);
}

static Lease finish_of(const LeaseResult *render, int64_t number, char *stem)
{
    Lease l = lease;
    l.kind = LEASE_FINISH;
    l.lease = number;
    l.clip_id = stem;
    l.stem = stem;
    l.finish = documents;
    l.clip_finish = (char *)(uintptr_t) "";
    l.master = render->master;
    return l;
}

static void renders_and_again_from_its_checkpoint(void **state)
{
    (void)state;
    LeaseResult first, again;
    worker_do_lease(worker, &lease, (Progress){0}, &first);
    assert_done(&first, 0);
    assert_true(first.denoise_s > 0 && first.decode_s > 0);
    worker_do_lease(worker, &lease, (Progress){0}, &again);
    assert_done(&again, STEPS);
    assert_string_equal(first.master.sha256, again.master.sha256);
    lease_result_clear(&first);
    lease_result_clear(&again);
}

static void finishes_a_clip_of_what_it_rendered(void **state)
{
    (void)state;
    LeaseResult render, r;
    worker_do_lease(worker, &lease, (Progress){0}, &render);
    adopt_master();
    char anna[] = "anna";
    Lease finish = finish_of(&render, 6, anna);
    worker_do_lease(worker, &finish, (Progress){0}, &r);
    assert_string_equal(r.reason, "");
    assert_true(r.kind == LEASE_FINISH && r.err == OK && r.lease == 6 && r.finish_s > 0);
    char hash[HASH_TEXT], *file = path_of("work/6/anna.mp4");
    assert_int_equal(hash_file(file, hash).err, OK);
    assert_string_equal(hash, r.clip.sha256);
    free(file);
    lease_result_clear(&r);
    finish.lease = 7; /* and without its master, or with another one */
    finish.master.sha256[0] ^= 1;
    worker_do_lease(worker, &finish, (Progress){0}, &r);
    assert_true(r.err == ERR_RETRY && r.master_bad == 1 && r.clip.name_count == 0);
    lease_result_clear(&r);
    finish = finish_of(&render, 8, anna);
    finish.finish = (char *)(uintptr_t) "{}";
    worker_do_lease(worker, &finish, (Progress){0}, &r);
    assert_true(r.err == ERR_FATAL && r.master_bad == 0);
    assert_non_null(strstr(r.reason, "damaged \"renditions\""));
    lease_result_clear(&r);
    lease_result_clear(&render);
}

static Status stop_at(void *self, const char *stage, int done, int total)
{
    (void)done, (void)total;
    return strcmp(stage, self) == 0 ? status_fail(ERR_STOP, "told to stop") : status_ok();
}

static void reports_a_stop_in_any_stage(void **state)
{
    static char stage[][8] = {"load", "text", "denoise", "decode"};
    (void)state;
    char *checkpoint = text_format("%s/latents/%s.h5", folder, lease.key);
    unlink(checkpoint);
    free(checkpoint);
    for (int i = 0; i < 4; i++) {
        LeaseResult r;
        worker_do_lease(worker, &lease, (Progress){stop_at, stage[i]}, &r);
        assert_int_equal(r.err, ERR_STOP);
        assert_string_equal(r.reason, "told to stop");
        assert_int_equal(r.master.bytes, 0);
        lease_result_clear(&r);
    }
    LeaseResult r;
    worker_do_lease(worker, &lease, (Progress){0}, &r);
    assert_done(&r, STEPS);
    lease_result_clear(&r);
}

static void says_what_went_wrong(void **state)
{
    (void)state;
    LeaseResult r;
    Lease bad = lease;
    bad.model_hash[0] ^= 1;
    worker_do_lease(worker, &bad, (Progress){0}, &r);
    assert_int_equal(r.err, ERR_NODE);
    assert_non_null(strstr(r.reason, "not the model of the campaign"));
    lease_result_clear(&r);
    bad = lease;
    bad.model_folder = "missing";
    worker_do_lease(worker, &bad, (Progress){0}, &r);
    assert_true(r.err != OK && strstr(r.reason, "missing"));
    lease_result_clear(&r);
    bad = lease;
    bad.campaign_folder = "/proc/no";
    worker_do_lease(worker, &bad, (Progress){0}, &r);
    assert_true(r.err != OK && strstr(r.reason, "/proc/no"));
    lease_result_clear(&r);
    worker_do_lease(worker, &lease, (Progress){0}, &r); /* and goes on with the next one */
    assert_done(&r, STEPS);
    lease_result_clear(&r);
}

/* ---- the end of a render beside the next lease ---- */

/* To be reported as that of `l`, by the tail. l stays where it is until then. */
static void leave(const Lease *l)
{
    LeaseResult none;
    Diary diary = {0};
    assert_true(worker_begin_lease(worker, l, (Progress){0}, &none));
    assert_true(worker_has_tail(worker));
    worker_leave_tail(worker, l, &diary);
}

static void wait_for_tail(LeaseResult *r)
{
    while (!worker_take_tail(worker, r)) moment_sleep_ms(1);
}

static void decodes_beside_the_next_lease(void **state)
{
    (void)state;
    LeaseResult alone, tail, next;
    Lease other = lease;
    other.lease = 9;
    other.shot.seed = 4;
    shot_key(&other.shot, other.model_hash, other.key);
    worker_do_lease(worker, &lease, (Progress){0}, &alone);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(provoke_order(i == 1 ? "at=decode,step=1,do=sleep,ms=50" : "").err,
                         OK); /* longer than the other lease, or not */
        leave(&lease);
        worker_do_lease(worker, &other, (Progress){0}, &next);
        wait_for_tail(&tail);
        assert_done(&tail, STEPS);
        assert_string_equal(tail.master.sha256, alone.master.sha256);
        assert_true(next.err == OK && next.lease == 9 && strcmp(next.key, other.key) == 0);
        assert_string_not_equal(next.master.sha256, alone.master.sha256);
        lease_result_clear(&tail);
        lease_result_clear(&next);
    }
    provoke_order("");
    lease_result_clear(&alone);
}

static void a_tail_can_be_stopped_and_can_fail(void **state)
{
    (void)state;
    LeaseResult r;
    TailNews news = {0};
    assert_int_equal(provoke_order("at=decode,step=1,do=hold,until=nobody makes this").err, OK);
    leave(&lease);
    while (!worker_hear_tail(worker, &news) || news.done < 1) moment_sleep_ms(1);
    assert_string_equal(news.stage, "decode");
    assert_false(worker_take_tail(worker, &r));
    worker_stop_tail(worker, "given away");
    wait_for_tail(&r);
    assert_true(r.err == ERR_STOP && r.master.bytes == 0 && r.steps_resumed == STEPS);
    assert_string_equal(r.reason, "given away");
    lease_result_clear(&r);
    assert_int_equal(provoke_order("at=decode,step=1,do=fail.clip").err, OK);
    leave(&lease);
    wait_for_tail(&r);
    assert_int_equal(r.err, ERR_CLIP);
    lease_result_clear(&r);
    assert_int_equal(provoke_order("").err, OK);
    leave(&lease);
    wait_for_tail(&r);
    assert_done(&r, STEPS);
    lease_result_clear(&r);
}

static void a_worker_can_end_while_it_decodes(void **state)
{
    (void)state;
    const BackendOptions o = {.kind = BACKEND_CPU, .compute = F32, .threads = 1};
    assert_int_equal(provoke_order("at=decode,step=0,do=hold,until=nobody makes this").err, OK);
    leave(&lease);
    worker_free(&worker);
    assert_int_equal(provoke_order("").err, OK);
    worker = worker_new(&o);
}

static int open_all(void **state)
{
    (void)state;
    const BackendOptions o = {.kind = BACKEND_CPU, .compute = F32, .threads = 1};
    worker = worker_new(&o);
    lease = (Lease){.lease = 5,
                    .epoch = 2,
                    .model_folder = (char *)(uintptr_t)model_folder,
                    .campaign_folder = (char *)(uintptr_t)folder,
                    .shot = {.prompt = "a red cat",
                             .negative = "",
                             .seed = 3,
                             .width = 48,
                             .height = 32,
                             .frames = 5,
                             .fps = 8,
                             .steps = STEPS,
                             .guidance = 3,
                             .flow_shift = 3,
                             .scheduler = "unipc"},
                    .clip_count = 2};
    if (failed(model_config_hash(model_folder, lease.model_hash))) return 1;
    shot_key(&lease.shot, lease.model_hash, lease.key);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    worker_free(&worker);
    file_remove_tree(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renders_and_again_from_its_checkpoint), cmocka_unit_test(finishes_a_clip_of_what_it_rendered),
        cmocka_unit_test(reports_a_stop_in_any_stage),           cmocka_unit_test(says_what_went_wrong),
        cmocka_unit_test(decodes_beside_the_next_lease),         cmocka_unit_test(a_tail_can_be_stopped_and_can_fail),
        cmocka_unit_test(a_worker_can_end_while_it_decodes),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
