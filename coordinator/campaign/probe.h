/* probe.h - what kind of file a picture or a video is, by its first bytes: enough to tell a campaign manager at once, without a
 * decoder. A picture that ends too early is known, too (probe_cut.h); what is damaged otherwise, a worker finds. */
#ifndef REELWRIGHT_PROBE_H
#define REELWRIGHT_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

enum {
    PROBE_MAX_HEADER_BYTES = 100 << 20, /* of a safetensors file: the format's own limit */
    PROBE_MAX_SIDE = 1 << 14,           /* pixels: what the worker's decoders take */
    PROBE_MAX_PICTURE_BYTES = 1 << 28   /* a picture of that side without compression is larger; none in use is */
};
#define PROBE_MAX_VIDEO_BYTES (INT64_C(1) << 34)

typedef struct {
    const char *format; /* "PNG", "an MP4 video" ... */
    bool video;
    int width, height; /* 0: not found out */
    int64_t frames;    /* of a folder: its pictures; of an MP4 or QuickTime file, its video's; 0: not found out */
} Probe;

/* A picture. ERR_INPUT, without the path: missing, no picture, of a format that workers do not read, too large. */
Status probe_picture(const char *path, Probe *out);
/* A video file, or a folder of pictures, one a frame. */
Status probe_video(const char *path, Probe *out);

/* A LoRA file: safetensors whose header names low-rank tensors. Whether it fits the model, a worker finds when it reads shapes. */
Status probe_adapter(const char *path, Probe *out);

#endif
