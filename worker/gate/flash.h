/* flash.h - flashes that can harm, after EA IRIS and WCAG 2.2 (2.3.1), which agree in form with ITU-R BT.1702-3. A pre-check: it is no
 * certificate, and what IRIS says of spatial patterns is not looked at.
 *
 * A transition: the mean relative luminance changes by at least 0.1, in pictures that go on in one direction for at most a second, where at
 * least a quarter of the area changes and the darker state is below 0.8; for red, the mean of (R-G-B) x 320 by at least 20. Two
 * transitions make a flash. Counted are the transitions of any one second: more than 6 (three flashes) fail, 4 to 6 are a warning, and 4 to 6
 * for four seconds of five fail too ("extended"). */
#ifndef REELWRIGHT_FLASH_H
#define REELWRIGHT_FLASH_H

#include <stdbool.h>

#include "worker/gate/look.h"

typedef enum { FLASH_LIGHT, FLASH_RED } FlashKind;

/* per_second[i]: transitions in the second that ends with picture i. Returns the largest; 7 (over the limit) where it is an extended
 * failure that no single second shows. */
double flash_count(FlashKind kind, const LookFigures *f, int n, float *per_second);

#endif
