#include "events.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"

struct Events {
    int fd;
    char *path, *campaign;
    char *text; /* lines not yet written */
    size_t used, room;
};

void events_time(double time_s, char text[32])
{
    double whole = floor(time_s);
    time_t t = (time_t)whole;
    struct tm tm;
    char day[24];
    gmtime_r(&t, &tm);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, 32, "%s.%03dZ", day, (int)((time_s - whole) * 1000));
}

static void keep(Events *e, const char *text, size_t bytes)
{
    if (e->room - e->used < bytes) {
        e->room = 2 * e->room + bytes;
        e->text = realloc(e->text, e->room);
        if (!e->text) abort();
    }
    memcpy(e->text + e->used, text, bytes);
    e->used += bytes;
}

Status events_open(const char *folder, const char *campaign, Events **out)
{
    char *path = path_join(folder, "events.jsonl"), last = '\n';
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        Status status = status_errno(ERR_FATAL, "cannot write %s", path);
        free(path);
        return status;
    }
    Events *e = memory_get(1, sizeof *e);
    e->fd = fd;
    e->path = path;
    e->campaign = text_copy(campaign);
    off_t end = lseek(fd, 0, SEEK_END);
    if (end > 0 && pread(fd, &last, 1, end - 1) == 1 && last != '\n') keep(e, "\n", 1); /* a line torn by a crash */
    *out = e;
    return status_ok();
}

void events_close(Events **e)
{
    if (!*e) return;
    close((*e)->fd);
    free((*e)->path);
    free((*e)->campaign);
    free((*e)->text);
    free(*e);
    *e = NULL;
}

void events_add(Events *e, double time_s, const char *event, json_t *details)
{
    char when[32];
    events_time(time_s, when);
    json_t *line = json_pack("{s:s,s:s,s:s}", "time", when, "event", event, "campaign", e->campaign);
    if (details) json_object_update(line, details);
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    if (!text) abort();
    keep(e, text, strlen(text));
    keep(e, "\n", 1);
    free(text);
    json_decref(line);
    json_decref(details);
}

void events_drop(Events *e) { e->used = 0; }

Status events_flush(Events *e)
{
    size_t at = 0;
    while (at < e->used) {
        ssize_t n = write(e->fd, e->text + at, e->used - at);
        if (n < 0) return status_errno(ERR_FATAL, "cannot write %s", e->path);
        at += (size_t)n;
    }
    bool wrote = e->used > 0;
    e->used = 0;
    if (wrote && fdatasync(e->fd) != 0) return status_errno(ERR_FATAL, "cannot fsync %s", e->path);
    return status_ok();
}
