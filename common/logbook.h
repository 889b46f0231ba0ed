/* logbook.h - a log file of bounded size: lines with their time are appended; when it is full it becomes FILE.1, in place of the
 * one before, and a new one is begun. Never more than twice the bound is on disk. Several processes may write to one file: a
 * line is one write. */
#ifndef REELWRIGHT_LOGBOOK_H
#define REELWRIGHT_LOGBOOK_H

#include <stddef.h>

#include "common/status.h"

typedef struct Logbook Logbook;

/* Makes the file's folder when it is missing. */
Status logbook_open(const char *path, size_t most_bytes, Logbook **out);
void logbook_close(Logbook **b);
/* Control characters become spaces; what does not fit into 4 kB is cut. A line that cannot be written is left out: a log is no
 * reason to fail. NULL: nothing. */
void logbook_line(Logbook *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int logbook_file(const Logbook *b); /* its descriptor, for a child's output */

#endif
