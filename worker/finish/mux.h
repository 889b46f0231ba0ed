/* mux.h - packets into an MP4 that every platform takes: no edit list, starting at zero, moov before mdat, no time stamps of its making.
 * Pictures, sound and subtitles are written in the order of their times, so that a player needs to look nowhere else. */
#ifndef REELWRIGHT_MUX_H
#define REELWRIGHT_MUX_H

#include "worker/finish/subtitles.h"
#include "worker/finish/track.h"

typedef struct { /* beside the pictures; each NULL: none. Borrowed until mux_end */
    const Track *sound;
    const Subtitles *subtitles;
    const char *language;              /* of the subtitles: "de", NULL: not said */
    const char *meta_key, *meta_value; /* one entry of the file's metadata */
} MuxExtras;

typedef struct Mux Mux;

/* draft: the file that is written; path: how messages call it. ERR_NODE: it cannot be written. */
Status mux_begin(const char *draft, const char *path, const AVCodecContext *video, const MuxExtras *extras, Mux **out);
Status mux_picture(Mux *m, AVPacket *packet); /* times in video's time base; takes what packet holds */
/* Closes the file. Frees *m also when it fails. */
Status mux_end(Mux **m);
void mux_abandon(Mux **m); /* NULL is fine */

#endif
