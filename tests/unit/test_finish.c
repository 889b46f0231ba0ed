/* One clip of a master: its files, their bytes whatever the threads, the links to the last one's, and what goes wrong. */
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
#include "worker/finish/again.h"

enum { WIDTH = 64, HEIGHT = 112, FRAMES = 9, SIZE = WIDTH * HEIGHT * 3 };
static const char folder[] = "test_finish.out", master[] = "test_finish.out/master.mkv";
static const char *const ending[] = {"mp4", "small.mp4", "twin.mp4", "png", "sheet.png"};
enum { FILE_COUNT = sizeof ending / sizeof *ending };
static const char documents[] =
    "{\"renditions\":["
    "{\"name\":\"reels\",\"width\":180,\"height\":320,\"crf\":20,\"preset\":\"veryfast\",\"max_kbps\":0},"
    "{\"name\":\"small\",\"width\":90,\"height\":160,\"crf\":24,\"preset\":\"veryfast\",\"max_kbps\":200},"
    "{\"name\":\"twin\",\"width\":180,\"height\":320,\"crf\":20,\"preset\":\"veryfast\",\"max_kbps\":0}]}";
static const ShotSpec shot = {.width = WIDTH, .height = HEIGHT, .frames = FRAMES, .fps = 8};
static FinishSpec spec;
static MasterFile known;

#define assert_good(expr)                                                                                              \
    do {                                                                                                               \
        Status good_ = (expr);                                                                                         \
        if (failed(good_)) fail_msg("%s: %s", #expr, good_.message);                                                   \
    } while (0)

static void fill(float *rgb, int frame)
{
    for (int k = 0; k < SIZE; k++) rgb[k] = (float)((k * 7 + frame * 1000) % 9973) / 9973.0f;
}

static FinishJob job_of(const char *stem, int threads)
{
    return (FinishJob){.clip_id = "7",
                       .stem = stem,
                       .shot = &shot,
                       .spec = &spec,
                       .master = master,
                       .folder = folder,
                       .threads = threads};
}

static char *file_of(const char *stem, int i) { return text_format("%s/%s.%s", folder, stem, ending[i]); }

static void hashes_of(const char *stem, char hash[FILE_COUNT][HASH_TEXT])
{
    for (int i = 0; i < FILE_COUNT; i++) {
        char *path = file_of(stem, i);
        assert_good(hash_file(path, hash[i]));
        free(path);
    }
}

static void remove_files(const char *stem)
{
    for (int i = 0; i < FILE_COUNT; i++) {
        char *path = file_of(stem, i);
        unlink(path);
        free(path);
    }
}

static void makes_every_file(void **state)
{
    (void)state;
    FinishJob job = job_of("jörg", 1);
    ClipResult r;
    bool bad = true;
    char hash[FILE_COUNT][HASH_TEXT];
    assert_good(finish_clip(&job, (Progress){0}, &r, &bad));
    assert_false(bad);
    hashes_of("jörg", hash);
    assert_string_equal(r.clip_id, "7");
    assert_string_equal(r.file, "clips/jörg.mp4");
    assert_string_equal(r.thumbnail, "clips/jörg.png");
    assert_string_equal(r.sheet, "clips/jörg.sheet.png");
    assert_string_equal(r.sha256, hash[0]);
    assert_string_equal(hash[2], hash[0]); /* the rendition with the same settings */
    assert_true(r.width == 180 && r.height == 320 && r.duration_s == 9.0 / 8);
    assert_int_equal(r.name_count, FILE_COUNT);
    json_t *document = json_loads(r.document, 0, NULL), *files = json_object_get(document, "files"), *item;
    size_t i;
    assert_int_equal(json_array_size(files), FILE_COUNT);
    json_array_foreach(files, i, item)
    {
        int k = 0;
        while (k < FILE_COUNT && !strstr(json_string_value(json_object_get(item, "sha256")), hash[k])) k++;
        assert_true(k < FILE_COUNT); /* each file with the hash of one that is there */
        assert_true(json_integer_value(json_object_get(item, "bytes")) > 100);
        assert_string_equal(json_string_value(json_object_get(item, "name")), r.name[i]);
    }
    json_decref(document);
    clip_result_clear(&r);
    remove_files("jörg");
}

/* A finisher was lost after it had written files: the next one does it again. Another machine has other threads. */
static void the_same_bytes_whatever_the_threads(void **state)
{
    (void)state;
    char first[FILE_COUNT][HASH_TEXT], again[FILE_COUNT][HASH_TEXT];
    static const int threads[] = {1, 1, 2, 3, 7};
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        FinishJob job = job_of("anna", threads[i]);
        ClipResult r;
        bool bad;
        assert_good(finish_clip(&job, (Progress){0}, &r, &bad));
        hashes_of("anna", i ? again : first);
        if (i) assert_memory_equal(first, again, sizeof first);
        clip_result_clear(&r);
    }
    remove_files("anna");
}

static void leaves_no_half_a_file(void **state)
{
    (void)state;
    static float rgb[SIZE];
    FinishJob job = job_of("ben", 2);
    Finish *f;
    ClipResult r;
    fill(rgb, 0);
    assert_good(finish_begin(&job, &f));
    assert_good(finish_put(f, rgb, 1, HEIGHT, WIDTH));
    finish_abandon(&f);
    assert_null(f);
    assert_good(finish_begin(&job, &f));
    assert_good(finish_put(f, rgb, 1, HEIGHT, WIDTH)); /* too few frames for the pictures */
    assert_int_equal(finish_end(&f, &r).err, ERR_CLIP);
    assert_null(f);
    clip_result_clear(&r);
    char *path = file_of("ben", 3);
    assert_false(file_exists(path));
    free(path);
    remove_files("ben");
}

static Status stop_at_frame_4(void *self, const char *stage, int done, int total)
{
    assert_string_equal(stage, "finish");
    assert_int_equal(total, FRAMES);
    *(int *)self = done;
    return done >= 4 ? status_fail(ERR_STOP, "told to stop") : status_ok();
}

static void can_be_stopped(void **state)
{
    (void)state;
    FinishJob job = job_of("carl", 2);
    ClipResult r;
    bool bad;
    int done = 0;
    Status s = finish_clip(&job, (Progress){stop_at_frame_4, &done}, &r, &bad);
    assert_int_equal(s.err, ERR_STOP);
    assert_true(done == 4 && !bad);
    char *path = file_of("carl", 0);
    assert_false(file_exists(path));
    free(path);
}

static void a_master_that_is_damaged_or_missing_is_named(void **state)
{
    (void)state;
    FinishJob job = job_of("dora", 1);
    ClipResult r;
    bool bad = false;
    MasterFile other = known;
    job.master = "test_finish.out/none.mkv";
    assert_int_equal(finish_clip(&job, (Progress){0}, &r, &bad).err, ERR_RETRY);
    assert_true(bad);
    assert_good(master_check(master, &known));
    other.bytes++;
    assert_int_equal(master_check(master, &other).err, ERR_RETRY);
    other = known;
    other.sha256[0] ^= 1;
    assert_int_equal(master_check(master, &other).err, ERR_RETRY);
    assert_non_null(strstr(master_check("test_finish.out/none.mkv", &known).message, "not there"));
    char *data;
    size_t bytes;
    assert_good(file_read(master, 1 << 24, &data, &bytes)); /* cut short: some frames are there */
    assert_good(file_replace("test_finish.out/cut.mkv", data, bytes / 2));
    job.master = "test_finish.out/cut.mkv";
    bad = false;
    assert_int_equal(finish_clip(&job, (Progress){0}, &r, &bad).err, ERR_RETRY);
    assert_true(bad);
    unlink("test_finish.out/cut.mkv");
    free(data);
}

static void refuses_impossible_renditions(void **state)
{
    (void)state;
    FinishJob job = job_of("emil", 1);
    Finish *f;
    FinishSpec wrong = spec;
    wrong.rendition[1].width = 91;
    job.spec = &wrong;
    assert_int_equal(finish_begin(&job, &f).err, ERR_INPUT);
    assert_null(f);
    remove_files("emil");
}

/* ---- the master ---- */

static double psnr_of_master(void)
{
    static float rgb[SIZE];
    const MasterShape shape = {WIDTH, HEIGHT, FRAMES, 8};
    MasterReader *reader;
    const float *frame;
    double sum = 0;
    assert_good(master_open(master, &shape, 2, &reader));
    for (int i = 0; i < FRAMES; i++) {
        assert_good(master_next(reader, &frame));
        assert_non_null(frame);
        fill(rgb, i);
        for (int k = 0; k < SIZE; k++) sum += ((double)rgb[k] - (double)frame[k]) * ((double)rgb[k] - (double)frame[k]);
    }
    assert_good(master_next(reader, &frame));
    assert_null(frame);
    master_close(&reader);
    return sum / ((double)SIZE * FRAMES); /* mean square error; the peak is 1 */
}

static void a_master_is_within_55_db(void **state)
{
    (void)state;
    assert_true(psnr_of_master() < 3.1622e-6 /* 55 dB */);
    assert_true(psnr_of_master() < 1e-7 /* 70 dB: what 10 bits give */);
}

static void write_master(const char *path, int threads, int batch, MasterFile *out)
{
    static float rgb[3 * SIZE];
    const MasterShape shape = {WIDTH, HEIGHT, FRAMES, 8};
    MasterWriter *w;
    assert_good(master_begin(path, &shape, threads, &w));
    for (int i = 0; i < FRAMES; i += batch) {
        const int n = FRAMES - i < batch ? FRAMES - i : batch;
        for (int k = 0; k < n; k++) fill(rgb + k * SIZE, i + k);
        assert_good(master_put(w, rgb, n, HEIGHT, WIDTH));
        memset(rgb, 0, sizeof rgb); /* they were copied */
    }
    assert_good(master_end(&w, out));
}

static void a_master_s_bytes_are_the_same_whatever_the_threads(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 5; threads += 2) {
        MasterFile m;
        write_master("test_finish.out/m.mkv", threads, 1 + threads / 2, &m);
        assert_string_equal(m.sha256, known.sha256);
        assert_int_equal(m.bytes, known.bytes);
    }
    unlink("test_finish.out/m.mkv");
}

static void a_master_that_lacks_frames_is_none(void **state)
{
    (void)state;
    static float rgb[SIZE];
    const MasterShape shape = {WIDTH, HEIGHT, FRAMES, 8};
    MasterWriter *w;
    MasterFile m;
    assert_good(master_begin("test_finish.out/few.mkv", &shape, 1, &w));
    assert_good(master_put(w, rgb, 1, HEIGHT, WIDTH));
    assert_int_equal(master_put(w, rgb, 1, WIDTH, HEIGHT).err, ERR_CLIP);
    Status s = master_end(&w, &m);
    assert_int_equal(s.err, ERR_CLIP);
    assert_non_null(strstr(s.message, "1 frames came, expected 9"));
    assert_false(file_exists("test_finish.out/few.mkv"));
    Status nowhere = master_begin("/proc/none/x.mkv", &shape, 1, &w);
    assert_int_equal(nowhere.err, ERR_NODE);
    assert_null(w);
}

/* ---- the next clip of the same shot ---- */

static void equal_clips_are_links(void **state)
{
    (void)state;
    char clips[] = "clips";
    FinishJob job = job_of("anna", 1), next = job_of("ben", 1);
    Lease lease = {.kind = LEASE_FINISH,
                   .campaign_folder = (char *)(uintptr_t)folder,
                   .finish = (char *)(uintptr_t)documents,
                   .clip_finish = (char *)(uintptr_t) ""};
    FinishAgain again = {0};
    ClipResult first, second;
    bool bad;
    memset(lease.key, 'k', HASH_TEXT - 1);
    assert_false(finish_again(&again, &lease, &next, &second));
    assert_good(finish_clip(&job, (Progress){0}, &first, &bad));
    finish_again_remember(&again, &lease, &job, &first);
    assert_false(finish_again(&again, &lease, &next, &second)); /* nobody has adopted them */
    char *place = path_join(folder, clips);
    assert_good(file_make_folders(place));
    for (int i = 0; i < FILE_COUNT; i++) {
        char *from = file_of("anna", i), *to = text_format("%s/anna.%s", place, ending[i]);
        assert_int_equal(rename(from, to), 0);
        free(from);
        free(to);
    }
    assert_true(finish_again(&again, &lease, &next, &second));
    assert_string_equal(second.file, "clips/ben.mp4");
    assert_string_equal(second.sha256, first.sha256);
    assert_int_equal(second.name_count, FILE_COUNT);
    assert_string_equal(second.name[1], "ben.small.mp4");
    assert_non_null(strstr(second.document, "\"name\":\"ben.sheet.png\""));
    assert_null(strstr(second.document, "anna"));
    char hash[FILE_COUNT][HASH_TEXT];
    hashes_of("ben", hash);
    assert_string_equal(hash[0], first.sha256);
    clip_result_clear(&second);
    remove_files("ben");
    lease.clip_finish = (char *)(uintptr_t) "{\"label\":\"ben\"}"; /* one of his own */
    assert_false(finish_again(&again, &lease, &next, &second));
    lease.clip_finish = (char *)(uintptr_t) "";
    json_object_set_new(spec.keys, "label", json_object()); /* it says in the file which clip it is */
    assert_false(finish_again(&again, &lease, &next, &second));
    json_object_del(spec.keys, "label");
    char *changed = text_format("%s/anna.png", place); /* somebody has changed one since */
    assert_good(file_replace(changed, "x", 1));
    assert_false(finish_again(&again, &lease, &next, &second));
    char *left = file_of("ben", 0);
    assert_false(file_exists(left));
    free(left);
    free(changed);
    free(place);
    clip_result_clear(&first);
    finish_again_clear(&again);
}

static int open_all(void **state)
{
    (void)state;
    if (failed(file_make_folders(folder))) return 1;
    write_master(master, 1, 2, &known);
    return failed(finish_spec_read(documents, "", &spec));
}

static int close_all(void **state)
{
    (void)state;
    finish_spec_clear(&spec);
    file_remove_tree(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_every_file),
        cmocka_unit_test(the_same_bytes_whatever_the_threads),
        cmocka_unit_test(leaves_no_half_a_file),
        cmocka_unit_test(can_be_stopped),
        cmocka_unit_test(a_master_that_is_damaged_or_missing_is_named),
        cmocka_unit_test(refuses_impossible_renditions),
        cmocka_unit_test(a_master_is_within_55_db),
        cmocka_unit_test(a_master_s_bytes_are_the_same_whatever_the_threads),
        cmocka_unit_test(a_master_that_lacks_frames_is_none),
        cmocka_unit_test(equal_clips_are_links),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
