#include "convolution.h"

#include <math.h>
#include <string.h>

enum { STATES = 64, STEPS = CONVOLUTION_CODED / 2, FIRST = 0171, SECOND = 0133 };

/* Bit 6 of `window` is the newest. */
static int output(int window, int generator) { return __builtin_popcount((unsigned)(window & generator)) & 1; }

void convolution_encode(uint64_t bits, uint8_t coded[CONVOLUTION_CODED])
{
    int state = 0;
    for (int i = 0; i < STEPS; i++) {
        const int bit = i < CONVOLUTION_BITS ? (int)(bits >> (CONVOLUTION_BITS - 1 - i) & 1) : 0,
                  window = bit << 6 | state;
        coded[2 * i] = (uint8_t)output(window, FIRST);
        coded[2 * i + 1] = (uint8_t)output(window, SECOND);
        state = window >> 1;
    }
}

uint64_t convolution_decode(const double soft[CONVOLUTION_CODED])
{
    double best[STATES], next[STATES];
    uint8_t from[STEPS][STATES]; /* the bit that left the window on the best way here */
    uint64_t bits = 0;
    for (int s = 0; s < STATES; s++) best[s] = s ? -INFINITY : 0;
    for (int i = 0; i < STEPS; i++) {
        for (int s = 0; s < STATES; s++) next[s] = -INFINITY;
        memset(from[i], 0, sizeof from[i]);
        for (int s = 0; s < STATES; s++)
            for (int bit = 0; bit < (i < CONVOLUTION_BITS ? 2 : 1); bit++) {
                const int window = bit << 6 | s, to = window >> 1;
                const double value = best[s] + (output(window, FIRST) ? soft[2 * i] : -soft[2 * i]) +
                                     (output(window, SECOND) ? soft[2 * i + 1] : -soft[2 * i + 1]);
                if (value <= next[to]) continue;
                next[to] = value;
                from[i][to] = (uint8_t)(s & 1);
            }
        memcpy(best, next, sizeof best);
    }
    for (int i = STEPS - 1, s = 0; i >= 0; i--) { /* the newest bit of a state is its highest */
        if (i < CONVOLUTION_BITS) bits |= (uint64_t)(s >> 5) << (CONVOLUTION_BITS - 1 - i);
        s = (s << 1 & (STATES - 1)) | from[i][s];
    }
    return bits;
}
