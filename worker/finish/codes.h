/* codes.h - the QR codes of a finished file, read back as a telephone would: decoded from the file's own bytes, found and read
 * (legible.h). A code that is too small, too dense or covered is one that no customer can use. */
#ifndef REELWRIGHT_CODES_H
#define REELWRIGHT_CODES_H

#include <jansson.h>

#include "common/status.h"

/* overlays: as in overlay.h; those with "qr" are looked for, each at the middle of its time. duration_s: of the clip; 0: the file is a still,
 * or its first frame says everything. ERR_CLIP: one cannot be read, or says something else; the message begins with "overlays[1].qr". */
Status codes_check(const char *path, const json_t *overlays, double duration_s);

#endif
