/* shot_keys.h - through which keys of a campaign each column of its table decides what a row's render is. Two rows with the same values in all
 * such columns share a render, if the seed is not each row's own. */
#ifndef REELWRIGHT_SHOT_KEYS_H
#define REELWRIGHT_SHOT_KEYS_H

#include "coordinator/campaign/load.h"

/* Of each column "prompt", "prompt, seed" ...; NULL: no render depends on it. Owned, as its texts (shot_keys_free). */
char **shot_keys_find(const CampaignLoad *l);
void shot_keys_free(char ***keys, int columns);

#endif
