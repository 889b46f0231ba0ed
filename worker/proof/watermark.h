/* watermark.h - 64 bits in a clip's brightness that nobody sees and that a key finds again: which clip this is, after a platform has
 * recompressed, scaled or slightly cropped it and stripped everything else.
 *
 * Spread spectrum in the low-middle frequencies of luma. A grid of cells lies over the picture, 256 or 128 along its longer side; the
 * key gives each cell a sign and makes it part of the pilot (a quarter) or of one of the 140 bits that a convolutional code makes of
 * the 64. The pattern is the same in every picture of the clip, so that a reader sums them up and a changed frame rate does not
 * matter; it is added with the strength that the picture hides (more in texture than in flat areas), at most so much that PSNR stays
 * above 42 dB. A reader removes what the picture has of its own (high pass, divided by its local strength), weighs each part of the sum by
 * how little of the pictures' own is left there, finds scale and place by correlation with the pilot, and then reads the bits.
 *
 * Chance: correlation of N signs with noise has a standard deviation of sqrt(N), so a pilot of WATERMARK_LEAST_Z sigma has p < 1e-9 in each of
 * at most 2e6 places tried, and 16 of the 64 bits are a check: together below 1e-6. tests/proof/WATERMARK.md has what was measured, and
 * which attacks break it. */
#ifndef REELWRIGHT_WATERMARK_H
#define REELWRIGHT_WATERMARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/gate/film.h"

enum {
    WATERMARK_KEY_BYTES = 32,
    WATERMARK_BITS = 64,
    WATERMARK_LEAST_EDGE = 256 /* of the longer side, to be marked at all */
};
extern const double WATERMARK_LEAST_Z, WATERMARK_LEAST_P; /* the p-value is said as the latter where it is smaller */

/* 48 bits of SHA-256 over both names, and a check over these. */
uint64_t watermark_payload(const char *campaign, const char *clip);
bool watermark_is_payload(uint64_t payload); /* the check is right: one of 65536 others is, too */
/* The farm's key from its secret: any bytes. */
void watermark_key(const void *secret, size_t bytes, uint8_t key[WATERMARK_KEY_BYTES]);

typedef struct Watermark Watermark;

/* For pictures of this size. ERR_INPUT: smaller than WATERMARK_LEAST_EDGE. */
Status watermark_new(const uint8_t key[WATERMARK_KEY_BYTES], uint64_t payload, int width, int height, Watermark **out);
void watermark_free(Watermark **w);
/* Adds it to a picture of that size: 8-bit luma. */
void watermark_embed(Watermark *w, uint8_t *luma, int stride);
/* The same of RGB24: each of the three colours changes as its luma does. */
void watermark_embed_rgb(Watermark *w, uint8_t *rgb, int stride);

typedef struct {
    bool found;
    uint64_t payload;
    double z;            /* of the pilot, in sigma */
    int agreeing;        /* bits that agree with the expected payload; of 64 */
    double bit_accuracy; /* agreeing / 64; against the bits read where nothing was expected: 1 */
    double
        p_value; /* of so many bits agreeing by chance; where nothing was expected, of such a pilot and check anywhere it was looked for */
    double places; /* that a search looked at */
    int cells;     /* of the grid that was found */
    double scale, x,
        y; /* what part of the marked picture this one shows, along the longer side; and where it begins, in cells */
} WatermarkReading;

typedef struct WatermarkReader WatermarkReader;

WatermarkReader *watermark_reader_new(const uint8_t key[WATERMARK_KEY_BYTES]);
void watermark_reader_free(WatermarkReader **r);
Status watermark_reader_picture(WatermarkReader *r, const FilmPicture *p);
/* Anywhere: every grid, scale and place. */
void watermark_reader_search(WatermarkReader *r, WatermarkReading *out);
/* Where it must be, uncropped, with the bits that must be there. */
void watermark_reader_check(WatermarkReader *r, uint64_t expected, WatermarkReading *out);

/* What stands at the centre of each cell of the finer grid that the uncropped picture covers, in no order that matters: what a key's signs are
 * correlated with. values[WATERMARK_CELLS]; returns how many. For trials with many keys. */
enum { WATERMARK_CELLS = 65536 };
int watermark_reader_cells(WatermarkReader *r, float *values);

/* Both on a file; expected NULL: search. The check stops as soon as it is certain. ERR_INPUT: no video and no picture that can be read. */
Status watermark_file(const char *path, const uint8_t key[WATERMARK_KEY_BYTES], const uint64_t *expected,
                      WatermarkReading *out);

#endif
