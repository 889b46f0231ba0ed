/* webp.h - the first picture of an animated WebP file, which libav does not decode, as a still WebP file, which it does. Container:
 * https://developers.google.com/speed/webp/docs/riff_container */
#ifndef REELWRIGHT_WEBP_H
#define REELWRIGHT_WEBP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The file is an animated WebP. */
bool webp_is_animated(const char *path);
/* data: a whole file. *still: newly allocated, free() it. False: no animation, damaged, or its first picture is not all of its canvas. */
bool webp_first(const uint8_t *data, size_t n, uint8_t **still, size_t *bytes);

#endif
