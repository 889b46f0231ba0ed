#include "log.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/status.h"

static LogLevel most_level = LOG_INFO;
static char who_text[64];
static Logbook *copy;

void log_set_level(LogLevel most) { most_level = most; }

void log_set_who(const char *who) { snprintf(who_text, sizeof who_text, "%s%s", who, *who ? ": " : ""); }

void log_copy_to(Logbook *book) { copy = book; }

void log_line(LogLevel level, const char *fmt, ...)
{
    static const char *const mark[] = {"error: ", "warning: ", "", ""};
    bool kept = copy && level <= LOG_WARNING; /* in a log, however quiet the terminal */
    if (level > most_level && !kept) return;
    char text[STATUS_MESSAGE_MAX + 128]; /* one write per line, so that lines of several processes do not mix */
    int n = snprintf(text, sizeof text, "reelwright: %s%s", who_text, mark[level]);
    va_list args;
    va_start(args, fmt);
    int m = vsnprintf(text + n, sizeof text - (size_t)n - 1, fmt, args);
    va_end(args);
    if (m < 0) return;
    if (kept) logbook_line(copy, "%s", text + sizeof "reelwright: " - 1);
    if (level > most_level) return;
    n += m < (int)sizeof text - n - 1 ? m : (int)sizeof text - n - 2;
    text[n++] = '\n';
    fwrite(text, 1, (size_t)n, stderr);
}
