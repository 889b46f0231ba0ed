/* log.h - lines for people on stderr: "reelwright: ..." ; nothing else in the program writes there. */
#ifndef REELWRIGHT_LOG_H
#define REELWRIGHT_LOG_H

#include <stdbool.h>

#include "common/logbook.h"
#include "common/status.h"

typedef enum { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG } LogLevel;

void log_set_level(LogLevel most); /* LOG_INFO at the start; --quiet sets LOG_WARNING */
void log_set_who(const char *who); /* "" or "worker 2": put before each line */
/* Warnings and errors of this process go there as well; NULL: no longer. Borrowed. */
void log_copy_to(Logbook *book);
void log_copy_over(const Logbook *book);   /* not there any more, if they go there */
void log_copy_of_thread_to(Logbook *book); /* those of the calling thread go there instead; NULL: no longer */
/* What the arguments hold is cleaned: foreign.h. */
void log_line(LogLevel level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_status(LogLevel level, Status s); /* its message, which may have several lines */

#endif
