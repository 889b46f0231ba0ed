/* pixels.h - frames as the engine gives them, turned into what an encoder takes: scaled with Lanczos, converted with the
 * BT.709 matrix. Exact to the bit on every CPU (swscale's bitexact, accurate paths). */
#ifndef REELWRIGHT_PIXELS_H
#define REELWRIGHT_PIXELS_H

#include <libavutil/frame.h>

#include "common/status.h"

typedef struct Pixels Pixels;

/* From [height,width,3] floats to a rectangle of a frame of to_format (AV_PIX_FMT_YUV420P: limited range; RGB24: full). */
Status pixels_open(int width, int height, int to_width, int to_height, enum AVPixelFormat to_format, Pixels **out);
void pixels_close(Pixels **p);
/* From now on frames are source_width wide and the picture is the part of them that begins at (x, y). */
void pixels_take(Pixels *p, int source_width, int x, int y);
/* Writes at (x, y) of `to`, both even. rgb is clipped to [0,1]. */
Status pixels_convert(Pixels *p, const float *rgb, AVFrame *to, int x, int y);

/* The largest size of the given aspect that fits into room_width x room_height, even; all of the room when the aspects are
 * within 2 % of each other. */
void pixels_fit(int width, int height, int room_width, int room_height, int *fit_width, int *fit_height);
Status pixels_frame(int width, int height, enum AVPixelFormat format, AVFrame **out); /* av_frame_free */

#endif
