/* model_files.h - the files of a campaign's model, as far as they can be judged before the night: whether the weights are there and
 * whole, what lies beside them unused, and which prompts are longer than what the model reads. */
#ifndef REELWRIGHT_CAMPAIGN_MODEL_FILES_H
#define REELWRIGHT_CAMPAIGN_MODEL_FILES_H

#include "coordinator/campaign/load.h"

/* Before the plan: adds what is wrong with the weights to the faults. */
void campaign_model_check(CampaignLoad *l);
/* While the rows are looked at: what of an adapter does not fit the model, without the file's name before it. */
Status campaign_model_adapter(const CampaignLoad *l, const char *file, const char *expert);
/* With the plan: warns of prompts whose end the model does not read. Closes what campaign_model_check opened. */
void campaign_model_warn(CampaignLoad *l);
void campaign_model_close(CampaignLoad *l);

#endif
