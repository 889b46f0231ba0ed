/* spill.h - bytes that need not stay in memory between two passes over a long clip: an unnamed file in $TMPDIR (or /var/tmp, which
 * is on a disk where /tmp may not be), gone with the process whatever ends it. */
#ifndef REELWRIGHT_SPILL_H
#define REELWRIGHT_SPILL_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

typedef struct Spill Spill;

/* ERR_NODE when there is no such folder or no room: another machine may do better. */
Status spill_open(Spill **out);
Status spill_put(Spill *s, int64_t at, const void *data, size_t bytes);
/* What was put there; nothing else may be asked for. */
Status spill_get(Spill *s, int64_t at, void *data, size_t bytes);
void spill_close(Spill **s);

#endif
