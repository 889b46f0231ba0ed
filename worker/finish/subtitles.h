/* subtitles.h - what is said, to be read: cues from words with times, as WebVTT, SRT, a track in the file, or texts over the picture.
 *
 * At most two lines of 37 characters (Netflix and EBU name 37 to 42), at most 17 characters a second, at least 1 s and at most 6 s, two
 * frames between cues; parted at the ends of sentences and clauses where that is possible. A line that is read from right to left gets
 * a mark of that (U+200F), so that its full stop stands at its end. */
#ifndef REELWRIGHT_SUBTITLES_H
#define REELWRIGHT_SUBTITLES_H

#include <libavcodec/avcodec.h>

#include "worker/finish/voice.h"

enum { SUBTITLES_MAX_CUES = 200, SUBTITLES_LINE = 37 };

typedef struct {
    double from_s, to_s;
    char *text; /* one line or two, '\n' between them */
} Cue;

typedef struct {
    int count;
    Cue *cue;
} Subtitles;

/* begin_s: of the voice in the clip; end_s: of the clip. */
void subtitles_make(const Voice *v, double begin_s, double end_s, Subtitles *out);
void subtitles_clear(Subtitles *s);

char *subtitles_vtt(const Subtitles *s); /* free() it */
char *subtitles_srt(const Subtitles *s);
/* As overlays (overlay.h): a list of texts at the bottom of the safe area with their times; style may be NULL. */
json_t *subtitles_overlays(const Subtitles *s, const json_t *style);

/* A track of 3GPP timed text: what a sample holds, and its description for the file's head. free() them with av_free. */
uint8_t *subtitles_sample(const char *text, int *bytes);
Status subtitles_parameters(AVCodecParameters **out);

#endif
