/* files.c - moves masters and clips from the folder of their lease to masters/ and clips/, and deletes masters.
 *
 * A lease's files lie in work/LEASE until its result counts. The round that takes the result moves them before its commit, so every file
 * that the ledger names exists. No other file is moved: a worker that was given up and wakes up later replaces nothing. A master is
 * deleted after the commit that takes its last clip. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "coordinator/dispatch/inside.h"

enum { LOOK_MS = 1000, LEAST_FREE_BYTES = 256 << 20 };

static char *inside(const Dispatch *d, const char *folder) { return path_join(ledger_folder(d->ledger), folder); }

/* ---- from the lease's folder to its place ---- */

static Status move_file(const Dispatch *d, int64_t lease, const char *name, const char *place)
{
    char *work = lease_work_folder(lease);
    char *from = text_format("%s/%s/%s", ledger_folder(d->ledger), work, name);
    char *to = text_format("%s/%s/%s", ledger_folder(d->ledger), place, name);
    Status status = rename(from, to) == 0 ? status_ok() : status_errno(ERR_RETRY, "cannot move %s to %s", from, to);
    free(from);
    free(to);
    free(work);
    return status;
}

/* A file name from a worker must be the clip's stem, a dot and an ending, without a slash. No other clip can have such a name (stem.h). */
static Status check_name(const Member *m, const char *name)
{
    const size_t n = strlen(m->stem);
    if (n > 0 && strncmp(name, m->stem, n) == 0 && name[n] == '.' && !strchr(name, '/')) return status_ok();
    return status_fail(ERR_NODE, "reported a file \"%.60s\", which is none of its clip", name);
}

Status dispatch_adopt(Dispatch *d, const Member *m, const LeaseResult *r)
{
    Status status = status_ok();
    char *work = lease_work_folder(r->lease), *folder = inside(d, work);
    if (r->kind == LEASE_RENDER) {
        char *name = lease_master_name(r->key);
        d->files.masters = true;
        status = move_file(d, r->lease, name, lease_masters);
        free(name);
    }
    for (int i = 0; i < r->clip.name_count && !failed(status); i++) status = check_name(m, r->clip.name[i]);
    for (int i = 0; i < r->clip.name_count && !failed(status); i++) {
        d->files.clips = true;
        status = move_file(d, r->lease, r->clip.name[i], lease_clips);
    }
    if (!failed(status)) rmdir(folder);
    free(work);
    free(folder);
    return status;
}

static Status sync_place(const Dispatch *d, bool *moved, const char *place)
{
    if (!*moved) return status_ok();
    char *folder = inside(d, place);
    Status status = file_sync_folder(folder);
    free(folder);
    *moved = false;
    if (failed(status)) status.err = ERR_FATAL;
    return status;
}

Status dispatch_sync_files(Dispatch *d)
{
    TRY(sync_place(d, &d->files.masters, lease_masters));
    return sync_place(d, &d->files.clips, lease_clips);
}

/* ---- masters that nobody wants ---- */

typedef struct {
    const Dispatch *dispatch;
    int count, room;
    char **name;     /* of those that are wanted */
    int64_t missing; /* a shot whose master is not there as the ledger says; -1: none */
} Masters;

static Status add_master(void *self, int64_t shot, const char *key, int64_t bytes)
{
    Masters *m = self;
    int64_t size = -1;
    if (m->count == m->room) {
        m->room = 2 * m->room + 16;
        m->name = memory_resize(m->name, (size_t)m->room, sizeof *m->name);
    }
    m->name[m->count] = lease_master_name(key);
    char *path = text_format("%s/%s/%s", ledger_folder(m->dispatch->ledger), lease_masters, m->name[m->count++]);
    if (failed(file_size(path, &size)) || size != bytes) m->missing = shot;
    free(path);
    return status_ok();
}

static void clear_masters(Masters *m)
{
    for (int i = 0; i < m->count; i++) free(m->name[i]);
    free(m->name);
    *m = (Masters){.dispatch = m->dispatch, .missing = -1};
}

static bool is_wanted(const Masters *m, const char *name)
{
    for (int i = 0; i < m->count; i++)
        if (strcmp(m->name[i], name) == 0) return true;
    return false;
}

static Status sweep(const Dispatch *d)
{
    Masters m = {.dispatch = d, .missing = -1};
    Status status = ledger_read_masters(d->ledger, (MasterSink){add_master, &m});
    char *folder = inside(d, lease_masters);
    DIR *dir = failed(status) ? NULL : opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (*e->d_name != '.' && !is_wanted(&m, e->d_name)) unlinkat(dirfd(dir), e->d_name, 0);
    if (dir) closedir(dir);
    clear_masters(&m);
    free(folder);
    return status;
}

void dispatch_sweep_masters(Dispatch *d)
{
    if (!d->files.sweep) return;
    d->files.sweep = false;
    if (d->options.keep_masters || d->options.simulated) return;
    Status status = sweep(d);
    if (failed(status)) log_line(LOG_WARNING, "masters that are not wanted any more stay: %s", status.message);
}

/* ---- at the beginning ---- */

static Status find_missing(Dispatch *d, int64_t *shot)
{
    Masters m = {.dispatch = d, .missing = -1};
    Status status = ledger_read_masters(d->ledger, (MasterSink){add_master, &m});
    *shot = m.missing;
    clear_masters(&m);
    return status;
}

static Status lose_missing(Dispatch *d)
{
    for (int64_t shot;;) {
        TRY(find_missing(d, &shot));
        if (shot < 0) return status_ok();
        log_line(LOG_WARNING, "shot %" PRId64 ": its master is not there any more; it is rendered again", shot);
        TRY(dispatch_begin_changes(d));
        TRY(ledger_lose_master(d->ledger, shot));
    }
}

Status dispatch_open_files(Dispatch *d)
{
    const char *const place[] = {lease_masters, lease_clips, lease_work};
    char *work = inside(d, lease_work);
    file_remove_tree(work); /* of leases that are over */
    free(work);
    for (size_t i = 0; i < sizeof place / sizeof *place; i++) {
        char *folder = inside(d, place[i]);
        Status status = file_make_folders(folder);
        free(folder);
        if (failed(status)) return status_fail(ERR_FATAL, "%s", status.message);
    }
    TRY(lose_missing(d));
    d->files.sweep = true;
    return dispatch_end_changes(d);
}

/* ---- how many may wait ---- */

static void look_at_disk(Dispatch *d)
{
    struct statvfs s;
    if (d->files.looked_ms > 0 && d->now_ms - d->files.looked_ms < LOOK_MS) return;
    d->files.looked_ms = d->now_ms;
    d->files.free_bytes =
        statvfs(ledger_folder(d->ledger), &s) == 0 ? (int64_t)(s.f_bavail * (s.f_frsize / 512)) * 512 : INT64_MAX;
}

bool dispatch_has_room(Dispatch *d, int renders)
{
    if (d->options.simulated) return true;
    look_at_disk(d);
    return d->files.free_bytes >= LEAST_FREE_BYTES + 2 * d->files.largest_bytes * (renders + 1);
}
