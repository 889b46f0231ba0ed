/* texture.h - what one picture's luma says by itself: how wide its edges are, whether it has a grid of blocks, whether gradients are
 * broken into bands. */
#ifndef REELWRIGHT_TEXTURE_H
#define REELWRIGHT_TEXTURE_H

#include <stdint.h>

enum { TEXTURE_CELLS = 6 }; /* a grid of 6 x 6 */

typedef struct Texture Texture;

typedef struct {
    float edge, block, band;
    float sharp[TEXTURE_CELLS * TEXTURE_CELLS];
} TextureFigures;

Texture *texture_new(int width, int height);
void texture_free(Texture **t);

/* luma of limited range.
 *   edge   width of an edge, per mille of the longer side: its height divided by its steepest slope, 2.5 sigma for an edge that a
 *          Gaussian has blurred; what 3 % of all edges of at least 24 levels are narrower than, so that a background out of focus and soft
 *          scenes with one sharp thing do not count. After Marziliano et al. 2002, whose width runs from extremum to extremum; NAN where there are too few edges.
 *   block  second differences across the lines of the likeliest grid (4 to 32 pixels), against those of all lines; medians, so
 *          that a few strong edges do not look like one. 1 = none.
 *   band   per cent of the pixels that lie on a stair of at least three flat steps of 2 to 16 levels.
 *   sharp  of each cell: second differences over a 120th of the longer side, against differences over four times as much. 0.5 of a sharp edge; of
 *          one that a Gaussian of s per cent of the longer side has blurred 0.17 / s. Light and contrast change both alike. 0 of a flat cell, NAN of one that has hardly more. */
void texture_measure(Texture *t, const uint8_t *luma, int stride, TextureFigures *out);

#endif
