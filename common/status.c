#include "status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/foreign.h"

static _Thread_local char message[STATUS_MESSAGE_MAX];

Status status_ok(void) { return (Status){OK, "", 0}; }

Status status_fail(ErrClass err, const char *fmt, ...)
{
    char text[STATUS_MESSAGE_MAX]; /* the arguments may point into `message` */
    va_list args;
    va_start(args, fmt);
    foreign_vformat(text, sizeof text, fmt, args);
    va_end(args);
    memcpy(message, text, strlen(text) + 1);
    return (Status){err, message, 0};
}

Status status_lines(ErrClass err, const char *lines)
{
    snprintf(message, sizeof message, "%s", lines);
    return (Status){err, message, 0};
}

Status status_at(Status s, const char *fmt, ...)
{
    if (!failed(s)) return s;
    char text[STATUS_MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    const size_t n = foreign_vformat(text, sizeof text, fmt, args);
    va_end(args);
    snprintf(text + n, sizeof text - n, ": %s", s.message);
    memcpy(message, text, strlen(text) + 1);
    return (Status){s.err, message, s.error};
}

Status status_errno(ErrClass err, const char *fmt, ...)
{
    int saved = errno;
    char text[STATUS_MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    foreign_vformat(text, sizeof text, fmt, args);
    va_end(args);
    snprintf(message, sizeof message, "%s: %s", text, strerror(saved));
    return (Status){err, message, saved};
}

int status_exit_code(Status s)
{
    static const int code[] = {
        [OK] = 0, [ERR_INPUT] = 2, [ERR_CLIP] = 1, [ERR_RETRY] = 3, [ERR_NODE] = 3, [ERR_FATAL] = 3, [ERR_STOP] = 75};
    return code[s.err];
}

const char *status_class_name(ErrClass err)
{
    static const char *const name[] = {
        [OK] = "ok",         [ERR_INPUT] = "input", [ERR_CLIP] = "clip", [ERR_RETRY] = "retry",
        [ERR_NODE] = "node", [ERR_FATAL] = "fatal", [ERR_STOP] = "stop"};
    return name[err];
}
