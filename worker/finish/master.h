/* master.h - a shot's frames in one lossless file, from which any process finishes clips.
 *
 * Matroska with ffvhuff in planar RGB of 10 bits: 67 dB and more from the decoder's floats (55 are asked for, 8 bits would be 59, and
 * would band when a picture is enlarged). Of what libavcodec has, measured on two cores with 49 frames of 832x480, noisy on purpose:
 *
 *     codec                      MB   write s  read s   dB
 *     ffvhuff  RGB 10 bits       41      0.85    0.82   67
 *     ffvhuff  RGB 10, median    37      1.26    2.06   67
 *     FFV1     RGB 10 bits       32      8.4     8.2    67
 *     FFV1     RGB 8 bits        19      2.6     2.9    59
 *     Ut Video RGB 8 bits        26      0.75    0.72   59
 *     x264 lossless, RGB 8       28      1.2     1.5    59
 *     x265 lossless, RGB 10      35     21       5.1    67
 *
 * A master is read once for each of its clips and lives for minutes, so speed counts and size does not. The same frames give the same
 * bytes, whatever the number of threads: every picture is coded by itself. */
#ifndef REELWRIGHT_MASTER_H
#define REELWRIGHT_MASTER_H

#include "common/clip.h"

typedef struct { /* of all frames of a master */
    int width, height, frames, fps;
} MasterShape;

/* ---- writing, on a thread of its own while the next frames are decoded ---- */
typedef struct MasterWriter MasterWriter;

/* ERR_NODE: the file cannot be made there. threads: that code pictures, at least 1. */
Status master_begin(const char *path, const MasterShape *shape, int threads, MasterWriter **out);
/* frames [n,H,W,3] RGB in [0,1] (values outside are clipped), copied; waits while MASTER_QUEUE calls' frames are not written yet. What
 * went wrong with earlier ones is told here, or at the end. */
enum { MASTER_QUEUE = 3 };
Status master_put(MasterWriter *w, const float *frames, int n, int height, int width);
/* All frames are on disk, and the file is published (common/file.h). Frees *w also when it fails. ERR_CLIP: fewer frames came than the
 * shape says. */
Status master_end(MasterWriter **w, MasterFile *out);
void master_abandon(MasterWriter **w); /* leaves no file; NULL is fine */

/* ---- reading ---- */
typedef struct MasterReader MasterReader;

/* ERR_RETRY: it is not there, or it is not what the coordinator knows (its size, then its hash). */
Status master_check(const char *path, const MasterFile *known);
Status master_open(const char *path, const MasterShape *shape, int threads, MasterReader **out);
/* The next frame as [H,W,3] RGB in [0,1], borrowed until the next call; NULL after the last. ERR_RETRY: damaged. */
Status master_next(MasterReader *r, const float **frame);
void master_close(MasterReader **r);

#endif
