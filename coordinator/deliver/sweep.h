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

/* Deletes what killed processes left half-written, and the folders of their leases. Only while nobody writes there. */
void sweep_drafts(const char *folder);
/* Deletes what workers shared (shared/: encoded prompts, trunks), because customers' words and pictures are in it. A worker that needs it
 * again makes it again. Called when the campaign is complete, and when somebody's data are erased. */
void sweep_shared(const char *folder);
/* The same for spoken texts (voices/, worker/finish/voice.h), which stay until somebody is erased. */
void sweep_voices(const char *folder);

#endif
