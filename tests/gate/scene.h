/* scene.h - clips in memory for the tests of gates and proofs: drawn from a seed, or read from a file; and what x264 makes of them. */
#ifndef REELWRIGHT_TEST_SCENE_H
#define REELWRIGHT_TEST_SCENE_H

#include <stddef.h>
#include <stdint.h>

#include "worker/gate/film.h"

typedef struct {
    int width, height, fps, count; /* width and height even */
    uint8_t *data;                 /* count pictures of 4:2:0, plane after plane */
} Scene;

static inline size_t scene_bytes(const Scene *s) { return (size_t)s->width * (size_t)s->height * 3 / 2; }
static inline uint8_t *scene_plane(const Scene *s, int picture, int plane)
{
    const size_t luma = (size_t)s->width * (size_t)s->height;
    return s->data + (size_t)picture * scene_bytes(s) + (plane == 0 ? 0 : plane == 1 ? luma : luma + luma / 4);
}
static inline int scene_plane_width(const Scene *s, int plane) { return plane ? s->width / 2 : s->width; }
static inline int scene_plane_height(const Scene *s, int plane) { return plane ? s->height / 2 : s->height; }

Scene scene_new(int width, int height, int fps, int count); /* black; aborts when out of memory */
Scene scene_copy(const Scene *s);
void scene_free(Scene *s);
enum {
    SCENE_HILLS,   /* under a sky, with a walker */
    SCENE_TEXTURE, /* panned, with discs */
    SCENE_SHAPES,  /* flat ones, that move */
    SCENE_GRAIN,   /* and light that slowly changes */
    SCENE_NIGHT,   /* a street, some windows lit */
    SCENE_FIREWORKS,
    SCENE_WHIP,    /* panned five times as fast */
    SCENE_CAPTION, /* comes and goes, between the bars of a wide film */
    SCENE_FADE,    /* from black and to black */
    SCENE_KINDS
};
Scene scene_draw(int kind, unsigned seed, int width, int height, int fps, int count);
/* A file's pictures, scaled to the size (0 = its own); at most `most`. */
Status scene_read(const char *path, int width, int height, int most, Scene *out);
Scene scene_scale(const Scene *s, int width, int height);
/* Through H.264 and back, in memory. */
Status scene_recode(Scene *s, int crf, const char *preset);
FilmPicture scene_picture(const Scene *s, int i);

/* xorshift, the same everywhere */
static inline unsigned scene_random(unsigned *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}
static inline float scene_uniform(unsigned *state) { return (float)(scene_random(state) >> 8) / 16777216.0f; }

#endif
