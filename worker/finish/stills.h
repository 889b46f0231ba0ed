/* stills.h - the still pictures of a clip: a thumbnail, and a contact sheet of eight frames with their times, both PNG.
 * Frames are given as they are decoded; only those that are shown are kept. */
#ifndef REELWRIGHT_STILLS_H
#define REELWRIGHT_STILLS_H

#include <libavutil/frame.h>

#include "common/status.h"

typedef struct Stills Stills;

/* frames: how many the clip has; fps for the labels. */
Status stills_begin(int frames, int fps, Stills **out);
/* frames [n,H,W,3] RGB in [0,1], all of one size */
Status stills_put(Stills *p, const float *frames, int n, int height, int width);
/* The thumbnail, to be drawn on before it is written (RGB24); NULL while there is none. Borrowed. */
AVFrame *stills_thumbnail(Stills *p);
/* Each frame on the sheet likewise, all of one size: draw() gets views of them. Nothing happens while there is none. */
typedef Status StillsDraw(void *self, AVFrame *cell);
Status stills_draw_cells(Stills *p, StillsDraw *draw, void *self);
/* The two files, published whole. ERR_CLIP when fewer frames came than were announced. */
Status stills_write(Stills *p, const char *thumbnail, const char *sheet);
/* One picture (RGB24) as a PNG, published whole. */
Status stills_write_png(const AVFrame *f, const char *path);
void stills_free(Stills **p); /* NULL is fine */

#endif
