/* rate.h - frames at another rate: a model makes 8 or 16 a second, Reels and TikTok take 23 to 60.
 *
 *   motion   libavfilter's minterpolate: pixels move along the motion that it finds between two frames
 *   blend    each frame is a mix of the two nearest
 *   repeat   each frame is the one shown at that moment
 * What each costs and how near it comes to frames that were really there: SPEED.md. */
#ifndef REELWRIGHT_RATE_H
#define REELWRIGHT_RATE_H

#include <stdint.h>

#include "common/status.h"

typedef struct Rate Rate;

/* Called with each frame [height,width,3] RGB in [0,1]; borrowed. */
typedef Status RateFrame(void *self, const float *rgb, int height, int width);

/* how: "motion", "blend" or "repeat"; equal rates pass through. ERR_INPUT: another word. */
Status rate_open(const char *how, int from_fps, int to_fps, RateFrame *emit, void *self, Rate **out);
Status rate_put(Rate *r, const float *rgb, int height, int width);
/* After the last frame: emits what is left, rate_count(...) in all. */
Status rate_end(Rate *r);
void rate_close(Rate **r);

int64_t rate_count(int64_t frames, int from_fps, int to_fps); /* so many last as long */

#endif
