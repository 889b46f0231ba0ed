/* test_hash_cache.c - a large file is hashed once, and again whenever it may have changed. */
#include "farm_fixture.h"

#include <sys/stat.h>
#include <sys/time.h>

#include "common/hash_cache.h"

enum { SIZE = 1 << 20 };
static char *folder, *weights;

static void write_weights(char byte)
{
    char *data = memory_get(SIZE, 1);
    memset(data, byte, SIZE);
    assert_good(file_replace(weights, data, SIZE));
    free(data);
}

/* How many bytes were read for it; the hash is always the right one. */
static int64_t look(void)
{
    char cached[HASH_TEXT], right[HASH_TEXT];
    HashCache *c = hash_cache_open();
    assert_good(hash_cache_file(c, weights, cached));
    assert_good(hash_file(weights, right));
    assert_string_equal(cached, right);
    int64_t bytes = hash_cache_bytes_read(c);
    hash_cache_close(&c);
    return bytes;
}

static void settle(void) { sleep(4); } /* what changed just now is not remembered */

static void test_a_file_is_read_once(void **state)
{
    (void)state;
    char *cache = path_join(folder, "cache/hashes");
    struct stat st;
    write_weights('a');
    assert_int_equal(look(), SIZE);
    assert_int_equal(look(), SIZE);
    assert_false(file_exists(cache));
    settle();
    assert_int_equal(look(), SIZE);
    assert_int_equal(look(), 0);
    assert_int_equal(stat(cache, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);

    struct timeval old[2] = {{1000, 0}, {1000, 0}}; /* changed in place, and its time of change set back */
    assert_int_equal(utimes(weights, old), 0);
    assert_int_equal(look(), SIZE);
    write_weights('b');
    assert_int_equal(look(), SIZE);

    assert_int_equal(chmod(cache, 0622), 0); /* others may have written it */
    assert_int_equal(look(), SIZE);
    assert_good(file_replace(cache, "nonsense\n", 9));
    assert_int_equal(look(), SIZE);
    assert_int_equal(setenv("REELWRIGHT_CACHE", "", 1), 0);
    assert_int_equal(look(), SIZE);
    free(cache);
}

int main(void)
{
    const struct CMUnitTest test[] = {cmocka_unit_test(test_a_file_is_read_once)};
    folder = fixture_folder();
    weights = path_join(folder, "weights");
    char *cache = path_join(folder, "cache");
    if (setenv("REELWRIGHT_CACHE", cache, 1) != 0) return 1;
    int code = cmocka_run_group_tests(test, NULL, NULL);
    fixture_remove(folder);
    free(cache);
    free(weights);
    return code;
}
