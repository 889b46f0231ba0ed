/* shot.h - a shot: one diffusion render, and the key that says which renders are the same. */
#ifndef REELWRIGHT_SHOT_H
#define REELWRIGHT_SHOT_H

#include <stdint.h>

#include "common/hash.h"

typedef struct {
    char *prompt;   /* UTF-8, as the user wrote it */
    char *negative; /* "" when there is none */
    uint64_t seed;
    int width, height;  /* pixels of the rendered video */
    int frames, fps;    /* fps is the clip's; it does not change the latents */
    int steps;          /* denoising steps */
    double guidance;    /* classifier-free guidance scale; <= 1 renders without the negative branch */
    double guidance_2;  /* for the second transformer of a two-expert model; 0 = the same as guidance */
    double flow_shift;  /* of the sigma schedule */
    char scheduler[16]; /* "unipc" or "euler" */
} ShotSpec;

void shot_clear(ShotSpec *s); /* frees the texts and zeroes the rest */
void shot_copy(ShotSpec *to, const ShotSpec *from);
/* SHA-256 of everything that determines the latents (DESIGN: all fields but fps, and the model's hash). */
void shot_key(const ShotSpec *s, const char *model_hash, char key[HASH_TEXT]);

#endif
