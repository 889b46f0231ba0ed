/* footage.h - pictures of a face from what people bring: photos, and videos of which the sharpest and stillest frames are taken.
 *
 * Any format that libav reads, found by its content and not by its name. The file is read through this process's own hands, so that
 * no format can open another file or an address. Bounds on size, length and time hold off what is hostile.
 *
 * Sharpness is the variance of the Laplacian of the brightness (J. L. Pech-Pacheco et al., Diatom autofocusing in brightfield
 * microscopy, ICPR 2000), motion the mean absolute difference to the frame before, both inside the crop at FOOTAGE_MEASURE pixels. A
 * frame's score is sharpness / (1 + motion^2): a picture that is smeared loses by both. */
#ifndef REELWRIGHT_FOOTAGE_H
#define REELWRIGHT_FOOTAGE_H

#include "engine/engine.h"

enum {
    FOOTAGE_MAX_MB = 2048,
    FOOTAGE_MAX_S = 600,  /* of a video */
    FOOTAGE_WORK_S = 120, /* of ours on it */
    FOOTAGE_MAX_SIDE = 8192,
    FOOTAGE_MAX_FRAMES = 40000,
    FOOTAGE_MEASURE = 384,  /* the longer side of what is measured */
    FOOTAGE_LEAST_SIDE = 64 /* of a crop */
};

typedef struct { /* of the upright picture, pixels; all zero: all of it */
    int x, y, width, height;
} FootageCrop;
/* "X,Y,W,H" */
Status footage_parse_crop(const char *text, FootageCrop *out);

typedef struct {
    double at_s;
    double sharpness, motion; /* motion 0 for a photo and for the first frame */
    Picture picture;          /* cropped; footage_clear */
} FootageFrame;

typedef struct {
    int count;
    FootageFrame *frame; /* in the order of their times */
    int64_t looked_at;   /* frames */
    double seconds;      /* length of the video */
} Footage;

/* A photo's one picture. ERR_INPUT names the file. */
Status footage_read_photo(const char *path, const FootageCrop *crop, Footage *out);
/* The best frames of a video, at most `most` of them and apart from each other. */
Status footage_read_video(const char *path, const FootageCrop *crop, int most, Footage *out);
/* Whether it is a video or sound that can be decoded, and how long. */
Status footage_probe(const char *path, double *seconds, bool *has_video, bool *has_sound);
void footage_clear(Footage *f); /* wipes the pixels */

/* As a PNG file in memory: free() it after wiping. */
Status footage_png(const Picture *p, unsigned char **data, size_t *bytes);
/* All pictures side by side, 256 pixels high. */
Status footage_contact(const Footage *f, unsigned char **data, size_t *bytes);

#endif
