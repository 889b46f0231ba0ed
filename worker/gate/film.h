/* film.h - any video file, picture by picture: what gates measure and what watermark and fingerprint are read from.
 *
 * The file may be anybody's: only local files, only containers and sizes that a clip can have, and whatever is damaged is counted,
 * not trusted. Pictures come in the order in which they are shown, as 8-bit 4:2:0 of limited range; sound as interleaved floats, full scale
 * at 1. Both are lent for the call. */
#ifndef REELWRIGHT_FILM_H
#define REELWRIGHT_FILM_H

#include <stdint.h>

#include "common/status.h"

enum { FILM_MAX_EDGE = 8192, FILM_MAX_PICTURES = 1 << 18, FILM_MAX_CHANNELS = 16 };

typedef struct {
    int width, height; /* of plane 0; planes 1 and 2 have half of both, rounded up */
    const uint8_t *plane[3];
    int stride[3]; /* bytes */
    double at_s;   /* when it is shown; the first one's is 0 or near it */
} FilmPicture;

typedef struct {
    int width, height;
    double fps;              /* average */
    int64_t pictures;        /* that could be decoded */
    int64_t samples;         /* of each channel */
    int channels, rate;      /* 0 = no sound */
    int streams;             /* of any kind */
    double duration_s;       /* the container's; 0 = it does not say */
    double video_s, sound_s; /* from the first to the end of the last picture or sample */
    double video_start_s, sound_start_s;
    int faults; /* packets that could not be read or decoded */
    double first_fault_s;
} FilmInfo;

typedef struct {
    void *self;
    Status (*picture)(void *self, const FilmPicture *p); /* NULL: pictures are not decoded */
    Status (*sound)(void *self, const float *samples, int count, int channels, int rate,
                    double at_s); /* NULL likewise */
} FilmSink;

/* Reads all of it. ERR_INPUT when it is no video that can be read at all; a failure of the sink ends it. */
Status film_read(const char *path, FilmSink sink, FilmInfo *out);
/* The same; a PNG, JPEG or WebP file passes for a film of one picture. */
Status film_read_any(const char *path, FilmSink sink, FilmInfo *out);

#endif
