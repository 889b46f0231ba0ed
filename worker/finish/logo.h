/* logo.h - pictures that are laid over frames: a logo, a photo, an end card, with their transparency. The last ones read stay in
 * memory, for a logo is that of ten thousand clips. */
#ifndef REELWRIGHT_LOGO_H
#define REELWRIGHT_LOGO_H

#include <stdint.h>

#include "common/status.h"

/* The picture (PNG, WebP or JPEG) scaled so that its longer edge has `longest` pixels: premultiplied RGBA, free() it. ERR_INPUT
 * names the file. */
Status logo_scaled(const char *path, int longest, uint8_t **rgba, int *width, int *height);
Status logo_check(const char *path); /* whether it can be read */

#endif
