#include "sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>
#define uthash_fatal(message) abort()
#include <uthash.h>

#include "common/clip.h"
#include "common/file.h"
#include "common/log.h"
#include "common/moment.h"
#include "coordinator/ledger/owner.h"
#include "coordinator/ledger/update.h"
#include "coordinator/ledger/view.h"

typedef struct {
    Leaving *leaving;
    bool failed;
    UT_hash_handle hh; /* its key is the name: a stem, or a shot's key */
} Entry;

typedef struct {
    Leaving *list;
    int64_t count;
    Entry *entry, *by_name;
    json_t *renditions;
} Sweep;

/* STEM.mp4, STEM.png, STEM.sheet.png and STEM.RENDITION.mp4 are names that a clip has anyway; the rest it names itself. */
static bool is_kept(const Sweep *s, const Leaving *x, const char *name)
{
    const char *rest = name + strlen(x->name);
    size_t i;
    json_t *item;
    if (!x->kept) return false;
    if (strstr(x->kept, name) || strcmp(rest, ".mp4") == 0) return true;
    json_array_foreach(s->renditions, i, item)
    {
        const char *rendition = json_string_value(json_object_get(item, "name"));
        size_t n = rendition ? strlen(rendition) : 0;
        if (n && strncmp(rest + 1, rendition, n) == 0 && rest[n + 1] == '.') return true;
    }
    return false;
}

/* A file of the clip that was made again is older than the update, unless it is one of the new ones (which may share their bytes with
 * an old clip's). */
static bool must_go(const Sweep *s, const Leaving *x, int folder, const char *name)
{
    struct stat st;
    if (!x->ready) return false;
    if (x->kind != LEAVING_CLIP && !x->kept) return true;
    if (is_kept(s, x, name) || fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return false;
    return (double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec / 1e9 < x->since_s;
}

static void sweep_folder(Sweep *s, const char *folder, const char *inside)
{
    char *path = path_join(folder, inside);
    DIR *dir = opendir(path);
    bool any = false;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        Entry *found;
        size_t n = strcspn(e->d_name, ".");
        HASH_FIND(hh, s->by_name, e->d_name, n, found);
        if (!found || n == 0 || !must_go(s, found->leaving, dirfd(dir), e->d_name)) continue;
        any = true;
        if (unlinkat(dirfd(dir), e->d_name, 0) == 0 || errno == ENOENT) continue;
        log_line(LOG_WARNING, "%s: cannot delete a file of what left the campaign: %s; it is tried again", path,
                 strerror(errno));
        found->failed = true;
    }
    if (any && fsync(dirfd(dir)) != 0) log_line(LOG_WARNING, "%s: %s", path, strerror(errno));
    if (dir) closedir(dir);
    free(path);
}

static Status forget_swept(Ledger *l, void *self)
{
    const Sweep *s = self;
    for (int64_t i = 0; i < s->count; i++)
        if (s->list[i].ready && !s->entry[i].failed) TRY(ledger_forget_leaving(l, &s->list[i]));
    return status_ok();
}

static Status read_leavings(const char *folder, Sweep *s)
{
    Ledger *l = NULL;
    char *renditions = NULL;
    Status status = ledger_open(folder, LEDGER_READ, &l);
    if (!failed(status)) status = ledger_read_leavings(l, &s->list, &s->count);
    if (!failed(status)) status = ledger_read_renditions(l, &renditions);
    if (!failed(status)) s->renditions = json_loads(renditions, 0, NULL);
    free(renditions);
    ledger_close(&l);
    return status;
}

static void remove_folder(const char *folder, const char *name)
{
    char *inside = path_join(folder, name);
    DIR *dir = opendir(inside);
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (e->d_name[0] != '.') unlinkat(dirfd(dir), e->d_name, 0);
    if (dir) closedir(dir);
    if (dir) rmdir(inside);
    free(inside);
}

void sweep_shared(const char *folder) { remove_folder(folder, "shared"); }

Status sweep_leavings(const char *folder, int64_t launch)
{
    static const char *const place[] = {"clips", "delivery", "delivery/clips", "latents", "masters", "earlier"};
    Sweep s = {0};
    bool any = false, row = false;
    Status status = read_leavings(folder, &s);
    s.entry = memory_get((size_t)s.count, sizeof *s.entry);
    for (int64_t i = 0; i < s.count; i++) {
        Entry *e = &s.entry[i];
        e->leaving = &s.list[i];
        any = any || s.list[i].ready;
        row = row || (s.list[i].ready && s.list[i].kind == LEAVING_ROW);
        HASH_ADD_KEYPTR(hh, s.by_name, s.list[i].name, strlen(s.list[i].name), e);
    }
    if (any) sweep_shared(folder);
    if (row)
        remove_folder(folder, "voices"); /* what was said to them; which of the cached files is theirs nobody knows */
    for (size_t i = 0; any && i < sizeof place / sizeof *place; i++) sweep_folder(&s, folder, place[i]);
    if (!failed(status) && any) status = ledger_amend_folder(folder, launch, "swept", forget_swept, &s);
    HASH_CLEAR(hh, s.by_name);
    free(s.entry);
    ledger_free_leavings(s.list, s.count);
    json_decref(s.renditions);
    return status;
}

/* ---- what no ledger knows of ---- */

void sweep_drafts(const char *folder)
{
    static const char *const place[] = {"",        "clips",    "latents",        "report",         "logs",
                                        "masters", "delivery", "delivery/clips", "delivery/report"};
    for (size_t i = 0; i < sizeof place / sizeof *place; i++) {
        char *inside = *place[i] ? path_join(folder, place[i]) : text_copy(folder);
        DIR *dir = opendir(inside);
        for (struct dirent *e; dir && (e = readdir(dir));)
            if (strstr(e->d_name, ".draft.")) unlinkat(dirfd(dir), e->d_name, 0);
        if (dir) closedir(dir);
        free(inside);
    }
    char *work = path_join(folder, lease_work);
    file_remove_tree(work);
    free(work);
}

void sweep_voices(const char *folder)
{
    char *voices = path_join(folder, "voices");
    file_remove_tree(voices);
    free(voices);
}
