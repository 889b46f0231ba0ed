/* lock.h - one run at a time in a campaign folder: DIR/run.lock, held while its process lives.
 *
 * It keeps two runs on one machine apart with a clear message. Where it cannot be seen (another machine, a file system without
 * locks, --take-over) the ledger's epoch fences the older one. */
#ifndef REELWRIGHT_LOCK_H
#define REELWRIGHT_LOCK_H

#include <stdbool.h>

#include "common/status.h"

/* ERR_FATAL names the process that holds it. take_over: go on all the same. */
Status lock_take(const char *folder, bool take_over, int *fd);
void lock_release(int *fd);
/* Whether a process of this machine (or, over NFS 4, of any) holds it now. */
bool lock_is_held(const char *folder);

#endif
