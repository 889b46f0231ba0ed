/* finish_look.h - what a campaign asks the finishers' libraries before anything is rendered (worker/finish/finish_look.h). */
#ifndef REELWRIGHT_COMMON_FINISH_LOOK_H
#define REELWRIGHT_COMMON_FINISH_LOOK_H

#include <stdint.h>

#include "common/status.h"

typedef struct {             /* borrowed */
    const char *campaign;    /* finish documents: of the campaign, */
    const char *const *clip; /* and of each clip; "" none */
    int64_t count;
    double shot_s;
    int follows_fps; /* 0, or shots are as long as their voices, shot_s at most, with so many frames a second: */
    void (*lasts)(void *self, int64_t i, int frames); /* then told of each clip whose voice was measured */
    /* Of the i-th clip: what is wrong with this member of its document, "overlays[0].text", "voice". In the clips' order. */
    void (*found)(void *self, int64_t i, const char *member, const char *message);
    /* Of the i-th clip and so many others: what is no fault and may yet be a mistake. */
    void (*noted)(void *self, int64_t i, const char *member, const char *message, int64_t others);
    /* There was no time for so many texts and voices that differ. */
    void (*left)(void *self, int64_t texts, int64_t voices);
    void *self;
} FinishLookJob;

/* Fails only where the documents are none. */
typedef Status FinishLook(const FinishLookJob *job);

#endif
