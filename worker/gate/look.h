/* look.h - what a gate needs to know of each picture, in one pass: brightness, change against the picture before, light and red for
 * flashes, and now and then the texture. What is compared is a small copy of at most 160 pixels a side, each the mean of a box. */
#ifndef REELWRIGHT_LOOK_H
#define REELWRIGHT_LOOK_H

#include <stdbool.h>

#include "common/looks.h"
#include "worker/gate/film.h"
#include "worker/gate/sequence.h"
#include "worker/gate/slip.h"
#include "worker/gate/subject.h"
#include "worker/gate/texture.h"

enum { LOOK_CELLS = 6 }; /* a grid of 6 x 6 for flicker */

typedef struct {
    double at_s;
    float mean;            /* luma, 0 to 255 */
    float dark, saturated; /* shares of the picture */
    float ground;          /* the largest share of one colour of those that `saturated` counts */
    float clipped; /* share of which one or two of R, G and B are at an end: light that was too strong for its colour */
    float
        change; /* mean absolute difference of R, G and B against the picture before, levels of 255 (VBench's temporal flickering,
                              before it is averaged over the clip); 0 for the first */
    float
        back; /* how much nearer it is to a picture shortly before than to those between, levels: pictures out of order, or others put in */
    float moved; /* share of its parts that differ from the picture at which it last moved; 1 for the first */
    float luminance, luminance_area;     /* relative luminance 0 to 1 (WCAG), and the share that changed */
    float red, red_area;                 /* (R-G-B) x 320 where R/(R+G+B) >= 0.8, and the share that changed */
    float cell[LOOK_CELLS * LOOK_CELLS]; /* mean luma */
    float bright, deep;                  /* levels that a hundredth of the picture exceeds, and is below */
    bool sampled;                        /* six a second are: */
    TextureFigures texture;              /* NAN where not */
} LookFigures;

typedef struct Look Look;

Look *look_new(void);
void look_free(Look **l);
/* ERR_INPUT when the size changes. */
Status look_at(Look *l, const FilmPicture *p);
/* In the order in which they came; they live as long as l. */
const LookFigures *look_figures(const Look *l, int *count);
/* PDQ of a picture a second, of those that have something in them; of a long clip, of fewer. */
const Looks *look_looks(const Look *l);
/* What subject.h measures; NULL before the first picture. */
const Subject *look_subject(const Look *l);
/* What slip.h and sequence.h measure; likewise. */
const Slip *look_slip(const Look *l);
const Sequence *look_sequence(const Look *l);

#endif
