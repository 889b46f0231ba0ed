/* gif.h - a few frames as a GIF for mail, not larger than a limit: fewer colours, frames and pixels until it is. Mail programs that play
 * none show its first frame, so that one must say everything. */
#ifndef REELWRIGHT_GIF_H
#define REELWRIGHT_GIF_H

#include <libavutil/frame.h>
#include <stdint.h>

#include "common/status.h"

/* frames: count of RGB24, all of one size, fps a second. Published whole. *bytes: of the file. ERR_CLIP: larger than most_bytes however
 * small; ERR_NODE: disk, memory. */
Status gif_write(const char *path, AVFrame *const *frames, int count, int fps, int64_t most_bytes, int64_t *bytes);

#endif
