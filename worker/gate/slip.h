/* slip.h - a thing that changes at once while the rest goes on: it is gone, there twice, at another place, or of another colour. On small pictures.
 *
 * Each part of a picture is looked for in the picture before, and each part of that one in this, up to 4 % of the longer side away: what moves is
 * found again. What is left, levels of 255 of R, G and B, counts where it stands alone: twice as much as in the four pictures before and after, but for one of them, in the same part or beside it.
 * Strokes of letters come and go, and are left out; so is a picture of a fade. */
#ifndef REELWRIGHT_SLIP_H
#define REELWRIGHT_SLIP_H

#include <stdint.h>

typedef struct Slip Slip;

Slip *slip_new(int width, int height);
void slip_free(Slip **s);
/* [height][width][3], levels; the pictures of a clip in turn. */
void slip_picture(Slip *s, const float *rgb);
/* Levels, mean of the picture, in the worst one; local[i]: of picture i. What slips in a third picture as well is taken away, for a fast scene does so
 * all the time; two fifths stay, for a thing may be lost again and again. */
double slip_measure(const Slip *s, float *local);

#endif
