/* hearing.h - loudness, peaks, clipping and silence of a clip's sound, block by block. Home of libebur128. */
#ifndef REELWRIGHT_HEARING_H
#define REELWRIGHT_HEARING_H

#include "common/status.h"

enum { HEARING_MAX_AT = 16 };

typedef struct {
    double loudness_lufs;  /* integrated, EBU R 128; -70 for silence */
    double true_peak_dbtp; /* -100 for silence */
    double clipping;       /* places in the worst second where at least three samples in turn are at full scale */
    /* Longest time below -60 dBFS; at the beginning and the end two seconds are free. All of a clip that has no sound anywhere. Of one of
     * two channels that is lost, the time below -80 dBFS in which the other one is heard, from 2 s or a third of the sound on. */
    double silence_s;
    int clipping_count, silence_count; /* of the seconds below */
    double clipping_at[HEARING_MAX_AT],
        silence_at[HEARING_MAX_AT]; /* where, from the worst second's limit and from 0.3 s of silence on */
} HearingFigures;

typedef struct Hearing Hearing;

Status hearing_begin(int channels, int rate,
                     Hearing **out); /* ERR_INPUT: more than 16 channels, or a rate that no sound has */
Status hearing_put(Hearing *s, const float *samples, int count); /* interleaved */
void hearing_end(Hearing **s, HearingFigures *out);              /* frees */
void hearing_free(Hearing **s);

#endif
