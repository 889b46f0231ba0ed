/* disk.h - how fast the file system of a folder is at what a farm does to it: long files, single changes that must last, many small files. */
#ifndef REELWRIGHT_DISK_H
#define REELWRIGHT_DISK_H

#include <jansson.h>

#include "common/status.h"

/* -> {"write_mb_s": 64 MiB and one fsync, "fsync_p50_ms", "fsync_p99_ms": of 64 single ones after 4 kB, "files_per_s": made empty, renamed and
 * removed, 500 of them}, to be released. Takes a second on a disk of this age, leaves nothing behind. */
Status disk_measure(const char *folder, json_t **out);

#endif
