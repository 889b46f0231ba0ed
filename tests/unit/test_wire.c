/* test_wire.c - messages survive the journey, and bytes that are no message are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/link.h"
#include "common/wire.h"

static void fill_lease(Lease *l, LeaseKind kind)
{
    *l = (Lease){.kind = kind, .lease = 1ll << 40, .epoch = 3};
    memset(l->key, 'a', HASH_TEXT - 1);
    l->campaign_folder = text_copy("out/ü");
    l->clip_id = text_copy("kunde 1");
    l->shot = (ShotSpec){.prompt = text_copy("ein \"roter\" Ballon"),
                         .negative = text_copy(""),
                         .seed = UINT64_MAX,
                         .width = 64,
                         .height = 112,
                         .frames = 33,
                         .fps = 8,
                         .steps = 16,
                         .guidance = 4.5,
                         .guidance_2 = 0,
                         .flow_shift = 3.0,
                         .scheduler = "unipc"};
    l->spec = shot_to_json(&l->shot);
    if (kind == LEASE_FINISH) {
        l->stem = text_copy("kunde-1");
        l->finish = text_copy("{\"renditions\":[]}");
        l->clip_finish = text_copy("{\"label\":\"KI\"}");
        l->master.bytes = 1ll << 33;
        memset(l->master.sha256, 'c', HASH_TEXT - 1);
        return;
    }
    l->checkpoint_every = 5;
    l->mixed = 1;
    l->clip_count = 2;
    l->group = 12;
    l->member_count = 3;
    memcpy(l->member, (int[]){4, 9, 5}, 3 * sizeof(int));
    memset(l->model_hash, 'b', HASH_TEXT - 1);
    l->model_folder = text_copy("models/pocket");
}

static void fill_result(LeaseResult *r, LeaseKind kind)
{
    *r = (LeaseResult){.kind = kind,
                       .lease = 7,
                       .epoch = 2,
                       .err = ERR_NODE,
                       .disk_full = 1,
                       .encode_text_s = 0.25,
                       .denoise_s = 12.5,
                       .decode_s = 3,
                       .finish_s = 1e-3,
                       .steps_done = 11,
                       .steps_resumed = 5};
    memset(r->key, 'c', HASH_TEXT - 1);
    r->reason = text_copy("no space left");
    if (kind == LEASE_RENDER) {
        r->master.bytes = 1ll << 34;
        memset(r->master.sha256, 'e', HASH_TEXT - 1);
        return;
    }
    r->clip = (ClipResult){.clip_id = text_copy("x"),
                           .file = text_copy("clips/x.mp4"),
                           .thumbnail = text_copy("clips/x.png"),
                           .sheet = text_copy("clips/x.sheet.png"),
                           .document = text_copy("{\"files\":[]}"),
                           .duration_s = 4.125,
                           .width = 720,
                           .height = 1280,
                           .name_count = 2,
                           .name = memory_get(2, sizeof(char *))};
    memset(r->clip.sha256, 'd', HASH_TEXT - 1);
    r->clip.name[0] = text_copy("x.mp4");
    r->clip.name[1] = text_copy("x.png");
}

static LeaseKind of_kind; /* what leases and results that make_message makes are of */

static void make_message(WireKind kind, WireMessage *m)
{
    *m = (WireMessage){.kind = kind, .epoch = 9, .lease = -4};
    if (kind == WIRE_READY) {
        m->as.ready.host = text_copy("node-1");
        m->as.ready.pid = 4711;
        m->as.ready.threads = 8;
        m->as.ready.takes = 2;
        m->as.ready.tail = 17;
    }
    if (kind == WIRE_LEASE) fill_lease(&m->as.lease, of_kind);
    if (kind == WIRE_RESULT) fill_result(&m->as.result, of_kind);
    if (kind == WIRE_PROGRESS) {
        strcpy(m->as.progress.stage, "denoise");
        m->as.progress.done = 3;
        m->as.progress.total = 16;
    }
    if (kind == WIRE_STOP) m->as.stop = WIRE_STOP_PREEMPT;
}

static void test_every_kind_returns_as_it_was(void **state)
{
    (void)state;
    for (int i = 0; i < LEASE_KINDS * (WIRE_BYE + 1); i++) {
        const WireKind kind = (WireKind)(i / LEASE_KINDS);
        if (kind < WIRE_READY) continue;
        of_kind = (LeaseKind)(i % LEASE_KINDS);
        WireMessage m, back;
        unsigned char *data, *again;
        size_t bytes, again_bytes;
        make_message(kind, &m);
        wire_encode(&m, &data, &bytes);
        Status s = wire_decode(data, bytes, &back);
        assert_string_equal(s.message, "");
        assert_int_equal(back.kind, kind);
        assert_int_equal(back.epoch, 9);
        assert_int_equal(back.lease, -4);
        wire_encode(&back, &again, &again_bytes);
        assert_int_equal(bytes, again_bytes);
        assert_memory_equal(data, again, bytes);
        wire_clear(&m);
        wire_clear(&back);
        free(data);
        free(again);
    }
}

static void test_fields_of_a_lease_and_a_result(void **state)
{
    (void)state;
    WireMessage m, back;
    unsigned char *data;
    size_t bytes;
    of_kind = LEASE_RENDER;
    make_message(WIRE_LEASE, &m);
    wire_encode(&m, &data, &bytes);
    assert_int_equal(wire_decode(data, bytes, &back).err, OK);
    const Lease *l = &back.as.lease;
    assert_true(l->kind == LEASE_RENDER && l->lease == 1ll << 40 && l->shot.seed == UINT64_MAX && l->clip_count == 2);
    assert_string_equal(l->shot.prompt, "ein \"roter\" Ballon");
    assert_true(l->group == 12 && l->member_count == 3 && l->member[1] == 9);
    wire_clear(&m);
    wire_clear(&back);
    free(data);
    of_kind = LEASE_FINISH;
    make_message(WIRE_LEASE, &m);
    wire_encode(&m, &data, &bytes);
    assert_int_equal(wire_decode(data, bytes, &back).err, OK);
    assert_string_equal(l->finish, "{\"renditions\":[]}");
    assert_string_equal(l->clip_finish, "{\"label\":\"KI\"}");
    assert_string_equal(l->stem, "kunde-1");
    assert_true(l->kind == LEASE_FINISH && l->master.bytes == 1ll << 33 && l->shot.frames == 33);
    wire_clear(&m);
    wire_clear(&back);
    free(data);
    make_message(WIRE_RESULT, &m);
    wire_encode(&m, &data, &bytes);
    assert_int_equal(wire_decode(data, bytes, &back).err, OK);
    assert_true(back.as.result.err == ERR_NODE && back.as.result.disk_full == 1);
    assert_true(back.as.result.clip.duration_s == 4.125 && back.as.result.clip.name_count == 2);
    assert_string_equal(back.as.result.clip.name[1], "x.png");
    assert_string_equal(back.as.result.reason, "no space left");
    wire_clear(&m);
    wire_clear(&back);
    free(data);
}

static void test_every_truncation_is_refused(void **state)
{
    (void)state;
    for (int i = 0; i < LEASE_KINDS * (WIRE_BYE + 1); i++) {
        const WireKind kind = (WireKind)(i / LEASE_KINDS);
        if (kind < WIRE_READY) continue;
        of_kind = (LeaseKind)(i % LEASE_KINDS);
        WireMessage m, back;
        unsigned char *data;
        size_t bytes;
        make_message(kind, &m);
        wire_encode(&m, &data, &bytes);
        for (size_t n = 0; n < bytes; n++) {
            unsigned char *part = memory_get(n, 1); /* its own block, so that a sanitizer sees a read beyond it */
            memcpy(part, data, n);
            assert_int_equal(wire_decode(part, n, &back).err, ERR_INPUT);
            free(part);
        }
        wire_clear(&m);
        free(data);
    }
}

static void test_foreign_bytes_are_named(void **state)
{
    (void)state;
    WireMessage m, back;
    unsigned char *data;
    size_t bytes;
    make_message(WIRE_LEASE, &m);
    wire_encode(&m, &data, &bytes);
    data[4]++;
    assert_non_null(strstr(wire_decode(data, bytes, &back).message, "version 7, expected 6"));
    data[4]--, data[6] = 99;
    assert_non_null(strstr(wire_decode(data, bytes, &back).message, "unknown kind 99"));
    data[6] = WIRE_RESULT;
    assert_int_equal(wire_decode(data, bytes, &back).err, ERR_INPUT);
    data[0] = 'X';
    assert_non_null(strstr(wire_decode(data, bytes, &back).message, "not one of reelwright's"));
    wire_clear(&m);
    free(data);
}

static void test_a_count_larger_than_the_message(void **state)
{
    (void)state;
    WireMessage m = {.kind = WIRE_RESULT, .as.result.kind = LEASE_FINISH}, back;
    unsigned char *data;
    size_t bytes;
    m.as.result.reason = text_copy("");
    wire_encode(&m, &data, &bytes);
    memset(data + bytes - 8, 0x7f, 4); /* the number of files stands before the document, which is empty */
    assert_non_null(strstr(wire_decode(data, bytes, &back).message, "number of files"));
    wire_clear(&m);
    free(data);
}

static void test_local_link_loses_doubles_and_delays(void **state)
{
    (void)state;
    LocalNet *n =
        local_net_new(2, (LocalFaults){.seed = 5, .lose = 0.2, .duplicate = 0.2, .delay = 0.3, .delay_max = 5});
    int seen[200] = {0}, overtaken = 0, last = -1, lost = 0, doubled = 0;
    for (int i = 0; i < 200; i++) assert_int_equal(link_send(local_net_link(n, 1), 0, &i, sizeof i).err, OK);
    News news;
    for (int quiet = 0; quiet < 10; news_clear(&news)) { /* a delayed message comes after some silence */
        assert_int_equal(link_hear(local_net_link(n, 0), 0, &news).err, OK);
        quiet = news.kind == NEWS_NONE ? quiet + 1 : 0;
        if (quiet) continue;
        int i;
        memcpy(&i, news.data, sizeof i);
        if (i < last) overtaken++;
        last = i;
        seen[i]++;
    }
    for (int i = 0; i < 200; i++) {
        if (seen[i] == 0) lost++;
        if (seen[i] == 2) doubled++;
    }
    assert_in_range(lost, 1, 80);
    assert_in_range(doubled, 10, 80);
    assert_in_range(overtaken, 10, 150);
    local_net_kill(n, 1);
    assert_int_equal(link_hear(local_net_link(n, 0), 0, &news).err, OK);
    assert_int_equal(news.kind, NEWS_DEATH);
    assert_int_equal(link_hear(local_net_link(n, 0), 0, &news).err, OK);
    assert_int_equal(news.kind, NEWS_NONE);
    local_net_free(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_returns_as_it_was),
        cmocka_unit_test(test_fields_of_a_lease_and_a_result),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_foreign_bytes_are_named),
        cmocka_unit_test(test_a_count_larger_than_the_message),
        cmocka_unit_test(test_local_link_loses_doubles_and_delays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
