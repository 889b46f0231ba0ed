/* subject.h - does a clip stay with what it shows? Measured without learned weights, on up to 48 small pictures spread evenly over the clip. */
#ifndef REELWRIGHT_SUBJECT_H
#define REELWRIGHT_SUBJECT_H

#include <stdint.h>

typedef struct Subject Subject;

Subject *subject_new(int width, int height); /* of the small pictures */
void subject_free(Subject **s);
/* rgb[height][width][3], 0 to 255; in the order in which they are shown. */
void subject_picture(Subject *s, const float *rgb, double at_s);

/* How much colours, contrast and directions of edges of one quarter of the clip differ from those of another, per cent; of the two that
 * differ most. Nothing that moves or turns changes them much; a scene that slides into another one does. It does not know what a subject
 * is: a person who becomes another one in the same clothes is found by a learned measure only. *at_s: where the change is fastest. NAN
 * of fewer than eight pictures. */
double subject_drift(const Subject *s, double *at_s);

/* The pocket world's rule: what passes behind something comes back as it was. Looks for the one thing that moves before a still scene, is
 * seen, (nearly) hidden in the middle of the clip, and seen again. Returns how far its colour has changed, levels of 255; 255 when it does not
 * come back; NAN when nothing moved at first or nothing was hidden. After models/measure.py. */
double subject_permanence(const Subject *s, double *at_s);

#endif
