#include "machine.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, LINE_BYTES = 4096 };

typedef struct {
    int64_t all, available; /* the smallest so far; INT64_MAX: unbounded */
} Room;

static void bound(Room *r, int64_t all, int64_t used)
{
    const int64_t left = used < all ? all - used : 1;
    if (all < r->all) r->all = all;
    if (left < r->available) r->available = left;
}

/* The number after `name` in a file of lines "name number", or the first number of the file when name is "". -1: none ("max", say). */
static int64_t number_in(const char *path, const char *name)
{
    char line[LINE_BYTES];
    long long found = -1;
    const size_t n = strlen(name);
    FILE *f = fopen(path, "r");
    while (f && found < 0 && fgets(line, sizeof line, f))
        if (strncmp(line, name, n) == 0 && sscanf(line + n, "%lld", &found) != 1) found = -1;
    if (f) fclose(f);
    return found;
}

/* ---- control groups --------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *root, *limit, *usage, *cache; /* cache: pages of files, which go when memory is wanted */
} GroupFiles;

static const GroupFiles version_1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                                     "total_inactive_file "};
static const GroupFiles version_2 = {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "};

static int64_t group_number(const char *folder, const char *file, const char *name)
{
    char path[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return number_in(path, name);
}

static void bound_by_group(Room *r, const GroupFiles *f, const char *folder)
{
    const int64_t limit = group_number(folder, f->limit, ""), used = group_number(folder, f->usage, "");
    const int64_t cache = group_number(folder, "memory.stat", f->cache);
    if (limit < 0 || used < 0 || limit >= INT64_MAX / 2) return;
    bound(r, limit, cache > 0 && cache < used ? used - cache : used);
}

/* The group and all above it. In a container its own group may be the root: then `path` is not there, and the root's files are it. */
static void bound_by_groups(Room *r, const GroupFiles *f, const char *path)
{
    char folder[PATH_BYTES];
    const size_t root = strlen(f->root);
    snprintf(folder, sizeof folder, "%s%s", f->root, path);
    for (char *slash;; *slash = 0) {
        bound_by_group(r, f, folder);
        slash = strrchr(folder + root, '/');
        if (!slash) return;
    }
}

/* Lines "0::/path" (version 2) and "4:memory:/path" (version 1) of /proc/self/cgroup. */
static void bound_by_all_groups(Room *r)
{
    char line[LINE_BYTES];
    FILE *f = fopen("/proc/self/cgroup", "r");
    while (f && fgets(line, sizeof line, f)) {
        char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
        if (!path) continue;
        *path++ = 0;
        path[strcspn(path, "\n")] = 0;
        if (strcmp(path, "/") == 0) *path = 0;
        names++;
        if (!*names) bound_by_groups(r, &version_2, path);
        if (strcmp(names, "memory") == 0) bound_by_groups(r, &version_1, path);
    }
    if (f) fclose(f);
}

/* ---- the machine, and the process's own limits -------------------------------------------------------------------------------- */

static void bound_by_limit(Room *r, int resource, const char *used)
{
    struct rlimit limit;
    const int64_t kib = number_in("/proc/self/status", used);
    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || kib < 0) return;
    bound(r, limit.rlim_cur < INT64_MAX ? (int64_t)limit.rlim_cur : INT64_MAX, kib * 1024);
}

static Room measure(void)
{
    Room r = {INT64_MAX, INT64_MAX};
    const int64_t all = number_in("/proc/meminfo", "MemTotal:"), free = number_in("/proc/meminfo", "MemAvailable:");
    if (all >= 0 && free >= 0) bound(&r, all * 1024, (all - free) * 1024);
    bound_by_all_groups(&r);
    bound_by_limit(&r, RLIMIT_AS, "VmSize:");
    bound_by_limit(&r, RLIMIT_DATA, "VmData:");
    return r;
}

int64_t machine_memory_bytes(void)
{
    const int64_t all = measure().all;
    return all == INT64_MAX ? 0 : all;
}

int64_t machine_available_bytes(void)
{
    const int64_t available = measure().available;
    return available == INT64_MAX ? 0 : available;
}
