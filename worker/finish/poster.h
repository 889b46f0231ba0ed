/* poster.h - one frame as a JPEG file: what a page or a player shows before anybody presses play. */
#ifndef REELWRIGHT_POSTER_H
#define REELWRIGHT_POSTER_H

#include <libavutil/frame.h>

#include "common/status.h"

/* RGB24. Published whole. The same frame gives the same bytes. */
Status poster_write(const char *path, const AVFrame *frame);

#endif
