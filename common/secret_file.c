#include "secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/file.h"

static Status read_all(const char *path, uint8_t *out, bool *absent)
{
    const int f = open(path, O_RDONLY | O_CLOEXEC);
    *absent = f < 0 && errno == ENOENT;
    if (f < 0) return *absent ? status_ok() : status_errno(ERR_NODE, "%s: cannot be read", path);
    uint8_t more[SECRET_FILE_BYTES + 1];
    const ssize_t n = read(f, more, sizeof more);
    close(f);
    if (n != SECRET_FILE_BYTES)
        return status_fail(ERR_FATAL, "%s: expected %d bytes; put back the campaign's own", path, SECRET_FILE_BYTES);
    memcpy(out, more, SECRET_FILE_BYTES);
    return status_ok();
}

Status secret_file_make(const char *path, const void *secret, size_t bytes)
{
    char *draft = file_draft(path);
    const int f = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool fine = f >= 0 && write(f, secret, bytes) == (ssize_t)bytes;
    if (f >= 0 && close(f) != 0) fine = false;
    Status status = fine ? file_publish_new(draft, path) : status_errno(ERR_NODE, "%s: cannot be made", path);
    if (!fine) unlink(draft);
    free(draft);
    return status;
}

static Status make(const char *path)
{
    uint8_t secret[SECRET_FILE_BYTES];
    if (getrandom(secret, sizeof secret, 0) != sizeof secret) return status_errno(ERR_NODE, "no random numbers");
    Status status = secret_file_make(path, secret, sizeof secret);
    explicit_bzero(secret, sizeof secret);
    return status;
}

Status secret_file_read(const char *path, uint8_t out[SECRET_FILE_BYTES])
{
    bool absent;
    TRY(read_all(path, out, &absent));
    if (!absent) return status_ok();
    TRY(make(path));
    TRY(read_all(path, out, &absent));
    return absent ? status_fail(ERR_NODE, "%s: was made and is gone", path) : status_ok();
}
