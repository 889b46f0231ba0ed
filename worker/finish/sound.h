/* sound.h - sound as the finish has it: 48,000 samples a second, stereo, floats; read from files, and mixed.
 *
 * The same files give the same samples on every x86-64 machine: decoders and resampler keep to SSE2. */
#ifndef REELWRIGHT_SOUND_H
#define REELWRIGHT_SOUND_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

enum { SOUND_RATE = 48000, SOUND_MAX_S = 600 };

typedef struct {
    int64_t count;
    float *sample; /* [count,2], left and right in turn, full scale is 1; owned */
    bool open_end; /* the file that it was read from does not say how long it is: it may have been cut short */
} Sound;

/* The first sound track of a file: WAV, FLAC, MP3, Ogg, AAC, MP4, Matroska, AIFF; any rate, one or more channels, any sample size. One that
 * begins after the file's pictures begins with that much silence.
 * ERR_INPUT names the file: missing, no sound in it, empty, damaged, cut short, protected, with samples that are no numbers, or longer than
 * SOUND_MAX_S. */
Status sound_read(const char *path, Sound *out);
/* The same, from memory that is kept for the next clip: music is that of all of them. Borrowed until the next call. */
Status sound_read_kept(const char *path, const Sound **out);
/* What a model that speaks hears of it: SPEECH_RATE samples a second, one channel, sample 0 at the same moment; free() *pcm. */
Status sound_hear(const Sound *s, float **pcm, int64_t *count);
Sound sound_silence(double seconds);
void sound_clear(Sound *s);
/* Nothing in it is louder than -60 dBFS. */
bool sound_is_silent(const Sound *s);
static inline double sound_seconds(const Sound *s) { return (double)s->count / SOUND_RATE; }

typedef struct {
    double duration_s;
    const Sound *voice; /* NULL: none */
    double voice_at_s, voice_gain_db;
    const Sound *music; /* NULL: none; begins anew where it is shorter than the clip */
    double music_gain_db;
    double duck_db;   /* so much quieter while the voice speaks */
    const Sound *own; /* what the model made; NULL: none */
} SoundMix;

/* All of them together, duration_s long. Every beginning and end is faded (5 ms; music at the end 0.6 s), so nothing clicks. The
 * music sinks in 120 ms before a word and rises in 350 ms after it. */
void sound_mix(const SoundMix *m, Sound *out);

/* Tests look at it: gain (0 to 1) of the music at each hundredth of a second, count of them; free() it. */
float *sound_duck_curve(const SoundMix *m, int *count);

#endif
