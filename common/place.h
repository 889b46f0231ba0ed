/* place.h - a folder in /tmp for what is said while nothing is kept (`check`, a voice that is heard once). Whoever uses one holds its lock, so
 * that what a killed process left there is known and removed: by the next one, and by erasures. */
#ifndef REELWRIGHT_PLACE_H
#define REELWRIGHT_PLACE_H

#include "common/status.h"

#define PLACE "/tmp/reelwright-voice-"
enum { PLACE_BYTES = sizeof PLACE "XXXXXX" };

/* Of this user alone. *lock: close() it when the folder is removed. */
Status place_make(char folder[static PLACE_BYTES], int *lock);
/* Removes those that nobody uses. */
void place_sweep(void);

#endif
