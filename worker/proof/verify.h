/* verify.h - which clip a file is, and whether it was altered: by credentials, watermark and fingerprint, each on its own, and by the bytes
 * that were recorded when it was made. Says what each one found; a stranger's file is said to be not ours. */
#ifndef REELWRIGHT_VERIFY_H
#define REELWRIGHT_VERIFY_H

#include <jansson.h>

#include "common/status.h"

typedef struct {               /* all borrowed; NULL = there is none */
    const char *watermark_key; /* file */
    const char *anchors;       /* PEM file of the roots that are trusted */
    const json_t *
        clips; /* what could be it: [{"clip", "campaign", "iscc", "sha256": [of each of its files]}]; iscc may be left out */
} VerifyOptions;

/* {"clip", "campaign", "credentials": "trusted|valid|invalid|none", "watermark": {"found", "clip", "bit_accuracy", "p_value"},
 *  "fingerprint": {"distance", "clip"}, "record": "present|absent", "altered": true|false|null, "why", "fired": ["credentials", ...]}, of a signed file also
 * "generated" (it says that an algorithm made it), "signer" and, where an authority has stamped the time, "signed_at"; of a mark that was not looked
 * for also "why"; with null for what is not known; json_decref() it. ERR_INPUT: no file that can be read. */
Status verify_file(const char *path, const VerifyOptions *o, json_t **out);

#endif
