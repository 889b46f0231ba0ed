#include "segments.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/moment.h"

enum { MOST = 4096, LINE_BYTES = 4608 };

typedef struct {
    int count;
    char *name[MOST];
    bool mapped[MOST];
} Segments;

static void find_segments(const char *folder, double least_age_s, Segments *s)
{
    char host[256] = "", start[320];
    gethostname(host, sizeof host - 1);
    const int n = snprintf(start, sizeof start, "sm_segment.%s.", host);
    DIR *d = opendir(folder);
    for (struct dirent *e; d && s->count < MOST && (e = readdir(d));) {
        struct stat st;
        char *path = path_join(folder, e->d_name);
        const bool ours = strncmp(e->d_name, start, (size_t)n) == 0 && lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
                          st.st_uid == geteuid() && moment_wall_s() - (double)st.st_mtime >= least_age_s;
        if (ours)
            s->name[s->count++] = path;
        else
            free(path);
    }
    if (d) closedir(d);
}

/* "START-END RIGHTS OFFSET DEVICE INODE   PATH" */
static void look_at_process(const char *maps, Segments *s)
{
    char line[LINE_BYTES];
    FILE *f = fopen(maps, "re");
    while (f && fgets(line, sizeof line, f)) {
        const char *path = strchr(line, '/');
        line[strcspn(line, "\n")] = 0;
        for (int i = 0; path && i < s->count; i++) s->mapped[i] = s->mapped[i] || strcmp(path, s->name[i]) == 0;
    }
    if (f) fclose(f);
}

int segments_sweep(const char *folder, double least_age_s)
{
    Segments *s = memory_get(1, sizeof *s);
    int removed = 0;
    find_segments(folder, least_age_s, s);
    DIR *d = s->count ? opendir("/proc") : NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[strspn(e->d_name, "0123456789")]) continue;
        char *maps = text_format("/proc/%s/maps", e->d_name);
        look_at_process(maps, s);
        free(maps);
    }
    for (int i = 0; i < s->count; i++) {
        if (d && !s->mapped[i] && unlink(s->name[i]) == 0) removed++;
        free(s->name[i]);
    }
    if (d) closedir(d);
    free(s);
    return removed;
}
