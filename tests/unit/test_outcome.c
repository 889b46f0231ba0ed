/* How the ranks of a launched group ended, whatever order they say it in, and when they say nothing. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/outcome.h"

static void the_first_rank_decides(void **state)
{
    (void)state;
    char *path;
    assert_int_equal(outcome_begin(&path).err, OK);
    outcome_tell(2, status_fail(ERR_RETRY, "rank 1 died"));
    outcome_tell(0, status_fail(ERR_CLIP, "two\nlines"));
    outcome_tell(1, status_ok());
    Status s = outcome_end(&path, "");
    assert_null(path);
    assert_int_equal(s.err, ERR_CLIP);
    assert_string_equal(s.message, "two lines");
    assert_int_equal(outcome_begin(&path).err, OK);
    outcome_tell(1, status_ok());
    outcome_tell(0, status_ok());
    assert_int_equal(outcome_end(&path, "").err, OK);
}

static void without_it_a_death_explains_most(void **state)
{
    (void)state;
    char *path;
    assert_int_equal(outcome_begin(&path).err, OK);
    outcome_tell(3, status_fail(ERR_RETRY, "rank 2 gave up"));
    outcome_tell(1, status_fail(ERR_RETRY, "rank 0 died"));
    assert_string_equal(outcome_end(&path, "").message, "rank 0 died");
    assert_int_equal(outcome_begin(&path).err, OK);
    outcome_tell(1, status_ok()); /* but of the first rank nothing is known */
    assert_int_equal(outcome_end(&path, "no slots").err, ERR_NODE);
    assert_int_equal(outcome_begin(&path).err, OK);
    char *gone = text_copy(path);
    assert_non_null(strstr(outcome_end(&path, "no slots").message, "no slots"));
    assert_false(file_exists(gone));
    free(gone);
}

/* A child joins, and is there until it is killed. */
static void a_rank_is_seen_as_long_as_it_lives(void **state)
{
    (void)state;
    char *path, word;
    int ends[2];
    assert_int_equal(outcome_begin(&path).err, OK);
    assert_int_equal(outcome_look(path).joined, 0);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        outcome_join(1);
        if (write(ends[1], "j", 1) != 1) _exit(1);
        for (;;) pause();
    }
    assert_int_equal(read(ends[0], &word, 1), 1);
    OutcomeSoFar now = outcome_look(path);
    assert_int_equal(now.joined, 1);
    assert_true(now.alive);
    assert_false(now.told);
    kill(child, SIGKILL);
    siginfo_t how;
    waitid(P_PID, (id_t)child, &how, WEXITED | WNOWAIT); /* nobody has waited for it: it is a zombie */
    now = outcome_look(path);
    assert_int_equal(now.joined, 1);
    assert_false(now.alive);
    waitpid(child, NULL, 0);
    outcome_tell(0, status_ok());
    assert_true(outcome_look(path).told);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(outcome_end(&path, "-").err, OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_first_rank_decides),
                                       cmocka_unit_test(without_it_a_death_explains_most),
                                       cmocka_unit_test(a_rank_is_seen_as_long_as_it_lives)};
    return cmocka_run_group_tests_name("outcome", tests, NULL, NULL);
}
