/* exif.h - which way up a picture is: the orientation that cameras note in it instead of turning the pixels. */
#ifndef REELWRIGHT_EXIF_H
#define REELWRIGHT_EXIF_H

#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"

/* Exif data, beginning with "II" or "MM" (or with "Exif\0\0" before that) -> 1 to 8; 1, upright, when it says nothing valid. */
int exif_orientation(const uint8_t *data, size_t n);
/* Of the eXIf chunk of a PNG file; 1 when the file is another one or has none. */
int exif_of_png(const char *path);

/* Of a TIFF file, which is built as Exif data are; 1 when it is another one or says nothing. */
int exif_of_tiff(const char *path);
/* Of a video's display matrix (libavutil/display.h: nine numbers, row by row), as an orientation 1 to 8. */
int exif_of_matrix(const int32_t matrix[9]);

/* Turns and mirrors the pixels so that the picture is upright. Owns and replaces p->rgb (malloc). */
void exif_turn(Picture *p, int orientation);

#endif
