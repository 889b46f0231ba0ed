#include "log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include <string.h>

#include "common/foreign.h"
#include "common/status.h"

static LogLevel most_level = LOG_INFO;
static char who_text[64];
static _Atomic(Logbook *) copy; /* a tail's thread looks at it, too */
static _Thread_local Logbook *copy_of_thread;

void log_set_level(LogLevel most) { most_level = most; }

void log_set_who(const char *who) { snprintf(who_text, sizeof who_text, "%s%s", who, *who ? ": " : ""); }

void log_copy_to(Logbook *book) { copy = book; }

void log_copy_over(const Logbook *book)
{
    Logbook *expected = (Logbook *)(uintptr_t)book;
    atomic_compare_exchange_strong(&copy, &expected, NULL);
}

void log_copy_of_thread_to(Logbook *book) { copy_of_thread = book; }

static Logbook *book_of_thread(void) { return copy_of_thread ? copy_of_thread : copy; }

static const char *const mark[] = {"error: ", "warning: ", "", ""};

/* One write per message, so that lines of several processes do not mix. */
static void put(LogLevel level, const char *text)
{
    char line[STATUS_MESSAGE_MAX + 256];
    if (level > most_level) return;
    int n = snprintf(line, sizeof line - 1, "reelwright: %s%s%s", who_text, mark[level], text);
    if (n < 0) return;
    if (n > (int)sizeof line - 2) n = (int)sizeof line - 2;
    line[n++] = '\n';
    fwrite(line, 1, (size_t)n, stderr);
}

/* In a log, however quiet the terminal. */
static void keep(LogLevel level, const char *text)
{
    if (level <= LOG_WARNING) logbook_line(book_of_thread(), "%s%s%s", who_text, mark[level], text);
}

void log_line(LogLevel level, const char *fmt, ...)
{
    char text[STATUS_MESSAGE_MAX];
    if (level > most_level && !(book_of_thread() && level <= LOG_WARNING)) return;
    va_list args;
    va_start(args, fmt);
    foreign_vformat(text, sizeof text, fmt, args);
    va_end(args);
    keep(level, text);
    put(level, text);
}

void log_status(LogLevel level, Status s)
{
    keep(level, s.message);
    put(level, s.message);
}
