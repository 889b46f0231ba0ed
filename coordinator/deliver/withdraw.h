/* withdraw.h - takes back clips whose people no longer agree: their state changes, their files are deleted, and a list says where each
 * of them was delivered to. */
#ifndef REELWRIGHT_WITHDRAW_H
#define REELWRIGHT_WITHDRAW_H

#include <stdint.h>

#include "coordinator/ledger/view.h"

/* Asks the trust store about every clip of a campaign that no coordinator works on (it takes an epoch when something is to be done), and
 * deletes the files of those that may not be shown. *gone: how many; NULL: nobody wants to know. launch: owner.h. */
Status withdraw_revoked(const char *folder, int64_t launch, int64_t *gone);

/* DIR/revoked.csv, one line for each revocation that there ever was: clip_id, revoked_at, reason, was (its state before), file, delivered_to,
 * sha256, now (its state now; "removed": the row left the table), delivered_again_at (empty: it was not). Not there when nothing was
 * ever revoked. An erased clip stands there under its tombstone's name. */
Status withdraw_write_list(Ledger *l, const char *folder);

#endif
