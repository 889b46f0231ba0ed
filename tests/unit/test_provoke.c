/* Orders for faults: what they say, whom they mean, and what is wrong with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/moment.h"
#include "common/provoke.h"

static const char once[] = "test_provoke.once", until[] = "test_provoke.until";

static void assert_wrong(const char *orders, const char *part)
{
    Status s = provoke_order(orders);
    assert_int_equal(s.err, ERR_INPUT);
    if (!strstr(s.message, part)) fail_msg("expected \"%s\" in: %s", part, s.message);
    assert_int_equal(provoke_at("a", NULL, 0).err, OK); /* none is carried out */
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    assert_wrong("at=a", "do=ACTION");
    assert_wrong("do=kill", "at=POINT");
    assert_wrong("at=a,do=explode", "explode");
    assert_wrong("at=a,do=fail.node;at=b,when=now,do=kill", "when");
    assert_wrong("at=a,do=fail.node,step=x", "a number");
    assert_wrong("at=a,do=hold", "until=FILE");
    assert_wrong("a", "field=value");
}

static void fails_where_it_is_ordered(void **state)
{
    (void)state;
    provoke_set_rank(2);
    provoke_set_clip("k7");
    assert_int_equal(provoke_order(" at=a,step=3,do=fail.node ; at=publish.h5,do=fail.clip;at=b,rank=1,do=fail.fatal;"
                                   "at=c,clip=k7,do=fail.retry;")
                         .err,
                     OK);
    assert_int_equal(provoke_at("a", NULL, 2).err, OK);
    assert_int_equal(provoke_at("a", NULL, 3).err, ERR_NODE);
    assert_int_equal(provoke_at("a", NULL, 4).err, ERR_NODE);
    assert_int_equal(provoke_at("publish", NULL, 0).err, OK);
    assert_int_equal(provoke_at("publish", "mp4", 0).err, OK);
    assert_int_equal(provoke_at("publish", "h5", 0).err, ERR_CLIP);
    assert_int_equal(provoke_at("b", NULL, 0).err, OK);
    provoke_set_rank(1);
    assert_int_equal(provoke_at("b", NULL, 0).err, ERR_FATAL);
    assert_int_equal(provoke_at("c", NULL, 0).err, ERR_RETRY);
    provoke_set_clip("");
    assert_int_equal(provoke_at("c", NULL, 0).err, OK);
    assert_int_equal(provoke_order(NULL).err, OK);
    assert_int_equal(provoke_at("a", NULL, 3).err, OK);
}

static void happens_once_and_says_to_whom(void **state)
{
    (void)state;
    char *text, *expected = text_format("%ld a 5\n", (long)getpid());
    size_t bytes;
    assert_int_equal(provoke_order("at=a,do=fail.node,once=test_provoke.once").err, OK);
    assert_int_equal(provoke_at("a", NULL, 5).err, ERR_NODE);
    assert_int_equal(provoke_at("a", NULL, 6).err, OK);
    assert_int_equal(file_read(once, 100, &text, &bytes).err, OK);
    assert_string_equal(text, expected);
    free(text);
    free(expected);
}

static void holds_and_kills(void **state)
{
    (void)state;
    int how;
    pid_t child = fork();
    if (child == 0) {
        if (!failed(provoke_order("at=a,do=hold,until=test_provoke.until; at=b,do=kill"))) provoke_at("a", NULL, 0);
        provoke_at("b", NULL, 0);
        _exit(0);
    }
    moment_sleep_ms(100);
    assert_int_equal(waitpid(child, &how, WNOHANG), 0); /* held */
    assert_int_equal(file_replace(until, "", 0).err, OK);
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == 9);
}

static int remove_files(void **state)
{
    (void)state;
    unlink(once);
    unlink(until);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(fails_where_it_is_ordered),
        cmocka_unit_test(happens_once_and_says_to_whom),
        cmocka_unit_test(holds_and_kills),
    };
    remove_files(NULL);
    return cmocka_run_group_tests(tests, NULL, remove_files);
}
