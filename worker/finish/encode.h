/* encode.h - frames to an MP4 that every platform takes: H.264 High, yuv420p, BT.709 limited range, tagged; an IDR frame every
 * half second and none between; B-frames, yet no edit list and a start at zero; moov before mdat.
 *
 * The same frames and options give the same bytes, whatever the processor, its load or number of cores, and what memory held
 * before: one x264 thread, no approximate instructions, bit-exact scaling, no time stamps in the file. Published whole (common/file.h). No child process: libavcodec with libx264. */
#ifndef REELWRIGHT_ENCODE_H
#define REELWRIGHT_ENCODE_H

#include "common/status.h"

typedef struct {
    int width, height; /* of the file, even; 0 = as the frames. Frames are scaled to fit (Lanczos), with black beside
                           them where the aspect differs by more than 2 % */
    int fps;
    int crf;            /* x264 constant rate factor */
    const char *preset; /* x264 preset */
    int max_kbps;       /* peak rate over a one-second buffer; 0 = no cap */
} EncodeOptions;

/* crf 17, preset veryfast (SPEED.md says why), size of the frames; fps must be set */
EncodeOptions encode_defaults(void);

typedef struct Encode Encode;

/* ERR_INPUT: options out of range, or a file that cannot be created there. */
Status encode_begin(const char *path, const EncodeOptions *o, Encode **out);
/* frames [n,H,W,3] RGB in [0,1] (values outside are clipped); the size is that of the first call. ERR_NODE: disk full. */
Status encode_put(Encode *e, const float *frames, int n, int height, int width);
/* Publishes the file. Frees *e also when it fails. */
Status encode_end(Encode **e);
void encode_abandon(Encode **e); /* frees and leaves no file; NULL is fine */

#endif
