/* progress.h - how work that takes long says where it is, and hears that it shall stop. */
#ifndef REELWRIGHT_PROGRESS_H
#define REELWRIGHT_PROGRESS_H

#include "common/status.h"

/* Called before each unit of work (of a lease "load", then "text", "denoise", "decode", "finish"; done of total). A failure it
 * returns ends the work: ERR_STOP after a checkpoint was written. */
typedef struct {
    Status (*at)(void *self, const char *stage, int done, int total);
    void *self;
} Progress;

#endif
