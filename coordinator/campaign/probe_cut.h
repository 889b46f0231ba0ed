/* probe_cut.h - whether a picture's file ends too early, as one does whose upload broke off. By its structure alone, without a decoder: the file
 * is read once, which its hash does anyway. What is said to be cut the workers' decoders refuse; damage inside they find alone. */
#ifndef REELWRIGHT_PROBE_CUT_H
#define REELWRIGHT_PROBE_CUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

bool probe_jpeg_is_cut(FILE *f);
bool probe_png_is_cut(FILE *f, int64_t bytes);
bool probe_webp_is_cut(FILE *f, int64_t bytes);

#endif
