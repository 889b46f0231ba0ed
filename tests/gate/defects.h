/* defects.h - what a renderer, an encoder or a microphone can do to a good clip, at three strengths each. */
#ifndef REELWRIGHT_TEST_DEFECTS_H
#define REELWRIGHT_TEST_DEFECTS_H

#include "tests/gate/scene.h"

enum { STRENGTHS = 3, SOUND_RATE = 48000 };

typedef struct {
    Scene scene;
    const Scene *other; /* another clip */
    float *sound;       /* mono, as long as the clip */
    int samples;
    double promised_s;
    unsigned random;
} Case;

/* What it is called, which gates may find it, how it is made, three strengths with the unit, and from which of them a viewer (or listener)
 * notices: reasons in TABLE.md. */
typedef struct {
    const char *name, *unit, *gates;
    void (*put)(Case *, double);
    double strength[STRENGTHS];
    int noticed;
} Defect;

enum { DEFECTS = 22 };
extern const Defect defect[DEFECTS];

#endif
