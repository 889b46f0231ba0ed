#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/moment.h"
#include "coordinator/plan/record.h"

enum { BLOCK = 1 << 20, BLOCKS = 64, SYNCS = 64, SYNC_BYTES = 4096, FILES = 500 };

static Status write_all(int fd, const char *data, size_t bytes, const char *path)
{
    while (bytes > 0) {
        const ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return status_errno(ERR_INPUT, "cannot write %s", path);
        data += n;
        bytes -= (size_t)n;
    }
    return status_ok();
}

static Status measure_long_file(int fd, const char *path, const char *block, double *mb_s)
{
    const double begin_s = moment_s();
    for (int i = 0; i < BLOCKS; i++) TRY(write_all(fd, block, BLOCK, path));
    if (fsync(fd) != 0) return status_errno(ERR_INPUT, "cannot write %s", path);
    *mb_s = BLOCKS * (double)BLOCK / 1e6 / (moment_s() - begin_s);
    return status_ok();
}

static Status measure_syncs(int fd, const char *path, const char *block, Measured *ms)
{
    for (int i = 0; i < SYNCS; i++) {
        const double begin_s = moment_s();
        TRY(write_all(fd, block, SYNC_BYTES, path));
        if (fsync(fd) != 0) return status_errno(ERR_INPUT, "cannot write %s", path);
        measured_add(ms, 1000 * (moment_s() - begin_s));
    }
    return status_ok();
}

/* As everything that the farm writes: a draft that gets its name when it is whole. */
static Status measure_small_files(const char *folder, double *per_s)
{
    char *draft = path_join(folder, "draft"), *name = path_join(folder, "whole");
    const double begin_s = moment_s();
    Status status = status_ok();
    for (int i = 0; i < FILES && !failed(status); i++) {
        const int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 || close(fd) != 0 || rename(draft, name) != 0 || unlink(name) != 0)
            status = status_errno(ERR_INPUT, "cannot write %s", draft);
    }
    *per_s = FILES / (moment_s() - begin_s);
    unlink(draft);
    free(draft);
    free(name);
    return status;
}

Status disk_measure(const char *folder, json_t **out)
{
    char *own = text_format("%s/reelwright-disk-XXXXXX", folder), *path = NULL, *block = memory_get(BLOCK, 1);
    Measured ms = {0};
    double mb_s = 0, files_per_s = 0;
    int fd = -1;
    Status status = status_ok();
    memset(block, 'x', BLOCK);
    if (!mkdtemp(own)) TRY_OUT(status_errno(ERR_INPUT, "cannot make a folder in %s", folder));
    path = path_join(own, "long");
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) TRY_OUT(status_errno(ERR_INPUT, "cannot write %s", path));
    TRY_OUT(measure_long_file(fd, path, block, &mb_s));
    TRY_OUT(measure_syncs(fd, path, block, &ms));
    TRY_OUT(measure_small_files(own, &files_per_s));
    *out = json_pack("{s:f, s:f, s:f, s:f}", "write_mb_s", mb_s, "fsync_p50_ms", measured_quantile(&ms, 0.5),
                     "fsync_p99_ms", measured_quantile(&ms, 0.99), "files_per_s", files_per_s);
out:
    if (fd >= 0) close(fd);
    if (path) unlink(path);
    rmdir(own);
    free(ms.s);
    free(block);
    free(path);
    free(own);
    return status;
}
