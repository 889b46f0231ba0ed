/* shot.h - a shot: one diffusion render, the key that says which renders are the same, and the text that ledger and messages
 * carry it as. Only this file, the campaign's schema and those who use a field know what a shot consists of. */
#ifndef REELWRIGHT_SHOT_H
#define REELWRIGHT_SHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/hash.h"
#include "common/status.h"

enum { SHOT_MAX_REFERENCES = 16, SHOT_MAX_SCALES = 64, SHOT_MAX_LORAS = 16 };

typedef struct {            /* a file that a shot is made from */
    char *path;             /* absolute; NULL: none */
    char sha256[HASH_TEXT]; /* of its content: what counts; "" when nobody has taken it */
} ShotFile;

typedef struct { /* a low-rank adapter */
    ShotFile file;
    double scale;
    char expert[8]; /* "both", "high" or "low": which transformer of a two-expert model */
} ShotLora;

typedef struct {                          /* what a shot is made from besides its texts and numbers */
    ShotFile image, last_image;           /* first and last frame */
    ShotFile control_video, control_mask; /* a file or a folder of pictures, one a frame */
    ShotFile audio;                       /* what is said, for models that speak: a file, */
    char *speech; /* or "voice" of the clips' finish documents (worker/finish/voice.h), one line of JSON; NULL: none */
    int scale_count, reference_count, lora_count;
    double *scale;       /* of the control: one for each control layer, or one for all; none is 1 */
    ShotFile *reference; /* pictures of what shall be in the clip */
    ShotLora *lora;
} ShotMedia;

typedef struct {
    char *prompt;   /* UTF-8, as the user wrote it */
    char *negative; /* "" when there is none */
    uint64_t seed;
    int width, height; /* pixels of the rendered video */
    int frames, fps;   /* fps is the clip's; it does not change the latents */
    int frames_most; /* of a shot that is as long as what is said in it: frames is then what it was planned with, and the worker that has
                         * heard the voice puts in what it takes, up to so many; 0: frames is what it is */
    int steps;          /* denoising steps */
    double guidance;    /* classifier-free guidance scale; <= 1 renders without the negative branch */
    double guidance_2;  /* for the second transformer of a two-expert model; 0 = the same as guidance */
    double flow_shift;  /* of the sigma schedule */
    char scheduler[16]; /* "unipc", "euler" or "lcm" */
    char sigmas
        [16]; /* which grid of noise levels: "" as diffusers has it, "classic" or "distilled" (common/schedule.h) */
    ShotMedia *media; /* NULL: none */
    /* what is left out or shared, to cost less; 0 and NULL: nothing */
    int trunk_steps; /* the first steps are computed with trunk_prompt in the prompt's place: shots that differ in the prompt alone share them */
    char *
        reused_steps; /* "5,7,8": steps that run no layer of the transformer, but add what the layers added last; NULL: none */
    char *trunk_prompt; /* NULL when trunk_steps is 0 */
    double guided_from,
        guided_to; /* guidance only at noise levels (sigma) from the first down to the second; both 0: at all */
} ShotSpec;

void shot_clear(ShotSpec *s); /* frees the texts and the media and zeroes the rest */
void shot_copy(ShotSpec *to, const ShotSpec *from);
ShotMedia *shot_media_copy(const ShotMedia *m); /* NULL of NULL */
void shot_media_free(ShotMedia **m);

typedef struct {
    const char *key; /* the campaign's, as "control.video" */
    ShotFile *file;
    int number; /* of several with this key, from 1; 0: there is one */
} ShotMediaFile;
enum { SHOT_MAX_FILES = 5 + SHOT_MAX_REFERENCES + SHOT_MAX_LORAS };
/* All files of m (NULL: none), which keeps them -> how many there are. */
int shot_media_files(const ShotMedia *m, ShotMediaFile list[SHOT_MAX_FILES]);
void shot_set_sigmas(ShotSpec *s, const char *word); /* "standard" is "" */
/* SHA-256 of everything that determines the latents (DESIGN: all fields but fps, and the model's hash). Files count by content:
 * where they lie and what they are called changes nothing. Of speech counts what makes the sound, not how long an engine may take.
 * A prompt counts as it is written, also behind the tokens that the model reads, so that a key needs no model: `check` says which
 * rows differ there only. */
void shot_key(const ShotSpec *s, const char *model_hash, char key[HASH_TEXT]);

/* How often `steps` are made: once for each clip of a video that is made in clips, as a model that speaks does (common/chain.h). */
int shot_rounds(const ShotSpec *s);

/* The shot whose first trunk_steps steps are those of *s: *s with the trunk's prompt. Texts and media are borrowed. */
ShotSpec shot_trunk(const ShotSpec *s);
/* "SHA256 scale expert; ..." of its adapters, "" without; free() it. */
char *shot_adapters(const ShotSpec *s);
/* reused_steps as a table of s->steps. ERR_INPUT: not numbers from 1 to steps - 1 that rise, with commas between. */
Status shot_read_reused(const ShotSpec *s, bool *reused);
/* Whether a step that begins at this noise level is guided, as far as the interval says. */
bool shot_is_guided_at(const ShotSpec *s, double sigma);

/* The key of a shot that its row shares with no other, though it may be the same: `key` becomes it. */
void shot_key_of_row(char key[HASH_TEXT], const char *id);

/* One line of JSON; free() it. Its texts must be UTF-8. The same shot always gives the same line. */
char *shot_to_json(const ShotSpec *s);
/* ERR_INPUT names the field that is missing or none of its kind; *out is then empty. */
Status shot_from_json(const char *text, ShotSpec *out);

#endif
