#include "logbook.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"

enum { LINE_BYTES = 4096 };

struct Logbook {
    int fd;
    char *path;
    size_t most_bytes;
};

static int open_append(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
}

Status logbook_open(const char *path, size_t most_bytes, Logbook **out)
{
    *out = NULL;
    char *folder = path_folder(path);
    Status status = file_make_folders(folder);
    free(folder);
    TRY(status);
    int fd = open_append(path);
    if (fd < 0) return status_errno(ERR_NODE, "cannot write %s", path);
    *out = memory_get(1, sizeof **out);
    **out = (Logbook){.fd = fd, .path = text_copy(path), .most_bytes = most_bytes};
    return status_ok();
}

void logbook_close(Logbook **b)
{
    if (!*b) return;
    close((*b)->fd);
    free((*b)->path);
    free(*b);
    *b = NULL;
}

static void turn_page(Logbook *b)
{
    struct stat info;
    if (fstat(b->fd, &info) != 0 || (size_t)info.st_size < b->most_bytes) return;
    char *old = text_format("%s.1", b->path);
    struct stat there; /* somebody else may have turned it */
    if (stat(b->path, &there) != 0 || there.st_ino == info.st_ino) rename(b->path, old);
    free(old);
    int fd = open_append(b->path);
    if (fd < 0) return; /* the old one goes on growing: better than losing lines */
    close(b->fd);
    b->fd = fd;
}

void logbook_line(Logbook *b, const char *fmt, ...)
{
    char line[LINE_BYTES];
    struct timespec now;
    struct tm tm;
    if (!b) return;
    turn_page(b);
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t at = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    at += (size_t)snprintf(line + at, sizeof line - at, ".%03dZ ", (int)(now.tv_nsec / 1000000));
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line + at, sizeof line - at - 1, fmt, args);
    va_end(args);
    if (n < 0) return;
    size_t end = at + (size_t)n < sizeof line - 2 ? at + (size_t)n : sizeof line - 2;
    for (size_t i = at; i < end; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f) line[i] = ' ';
    line[end++] = '\n';
    ssize_t written = write(b->fd, line, end);
    (void)written;
}

int logbook_file(const Logbook *b) { return b->fd; }
