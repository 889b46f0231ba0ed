/* test_numa.c - who runs where on machines of one, two and four NUMA domains, which folders stand in for. */
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
#include "coordinator/launch/numa.h"

static char folder[] = "test_numa_XXXXXX";
static cpu_set_t all;

static void write_domain(int domain, const char *list)
{
    char *node = text_format("%s/node%d", folder, domain), *path = text_format("%s/cpulist", node);
    mkdir(node, 0700);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(list, f) >= 0);
    fclose(f);
    free(path);
    free(node);
}

/* "0,1,8" of a set */
static void are(int index, int workers, const char *expected)
{
    cpu_set_t set;
    char text[256] = "";
    if (numa_processors(folder, index, workers, &all, &set))
        for (unsigned i = 0; i < 32; i++)
            if (CPU_ISSET(i, &set))
                snprintf(text + strlen(text), sizeof text - strlen(text), "%s%u", *text ? "," : "", i);
    assert_string_equal(text, expected);
}

static void workers_get_domains(void **state)
{
    (void)state;
    are(0, 2, ""); /* nothing is known of the machine */
    write_domain(0, "0-1,8\n");
    are(0, 2, ""); /* one domain */
    write_domain(1, "2-3,9\n");
    are(0, 2, "0,1,8");
    are(1, 2, "2,3,9");
    are(1, 4, "0,1,8"); /* neighbours share one */
    are(2, 4, "2,3,9");
    are(0, 1, ""); /* one worker has the whole machine */
    are(0, 3, ""); /* one domain would have two of three */
    are(2, 2, "");
    write_domain(2, "\n"); /* memory without processors */
    are(1, 2, "2,3,9");
    write_domain(3, "4-5");
    write_domain(4, "6-7");
    are(3, 4, "6,7");
    CPU_CLR(4, &all), CPU_CLR(5, &all); /* another job's */
    are(2, 3, "6,7");
    write_domain(4, "6-,x");
    are(1, 2, "2,3,9"); /* what cannot be read is no domain */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(workers_get_domains)};
    if (!mkdtemp(folder)) return 1;
    for (unsigned i = 0; i < 32; i++) CPU_SET(i, &all);
    const int code = cmocka_run_group_tests(tests, NULL, NULL);
    for (int i = 0; i < 5; i++) {
        char *node = text_format("%s/node%d", folder, i), *path = text_format("%s/cpulist", node);
        unlink(path), rmdir(node);
        free(path), free(node);
    }
    rmdir(folder);
    return code;
}
