/* folder.h - whether a folder may become a campaign's, before anything is written into it. */
#ifndef REELWRIGHT_FOLDER_H
#define REELWRIGHT_FOLDER_H

#include "coordinator/campaign/campaign.h"

/* `folder` is what --out says; parts: how many the campaign is divided into, 1 when it is not. ERR_INPUT: it holds something else than a
 * campaign, another campaign, or this one divided otherwise.
 * update: it may hold this campaign as it was before a change. */
Status folder_check(const char *folder, const Campaign *c, int parts, bool update);
/* The ledger in it alone; OK when there is none yet. */
Status folder_check_ledger(const char *folder, const Campaign *c, bool update);

#endif
