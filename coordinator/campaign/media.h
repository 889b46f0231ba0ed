/* media.h - the pictures and videos that a campaign's rows name: templates, which of them the model takes or needs, and for each
 * file that a row names, once, what it is and what it holds. */
#ifndef REELWRIGHT_CAMPAIGN_MEDIA_H
#define REELWRIGHT_CAMPAIGN_MEDIA_H

#include "coordinator/campaign/load.h"

/* Compiles the templates and compares the keys with the model. Faults go to l->faults. Never NULL; borrows l. */
CampaignMedia *campaign_media_new(CampaignLoad *l);
void campaign_media_free(CampaignMedia **m);

/* Adds what is wrong with this row's files to the faults: missing, no picture, too large, a folder, a value that is empty where the
 * model needs a picture. A key that no row changes is looked at in the first row only. */
void campaign_media_check(CampaignMedia *m, int64_t row);
/* What this row's shot is made from, files by absolute path and hash; NULL: its prompt alone. Borrowed until the next call.
 * Only after campaign_media_check found nothing wrong with the row. */
const ShotMedia *campaign_media_of(CampaignMedia *m, int64_t row);
/* What the first of the row's adapters that is step-distilled was made for, if its file says so; NULL: none does. */
const Distilled *campaign_media_distilled(CampaignMedia *m, int64_t row);

/* SHA-256 of a recording's content into *sha256, path as in the row; what is wrong with it, NULL: nothing. */
const char *campaign_media_recording(CampaignMedia *m, const char *path, const char **sha256);

/* The templates of its files; NULL: that one is not given. */
int campaign_media_slots(void);
const Template *campaign_media_template(const CampaignMedia *m, int slot);
const char *campaign_media_key(const CampaignMedia *m, int slot); /* of the campaign file, "references" */
int64_t campaign_media_count(const CampaignMedia *m);             /* distinct files that rows name */

/* Each adapter that a row was found to name, once, by its path. */
void campaign_media_adapters(CampaignMedia *m, void (*see)(void *self, const char *file), void *self);

#endif
