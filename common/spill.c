#include "spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/file.h"

struct Spill {
    int fd;
    char *folder; /* for messages */
};

/* Not every file system has files without a name. */
static int open_unnamed(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) return fd;
    char *path = text_format("%s/reelwright-XXXXXX", folder);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) unlink(path);
    free(path);
    return fd;
}

Status spill_open(Spill **out)
{
    const char *folder = getenv("TMPDIR");
    *out = NULL;
    if (!folder || !*folder) folder = "/var/tmp";
    const int fd = open_unnamed(folder);
    if (fd < 0)
        return status_errno(ERR_NODE, "cannot make a temporary file in %s (TMPDIR names another folder)", folder);
    *out = memory_get(1, sizeof **out);
    **out = (Spill){fd, text_copy(folder)};
    return status_ok();
}

Status spill_put(Spill *s, int64_t at, const void *data, size_t bytes)
{
    for (const char *from = data; bytes > 0;) {
        const ssize_t n = pwrite(s->fd, from, bytes, at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return status_errno(ERR_NODE, "cannot write a temporary file in %s (TMPDIR names another folder)",
                                s->folder);
        from += n;
        at += n;
        bytes -= (size_t)n;
    }
    return status_ok();
}

Status spill_get(Spill *s, int64_t at, void *data, size_t bytes)
{
    for (char *to = data; bytes > 0;) {
        const ssize_t n = pread(s->fd, to, bytes, at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return status_errno(ERR_NODE, "cannot read a temporary file in %s", s->folder);
        if (n == 0) return status_fail(ERR_NODE, "a temporary file in %s ends early", s->folder);
        to += n;
        at += n;
        bytes -= (size_t)n;
    }
    return status_ok();
}

void spill_close(Spill **s)
{
    if (!*s) return;
    close((*s)->fd);
    free((*s)->folder);
    free(*s);
    *s = NULL;
}
