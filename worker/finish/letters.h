/* letters.h - text to a layer by libass: HarfBuzz shapes it, FriBidi orders it, fontconfig finds a font for each script.
 *
 * The text is data: braces, backslashes, percent signs and quotes in it are drawn as they are. '\n' ends a line. U+2068 .. U+2069
 * around an inserted value keep its direction to itself. Home of libass and fontconfig; one renderer per process. */
#ifndef REELWRIGHT_LETTERS_H
#define REELWRIGHT_LETTERS_H

#include <stdbool.h>

#include "worker/finish/layer.h"

enum { LETTERS_MAX_BYTES = 4096 };

typedef struct {
    const char *font; /* family; where it lacks a glyph, another one has it */
    double size_px;   /* of the font, from the lowest to the highest letter */
    double least_px;  /* smaller than that it is not made to fit */
    bool bold;
    uint32_t color, outline;      /* 0xRRGGBBAA */
    double outline_px, shadow_px; /* at size_px; they shrink with it */
    int max_lines;                /* 0: as many as there is room for */
} Letters;

/* Draws into `room` of a frame, at the side or corner that `anchor` says as the keys of a number pad do: 7 upper left, 5 middle, 3
 * lower right. Long lines are broken between words; the size is lowered until it fits, to least_px. *size_px (may be NULL): the
 * size taken. ERR_CLIP: it does not fit, or is too long; ERR_NODE: no font at all. *out is NULL where there is nothing to see. */
Status letters_draw(const char *text, const Letters *style, Box room, int anchor, Layer **out, double *size_px);

/* The first character that no font of this machine can draw; 0: every one can be. */
uint32_t letters_missing(const char *text);
/* Whether a font of that family is installed. */
bool letters_has_family(const char *family);

#endif
