/* tempo.h - speech faster or slower at the same pitch: libavfilter's atempo. */
#ifndef REELWRIGHT_TEMPO_H
#define REELWRIGHT_TEMPO_H

#include "worker/finish/sound.h"

/* factor 0.5 to 2; 1.15 is 15 % faster. Replaces what *s holds. ERR_NODE: no such filter, or no memory. */
Status tempo_change(Sound *s, double factor);

#endif
