/* sweep.h - deletes what an update left behind: files of rows that left the table, of clips that were made again (once their new ones
 * are there), checkpoints and masters of shots that nobody wants any more. When a row left (removed, erased, revoked) also
 * all that engines said (voices/): the next clip that needs it has it said again. */
#ifndef REELWRIGHT_SWEEP_H
#define REELWRIGHT_SWEEP_H

#include <stdint.h>

#include "common/status.h"

/* Only by whoever owns the folder, while no coordinator works: it takes an epoch, when there is something to delete. Files that
 * cannot be deleted stay in the ledger as to be deleted, and are tried again. launch: owner.h. */
Status sweep_leavings(const char *folder, int64_t launch);

/* Only while nobody writes there: what killed processes left half-written, and the folders of their leases. */
void sweep_drafts(const char *folder);
/* What the workers shared (shared/: encoded prompts, trunks): it says what prompts say, shows what pictures show, and whoever needs it
 * again makes it again. When the campaign is complete, and when somebody's data is erased. */
void sweep_shared(const char *folder);
/* The same of spoken texts (voices/, worker/finish/voice.h), which are kept as long as nobody is erased. */
void sweep_voices(const char *folder);

#endif
