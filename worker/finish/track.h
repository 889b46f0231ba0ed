/* track.h - a finished sound track: AAC-LC at 48 kHz, its packets in memory, ready to be written between the pictures'.
 *
 * An encoder puts 1,024 samples of nothing in front (21 ms) and an edit list says to skip them; files without edit lists play them. So
 * the packet of nothing stands for the clip's first 1,024 samples: the sound stays in step with the picture, and what is lost is the
 * first 21 ms, in which it is fading in. The same sound gives the same bytes on every x86-64 machine. */
#ifndef REELWRIGHT_TRACK_H
#define REELWRIGHT_TRACK_H

#include <libavcodec/avcodec.h>

#include "worker/finish/loudness.h"

typedef struct {
    AVCodecParameters *parameters;
    AVRational time_base;
    int count;
    AVPacket **packet; /* in the order of their times, from 0 on */
    Loudness loudness; /* of what is decoded from it */
} Track;

enum { TRACK_KBPS = 128 };

/* ERR_NODE: this libavcodec has no AAC encoder, or memory is short. */
Status track_encode(const Sound *s, int kbps, Track *out);
/* Brings a copy of the sound to the loudness, encodes it, decodes it again and, should its peaks have grown in that, once more. */
Status track_master(const Sound *s, double lufs, double true_peak_db, int kbps, Track *out);
void track_clear(Track *t);

#endif
