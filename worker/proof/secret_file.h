/* secret_file.h - a secret of a campaign that its processes share: 32 random bytes in a file that only its owner can read, made by whoever needs it
 * first. */
#ifndef REELWRIGHT_SECRET_FILE_H
#define REELWRIGHT_SECRET_FILE_H

#include <stdint.h>

#include "common/status.h"

enum { SECRET_FILE_BYTES = 32 };

/* Two that make it at once get the same one. ERR_NODE: it can neither be read nor made; ERR_FATAL: it is damaged. */
Status secret_file_read(const char *path, uint8_t out[SECRET_FILE_BYTES]);

#endif
