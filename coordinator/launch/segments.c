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

static int host_start(char start[320])
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    return snprintf(start, 320, "sm_segment.%s.", host);
}

static void find_segments(const char *folder, double least_age_s, const char *job, Segments *s)
{
    char start[320];
    const int n = host_start(start);
    DIR *d = opendir(folder);
    for (struct dirent *e; d && s->count < MOST && (e = readdir(d));) {
        struct stat st;
        char *path = path_join(folder, e->d_name);
        const bool ours = strncmp(e->d_name, start, (size_t)n) == 0 && lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
                          st.st_uid == geteuid() &&
                          (moment_wall_s() - (double)st.st_mtime >= least_age_s ||
                           (*job && strncmp(e->d_name, job, strlen(job)) == 0));
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

void segments_of(int pid, char job[SEGMENTS_JOB])
{
    char start[320], line[LINE_BYTES], *maps = text_format("/proc/%d/maps", pid);
    host_start(start);
    FILE *f = fopen(maps, "re");
    *job = 0;
    while (f && !*job && fgets(line, sizeof line, f)) {
        char *name = strstr(line, start),
             *rank = name ? strrchr(name, '.') : NULL; /* ".../sm_segment.HOST.USER.JOB.RANK" */
        if (rank && rank - name >= (int)strlen(start) && rank + 1 - name < SEGMENTS_JOB)
            snprintf(job, SEGMENTS_JOB, "%.*s", (int)(rank + 1 - name), name);
    }
    if (f) fclose(f);
    free(maps);
}

int segments_sweep(const char *folder, double least_age_s, const char *job, int *mapped)
{
    Segments *s = memory_get(1, sizeof *s);
    int removed = 0;
    find_segments(folder, least_age_s, job, s);
    DIR *d = s->count ? opendir("/proc") : NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[strspn(e->d_name, "0123456789")]) continue;
        char *maps = text_format("/proc/%s/maps", e->d_name);
        look_at_process(maps, s);
        free(maps);
    }
    *mapped = 0;
    for (int i = 0; i < s->count; i++) {
        *mapped += s->mapped[i] && *job && strncmp(path_name(s->name[i]), job, strlen(job)) == 0;
        if (d && !s->mapped[i] && unlink(s->name[i]) == 0) removed++;
        free(s->name[i]);
    }
    if (d) closedir(d);
    free(s);
    return removed;
}
