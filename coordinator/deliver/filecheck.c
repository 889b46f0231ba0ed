#include "filecheck.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/bytes.h"
#include "common/file.h"
#include "common/hash.h"

enum { PIECE = 1 << 18 };

static Status check_hash(FILE *f, const char *path, const char *sha256)
{
    char *piece = memory_get(PIECE, 1), found[HASH_TEXT];
    Hash *h = hash_begin();
    for (size_t n; (n = fread(piece, 1, PIECE, f)) > 0;) hash_add(h, piece, n);
    hash_end(h, found);
    free(piece);
    if (ferror(f)) return status_errno(ERR_NODE, "cannot read %s", path);
    if (strcmp(found, sha256) == 0) return status_ok();
    return status_fail(ERR_CLIP, "%s: its SHA-256 is %.12s.., expected %.12s..: changed since it was finished", path,
                       found, sha256);
}

typedef struct {
    FILE *f;
    int64_t size;
    bool unreadable; /* the disk refused: nothing is known of the file */
} Looked;

static bool read_at(Looked *l, int64_t at, void *bytes, size_t count)
{
    if (at < 0 || at + (int64_t)count > l->size) return false;
    if (fseeko(l->f, at, SEEK_SET) == 0 && fread(bytes, 1, count, l->f) == count) return true;
    l->unreadable = true;
    return false;
}

/* ISO 14496-12: boxes of a 4-byte size and a 4-byte type follow each other to the end; a size of 1 means that 8 bytes of size follow. */
static bool has_whole_boxes(Looked *l)
{
    unsigned char head[16];
    bool movie = false;
    for (int64_t at = 0; at < l->size;) {
        if (!read_at(l, at, head, 8)) return false;
        uint64_t box = bytes_be(head, 4);
        if (box == 1 && !read_at(l, at + 8, head + 8, 8)) return false;
        if (box == 1) box = bytes_be(head + 8, 8);
        if (box < 8 || box > (uint64_t)(l->size - at)) return false;
        movie = movie || memcmp(head + 4, "moov", 4) == 0;
        at += (int64_t)box;
    }
    return movie;
}

static bool ends_with(Looked *l, const void *bytes, size_t count)
{
    unsigned char end[16];
    return read_at(l, l->size - (int64_t)count, end, count) && memcmp(end, bytes, count) == 0;
}

static bool has_form(Looked *l, const char *ending)
{
    static const unsigned char png_end[] = {0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82};
    if (l->size == 0) return false;
    if (strcmp(ending, ".mp4") == 0) return has_whole_boxes(l);
    if (strcmp(ending, ".png") == 0) return ends_with(l, png_end, sizeof png_end);
    if (strcmp(ending, ".jpg") == 0) return ends_with(l, "\xff\xd9", 2);
    if (strcmp(ending, ".gif") == 0) return ends_with(l, ";", 1);
    return true;
}

static Status check_form(FILE *f, const char *path, int64_t size)
{
    Looked l = {.f = f, .size = size};
    const char *ending = strrchr(path_name(path), '.');
    if (has_form(&l, ending ? ending : "")) return status_ok();
    if (l.unreadable) return status_errno(ERR_NODE, "cannot read %s", path);
    return status_fail(ERR_CLIP, "%s: empty or cut (%" PRId64 " bytes)", path, size);
}

static Status cannot(const char *path)
{
    if (errno == ENOENT || errno == ENOTDIR) return status_fail(ERR_CLIP, "%s: the file is missing", path);
    return status_errno(ERR_NODE, "cannot read %s", path);
}

Status filecheck_whole(const char *path, const char *sha256)
{
    struct stat st;
    if (stat(path, &st) != 0) return cannot(path);
    if (!S_ISREG(st.st_mode)) return status_fail(ERR_CLIP, "%s: expected a file", path);
    FILE *f = fopen(path, "rbe");
    if (!f) return cannot(path);
    Status status = sha256 && *sha256 ? check_hash(f, path, sha256) : check_form(f, path, st.st_size);
    fclose(f);
    return status;
}
