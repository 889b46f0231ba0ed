/* test_dispatch_files.c - masters and clips on the disk: moved to their places by the coordinator alone, and away in time. */
#include "dispatch_fixture.h"

#include <dirent.h>

static Farm open_farm_with_files(int rows, int rows_per_shot, int workers)
{
    Farm f = {.folder = fixture_folder(), .campaign = fixture_campaign("night", rows, rows_per_shot), .files = true};
    start_job(&f, workers, (LocalFaults){0});
    return f;
}

static int count_in(const Farm *f, const char *folder)
{
    char *path = path_join(f->folder, folder);
    int count = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) count += e->d_name[0] != '.';
    closedir(dir);
    free(path);
    return count;
}

static char *text_of(const Farm *f, const char *name)
{
    char *path = path_join(f->folder, name), *text;
    size_t bytes;
    assert_good(file_read(path, 1 << 16, &text, &bytes));
    free(path);
    return text;
}

static void test_files_come_and_masters_go(void **state)
{
    (void)state;
    Farm f = open_farm_with_files(12, 3, 3);
    int most = 0;
    while (dispatch_going(f.dispatch)) {
        tick(&f);
        if (count_in(&f, "masters") > most) most = count_in(&f, "masters");
        Snapshot s = look(&f);
        assert_int_equal(count_in(&f, "masters"),
                         s.shot_count[SHOT_MASTERED]); /* those that the ledger says, no others */
        snapshot_clear(&s);
    }
    assert_counts(&f, 12, 0, 0);
    assert_int_equal(count_in(&f, "clips"), 12);
    assert_int_equal(count_in(&f, "masters"), 0);
    assert_int_equal(count_in(&f, "work"), 0);
    assert_in_range(most, 1, 4);
    close_farm(&f);
}

static void names_another_s_file(Farm *f, Sim *s, LeaseResult *r)
{
    (void)s;
    if (r->kind != LEASE_FINISH || strcmp(r->clip.clip_id, "row1") != 0) return;
    f->spoil = NULL; /* once */
    free(r->clip.name[0]);
    r->clip.name[0] = text_copy("../ledger.db");
}

static void names_what_is_not_there(Farm *f, Sim *s, LeaseResult *r)
{
    char *work = lease_work_folder(s->talk.lease.lease), *path = path_join(f->folder, work);
    if (r->kind == LEASE_RENDER && r->lease == 1) file_remove_tree(path);
    free(path);
    free(work);
}

static void test_a_result_without_its_files_is_a_failure(void **state)
{
    (void)state;
    static void (*const spoil[])(Farm *, Sim *, LeaseResult *) = {names_another_s_file, names_what_is_not_there};
    for (int i = 0; i < 2; i++) {
        Farm f = open_farm_with_files(4, 2, 2);
        f.spoil = spoil[i];
        run_farm(&f, 60);
        assert_counts(&f, 4, 0, 0);
        assert_int_equal(outcomes(&f).failed, 1);
        assert_int_equal(count_in(&f, "clips"), 4);
        close_farm(&f);
    }
}

/* A finisher that was given up wakes up when its clip is approved: it writes what it has, and reports it; nothing changes. */
static void test_a_ghost_replaces_nothing(void **state)
{
    (void)state;
    Farm f = open_farm_with_files(3, 3, 2);
    f.finish_steps = 4;
    Sim *ghost = &f.sim[2];
    while (!ghost->talk.has_lease || ghost->talk.lease.kind != LEASE_FINISH || ghost->work.unit < 2) tick(&f);
    char *name = text_format("clips/%s.mp4", ghost->talk.lease.stem), *stem = text_copy(ghost->talk.lease.stem);
    const int64_t lease = ghost->talk.lease.lease;
    ghost->wake_ms = INT64_MAX;
    for (Outcomes o = {0}; o.lost == 0 || o.finished < 3; o = outcomes(&f)) tick(&f);
    char *before = text_of(&f, name);
    char *own = text_format("lease %d", (int)lease);
    assert_null(strstr(before, own));
    free(own);
    Lease late = {.lease = lease};
    char *file = text_format("%s.mp4", stem);
    write_work(&f, &late, file);
    ghost->wake_ms = 0;
    run_farm(&f, 600);
    char *after = text_of(&f, name);
    assert_string_equal(before, after);
    assert_counts(&f, 3, 0, 0);
    free(before);
    free(after);
    free(name);
    free(stem);
    free(file);
    close_farm(&f);
}

/* The next job finds what the last one left: masters that are there are used, one that is not is made again, the rest goes. */
static void test_the_next_job_looks_at_the_files(void **state)
{
    (void)state;
    Farm f = open_farm_with_files(6, 3, 2);
    f.finish_steps = 20;
    while (count_in(&f, "masters") < 2) tick(&f);
    end_job(&f);
    char *name = lease_master_name(f.campaign->shot[0].key), *lost = text_format("%s/masters/%s", f.folder, name),
         *stray = text_format("%s/masters/%s", f.folder, "nobody.mkv"), *work = path_join(f.folder, "work/99");
    assert_int_equal(unlink(lost), 0);
    assert_good(file_replace(stray, "x", 1));
    assert_good(file_make_folders(work));
    f.finish_steps = 0;
    start_job(&f, 2, (LocalFaults){0});
    assert_false(file_exists(stray));
    assert_false(file_exists(work));
    Snapshot s = look(&f);
    assert_true(s.shot_count[SHOT_MASTERED] == 1 && s.shot_count[SHOT_PLANNED] == 1);
    snapshot_clear(&s);
    run_farm(&f, 60);
    assert_counts(&f, 6, 0, 0);
    assert_int_equal(outcomes(&f).done, 3); /* shot 0 twice */
    free(name);
    free(lost);
    free(stray);
    free(work);
    close_farm(&f);
}

static void master_is_bad(Farm *f, Sim *s, LeaseResult *r)
{
    (void)s;
    if (r->kind != LEASE_FINISH) return;
    f->spoil = NULL; /* once */
    clip_result_clear(&r->clip);
    r->err = ERR_RETRY;
    r->master_bad = 1;
    free(r->reason);
    r->reason = text_copy("the master is damaged");
}

static void test_a_damaged_master_is_made_again(void **state)
{
    (void)state;
    Farm f = open_farm_with_files(6, 3, 2);
    f.spoil = master_is_bad;
    run_farm(&f, 60);
    assert_counts(&f, 6, 0, 0);
    assert_int_equal(outcomes(&f).done, 3);
    assert_int_equal(count_in(&f, "masters"), 0);
    close_farm(&f);
}

int main(void)
{
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_come_and_masters_go),
        cmocka_unit_test(test_a_result_without_its_files_is_a_failure),
        cmocka_unit_test(test_a_ghost_replaces_nothing),
        cmocka_unit_test(test_the_next_job_looks_at_the_files),
        cmocka_unit_test(test_a_damaged_master_is_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
