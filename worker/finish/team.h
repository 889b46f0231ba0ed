/* team.h - a few tasks at once on a few threads, for as long as they take. */
#ifndef REELWRIGHT_TEAM_H
#define REELWRIGHT_TEAM_H

#include "common/status.h"

/* task(self, 0) .. task(self, count - 1), each once, on up to `threads` threads, this one among them; which does which is left to
 * chance. The failure of the lowest number is returned, whatever the order was; after a failure no further task is begun. */
Status team_do(int threads, int count, Status (*task)(void *self, int number), void *self);

#endif
