/* picture.h - pictures as the pipelines prepare them: resampled number for number as Pillow and torch do. */
#ifndef REELWRIGHT_PICTURE_H
#define REELWRIGHT_PICTURE_H

#include <stdint.h>

typedef struct {
    int width, height;
    const uint8_t *rgb; /* [height,width,3], borrowed */
} Picture;

typedef enum { PICTURE_LANCZOS, PICTURE_BICUBIC } PictureFilter;

/* Pillow's Image.resize of 8-bit channels: separable, each pass rounded to 8 bits.
 * -> [height,width,3], free() it; NULL when out of memory */
uint8_t *picture_resize(const Picture *p, int width, int height, PictureFilter filter);
/* torch's interpolate(mode="bilinear", align_corners=False) of [height,width,3]; -> [to_height,to_width,3], free() it; NULL when out of memory */
float *picture_bilinear(const float *from, int width, int height, int to_width, int to_height);
/* 0..255 -> -1..1 as (v / 255) * 2 - 1 in single precision */
float picture_signed(uint8_t v);

#endif
