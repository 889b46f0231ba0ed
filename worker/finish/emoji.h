/* emoji.h - pictures of emoji out of a colour font. libass draws outlines only: it leaves room, and these are laid into it.
 * Home of FreeType and HarfBuzz (libass brings both). The font is found by fontconfig and opened once per process. */
#ifndef REELWRIGHT_EMOJI_H
#define REELWRIGHT_EMOJI_H

#include "worker/finish/layer.h"

/* Bytes of the emoji that the text begins with (with its skin tone, joiners, flag's two letters ...); 0 when it begins with none,
 * or with one that the machine's colour font lacks: then it is a letter like any other. */
int emoji_length(const char *text);
/* Draws the emoji of so many bytes into a square of the layer. ERR_NODE: the font cannot be read. */
Status emoji_draw(const char *text, int bytes, Layer *to, Box at);

/* One character of UTF-8 and its length; 0xFFFD and 1 where it is not valid. Length 0 at the end. */
uint32_t emoji_character(const char *text, int *bytes);

#endif
