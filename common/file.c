#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/provoke.h"

void *memory_get(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p) abort();
    return p;
}

void *memory_large(size_t count, size_t size) { return calloc(count ? count : 1, size); }

Status memory_refused(size_t count, size_t size)
{
    return status_fail(ERR_NODE, "out of memory: %.1f MB were wanted", (double)count * (double)size / 1e6);
}

void *memory_resize(void *old, size_t count, size_t size)
{
    void *p = realloc(old, count * size);
    if (!p) abort();
    return p;
}

char *text_copy(const char *text)
{
    size_t n = strlen(text) + 1;
    return memcpy(memory_get(n, 1), text, n);
}

bool text_is_blank(const char *text) { return !text[strspn(text, " \t\r\n")]; }

int text_letters(const char *text)
{
    int n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

size_t text_fits(const char *text, size_t bytes)
{
    size_t n = strnlen(text, bytes + 1);
    if (n <= bytes) return n;
    for (n = bytes; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80; n--) continue;
    return n;
}

char *text_format(const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) abort();
    char *text = memory_get((size_t)n + 1, 1);
    vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return text;
}

char *path_join(const char *a, const char *b)
{
    if (!*a || *b == '/') return text_copy(b);
    return text_format("%s%s%s", a, a[strlen(a) - 1] == '/' ? "" : "/", b);
}

const char *path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *path_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return text_copy(".");
    if (slash == path) return text_copy("/");
    return text_format("%.*s", (int)(slash - path), path);
}

bool file_exists(const char *path) { return access(path, F_OK) == 0; }

bool file_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

Status file_size(const char *path, int64_t *bytes)
{
    struct stat st;
    if (stat(path, &st) != 0) return status_errno(ERR_INPUT, "%s", path);
    *bytes = st.st_size;
    return status_ok();
}

Status file_make_folders(const char *path)
{
    Status status = status_ok();
    char *text = text_copy(path);
    for (char *p = text + 1; *p && !failed(status); p++) {
        if (*p != '/') continue;
        *p = 0;
        if (mkdir(text, 0777) != 0 && errno != EEXIST) status = status_errno(ERR_INPUT, "cannot make folder %s", text);
        *p = '/';
    }
    if (!failed(status) && mkdir(text, 0777) != 0 && (errno != EEXIST || !file_is_folder(text)))
        status = status_errno(ERR_INPUT, "cannot make folder %s", text);
    free(text);
    return status;
}

Status file_check_space(const char *folder, int64_t least_bytes)
{
    struct statvfs s;
    if (statvfs(folder, &s) != 0) return status_errno(ERR_INPUT, "%s", folder);
    int64_t kb = (int64_t)(s.f_bavail * (s.f_frsize / 512) / 2);
    if (kb >= (least_bytes + 1023) / 1024) return status_ok();
    return status_fail(ERR_INPUT, "%s: the disk is full: %lld kB free, expected at least %lld kB", folder,
                       (long long)kb, (long long)(least_bytes + 1023) / 1024);
}

/* Free blocks say nothing of a quota; a small file tries that. */
bool file_has_room(const char *folder, int64_t bytes)
{
    enum { TRY_BYTES = 1 << 20 };
    struct statvfs s;
    if (statvfs(folder, &s) == 0 && (int64_t)(s.f_bavail * (s.f_frsize / 512)) * 512 < bytes) return false;
    char *path = text_format("%s/room-XXXXXX", folder);
    const int fd = mkostemp(path, O_CLOEXEC);
    const bool room = fd >= 0 && posix_fallocate(fd, 0, TRY_BYTES) == 0;
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    free(path);
    return room;
}

Status file_check_writable(const char *folder)
{
    if (access(folder, W_OK) == 0 || (errno != EROFS && errno != EACCES)) return status_ok();
    return status_errno(ERR_FATAL, "%s cannot be written", folder);
}

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode)    ? "a folder"
           : S_ISFIFO(mode) ? "a pipe"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISREG(mode)  ? "a file"
                            : "a device";
}

Status file_open(const char *path, int *fd)
{
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY |
                         O_NONBLOCK); /* opening a pipe would wait; of a file it changes nothing */
    if (*fd < 0) return status_errno(ERR_INPUT, "cannot read %s", path);
    if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode)) return status_ok();
    close(*fd);
    *fd = -1;
    return status_fail(ERR_INPUT, "cannot read %s: %s, expected a file", path, kind_of(st.st_mode));
}

Status file_open_stream(const char *path, FILE **f)
{
    int fd;
    *f = NULL;
    TRY(file_open(path, &fd));
    *f = fdopen(fd, "rb");
    if (*f) return status_ok();
    close(fd);
    return status_fail(ERR_NODE, "%s: out of memory", path);
}

Status file_check_regular(const char *path)
{
    int fd;
    TRY(file_open(path, &fd));
    close(fd);
    return status_ok();
}

Status file_read(const char *path, size_t max_bytes, char **data, size_t *bytes)
{
    *data = NULL;
    *bytes = 0;
    FILE *f;
    TRY(file_open_stream(path, &f));
    Status status = status_ok();
    size_t room = 1 << 16, n = 0;
    char *text = malloc(room + 1);
    while (text) {
        n += fread(text + n, 1, room - n, f);
        if (n < room || n > max_bytes) break;
        room *= 2;
        char *more = realloc(text, room + 1);
        if (!more) free(text);
        text = more;
    }
    if (!text)
        status = status_fail(ERR_NODE, "%s: out of memory", path);
    else if (ferror(f))
        status = status_errno(ERR_INPUT, "cannot read %s", path);
    else if (n > max_bytes)
        status = status_fail(ERR_INPUT, "%s: larger than the %zu bytes expected at most", path, max_bytes);
    fclose(f);
    if (failed(status)) {
        free(text);
        return status;
    }
    text[n] = 0;
    *data = text;
    *bytes = n;
    return status;
}

/* Drafts are told apart by it: on two nodes, processes of the same number may work on the same shot, one that hung and the one that took
 * its place. */
static unsigned process_tag(void)
{
    static _Atomic unsigned tag;
    unsigned drawn = 0;
    if (tag == 0 && getrandom(&drawn, sizeof drawn, GRND_NONBLOCK) == sizeof drawn && drawn != 0) {
        unsigned none = 0;
        atomic_compare_exchange_strong(&tag, &none, drawn);
    }
    return tag;
}

/* One link further; free() it. NULL: no link. */
static char *read_link(const char *path)
{
    char to[4096];
    ssize_t n = readlink(path, to, sizeof to - 1);
    if (n < 0) return NULL;
    to[n] = 0;
    char *folder = path_folder(path), *next = path_join(strchr(path, '/') ? folder : "", to);
    free(folder);
    return next;
}

Status file_target(const char *path, char **target)
{
    enum { MOST_LINKS = 40 }; /* as Linux follows */
    struct stat st;
    *target = text_copy(path);
    for (int i = 0; i < MOST_LINKS; i++) {
        char *next = read_link(*target);
        if (!next) break;
        free(*target);
        *target = next;
    }
    if (lstat(*target, &st) != 0 || S_ISREG(st.st_mode)) return status_ok();
    Status status = status_fail(ERR_INPUT, "%s: %s is there, expected a file or nothing", path,
                                S_ISLNK(st.st_mode) ? "a chain of symbolic links without end" : kind_of(st.st_mode));
    free(*target);
    *target = NULL;
    return status;
}

char *file_draft(const char *path)
{
    char *target;
    Status status = file_target(path, &target);
    char *draft = text_format("%s.draft.%ld.%x", failed(status) ? path : target, (long)getpid(), process_tag());
    free(target);
    return draft;
}

static Status sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return status_errno(ERR_NODE, "cannot open %s", path);
    /* a file system without fsync for folders says EINVAL: its rename is as good as it gets */
    Status s = fsync(fd) != 0 && errno != EINVAL ? status_errno(ERR_NODE, "cannot fsync %s", path) : status_ok();
    close(fd);
    return s;
}

Status file_publish(const char *draft, const char *path)
{
    char *target = NULL, *folder = NULL;
    const char *ending = strrchr(path_name(path), '.');
    Status status = provoke_at("publish", ending ? ending + 1 : "", 0);
    if (!failed(status)) status = file_target(path, &target);
    if (!failed(status)) status = sync_path(draft, O_RDONLY);
    if (!failed(status) && rename(draft, target) != 0)
        status = status_errno(ERR_NODE, "cannot rename %s to %s", draft, target);
    if (failed(status)) {
        unlink(draft);
    } else {
        folder = path_folder(target);
        status = sync_path(folder, O_RDONLY | O_DIRECTORY);
    }
    free(folder);
    free(target);
    return status;
}

/* Looks, then renames; a lock on the folder keeps other processes of this machine from doing so in between. */
static Status put_new_alone(const char *draft, const char *target)
{
    char *folder = path_folder(target);
    Status status = status_ok();
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int locked = -1;
    while (fd >= 0 && (locked = flock(fd, LOCK_EX)) != 0 && errno == EINTR) continue;
    if (locked != 0)
        status = status_errno(ERR_NODE, "cannot lock the folder %s", folder);
    else if (!file_exists(target) && rename(draft, target) != 0)
        status = status_errno(ERR_NODE, "cannot write %s", target);
    if (fd >= 0) close(fd);
    free(folder);
    return status;
}

/* By a link, or where the file system has none by a rename that replaces nothing, or where it does not know that either under a lock. */
static Status put_new(const char *draft, const char *target)
{
    if (link(draft, target) == 0 || errno == EEXIST) return status_ok();
    if (renameat2(AT_FDCWD, draft, AT_FDCWD, target, RENAME_NOREPLACE) == 0 || errno == EEXIST) return status_ok();
    if (errno == EINVAL || errno == ENOSYS) return put_new_alone(draft, target);
    return status_errno(ERR_NODE, "cannot write %s", target);
}

Status file_publish_new(const char *draft, const char *path)
{
    char *target = NULL;
    Status status = file_target(path, &target);
    if (!failed(status)) status = sync_path(draft, O_RDONLY);
    if (!failed(status)) status = put_new(draft, target);
    unlink(draft);
    if (!failed(status)) {
        char *folder = path_folder(target);
        status = sync_path(folder, O_RDONLY | O_DIRECTORY);
        free(folder);
    }
    free(target);
    return status;
}

/* All that was written to this file system so far is on the disk. */
static Status sync_all(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return status_errno(ERR_NODE, "cannot open %s", path);
    Status status = syncfs(fd) != 0 ? status_errno(ERR_NODE, "cannot sync the file system of %s", path) : status_ok();
    close(fd);
    return status;
}

static Status rename_all(char *const *draft, char *const *path, int count, int *done)
{
    for (*done = 0; *done < count; ++*done) {
        const char *ending = strrchr(path_name(path[*done]), '.');
        char *target;
        TRY(provoke_at("publish", ending ? ending + 1 : "", 0));
        TRY(file_target(path[*done], &target));
        const bool renamed = rename(draft[*done], target) == 0;
        free(target);
        if (!renamed) return status_errno(ERR_NODE, "cannot rename %s to %s", draft[*done], path[*done]);
    }
    return status_ok();
}

Status file_publish_all(char *const *draft, char *const *path, int count)
{
    int done = 0;
    char *last = NULL;
    Status status = count > 0 ? sync_all(draft[0]) : status_ok();
    if (!failed(status)) status = rename_all(draft, path, count, &done);
    for (int i = done; i < count; i++) unlink(draft[i]);
    for (int i = 0; i < done && !failed(status); i++) { /* each folder once: files of one stand together */
        char *folder = path_folder(path[i]);
        if (!last || strcmp(folder, last) != 0) status = sync_path(folder, O_RDONLY | O_DIRECTORY);
        free(last);
        last = folder;
    }
    free(last);
    return status;
}

Status file_sync_folder(const char *folder) { return sync_path(folder, O_RDONLY | O_DIRECTORY); }

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info, (void)kind, (void)where;
    remove(path);
    return 0;
}

void file_remove_tree(const char *folder) { nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

Status file_check_place(const char *path)
{
    char *draft = file_draft(path);
    FILE *f = file_is_folder(path) ? NULL : fopen(draft, "wbxe");
    Status status = f                      ? status_ok()
                    : file_is_folder(path) ? status_fail(ERR_INPUT, "cannot write %s: it is a folder", path)
                                           : status_errno(ERR_INPUT, "cannot write %s", path);
    if (f) {
        fclose(f);
        unlink(draft);
    }
    free(draft);
    return status;
}

Status file_write(const char *path, Status (*put)(FILE *f, void *self), void *self)
{
    char *draft = file_draft(path);
    FILE *f = fopen(draft, "wbe");
    Status status = f ? put(f, self) : status_errno(ERR_NODE, "cannot write %s", path);
    const bool lost = f && ferror(f), closed = f && fclose(f) == 0; /* for small files closing is the write */
    if (!failed(status) && (lost || !closed)) status = status_errno(ERR_NODE, "cannot write %s", path);
    if (failed(status))
        unlink(draft);
    else
        status = file_publish(draft, path);
    free(draft);
    return status;
}

typedef struct {
    const void *data;
    size_t bytes;
} Bytes;

static Status put_bytes(FILE *f, void *self)
{
    const Bytes *b = self;
    fwrite(b->data, 1, b->bytes, f); /* file_write asks whether it went wrong */
    return status_ok();
}

Status file_replace(const char *path, const void *data, size_t bytes)
{
    return file_write(path, put_bytes, &(Bytes){data, bytes});
}

static Status copy_file(const char *from, const char *to)
{
    char buffer[1 << 16];
    size_t n;
    Status status = status_ok();
    FILE *in, *out;
    TRY(file_open_stream(from, &in));
    out = fopen(to, "wb");
    if (!out) status = status_errno(ERR_NODE, "cannot copy %s to %s", from, to);
    while (out && (n = fread(buffer, 1, sizeof buffer, in)) > 0)
        if (fwrite(buffer, 1, n, out) != n) break;
    if (out && (ferror(in) || ferror(out))) status = status_errno(ERR_NODE, "cannot copy %s to %s", from, to);
    if (out && fclose(out) != 0 && !failed(status)) status = status_errno(ERR_NODE, "cannot copy %s to %s", from, to);
    fclose(in);
    return status;
}

Status file_duplicate(const char *from, const char *path)
{
    TRY(file_check_regular(from));
    char *draft = file_draft(path);
    unlink(draft);
    Status status = link(from, draft) == 0 ? status_ok() : copy_file(from, draft);
    if (failed(status))
        unlink(draft);
    else
        status = file_publish(draft, path);
    unlink(draft); /* rename leaves both names when they are the same file already */
    free(draft);
    return status;
}
