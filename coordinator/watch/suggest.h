/* suggest.h - the command that goes on with a campaign, ready to be pasted. */
#ifndef REELWRIGHT_SUGGEST_H
#define REELWRIGHT_SUGGEST_H

#include "coordinator/ledger/view.h"

/* "reelwright run summer.yaml --out DIR", of a part with its --part; free() it. */
char *suggest_run(const Snapshot *s, const char *folder);
/* What somebody has to do so that it goes on, a line: "waits for the pilot's approval: `reelwright pilot approve DIR`"; NULL: nothing, it
 * is finished or goes on. free() it. */
char *suggest_next(const Snapshot *s, const char *folder, double now_s);

#endif
