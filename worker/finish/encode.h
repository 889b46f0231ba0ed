/* encode.h - frames to an MP4 that every platform takes: H.264 High, yuv420p, BT.709 limited range, tagged; an IDR frame every
 * half second and none between; B-frames, yet no edit list and a start at zero; moov before mdat.
 *
 * The same frames and options give the same bytes, whatever the processor, its load or number of cores, and what memory held before:
 * one x264 thread, no approximate instructions, bit-exact scaling, no time stamps in the file. Published whole (common/file.h). No
 * child process: libavcodec with libx264. */
#ifndef REELWRIGHT_ENCODE_H
#define REELWRIGHT_ENCODE_H

#include "common/status.h"
#include "worker/finish/mux.h"

typedef struct {
    int width, height; /* of the file, even; 0 = as the frames */
    int fps;
    int crf;            /* constant rate factor, of the codec's own scale */
    const char *preset; /* x264's (x265's) preset; other codecs take the speed that is nearest */
    int max_kbps;       /* peak rate over a one-second buffer; 0 = no cap */
    const char *codec;  /* h264, h265, av1 or vp9 */
    const char *fit;    /* how a picture of another aspect is put on it, canvas.h */
    uint32_t color;     /* beside it, with "pad": 0xRRGGBBAA */
    /* draws on each frame (YUV420P) before it is encoded; NULL: nothing */
    Status (*paint)(void *self, AVFrame *frame, int64_t number);
    void *self;
    MuxExtras extras; /* sound, subtitles; what it points at is borrowed to the end */
} EncodeOptions;

/* h264, crf 17, preset veryfast (SPEED.md says why), size of the frames, black beside them; fps must be set */
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
