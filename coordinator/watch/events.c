#include "events.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/moment.h"

enum { SYNC_MS = 1000 };

struct Events {
    int fd;
    char *path, *campaign;
    int64_t synced_ms;
    bool unsynced; /* written since */
    double time_s; /* that `when` is the text of: a round's events have one time */
    char when[32];
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

static void make_room(Events *e, size_t bytes)
{
    if (e->room - e->used >= bytes) return;
    e->room = 2 * e->room + bytes;
    e->text = memory_resize(e->text, e->room, 1);
}

static void keep(Events *e, const char *text, size_t bytes)
{
    make_room(e, bytes);
    memcpy(e->text + e->used, text, bytes);
    e->used += bytes;
}

/* How many bytes the UTF-8 character at p has; 0 when it is none. */
static int utf8_length(const unsigned char *p)
{
    int n = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : (*p & 0xf0) == 0xe0 ? 3 : *p >= 0xf0 && *p < 0xf5 ? 4 : 0;
    for (int i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    bool surrogate = *p == 0xed && n == 3 && p[1] >= 0xa0, overlong = n == 3 && *p == 0xe0 && p[1] < 0xa0;
    if (n == 4) overlong = (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] >= 0x90);
    return surrogate || overlong ? 0 : n;
}

/* A name is a literal of ours: nothing in it is escaped. */
static void keep_name(Events *e, const char *before, const char *name)
{
    keep(e, before, strlen(before));
    keep(e, name, strlen(name));
}

/* As JSON. A reason may be any bytes that a worker sent: what is not UTF-8 becomes U+FFFD. */
static void keep_text(Events *e, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    keep(e, "\"", 1);
    while (*p) {
        size_t plain = 0; /* most texts are nothing else */
        while (p[plain] - 0x20u < 0x60u && p[plain] != '"' && p[plain] != '\\') plain++;
        keep(e, (const char *)p, plain);
        p += plain;
        if (!*p) break;
        char escape[8];
        int n = utf8_length(p);
        if (n == 1) { /* a quote, a backslash, a control character */
            snprintf(escape, sizeof escape, *p < 0x20 ? "\\u%04x" : "\\%c", *p);
            keep(e, escape, strlen(escape));
        } else {
            keep(e, n ? (const char *)p : "\xef\xbf\xbd", n ? (size_t)n : 3);
        }
        p += n ? n : 1;
    }
    keep(e, "\"", 1);
}

static void keep_int(Events *e, int64_t value)
{
    char digits[24], *p = digits + sizeof digits;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--p = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    if (value < 0) *--p = '-';
    keep(e, p, (size_t)(digits + sizeof digits - p));
}

/* To a millionth: times in seconds. printf's own way takes ten times as long, for digits that mean nothing here. */
static void keep_real(Events *e, double value)
{
    if (!(fabs(value) < 1e12)) value = 0; /* also a NaN */
    int64_t millionths = llround(value * 1e6), part = llabs(millionths % 1000000);
    if (millionths < 0 && millionths > -1000000) keep(e, "-", 1);
    keep_int(e, millionths / 1000000);
    if (part == 0) return;
    char digits[8] = ".000000";
    size_t length = 7;
    for (int i = 6; part; i--, part /= 10) digits[i] = (char)('0' + part % 10);
    while (digits[length - 1] == '0') length--;
    keep(e, digits, length);
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

static Status sync_file(Events *e)
{
    e->synced_ms = moment_ms();
    e->unsynced = false;
    return fdatasync(e->fd) == 0 ? status_ok() : status_errno(ERR_FATAL, "cannot fsync %s", e->path);
}

void events_close(Events **e)
{
    if (!*e) return;
    if ((*e)->unsynced) sync_file(*e); /* a failure here is one of the ledger's disk, which the ledger reports */
    close((*e)->fd);
    free((*e)->path);
    free((*e)->campaign);
    free((*e)->text);
    free(*e);
    *e = NULL;
}

static void keep_field(Events *e, char type, va_list *args)
{
    if (type == 's') {
        const char *text = va_arg(*args, const char *);
        keep_text(e, text ? text : "");
    } else if (type == 'i') {
        keep_int(e, va_arg(*args, int));
    } else if (type == 'I') {
        keep_int(e, va_arg(*args, int64_t));
    } else {
        assert(type == 'f');
        keep_real(e, va_arg(*args, double));
    }
}

void events_vadd(Events *e, double time_s, const char *event, const char *pack, va_list args)
{
    va_list fields; /* a copy: passing on a va_list by address needs one of our own */
    if (time_s != e->time_s || !*e->when) events_time(time_s, e->when);
    e->time_s = time_s;
    keep_name(e, "{\"time\":\"", e->when);
    keep_name(e, "\",\"event\":\"", event);
    keep(e, "\",\"campaign\":", 13);
    keep_text(e, e->campaign);
    va_copy(fields, args);
    for (const char *p = pack; *p && *p != '}' && p[1] != '}'; p += 4) { /* "{s:T" or ",s:T" */
        assert(p[1] == 's' && p[2] == ':' && p[3]);
        keep_name(e, ",\"", va_arg(fields, const char *));
        keep(e, "\":", 2);
        keep_field(e, p[3], &fields);
    }
    va_end(fields);
    keep(e, "}\n", 2);
}

void events_add(Events *e, double time_s, const char *event, const char *pack, ...)
{
    va_list args;
    va_start(args, pack);
    events_vadd(e, time_s, event, pack, args);
    va_end(args);
}

void events_drop(Events *e) { e->used = 0; }

Status events_flush(Events *e)
{
    size_t at = 0;
    while (at < e->used) {
        ssize_t n = write(e->fd, e->text + at, e->used - at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return status_errno(ERR_FATAL, "cannot write %s", e->path);
        at += (size_t)n;
    }
    e->unsynced = e->unsynced || e->used > 0;
    e->used = 0;
    return e->unsynced && moment_ms() - e->synced_ms >= SYNC_MS ? sync_file(e) : status_ok();
}
