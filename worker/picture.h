/* picture.h - the still pictures of a clip: a thumbnail, and a contact sheet of eight frames with their times, both PNG.
 * Frames are given as they are decoded; only those that are shown are kept. */
#ifndef REELWRIGHT_PICTURE_H
#define REELWRIGHT_PICTURE_H

#include "common/status.h"

typedef struct Pictures Pictures;

/* frames: how many the clip has; fps for the labels. */
Status picture_begin(int frames, int fps, Pictures **out);
/* frames [n,H,W,3] RGB in [0,1], all of one size */
Status picture_put(Pictures *p, const float *frames, int n, int height, int width);
/* The two files, published whole. ERR_CLIP when fewer frames came than were announced. */
Status picture_write(Pictures *p, const char *thumbnail, const char *sheet);
void picture_free(Pictures **p); /* NULL is fine */

#endif
