/* canvas.h - a frame of the master put onto a frame of the rendition's size.
 *
 *   pad      all of it, with a colour beside it where the aspect differs by more than 2 %
 *   blur     all of it, before itself, enlarged, blurred and darkened
 *   crop     its middle, filling the frame
 *   follow   the part where most is to be seen (edges, weighted towards the middle), followed slowly as it moves */
#ifndef REELWRIGHT_CANVAS_H
#define REELWRIGHT_CANVAS_H

#include <libavutil/frame.h>
#include <stdint.h>

#include "common/status.h"

typedef struct {
    int width, height; /* of the rendition, even */
    const char *fit;
    uint32_t color; /* 0xRRGGBBAA, with pad; its AA does not count */
} CanvasOptions;

typedef struct Canvas Canvas;

/* For frames of width x height. format: AV_PIX_FMT_YUV420P or RGB24. ERR_INPUT: no such fit. */
Status canvas_open(int width, int height, const CanvasOptions *o, enum AVPixelFormat format, Canvas **out);
/* rgb [height,width,3] in [0,1]; fills all of `to` (av_frame_make_writable before). Frames in their order. */
Status canvas_draw(Canvas *c, const float *rgb, AVFrame *to);
void canvas_close(Canvas **c);

#endif
