/* From frames to the files of a lease's clips. */
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
#include "worker/finish/finish.h"

enum { WIDTH = 64, HEIGHT = 112, FRAMES = 9 };
static const char folder[] = "test_finish.out";
static const char *const files[] = {"anna.mp4", "anna.small.mp4", "anna.twin.mp4", "anna.png", "anna.sheet.png",
                                    "jörg.mp4", "jörg.small.mp4", "jörg.twin.mp4", "jörg.png", "jörg.sheet.png"};
enum { FILE_COUNT = sizeof files / sizeof *files };

static Lease lease(void)
{
    static char finish[] =
        "{\"renditions\":["
        "{\"name\":\"reels\",\"width\":180,\"height\":320,\"crf\":20,\"preset\":\"veryfast\",\"max_kbps\":0},"
        "{\"name\":\"small\",\"width\":90,\"height\":160,\"crf\":24,\"preset\":\"veryfast\",\"max_kbps\":200},"
        "{\"name\":\"twin\",\"width\":180,\"height\":320,\"crf\":20,\"preset\":\"veryfast\",\"max_kbps\":0}]}";
    static ClipOrder clips[] = {{"1", "anna", ""}, {"2", "jörg", ""}};
    return (Lease){.lease = 7,
                   .campaign_folder = (char *)folder,
                   .shot = {.width = WIDTH, .height = HEIGHT, .frames = FRAMES, .fps = 8},
                   .finish = finish,
                   .clip_count = 2,
                   .clip = clips};
}

static Status put_frames(Finish *f, int count)
{
    static float rgb[2 * WIDTH * HEIGHT * 3];
    for (int i = 0; i < count;) {
        int n = i == 0 || count - i < 2 ? 1 : 2;
        for (int k = 0; k < n * WIDTH * HEIGHT * 3; k++) rgb[k] = (float)((k * 7 + i * 1000) % 9973) / 9973.0f;
        TRY(finish_put(f, rgb, n, HEIGHT, WIDTH));
        i += n;
    }
    return status_ok();
}

static Status finish_all(const Lease *l, LeaseResult *result)
{
    Finish *f;
    TRY(finish_begin(l, &f));
    Status status = put_frames(f, FRAMES);
    if (!failed(status)) return finish_end(&f, (Progress){0}, result);
    finish_abandon(&f);
    return status;
}

static void path_of(int i, char *path, size_t room) { snprintf(path, room, "%s/clips/%s", folder, files[i]); }

static void makes_every_file(void **state)
{
    (void)state;
    Lease l = lease();
    LeaseResult r = {0};
    char path[256], hash[HASH_TEXT];
    assert_string_equal(finish_all(&l, &r).message, "");
    for (int i = 0; i < FILE_COUNT; i++) {
        path_of(i, path, sizeof path);
        if (!file_exists(path)) fail_msg("%s is missing", path);
    }
    assert_int_equal(r.clip_count, 2);
    assert_string_equal(r.clip[1].clip_id, "2");
    assert_string_equal(r.clip[1].file, "clips/jörg.mp4");
    assert_string_equal(r.clip[1].thumbnail, "clips/jörg.png");
    assert_string_equal(r.clip[1].sheet, "clips/jörg.sheet.png");
    assert_int_equal(r.clip[0].width, 180);
    assert_int_equal(r.clip[0].height, 320);
    assert_true(r.clip[0].duration_s == 9.0 / 8);
    for (int i = 0; i < 2; i++) {
        path_of(FILE_COUNT / 2 * i, path, sizeof path);
        assert_int_equal(hash_file(path, hash).err, OK);
        assert_string_equal(hash, r.clip[i].sha256);
        path_of(FILE_COUNT / 2 * i + 2, path, sizeof path); /* the rendition with the same settings */
        assert_int_equal(hash_file(path, hash).err, OK);
        assert_string_equal(hash, r.clip[i].sha256);
    }
    lease_result_clear(&r);
}

/* A worker was lost after it had published files and before it could say so: the next one does it again. */
static void doing_it_again_changes_nothing(void **state)
{
    (void)state;
    Lease l = lease();
    LeaseResult r = {0};
    char path[256], first[FILE_COUNT][HASH_TEXT], again[HASH_TEXT];
    for (int round = 0; round < 3; round++) {
        assert_string_equal(finish_all(&l, &r).message, "");
        lease_result_clear(&r);
        for (int i = 0; i < FILE_COUNT; i++) {
            path_of(i, path, sizeof path);
            assert_int_equal(hash_file(path, round ? again : first[i]).err, OK);
            if (round) assert_string_equal(again, first[i]);
        }
    }
}

static void stops_without_half_a_file(void **state)
{
    (void)state;
    Lease l = lease();
    Finish *f;
    LeaseResult r = {0};
    char path[256];
    for (int i = 0; i < FILE_COUNT; i++) {
        path_of(i, path, sizeof path);
        unlink(path);
    }
    assert_int_equal(finish_begin(&l, &f).err, OK);
    assert_int_equal(put_frames(f, 3).err, OK);
    finish_abandon(&f);
    assert_null(f);
    snprintf(path, sizeof path, "%s/clips", folder);
    assert_int_equal(rmdir(path), 0); /* nothing is left in it */
    assert_int_equal(finish_begin(&l, &f).err, OK);
    assert_int_equal(put_frames(f, 3).err, OK); /* too few frames for the pictures */
    assert_int_equal(finish_end(&f, (Progress){0}, &r).err, ERR_CLIP);
    assert_int_equal(r.clip_count, 0);
    lease_result_clear(&r);
}

static Status stop_at_finish(void *self, const char *stage, int done, int total)
{
    (void)self, (void)done, (void)total;
    return strcmp(stage, "finish") == 0 ? status_fail(ERR_STOP, "told to stop") : status_ok();
}

static void can_be_stopped(void **state)
{
    (void)state;
    Lease l = lease();
    Finish *f;
    LeaseResult r = {0};
    assert_int_equal(finish_begin(&l, &f).err, OK);
    assert_int_equal(put_frames(f, FRAMES).err, OK);
    assert_int_equal(finish_end(&f, (Progress){stop_at_finish, NULL}, &r).err, ERR_STOP);
    assert_null(f);
    lease_result_clear(&r);
}

static void refuses_a_lease_without_clips(void **state)
{
    (void)state;
    Lease l = lease();
    Finish *f;
    l.clip_count = 0;
    assert_int_equal(finish_begin(&l, &f).err, ERR_INPUT);
    l = lease();
    *strstr(l.finish, "90,") = '9'; /* 99x160: no even width */
    strstr(l.finish, "90,")[1] = '9';
    assert_int_equal(finish_begin(&l, &f).err, ERR_INPUT);
    assert_null(f);
}

static int clean_up(void **state)
{
    (void)state;
    char path[256];
    for (int i = 0; i < FILE_COUNT; i++) {
        path_of(i, path, sizeof path);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/clips", folder);
    rmdir(path);
    rmdir(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_every_file),
        cmocka_unit_test(doing_it_again_changes_nothing),
        cmocka_unit_test(stops_without_half_a_file),
        cmocka_unit_test(can_be_stopped),
        cmocka_unit_test(refuses_a_lease_without_clips),
    };
    return cmocka_run_group_tests(tests, clean_up, clean_up);
}
