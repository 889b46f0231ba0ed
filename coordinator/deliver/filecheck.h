/* filecheck.h - whether a finished file is still what it was when it was finished. */
#ifndef REELWRIGHT_FILECHECK_H
#define REELWRIGHT_FILECHECK_H

#include "common/status.h"

/* sha256: what the file's bytes must hash to. NULL or "": nobody wrote that down; then its form is looked at: a video's boxes and a
 * picture's end must be there, so that a file which is empty or cut is found. ERR_CLIP says what is wrong, or that it is missing.
 * ERR_NODE: it cannot be read now, and nothing is known of it. */
Status filecheck_whole(const char *path, const char *sha256);

#endif
