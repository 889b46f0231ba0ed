/* tiles.h - a frame too large for the memory there is, in tiles.
 *
 * A tile is a rectangle of latent pixels; what is computed for it is a window, the tile with the autoencoder's halo around
 * it, cut off at the frame's edges. Away from its own edges a window gives exactly what the whole frame gives (vae.h), so the
 * tiles are put side by side without blending. (diffusers' tiled decoding keeps attention within each tile and blends; it is
 * visibly another picture.) Windows begin at even places, so that convolution kernels that work on 2x2 blocks meet the
 * same blocks: the numbers are the same bit for bit. */
#ifndef REELWRIGHT_TILES_H
#define REELWRIGHT_TILES_H

#include "engine/wan/vae.h"

typedef struct {
    int64_t y, x, h, w; /* in latent pixels */
} Box;

typedef struct {
    int64_t h, w; /* of the frame, in latent pixels */
    int rows, columns, halo;
    VaePace pace; /* of each tile */
} Tiles;

/* The grid of the least work whose windows stay below bound_bytes, weights included, by a planning back end; one tile when the
 * whole frame does. When none does, the grid of the least work among those that take little more than the least memory.
 * On a device as many frames are computed together as take a quarter of the bound: the rest is for what other stages have loaded. */
Tiles tiles_choose(const VaeConfig *c, VaeHalf half, const BackendOptions *o, int64_t h, int64_t w,
                   int64_t bound_bytes);
static inline int tiles_count(const Tiles *t) { return t->rows * t->columns; }
Box tiles_tile(const Tiles *t, int i);
Box tiles_window(const Tiles *t, int i);

/* On the host, fp32. cut: the window of frames [n,H,W,C], `scale` pixels to a latent pixel -> [n,h,w,C]. paste: the tile's part
 * of a window's [h,w,C] -> the frame [H,W,C], at the latent's size. */
void tiles_cut(const float *frame, int64_t n, const Tiles *t, Box window, int scale, int64_t channels, float *out);
void tiles_paste(const float *window, const Tiles *t, Box from, Box tile, int64_t channels, float *frame);

/* Bytes of weights, and of everything else at most, of one half on frames (or windows) of h x w latent pixels. */
void vae_measure(const VaeConfig *c, VaeHalf half, const BackendOptions *o, VaePace pace, int64_t h, int64_t w,
                 int64_t *weights, int64_t *work);

#endif
