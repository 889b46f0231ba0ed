/* series.h - from the figures of a clip's pictures to one number a gate. */
#ifndef REELWRIGHT_SERIES_H
#define REELWRIGHT_SERIES_H

#include "worker/gate/look.h"

typedef struct {
    const LookFigures *f;
    int count;
    double picture_s; /* from one to the next */
} Series;

/* Each returns the clip's number and writes each picture's own to local[count] (NAN where it has none). Units are those of
 * common/gates.h. NAN when there is nothing to measure. */
/* Pictures at least 98 % dark in which nothing is lit, together; not those of a fade at either end. */
double series_black(const Series *s, float *local);
/* Pictures at least half of which is at the ends, together; but for what is there nearly all the time: a ground of one
 * colour, or a test pattern of many, up to 0.94 of the picture. */
double series_saturated(const Series *s, float *local);
/* The longest time in which no part moves, there is no grain either, and it is not black, and which is a fault: the clip stops at its own pace and goes on at
 * it. A still, a pose that is held, and a thing that comes to rest are none. */
double series_frozen(const Series *s, float *local);
/* Root mean square of what a part's brightness is above or below its own half second, doubled (peak to peak), in the worst second, of
 * the part that 60 % of the parts stay below, where it changes sides at least four times; at most twice what the whole picture does.
 * Motion changes few parts at once, a fast pan each in its own way; a cut does not come back. In a dark picture the same share of
 * brightness counts as much as in one of 80 levels. */
double series_flicker(const Series *s, float *local);
double series_vbench(
    const Series *s); /* VBench's temporal flickering: mean of all changes; 255 minus it, by 255, is their score */
/* Change against the picture before, less the second largest of the four changes before and the four after: a cut stands alone.
 * Or how far it comes back to a picture shortly before: pictures out of order, or others put in for a moment. */
double series_jump(const Series *s, float *local);
double series_blur(const Series *s, float *local); /* least edge of half a second, worst half second */
/* How many times less sharp three quarters of the parts that have texture are than the same parts are in two fifths of the clip; of half a second
 * the least. What leaves the picture changes its own parts only. */
double series_blur_change(const Series *s, float *local);
double series_blockiness(const Series *s, float *local);
double series_banding(const Series *s, float *local);
/* Mean of the second that is furthest from the middle. Lamps in the night are no fault: a picture's level is at least an eighth of what its
 * brightest hundredth has; where nothing is dark for a second, it is 40 levels above the darkest hundredth at least. Nor is a bright ground that is drawn so:
 * light that is too strong takes away colours, one of R, G and B at a time. Where it does not, the level passes, but for that of the darkest hundredth. */
double series_exposure(const Series *s, double middle, float *local);

#endif
