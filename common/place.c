#include "place.h"

#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"

void place_sweep(void)
{
    glob_t found = {0};
    struct stat info;
    if (glob(PLACE "*", GLOB_NOSORT, NULL, &found) != 0) found.gl_pathc = 0;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const int fd = open(found.gl_pathv[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) continue;
        if (fstat(fd, &info) == 0 && info.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0)
            file_remove_tree(found.gl_pathv[i]);
        close(fd);
    }
    globfree(&found);
}

/* Again where somebody has swept it before it was locked. */
Status place_make(char folder[static PLACE_BYTES], int *lock)
{
    enum { MOST_TRIES = 8 };
    place_sweep();
    for (int i = 0; i < MOST_TRIES; i++) {
        memcpy(folder, PLACE "XXXXXX", PLACE_BYTES);
        if (!mkdtemp(folder)) break;
        *lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (*lock >= 0 && flock(*lock, LOCK_EX | LOCK_NB) == 0 && file_is_folder(folder)) return status_ok();
        if (*lock >= 0) close(*lock);
    }
    *lock = -1;
    return status_errno(ERR_NODE, "cannot make %s", folder);
}
