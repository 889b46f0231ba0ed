#include "placer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/file.h"
#include "coordinator/deliver/filecheck.h"

/* Reads `from` once: what is hashed is what is written. */
static Status copy_verified(const char *from, const char *draft, const char *sha256)
{
    enum { PIECE = 1 << 18 };
    char *piece = memory_get(PIECE, 1), found[HASH_TEXT];
    FILE *in = fopen(from, "rbe"), *out = in ? fopen(draft, "wbe") : NULL;
    Status status = !in    ? status_errno(ERR_NODE, "cannot read %s", from)
                    : !out ? status_errno(ERR_FATAL, "cannot write %s", draft)
                           : status_ok();
    Hash *h = hash_begin();
    for (size_t n; out && !failed(status) && (n = fread(piece, 1, PIECE, in)) > 0;) {
        hash_add(h, piece, n);
        if (fwrite(piece, 1, n, out) != n) status = status_errno(ERR_FATAL, "cannot write %s", draft);
    }
    hash_end(h, found);
    if (in && ferror(in) && !failed(status)) status = status_errno(ERR_NODE, "cannot read %s", from);
    if (in) fclose(in);
    if (out && fclose(out) != 0 && !failed(status)) status = status_errno(ERR_FATAL, "cannot write %s", draft);
    if (!failed(status) && *sha256 && strcmp(found, sha256) != 0)
        status = status_fail(ERR_CLIP, "%s: its SHA-256 is %.12s.., expected %.12s..: changed since it was finished",
                             from, found, sha256);
    free(piece);
    return status;
}

/* The copy shares its bytes on disk, and is a file of its own all the same: it has a mode of its own, and a change to one does not change the
 * other. */
static bool clone_file(Placer *l, const char *from, const char *draft)
{
    if (l->cannot_clone) return false;
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool good = in >= 0 && out >= 0 && ioctl(out, FICLONE, in) == 0 && fchmod(out, 0644) == 0;
    if (in >= 0) close(in);
    if (out >= 0) close(out);
    if (!good) unlink(draft);
    l->cannot_clone = !good;
    return good;
}

static bool link_file(Placer *l, const char *from, const char *draft)
{
    if (l->cannot_link) return false;
    unlink(draft);
    if (link(from, draft) == 0) return true;
    l->cannot_link =
        errno == EPERM || errno == EXDEV || errno == EOPNOTSUPP; /* not EMLINK: 65,000 names at most on ext4 */
    return false;
}

/* What was delivered to `path`: still a draft when it is of this batch. */
static const char *find_placed(const Placer *l, const char *path)
{
    for (int i = l->file_count - 1; i >= 0; i--)
        if (strcmp(l->path[i], path) == 0) return l->draft[i];
    return path;
}

/* What leaves the house may be read by whoever gets it, though the folder around it is the owner's. */
Status placer_open_folder(const char *folder)
{
    if (file_is_folder(folder)) return status_ok();
    TRY(file_make_folders(folder));
    return chmod(folder, 0755) == 0 ? status_ok() : status_errno(ERR_FATAL, "chmod %s", folder);
}

/* A draft beside `to`, which the batch renames. `twin`: where a file of the same bytes was delivered to, or NULL. */
static Status place_file(Placer *l, const char *from, const char *to, const char *twin, const char *sha256)
{
    char *folder = path_folder(to), *draft = file_draft(to);
    Status status = placer_open_folder(folder);
    bool shared = !failed(status) && ((twin && link_file(l, find_placed(l, twin), draft)) ||
                                      clone_file(l, from, draft) || link_file(l, from, draft));
    if (!failed(status) && !shared) status = copy_verified(from, draft, sha256);
    if (!failed(status) && !shared && chmod(draft, 0644) != 0) status = status_errno(ERR_FATAL, "chmod %s", draft);
    free(folder);
    if (failed(status)) {
        unlink(draft);
        free(draft);
        return status;
    }
    assert(l->file_count < PLACER_FILES);
    l->draft[l->file_count] = draft;
    l->path[l->file_count++] = text_copy(to);
    return status;
}

/* The whole file, read once however many names it has. */
static Status check_source(Placer *l, const char *path, const struct stat *st, const char *sha256)
{
    Twin *twin = st->st_nlink > 1 ? twins_find(l->twins, st) : NULL;
    if (twin && twin->whole && strcmp(twin->sha256, sha256) == 0) return status_ok();
    TRY(filecheck_whole(path, sha256));
    if (!twin) return status_ok();
    twin->whole = true;
    snprintf(twin->sha256, sizeof twin->sha256, "%s", sha256);
    return status_ok();
}

typedef struct {
    char *from, *to;
    struct stat source, copy;
    bool has_source, has_copy, same; /* same: two names of one file */
} Pair;

static Pair look_at_pair(const Placer *l, const char *relative)
{
    Pair p = {.from = path_join(l->from, relative), .to = path_join(l->to, relative)};
    p.has_source = stat(p.from, &p.source) == 0 && S_ISREG(p.source.st_mode);
    p.has_copy = stat(p.to, &p.copy) == 0 && S_ISREG(p.copy.st_mode);
    p.same = p.has_source && p.has_copy && p.source.st_ino == p.copy.st_ino && p.source.st_dev == p.copy.st_dev;
    return p;
}

/* The file in clips/ is good. */
static Status deliver_file(Placer *l, const Pair *p, const char *sha256, bool delivered)
{
    if (p->same) return status_ok();
    if (delivered && p->has_copy && !failed(filecheck_whole(p->to, sha256)) && p->copy.st_size == p->source.st_size)
        return status_ok();
    Twin *twin = p->source.st_nlink > 1 ? twins_find(l->twins, &p->source) : NULL;
    TRY(place_file(l, p->from, p->to, twin ? twin->placed : NULL, sha256));
    if (twin && !twin->placed) twin->placed = text_copy(p->to);
    l->bytes += p->source.st_size;
    l->mended += delivered;
    return status_ok();
}

Status placer_settle(Placer *l, const char *relative, const char *sha256, bool delivered)
{
    Pair p = look_at_pair(l, relative);
    Status status = status_ok();
    if (delivered && !l->thorough && p.has_source && p.has_copy && (p.same || p.source.st_size == p.copy.st_size) &&
        p.source.st_size > 0)
        goto out;
    status = check_source(l, p.from, &p.source, sha256);
    if (!failed(status)) {
        status = deliver_file(l, &p, sha256, delivered);
    } else if (status.err == ERR_CLIP) {
        char *why = text_copy(status.message);
        if (p.has_copy && !p.same && !failed(filecheck_whole(p.to, sha256))) {
            status = file_duplicate(p.to, p.from);
            l->mended += !failed(status);
        } else {
            if (p.has_copy) unlink(p.to);
            status = status_fail(ERR_CLIP, "%s", why);
        }
        free(why);
    }
out:
    free(p.from);
    free(p.to);
    return status;
}

/* Forgets the batch's files from this one on. */
void placer_drop(Placer *l, int from, bool unlink_drafts)
{
    while (l->file_count > from) {
        l->file_count--;
        if (unlink_drafts) unlink(l->draft[l->file_count]);
        free(l->draft[l->file_count]);
        free(l->path[l->file_count]);
    }
}

void placer_take_out(Placer *l, int from, int to)
{
    for (int i = from; i < to; i++) {
        unlink(l->draft[i]);
        free(l->draft[i]);
        free(l->path[i]);
    }
    const size_t rest = (size_t)(l->file_count - to);
    memmove(&l->draft[from], &l->draft[to], rest * sizeof *l->draft);
    memmove(&l->path[from], &l->path[to], rest * sizeof *l->path);
    l->file_count -= to - from;
    twins_forget_places(l->twins);
}

Status placer_publish(Placer *l)
{
    Status status = file_publish_all(l->draft, l->path, l->file_count);
    placer_drop(l, 0, false);
    return status;
}
