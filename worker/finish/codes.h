/* codes.h - the QR codes of a finished file, read back as a telephone would: decoded from the file's own bytes, found and read
 * (legible.h). A code that is too small, too dense or covered is one that no customer can use. */
#ifndef REELWRIGHT_CODES_H
#define REELWRIGHT_CODES_H

#include <jansson.h>

#include "common/status.h"

typedef struct {
    int count;      /* of the codes that were looked for */
    int unread;     /* of those that cannot be read, or say something else */
    size_t overlay; /* the first of them: overlays[1] */
    double at_s;    /* where it was looked for */
} CodesRead;

/* overlays: as in overlay.h; those with "qr" are looked for, each at the middle of its time. duration_s: of the clip; 0: the file is a still,
 * or its first frame says everything. ERR_CLIP: the file itself cannot be read. */
Status codes_read(const char *path, const json_t *overlays, double duration_s, CodesRead *out);

#endif
