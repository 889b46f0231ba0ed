/* test_diary.c - the log of a shot: what is in it, what is not, and that it fails nothing. */
#include "farm_fixture.h"

#include "common/log.h"
#include "worker/render/diary.h"

static Lease lease_in(char *folder)
{
    Lease l = {
        .lease = 7, .campaign_folder = folder, .shot = {.prompt = (char *)(uintptr_t) "a secret wish", .steps = 4}};
    memset(l.key, 'a', HASH_TEXT - 1);
    l.clip_count = 7;
    l.clip_id = (char *)(uintptr_t) "row0\n";
    return l;
}

static char *text_in(const char *folder, const Lease *l)
{
    char *file = text_format("%s/logs/%s.log", folder, l->key), *text;
    size_t bytes;
    assert_good(file_read(file, 1 << 20, &text, &bytes));
    free(file);
    return text;
}

static void test_what_a_shot_went_through(void **state)
{
    (void)state;
    char *folder = fixture_folder();
    Lease l = lease_in(folder);
    Diary d;
    diary_begin(&d, &l, "worker 2 (host, process 17)");
    diary_progress(&d, "denoise", 0, 4);
    for (int i = 1; i < 4; i++)
        diary_progress(&d, "denoise", i, 4); /* not each step: it says how far it is twice a minute */
    diary_progress(&d, "decode", 0, 2);
    log_line(LOG_WARNING, "a frame is odd");
    log_line(LOG_DEBUG, "only for those who ask");
    diary_end(&d,
              &(LeaseResult){
                  .err = ERR_NODE, .reason = (char *)(uintptr_t) "out of memory", .steps_done = 3, .steps_resumed = 1});
    log_line(LOG_WARNING, "of another shot");
    diary_begin(&d, &l, "worker 3 (host, process 18)");
    diary_end(&d, &(LeaseResult){.steps_done = 1, .steps_resumed = 3, .decode_s = 2, .master.bytes = 12});
    l.kind = LEASE_FINISH;
    diary_begin(&d, &l, "worker 4 (host, process 19)");
    diary_end(&d, &(LeaseResult){
                      .kind = LEASE_FINISH,
                      .finish_s = 1.5,
                      .clip = {.clip_id = (char *)(uintptr_t) "row0", .file = (char *)(uintptr_t) "clips/row0.mp4"}});
    char *text = text_in(folder, &l);
    static const char *const holds[] = {
        "Z lease 7, worker 2 (host, process 17): render of 4 steps for row0  and others\n",
        "Z denoise 0 of 4\n",
        "Z decode 0 of 2\n",
        "Z warning: a frame is odd\n",
        "Z ended after 3 steps (1 from a checkpoint), node: out of memory\n",
        "Z lease 7, worker 3 (host, process 18)",
        "Z rendered: 1 step, 3 from a checkpoint; text 0.00 s, denoising 0.00 s, decoding 2.00 s, a master of 12 "
        "bytes\n",
        "Z lease 7, worker 4 (host, process 19): finish of row0 \n",
        "Z finished row0 in 1.50 s: clips/row0.mp4\n"};
    static const char *const lacks[] = {"denoise 2", "those who ask", "another shot", "secret wish"};
    for (size_t i = 0; i < sizeof holds / sizeof *holds; i++)
        if (!strstr(text, holds[i])) fail_msg("no \"%s\" in:\n%s", holds[i], text);
    for (size_t i = 0; i < sizeof lacks / sizeof *lacks; i++)
        if (strstr(text, lacks[i])) fail_msg("\"%s\" in:\n%s", lacks[i], text);
    free(text);
    fixture_remove(folder);
}

static void test_a_log_that_cannot_be_written_fails_nothing(void **state)
{
    (void)state;
    char *folder = fixture_folder(), *logs = path_join(folder, "logs");
    Lease l = lease_in(folder);
    Diary d;
    assert_good(file_replace(logs, "a file where the folder should be", 33));
    diary_begin(&d, &l, "worker 1");
    assert_null(d.book);
    diary_progress(&d, "denoise", 0, 4);
    log_line(LOG_WARNING, "goes to stderr alone");
    diary_end(&d, &(LeaseResult){.reason = NULL});
    free(logs);
    fixture_remove(folder);
}

int main(void)
{
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_shot_went_through),
        cmocka_unit_test(test_a_log_that_cannot_be_written_fails_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
