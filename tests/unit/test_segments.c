/* What killed ranks leave in shared memory goes, what somebody uses stays. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "coordinator/launch/segments.h"

static void sweeps_what_nobody_maps(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_segments_XXXXXX", host[256] = "";
    assert_non_null(mkdtemp(folder));
    gethostname(host, sizeof host - 1);
    char *name[4] = {text_format("%s/sm_segment.%s.0.26990001.0", folder, host),
                     text_format("%s/sm_segment.%s.0.26990001.1", folder, host),
                     text_format("%s/sm_segment.other-%s.0.26990001.0", folder, host),
                     text_format("%s/somebody-elses", folder)};
    for (int i = 0; i < 4; i++) assert_int_equal(file_replace(name[i], "0123456789abcdef", 16).err, OK);
    int mapped, fd = open(name[1], O_RDONLY);
    void *map = mmap(NULL, 16, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED);
    close(fd);
    assert_int_equal(segments_sweep(folder, 3600, "", &mapped), 0); /* none is so old */
    assert_int_equal(segments_sweep(folder, 0, "", &mapped), 1);
    assert_false(file_exists(name[0]));
    for (int i = 1; i < 4; i++) assert_true(file_exists(name[i]));
    char job[SEGMENTS_JOB], *own = text_format("sm_segment.%s.0.26990001.", host);
    segments_of(getpid(), job);
    assert_string_equal(job, own); /* it maps one of that job */
    assert_int_equal(segments_sweep(folder, 3600, job, &mapped), 0);
    assert_int_equal(mapped, 1);
    munmap(map, 16);
    segments_of(getpid(), job);
    assert_string_equal(job, "");
    assert_int_equal(segments_sweep(folder, 3600, "", &mapped), 0);
    assert_int_equal(segments_sweep(folder, 3600, "sm_segment.another.", &mapped), 0);
    assert_int_equal(segments_sweep(folder, 3600, own, &mapped), 1); /* of a job that has ended they go at once */
    free(own);
    assert_int_equal(file_replace(name[1], "0123456789abcdef", 16).err, OK);
    assert_int_equal(segments_sweep(folder, 0, "", &mapped), 1);
    assert_false(file_exists(name[1]));
    for (int i = 0; i < 4; i++) {
        unlink(name[i]);
        free(name[i]);
    }
    rmdir(folder);
    assert_int_equal(segments_sweep("/nowhere", 0, "", &mapped), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sweeps_what_nobody_maps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
