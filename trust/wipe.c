/* wipe.c - a person's end in the store: their files are overwritten and removed, their key first. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "trust/inside.h"

/* What a link leads to is not the store's to destroy, and would stay. */
static Status refuse_link(const char *path)
{
    struct stat info;
    if (lstat(path, &info) != 0 || !S_ISLNK(info.st_mode)) return status_ok();
    return status_fail(
        ERR_INPUT, "%s: a symbolic link in the trust store; remove it and what it leads to, then say the same again",
        path);
}

/* Overwritten before it goes: on a disk that writes in place nothing of it stays. */
static Status wipe_file(const char *path)
{
    TRY(refuse_link(path));
    struct stat info;
    char nothing[4096] = {0};
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    bool good = fd >= 0 && fstat(fd, &info) == 0;
    for (off_t at = 0; good && at < info.st_size; at += (off_t)sizeof nothing)
        good = pwrite(fd, nothing, sizeof nothing, at) > 0;
    good = good && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    if (unlink(path) != 0 && errno != ENOENT) return status_errno(ERR_NODE, "cannot remove %s", path);
    (void)good; /* gone is what counts; it was encrypted, and its key is gone */
    return status_ok();
}

/* All files of a folder whose names begin so. */
static Status wipe_matching(const char *folder, const char *start, bool (*is_its)(const char *rest))
{
    DIR *d = opendir(folder);
    Status status = d || errno == ENOENT ? status_ok() : status_errno(ERR_NODE, "%s", folder);
    size_t n = strlen(start);
    for (struct dirent *e; d && !failed(status) && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (strncmp(e->d_name, start, n) != 0 || (is_its && !is_its(e->d_name + n))) continue;
        char *path = path_join(folder, e->d_name);
        status = wipe_file(path);
        free(path);
    }
    if (d) closedir(d);
    return status;
}

/* ".12.json", ".all.json" and drafts of them: not those of a cameo whose id is longer */
static bool is_numbered(const char *rest)
{
    if (*rest++ != '.') return false;
    size_t n = strspn(rest, "0123456789");
    if (n == 0) n = strncmp(rest, "all", 3) == 0 ? 3 : 0;
    return n > 0 && strncmp(rest + n, ".json", 5) == 0;
}

Status trust_wipe(TrustStore *s, const char *cameo)
{
    char *own = trust_path(s, "cameos/%s", cameo), *key = trust_path(s, "cameos/%s/key", cameo),
         *consents = trust_path(s, "consents"), *revocations = trust_path(s, "revocations");
    Status status = refuse_link(own);
    if (!failed(status)) status = wipe_file(key);
    if (!failed(status)) status = wipe_matching(own, "", NULL);
    if (!failed(status)) status = wipe_matching(consents, cameo, is_numbered);
    if (!failed(status)) status = wipe_matching(revocations, cameo, is_numbered);
    if (!failed(status) && rmdir(own) != 0 && errno != ENOENT) status = status_errno(ERR_NODE, "cannot remove %s", own);
    free(revocations);
    free(consents);
    free(key);
    free(own);
    return status;
}

/* A record that cannot be read (an erasure that ended early, a damaged store) does not keep the rest from going. */
static Status erase_locked(TrustStore *s, const char *cameo, int64_t now_s)
{
    TrustRecord r;
    char *own = trust_path(s, "cameos/%s", cameo);
    bool there = file_is_folder(own);
    free(own);
    if (!there) return status_fail(ERR_INPUT, "no cameo \"%s\" in %s", cameo, s->folder);
    if (!failed(trust_read_record(s, cameo, &r))) {
        Status status = trust_log(s, json_pack("{s:s,s:s}", "what", "erase", "ref", r.ref), now_s);
        trust_record_clear(&r);
        TRY(status);
    }
    return trust_wipe(s, cameo);
}

Status trust_erase(TrustStore *s, const char *cameo, int64_t now_s)
{
    int lock;
    if (!trust_id_valid(cameo)) return status_fail(ERR_INPUT, "no cameo \"%.64s\"", cameo);
    TRY(trust_begin(s, &lock));
    Status status = erase_locked(s, cameo, trust_now(s, now_s));
    trust_end(s, &lock);
    return status;
}
