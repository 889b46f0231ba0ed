/* pattern.h - the key's pattern of signs that a watermark is made of and found by. */
#ifndef REELWRIGHT_PATTERN_H
#define REELWRIGHT_PATTERN_H

#include <stdint.h>

#include "worker/proof/convolution.h"
#include "worker/proof/watermark.h"

enum { PATTERN_MAX_CELLS = 256, PATTERN_PILOT = 255 };

typedef struct {
    int cells; /* on each side; a picture uses the part that its shorter side covers */
    int8_t sign[PATTERN_MAX_CELLS * PATTERN_MAX_CELLS];  /* +1 or -1; [row * cells + column] */
    uint8_t part[PATTERN_MAX_CELLS * PATTERN_MAX_CELLS]; /* which coded bit, or PATTERN_PILOT */
} Pattern;

void pattern_make(const uint8_t key[WATERMARK_KEY_BYTES], int cells, Pattern *out);

#endif
