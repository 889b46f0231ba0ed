/* loudness.h - how loud a sound is (EBU R128, ITU-R BS.1770-4), and making it as loud as a platform wants it. Home of libebur128. */
#ifndef REELWRIGHT_LOUDNESS_H
#define REELWRIGHT_LOUDNESS_H

#include "worker/finish/sound.h"

typedef struct {
    double lufs;         /* integrated; -HUGE_VAL: silence, or shorter than 0.4 s */
    double true_peak_db; /* dBTP, of 4 times oversampled; -HUGE_VAL: silence */
} Loudness;

/* ERR_NODE: out of memory. */
Status loudness_measure(const Sound *s, Loudness *out);
/* Two passes: measures, then turns it up or down to `lufs` with its peaks limited to `true_peak_db` (5 ms ahead), and once more by what
 * the limiter took. Within 0.5 LU, or as loud as 6 dB of limiting allow. Silence stays as it is. *out: as measured after it. */
Status loudness_set(Sound *s, double lufs, double true_peak_db, Loudness *out);

#endif
