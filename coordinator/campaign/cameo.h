/* cameo.h - whose face and voice a campaign's rows use, and whether those people have agreed to exactly this.
 *
 * A row without their consent is refused with the reason; it is never made without the face instead. The trust store answers
 * (trust/trust.h); here its question is put together: the campaign's purpose, name, brand and audience, and the row's customer. */
#ifndef REELWRIGHT_CAMPAIGN_CAMEO_H
#define REELWRIGHT_CAMPAIGN_CAMEO_H

#include <jansson.h>

#include "coordinator/campaign/load.h"

/* Compiles the templates and checks the keys beside cameo. Faults go to l->faults. NULL: the campaign has no cameo. Borrows l. */
CampaignCameo *campaign_cameo_new(CampaignLoad *l);
void campaign_cameo_free(CampaignCameo **c);
/* Every variable of the row has a value. */
void campaign_cameo_check(CampaignCameo *c, int64_t row);

typedef struct {
    const char *id;     /* of the cameo; "": this row has none. Borrowed until the next call */
    char *refusal;      /* NULL, or why not; the caller's to free */
    const char *finish; /* the clip's finish document, {"cameo":{...}}; NULL without one. Borrowed likewise */
} CampaignCameoRow;
void campaign_cameo_ask(CampaignCameo *c, int64_t row, CampaignCameoRow *out);
/* The pictures of the face of the row that was asked about last, as references or as the first frame; `reference` has
 * SHOT_MAX_REFERENCES places. */
void campaign_cameo_add(const CampaignCameo *c, ShotMedia *m, ShotFile *reference);
bool campaign_cameo_gives_image(const CampaignLoad *l); /* the model takes the face as its first frame */
/* The template of its id; NULL: the campaign has none. */
const Template *campaign_cameo_template(const CampaignCameo *c);
/* The voice of the row that was asked about last, where the model's lips follow it; NULL: they follow another, or none. */
const ShotFile *campaign_cameo_voice(const CampaignCameo *c);
/* "trust" of the campaign's finish document: the store and what is the same for every row. */
json_t *campaign_cameo_document(const CampaignCameo *c);

#endif
