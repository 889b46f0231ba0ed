/* voice.h - a row's words as sound, with the time of each: by an engine (a program), or from a recording.
 *
 * spec, the finish spec's "voice" (templates expanded):
 *   text       what is said; ssml: the same as SSML (optional, for engines that read it)
 *   language   "de", "en-us"; default en
 *   engine     "espeak" (the program beside ours), or a shell command; voice: which of the engine's
 *   lexicon    [{word, say}]: pronunciation, of the words that are in this text
 *   phonetic   how the whole text is pronounced; for this row, in place of text
 *   file       a recording, in place of an engine; sha256: of its content, where it must be that one
 *   at         seconds into the clip, default 0.3; gain_db
 *   too_long   "faster" (to 1.15 times, else the clip is refused), "hold" (to 1.15, then the last frame is held), "refuse"
 *   time_limit seconds, default 60; retries, default 2; seed, voice_ref (a file), consent: handed to the engine
 *
 * An engine gets one JSON object on stdin {text, ssml, lang, voice, voice_ref, consent, seed, lexicon} and writes a WAV file to stdout and
 * {words: [{t0, t1, text}], engine, version, model_sha256, licences: {code, weights, voice}} (seconds) as the last line of stderr, or into
 * the file that $REELWRIGHT_VOICE_TIMES names. Times are optional: without them the words are spread evenly. The consent's number is
 * to be echoed where one was given: an engine that does not is refused. */
#ifndef REELWRIGHT_VOICE_H
#define REELWRIGHT_VOICE_H

#include <jansson.h>
#include <stdbool.h>

#include "worker/finish/sound.h"

typedef struct {
    double from_s, to_s; /* from the voice's beginning */
    char *text;          /* as it stands in the row's text, with its punctuation */
} VoiceWord;

typedef struct {
    Sound sound;
    int word_count;
    VoiceWord *word;
    json_t *report; /* what the engine said of itself, without the words; NULL for a recording */
} Voice;

enum { VOICE_MAX_BYTES = 4096, VOICE_MOST_MB = 100 };

/* cache: a folder for what engines made, by the SHA-256 of all that they were told; NULL: none. ERR_CLIP: the engine failed, again and
 * again; or the text is too long; ERR_INPUT: a recording that is none. The message begins with "voice". */
Status voice_make(const json_t *spec, const char *cache, Voice *out);
void voice_clear(Voice *v);

/* What is said in a shot: the lips follow one sound, so an engine makes it once, into PLACE.wav and PLACE.json, whatever it says another
 * time. voice_make_at makes it, unless it is there; voice_read_at asks no engine: ERR_RETRY when it is not there. A recording needs neither
 * file. */
Status voice_make_at(const json_t *spec, const char *place, Voice *out);
Status voice_read_at(const json_t *spec, const char *place, Voice *out);
bool voice_is_at(const json_t *spec, const char *place);

/* How long it may take in a shot of shot_s seconds: from `at` to a moment before the end. */
double voice_room_s(const json_t *spec, double shot_s);
/* Frames of the shortest shot that has room for it: what a shot takes that is as long as its voice. By the voice alone, so that all choose the
 * same. ERR_CLIP: more than `most`. */
Status voice_follow(const Voice *v, const json_t *spec, int fps, int most, int *frames);
/* Makes it end within room_s, as too_long allows. *over_s: how long the last frame must be held. ERR_CLIP: it is refused. */
Status voice_fit(Voice *v, const json_t *spec, double room_s, double *over_s);
double voice_begin_s(const json_t *spec); /* `at` */

#endif
