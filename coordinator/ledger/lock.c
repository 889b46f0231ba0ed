#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/host.h"

static Status refuse(const char *folder, int fd)
{
    char text[64] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    text[strcspn(text, "\n")] = 0;
    return status_fail(ERR_FATAL, "%s: another run works in this folder (%s); wait for it, stop it, or use --take-over",
                       folder, text);
}

static Status sign(const char *path, int fd)
{
    char host[HOST_BYTES] = "", text[128];
    host_name(host);
    int n = snprintf(text, sizeof text, "process %ld on %s\n", (long)getpid(), host);
    bool good = ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) == n;
    return good ? status_ok() : status_errno(ERR_INPUT, "cannot write %s", path);
}

/* lock_is_held takes the lock for a moment, so a lock that is held is tried again. */
static bool lock_file(int fd)
{
    enum { TRIES = 5, PAUSE_US = 20000 };
    for (int i = 0; i < TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
        if (errno != EWOULDBLOCK && errno != EINTR) return false;
        usleep(PAUSE_US);
    }
    return false;
}

bool lock_is_held(const char *folder)
{
    char *path = path_join(folder, "run.lock");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    free(path);
    if (fd < 0) return false;
    bool held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return held;
}

Status lock_take(const char *folder, bool take_over, int *fd)
{
    char *path = path_join(folder, "run.lock");
    struct stat st;
    /* a link would lead the process's number into another file, a pipe would wait for somebody who reads it */
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    const bool is_link = *fd < 0 && errno == ELOOP;
    Status status = is_link   ? status_fail(ERR_INPUT, "%s: a symbolic link, expected a file; remove it", path)
                    : *fd < 0 ? status_errno(ERR_INPUT, "cannot write %s", path)
                    : fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode)
                        ? status_fail(ERR_INPUT, "%s: expected a file; remove what is there", path)
                    : !lock_file(*fd) && !take_over ? refuse(folder, *fd)
                                                    : sign(path, *fd);
    if (failed(status)) lock_release(fd);
    free(path);
    return status;
}

void lock_release(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}
