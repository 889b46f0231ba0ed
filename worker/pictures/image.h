/* image.h - pictures from files: what a shot is conditioned on. PNG, JPEG, WebP, AVIF, HEIC, GIF, BMP, TIFF (of what moves the first
 * picture); a video file, a moving GIF or APNG among them, or a folder of pictures in the order of the numbers in their names. Pixels
 * and orientation are what Pillow reads; videos are turned as players turn them. Formats are limited to those, so that a file cannot
 * lead elsewhere. */
#ifndef REELWRIGHT_IMAGE_H
#define REELWRIGHT_IMAGE_H

#include "engine/engine.h"

typedef struct { /* owns its pixels */
    int count;
    Picture *picture;
} ImageList;

/* Appends one picture. ERR_INPUT names the file. */
Status image_read(const char *path, ImageList *list);
/* Appends the first pictures of a folder or of a video, at most `frames`; none is ERR_INPUT. */
Status image_read_sequence(const char *path, int frames, ImageList *list);
/* One picture with its transparency: RGBA, not premultiplied, free() it. ERR_INPUT names the file. */
Status image_read_rgba(const char *path, int *width, int *height, uint8_t **rgba);
void image_list_clear(ImageList *list);

#endif
