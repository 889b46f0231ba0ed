/* fingerprint.h - what a clip looks like, in 256 bits that recompression, another size or a stripped file leave nearly as they are: the
 * ISCC Video-Code (ISO 24138, io.iscc.v0), made of MPEG-7 frame signatures (libavfilter's `signature`) of five pictures a second.
 *
 * Equal, bit for bit, to iscc-core 1.5.0 on what `ffmpeg -vf fps=fps=5,signature` gives. It says what is seen, not who made it. */
#ifndef REELWRIGHT_FINGERPRINT_H
#define REELWRIGHT_FINGERPRINT_H

#include <stdint.h>

#include "worker/gate/film.h"

enum { FINGERPRINT_BYTES = 32, FINGERPRINT_VALUES = 380, FINGERPRINT_TEXT = 72 };

typedef struct {
    uint8_t bit[FINGERPRINT_BYTES];
} Fingerprint;

typedef struct FingerprintMaker FingerprintMaker;

Status fingerprint_begin(int width, int height, double fps, FingerprintMaker **out);
Status fingerprint_picture(FingerprintMaker *m, const FilmPicture *p); /* in the order in which they are shown */
Status fingerprint_end(FingerprintMaker **m, Fingerprint *out);        /* frees */
void fingerprint_abandon(FingerprintMaker **m);
Status fingerprint_file(const char *path, Fingerprint *out);

/* The last step alone: the sum of the distinct frame signatures. */
void fingerprint_of_sums(const int64_t sum[FINGERPRINT_VALUES], Fingerprint *out);

/* "ISCC:EMDV2PYS..." with the first `bits` (64 or 256) */
void fingerprint_text(const Fingerprint *f, int bits, char text[FINGERPRINT_TEXT]);
/* 256 bits; ERR_INPUT: no Video-Code of that length */
Status fingerprint_parse(const char *text, Fingerprint *out);

/* Bits that differ. Up to FINGERPRINT_NEAR it is the same clip, recompressed, scaled or slightly cropped: tests/proof/FINGERPRINT.md has
 * what was measured. Two different clips of one campaign can be near, too: they show the same shot. */
int fingerprint_distance(const Fingerprint *a, const Fingerprint *b);
enum { FINGERPRINT_NEAR = 40 };

#endif
