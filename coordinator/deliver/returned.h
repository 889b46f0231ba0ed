/* returned.h - rows of the table whose customers were erased from the campaign's folder before: they get no clip, and nothing of theirs but
 * the id is taken in again. The record knows them by the keyed hash of their id (audit.h); the ledger has forgotten it. */
#ifndef REELWRIGHT_RETURNED_H
#define REELWRIGHT_RETURNED_H

#include "coordinator/campaign/campaign.h"

/* Before the campaign is compared with the folder, which may be new. */
Status returned_refuse(const char *folder, Campaign *c);

#endif
