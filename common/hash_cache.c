#include "hash_cache.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"

enum { LEAST_BYTES = 1 << 20, MOST_LINES = 4096, MOST_CACHE_BYTES = 8 << 20, SETTLED_S = 3 };

typedef struct {
    char hash[HASH_TEXT], *path;
    uint64_t inode;
    int64_t size, mtime_ns, ctime_ns;
} Entry;

struct HashCache {
    char *file; /* NULL: nothing is remembered */
    Entry *entry;
    int count;
    bool dirty;
    int64_t bytes_read;
};

static char *cache_file(void)
{
    const char *own = getenv("REELWRIGHT_CACHE"), *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (own) return *own ? path_join(own, "hashes") : NULL;
    if (base && *base == '/') return path_join(base, "reelwright/hashes");
    return home && *home == '/' ? path_join(home, ".cache/reelwright/hashes") : NULL;
}

static int64_t in_ns(struct timespec t) { return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }

static Entry entry_of(const char *path, const struct stat *st)
{
    return (Entry){.path = (char *)(uintptr_t)path,
                   .inode = (uint64_t)st->st_ino,
                   .size = st->st_size,
                   .mtime_ns = in_ns(st->st_mtim),
                   .ctime_ns = in_ns(st->st_ctim)};
}

static Entry *add(HashCache *c, const Entry *e)
{
    c->entry = memory_resize(c->entry, (size_t)c->count + 1, sizeof *c->entry);
    c->entry[c->count] = *e;
    c->entry[c->count].path = text_copy(e->path);
    return &c->entry[c->count++];
}

/* Lines of "HASH INODE SIZE MTIME CTIME PATH". Reading ends at the first line of another form. */
static void read_lines(HashCache *c, char *text)
{
    for (char *line; (line = strsep(&text, "\n")) && *line && c->count < MOST_LINES;) {
        Entry e = {{0}, NULL, 0, 0, 0, 0};
        int used = 0;
        if (sscanf(line, "%64[0-9a-f] %" SCNu64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %n", e.hash, &e.inode, &e.size,
                   &e.mtime_ns, &e.ctime_ns, &used) != 5 ||
            strlen(e.hash) != HASH_TEXT - 1 || used == 0 || line[used] != '/')
            return;
        e.path = line + used;
        add(c, &e);
    }
}

static bool is_private(const char *file)
{
    struct stat st;
    return stat(file, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 022) == 0;
}

HashCache *hash_cache_open(void)
{
    HashCache *c = memory_get(1, sizeof *c);
    char *text = NULL;
    size_t bytes;
    c->file = cache_file();
    if (c->file && is_private(c->file) && !failed(file_read(c->file, MOST_CACHE_BYTES, &text, &bytes)))
        read_lines(c, text);
    free(text);
    return c;
}

static Entry *find(HashCache *c, const char *path)
{
    for (int i = 0; i < c->count; i++)
        if (strcmp(c->entry[i].path, path) == 0) return &c->entry[i];
    return NULL;
}

static bool is_same(const Entry *a, const Entry *b)
{
    return a->inode == b->inode && a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

/* Unchanged while it was read, and for some seconds before: then what was read is what a later look at the times means. */
static void remember(HashCache *c, const char *path, const Entry *before, const char *hash)
{
    struct stat st;
    if (!c->file || stat(path, &st) != 0) return;
    Entry now = entry_of(before->path, &st);
    if (!is_same(before, &now) || (int64_t)time(NULL) - now.ctime_ns / 1000000000 < SETTLED_S) return;
    Entry *e = find(c, before->path);
    if (!e && c->count == MOST_LINES) return;
    if (!e) e = add(c, &now);
    char *kept = e->path;
    *e = now;
    e->path = kept;
    memcpy(e->hash, hash, HASH_TEXT);
    c->dirty = true;
}

Status hash_cache_file(HashCache *c, const char *path, char hash[HASH_TEXT])
{
    struct stat st;
    char *real = realpath(path, NULL);
    if (!real || stat(real, &st) != 0 || st.st_size < LEAST_BYTES || strchr(real, '\n')) {
        free(real);
        return hash_file(path, hash);
    }
    Entry before = entry_of(real, &st), *known = find(c, real);
    Status status = status_ok();
    if (known && is_same(known, &before)) {
        memcpy(hash, known->hash, HASH_TEXT);
    } else {
        status = hash_file(real, hash);
        c->bytes_read += st.st_size;
        if (!failed(status)) remember(c, real, &before, hash);
    }
    free(real);
    return status;
}

int64_t hash_cache_bytes_read(const HashCache *c) { return c->bytes_read; }

static void write_lines(const HashCache *c)
{
    char *folder = path_folder(c->file), *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    if (!f) abort();
    for (int i = 0; i < c->count; i++) {
        const Entry *e = &c->entry[i];
        fprintf(f, "%s %" PRIu64 " %" PRId64 " %" PRId64 " %" PRId64 " %s\n", e->hash, e->inode, e->size, e->mtime_ns,
                e->ctime_ns, e->path);
    }
    fclose(f);
    if (!failed(file_make_folders(folder)) && !failed(file_replace(c->file, text, bytes))) chmod(c->file, 0600);
    free(text);
    free(folder);
}

void hash_cache_close(HashCache **c)
{
    if (!*c) return;
    if ((*c)->dirty) write_lines(*c);
    for (int i = 0; i < (*c)->count; i++) free((*c)->entry[i].path);
    free((*c)->entry);
    free((*c)->file);
    free(*c);
    *c = NULL;
}
