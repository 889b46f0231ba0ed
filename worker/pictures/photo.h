/* photo.h - JPEG files, pixel for pixel as Pillow reads them, and with it the pipelines: libjpeg with its slow integer transform
 * and smooth upsampling. libav's decoder rounds differently and repeats chroma pixels: 6 % off in a subsampled picture's latents. */
#ifndef REELWRIGHT_PHOTO_H
#define REELWRIGHT_PHOTO_H

#include "common/status.h"
#include "engine/engine.h"

/* Whether the file begins as a JPEG does, whatever it is called. */
bool photo_is_jpeg(const char *path);
/* Colour, grey or CMYK -> RGB, turned upright. out->rgb is the caller's to free(). ERR_INPUT: damaged, cut short, or more than
 * max_side pixels a side. */
Status photo_read(const char *path, int max_side, Picture *out);

#endif
