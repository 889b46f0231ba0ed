/* scratch.c - linked into every program of tests/unit and tests/proof: before main it goes into an empty folder of its own, and at the end it
 * removes that. So files with relative names go there, from wherever the program is started. A test that crashes leaves its folder. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/file.h"

static char *folder;
static pid_t owner; /* processes that a test forks leave it alone */

static void leave(void)
{
    if (getpid() != owner) return;
    if (chdir("/") == 0) file_remove_tree(folder);
    free(folder);
}

__attribute__((constructor)) static void enter(void)
{
    const char *place = getenv("TMPDIR");
    owner = getpid();
    folder = path_join(place && *place ? place : "/tmp", "reelwright-test-XXXXXX");
    if (mkdtemp(folder) && chdir(folder) == 0 && atexit(leave) == 0) return;
    perror(folder);
    abort();
}
