/* draw.h - lines of text drawn onto frames through libavfilter's drawtext. The text is given as data, not as part of a filter
 * description: nothing in a customer's name can be mistaken for syntax. */
#ifndef REELWRIGHT_DRAW_H
#define REELWRIGHT_DRAW_H

#include <libavutil/frame.h>

#include "common/status.h"

typedef struct {
    const char *text;  /* UTF-8, drawn as it is */
    const char *x, *y; /* place of the text's upper left corner: drawtext expressions in w, h, text_w, text_h */
    int size_px;
    const char *color;   /* "white", "0xB8BCC6" */
    const char *box;     /* colour of a box behind it, "black@0.5"; NULL = none */
    double from_s, to_s; /* shown from .. to; to 0 = to the end */
} DrawText;

typedef struct Draw Draw;

/* For frames of one size and format, fps a second. ERR_NODE: no font on this machine, or libavfilter without drawtext. */
Status draw_open(const DrawText *text, int count, int width, int height, enum AVPixelFormat format, int fps,
                 Draw **out);
Status draw_frame(Draw *d, AVFrame *frame); /* draws in place; frame->pts counts frames */
void draw_close(Draw **d);

#endif
