/* legible.h - can what was laid over a picture be read in it? Contrast as WCAG 2 defines it, 1 (none) to 21, of brightness alone, and codes read
 * back. */
#ifndef REELWRIGHT_LEGIBLE_H
#define REELWRIGHT_LEGIBLE_H

#include <stdbool.h>

#include "worker/finish/layer.h"

typedef struct { /* luma of 8 bits, limited range; borrowed */
    const uint8_t *luma;
    int stride, width, height;
} Grey;

/* Of letters of this colour (0xRRGGBBAA; an outline has another one) to what is around them, in the tenth of the places where it is
 * least. NAN: the layer has no such letters within the picture. */
double legible_letters(const Layer *letters, uint32_t color, const Grey *picture);
/* Of a layer's bright pixels to its dark ones, as they are in the picture: 1 where the layer is not there. NAN likewise. */
double legible_layer(const Layer *layer, const Grey *picture);
/* The QR code within this box says this text. */
bool legible_code(Box at, const char *text, const Grey *picture);

#endif
