/* secret_file.h - a secret of a campaign that its processes share: 32 random bytes in a file that only its owner can read, made by whoever needs it
 * first. */
#ifndef REELWRIGHT_SECRET_FILE_H
#define REELWRIGHT_SECRET_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

enum { SECRET_FILE_BYTES = 32 };

/* A file of mode 0600 with this in it, unless one is there, which then stays; through a symbolic link, which may lead to nothing yet. */
Status secret_file_make(const char *path, const void *secret, size_t bytes);
/* Made when it is not there: two that make it at once get the same one. ERR_NODE: it can neither be read nor made; ERR_FATAL: damaged. */
Status secret_file_read(const char *path, uint8_t out[SECRET_FILE_BYTES]);

#endif
