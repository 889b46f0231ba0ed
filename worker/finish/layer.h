/* layer.h - a still picture with transparency that is laid over frames: letters, a logo, a code, a label.
 *
 * Colours are 0xRRGGBBAA, AA = 255 is opaque. Pixels are premultiplied. Blending is integer arithmetic: the same bytes on every
 * machine. BT.709, limited range in YUV420P as pixels.h makes it; full range in RGB24. */
#ifndef REELWRIGHT_LAYER_H
#define REELWRIGHT_LAYER_H

#include <libavutil/frame.h>
#include <stdint.h>

#include "common/status.h"

typedef struct {
    int x, y, width, height;
} Box;

typedef struct {
    Box box;       /* its place in the frame, pixels; x, y, width and height are even. It may reach outside */
    uint8_t *rgba; /* [height,width,4] */
    /* the same for YUV420P, made by layer_ready: alpha and luma of each pixel, alpha and chroma of each square of four */
    uint8_t *alpha, *luma, *alpha_4, *blue, *red;
} Layer;

Layer *layer_new(Box box); /* transparent; the box grows to even numbers */
void layer_free(Layer **l);

/* Lays a mask (8 bits a pixel) of one colour over what the layer holds; x, y are the frame's. Outside the layer it is cut. */
void layer_add_mask(Layer *l, const uint8_t *mask, int stride, Box at, uint32_t color);
void layer_add_box(Layer *l, Box at, int radius, uint32_t color); /* with round corners */
void layer_add_rgba(Layer *l, const uint8_t *rgba, Box at);       /* premultiplied pixels [height,width,4] */
/* The smallest box that holds what is not transparent; width 0 when all is. */
Box layer_extent(const Layer *l);
/* After the last change, before the first blend into a frame of YUV420P. */
void layer_ready(Layer *l);
/* strength 0 (nothing) to 256 (as it is). ERR_NODE: a frame of another format. */
Status layer_blend(const Layer *l, AVFrame *frame, int strength);

/* Relative luminance as WCAG 2 defines it, 0 to 1, and the contrast of two of them, 1 to 21. */
double layer_luminance(uint32_t color);
double layer_contrast(double luminance_a, double luminance_b);
/* How much of the frame (RGB24 or YUV420P) below a box has less contrast to this colour than `least`: 0 to 1. */
double layer_share_below(const AVFrame *frame, Box at, uint32_t color, double least);

#endif
