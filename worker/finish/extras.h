/* extras.h - what a clip has beside its pictures, made once and used by all of its renditions: voice, music, subtitles; and which texts
 * lie over it. It reads the keys voice, music, subtitles, overlays, label of the finish spec. */
#ifndef REELWRIGHT_EXTRAS_H
#define REELWRIGHT_EXTRAS_H

#include "common/finish_spec.h"
#include "worker/finish/mux.h"

typedef struct {
    double duration_s; /* of the clip, with what is held */
    double
        hold_s; /* so long its last frame is held, because the voice takes longer, or a platform takes no shorter clip */
    Voice voice;
    Sound sound; /* the mix, at no particular loudness; count 0: the clip has none */
    Subtitles subtitles;
    bool is_track, is_burned; /* where the subtitles go beside the files of their own */
    json_t *overlays;         /* the spec's, with burned subtitles behind them; owned, may be empty */
    const json_t *label;      /* borrowed from the spec; NULL: none */
    const char *language;     /* borrowed; NULL: nothing is said */
    int track_count;
    struct { /* of each loudness that a rendition wants */
        double lufs, true_peak_db;
        Track track;
    } track[MAX_RENDITIONS];
} Extras;

typedef struct {        /* for what engines say; NULL: it is not kept */
    const char *voices; /* for all clips of the campaign */
    const char *own;    /* goes with this clip's lease: what is said with the voice of a person who may take it back */
    const char *shot;   /* where the sound is that the lips of this shot follow (voice_read_at); NULL: it has none */
} ExtrasFolders;

/* frames, fps: of the shot; the clip lasts as long, or a whole number of its frames longer. ERR_CLIP, ERR_INPUT: something in it cannot be
 * made, the message begins with its key. extras_close in every case. */
Status extras_open(const FinishSpec *spec, int frames, int fps, ExtrasFolders folder, Extras *out);
void extras_close(Extras *e);

/* The sound at a rendition's loudness; *out NULL where it has none (r->sound "none", or "auto" and the clip is silent). Borrowed. Not
 * from several threads. */
Status extras_track(Extras *e, const Rendition *r, const Track **out);

#endif
