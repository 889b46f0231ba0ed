/* heic.h - HEIC files, what telephones take, through libheif: tiles put together, turned and mirrored as the file says. */
#ifndef REELWRIGHT_HEIC_H
#define REELWRIGHT_HEIC_H

#include "common/status.h"
#include "engine/engine.h"

/* Whether the file begins as HEIC does, whatever it is called. */
bool heic_is(const char *path);
/* Its primary picture as RGB; out->rgb is the caller's to free(). ERR_INPUT: damaged, or more than max_side pixels a side. */
Status heic_read(const char *path, int max_side, Picture *out);

#endif
