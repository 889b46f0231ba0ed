/* Files that are published: never in the place of a device, a pipe or a link; files that are read: never a pipe that nobody fills. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/hash.h"

static void holds(const char *path, const char *expected)
{
    char *text;
    size_t bytes;
    assert_int_equal(file_read(path, 1000, &text, &bytes).err, OK);
    assert_string_equal(text, expected);
    free(text);
}

static bool is(const char *path, mode_t kind)
{
    struct stat st;
    return lstat(path, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

static void test_links_stay(void **state)
{
    (void)state;
    assert_int_equal(mkdir("far", 0777), 0);
    assert_int_equal(file_replace("far/real", "old", 3).err, OK);
    assert_int_equal(symlink("far/real", "one") + symlink("one", "two") + symlink("far/later", "new"), 0);
    assert_int_equal(file_replace("two", "new", 3).err, OK);
    assert_true(is("one", S_IFLNK) && is("two", S_IFLNK));
    holds("far/real", "new");
    assert_int_equal(file_replace("new", "later", 5).err, OK); /* a link to what is not there yet */
    assert_true(is("new", S_IFLNK));
    holds("far/later", "later");
    assert_int_equal(file_duplicate("far/later", "one").err, OK);
    assert_true(is("one", S_IFLNK));
    holds("far/real", "later");
    char *draft = file_draft("two"), *const drafts[] = {draft}, *const paths[] = {"two"};
    assert_true(strncmp(draft, "far/real.draft.", 15) == 0); /* on the file system where it ends */
    assert_int_equal(link("far/real", draft), 0);
    assert_int_equal(file_publish_all(drafts, paths, 1).err, OK);
    assert_true(is("two", S_IFLNK));
    unlink(draft);
    free(draft);
    assert_int_equal(symlink("loop", "loop"), 0);
    assert_string_equal(file_replace("loop", "x", 1).message,
                        "loop: a chain of symbolic links without end is there, expected a file or nothing");
}

/* Two drafts of one process would have one name: the second stands elsewhere. */
static void test_first_holds(void **state)
{
    (void)state;
    char *draft = file_draft("key");
    assert_int_equal(file_replace(draft, "first", 5).err, OK);
    assert_int_equal(file_replace("second", "second", 6).err, OK);
    assert_int_equal(file_publish_new(draft, "key").err, OK);
    assert_int_equal(file_publish_new("second", "key").err, OK);
    holds("key", "first");
    assert_false(file_exists(draft) || file_exists("second"));
    free(draft);
    assert_int_equal(mkdir("place", 0777), 0);
    assert_int_equal(file_replace("third", "third", 5).err, OK);
    assert_int_equal(file_publish_new("third", "place").err, ERR_INPUT); /* a folder is no file */
    assert_false(file_exists("third"));
}

static bool poor; /* a file system that knows neither links nor renames that replace nothing */

int __real_link(const char *from, const char *to);
int __wrap_link(const char *from, const char *to);
int __wrap_link(const char *from, const char *to)
{
    if (!poor) return __real_link(from, to);
    errno = EPERM;
    return -1;
}

int __real_renameat2(int at, const char *from, int to_at, const char *to, unsigned flags);
int __wrap_renameat2(int at, const char *from, int to_at, const char *to, unsigned flags);
int __wrap_renameat2(int at, const char *from, int to_at, const char *to, unsigned flags)
{
    if (!poor) return __real_renameat2(at, from, to_at, to, flags);
    errno = EINVAL;
    return -1;
}

/* One of several processes: publishes its own number, and ends with the number that it then finds. */
static void publish_own(int number, int start)
{
    char text[2] = {(char)('0' + number), 0}, *found = NULL, wait;
    size_t bytes;
    char *draft = file_draft("secret");
    bool fine = !failed(file_replace(draft, text, 1)) && read(start, &wait, 1) == 0;
    fine = fine && !failed(file_publish_new(draft, "secret")) && !failed(file_read("secret", 1, &found, &bytes));
    _exit(fine ? *found - '0' : 99);
}

/* All of them find the same. */
static void test_first_holds_without_links(void **state)
{
    (void)state;
    enum { ROUNDS = 60, MAKERS = 6 };
    poor = true;
    for (int round = 0; round < ROUNDS; round++) {
        int start[2], status, first = -1;
        assert_int_equal(pipe(start), 0);
        for (int i = 0; i < MAKERS; i++) {
            const pid_t child = fork();
            if (child == 0) {
                close(start[1]);
                publish_own(i, start[0]);
            }
            assert_true(child > 0);
        }
        close(start[0]);
        close(start[1]); /* all begin */
        for (int i = 0; i < MAKERS; i++) {
            assert_true(wait(&status) > 0 && WIFEXITED(status));
            if (first < 0) first = WEXITSTATUS(status);
            assert_true(first < MAKERS);
            assert_int_equal(WEXITSTATUS(status), first);
        }
        unlink("secret");
    }
    poor = false;
}

static int lock_error, failing_locks, locks;

int __real_flock(int fd, int how);
int __wrap_flock(int fd, int how);
int __wrap_flock(int fd, int how)
{
    if (failing_locks-- > 0) {
        errno = lock_error;
        return -1;
    }
    locks++;
    return __real_flock(fd, how);
}

/* A signal does not end the wait for it; without one nothing is published. */
static void test_the_lock_is_held(void **state)
{
    (void)state;
    poor = true;
    locks = 0;
    lock_error = EINTR;
    failing_locks = 2;
    assert_int_equal(file_replace("mine", "x", 1).err, OK);
    assert_int_equal(file_publish_new("mine", "locked").err, OK);
    assert_int_equal(locks, 1);
    holds("locked", "x");
    lock_error = ENOLCK;
    failing_locks = 1;
    assert_int_equal(file_replace("mine", "x", 1).err, OK);
    Status status = file_publish_new("mine", "unlocked");
    assert_int_equal(status.err, ERR_NODE);
    assert_string_equal(status.message, "cannot lock the folder .: No locks available");
    assert_false(file_exists("mine") || file_exists("unlocked"));
    failing_locks = 0;
    poor = false;
}

static void refuses(const char *path, const char *message)
{
    Status status = file_replace(path, "x", 1);
    assert_int_equal(status.err, ERR_INPUT);
    assert_string_equal(status.message, message);
}

static void test_devices_stay(void **state)
{
    (void)state;
    assert_int_equal(
        mkfifo("pipe", 0666) + mkdir("here", 0777) + symlink("pipe", "to_pipe") + symlink("/dev/full", "full"), 0);
    refuses("pipe", "pipe: a pipe is there, expected a file or nothing");
    refuses("to_pipe", "to_pipe: a pipe is there, expected a file or nothing");
    refuses("full", "full: a device is there, expected a file or nothing");
    refuses("here", "here: a folder is there, expected a file or nothing");
    assert_true(is("pipe", S_IFIFO) && is("here", S_IFDIR) && is("full", S_IFLNK));
}

static void test_pipes_are_not_waited_for(void **state)
{
    (void)state;
    char *text, sha256[HASH_TEXT];
    size_t bytes;
    assert_string_equal(file_read("pipe", 1000, &text, &bytes).message, "cannot read pipe: a pipe, expected a file");
    assert_string_equal(file_read("here", 1000, &text, &bytes).message, "cannot read here: a folder, expected a file");
    assert_string_equal(hash_file("pipe", sha256).message, "cannot read pipe: a pipe, expected a file");
    assert_string_equal(file_check_regular("/dev/zero").message, "cannot read /dev/zero: a device, expected a file");
    assert_string_equal(file_check_regular("nowhere").message, "cannot read nowhere: No such file or directory");
    assert_int_equal(file_duplicate("pipe", "copy").err, ERR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_links_stay),
        cmocka_unit_test(test_first_holds),
        cmocka_unit_test(test_first_holds_without_links),
        cmocka_unit_test(test_the_lock_is_held),
        cmocka_unit_test(test_devices_stay),
        cmocka_unit_test(test_pipes_are_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
