/* rates.h - a shot's frames at each rate that its renditions have, converted once for all of those that share one. */
#ifndef REELWRIGHT_RATES_H
#define REELWRIGHT_RATES_H

#include "worker/finish/output.h"

typedef struct Rates Rates;

/* For renditions [count]; skip[i]: that one makes no file of its own. source: SHA-256 of the frames' file, so that what was moved for the last
 * clip of the same source is not moved again (kept.h); NULL: nothing is kept. */
Status rates_open(const Rendition *r, const bool *skip, int count, int shot_fps, const char *source, Rates **out);
void rates_close(Rates **rates);

int rates_count(const Rates *rates); /* of conversions, each of which may run on a thread of its own */
/* Frames [n,H,W,3] of the shot; n 0: those were all. What comes of them replaces what came last time. */
Status rates_convert(Rates *rates, int number, const float *frames, int n, int height, int width);
/* What the i-th rendition takes of them: valid until the next rates_convert. */
const float *rates_frames(const Rates *rates, int rendition, int *n);

#endif
