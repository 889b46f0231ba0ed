/* texture.h - what one picture's luma says by itself: how wide its edges are, whether it has a grid of blocks, whether gradients are
 * broken into bands. */
#ifndef REELWRIGHT_TEXTURE_H
#define REELWRIGHT_TEXTURE_H

#include <stdint.h>

typedef struct Texture Texture;

Texture *texture_new(int width, int height);
void texture_free(Texture **t);

/* luma of limited range.
 *   edge   width of an edge, per mille of the longer side: its height divided by its steepest slope, 2.5 sigma for an edge that a
 *          Gaussian has blurred; the lower quartile of all edges of at least 24 levels, so that a background out of focus does not
 *          count. After Marziliano et al. 2002, whose width runs from extremum to extremum; NAN where there are too few edges.
 *   block  second differences across the lines of the likeliest grid (4 to 32 pixels), against those of all lines; medians, so
 *          that a few strong edges do not look like one. 1 = none.
 *   band   per cent of the pixels that lie on a stair of at least three flat steps of 2 to 16 levels. */
void texture_measure(Texture *t, const uint8_t *luma, int stride, float *edge, float *block, float *band);

#endif
