/* load.h - between the two halves of campaign_load: what the file says once everything it names is read and
 * checked (campaign.c), and the plan that is made of it (plan.c). */
#ifndef REELWRIGHT_CAMPAIGN_LOAD_H
#define REELWRIGHT_CAMPAIGN_LOAD_H

#include <jansson.h>
#include <string.h>

#include "coordinator/campaign/campaign.h"
#include "coordinator/campaign/schema.h"
#include "coordinator/campaign/template.h"

typedef struct CampaignMedia CampaignMedia;
typedef struct CampaignCameo CampaignCameo;
typedef struct FinishKeys FinishKeys;
typedef struct Landing Landing;
typedef struct Suppress Suppress;

typedef struct {
    Campaign *campaign; /* being filled */
    CampaignFile file;
    Faults *faults;
    void *probe;   /* of the model, NULL: there is none (probe.h) */
    ShotSpec base; /* the settings that all shots share: the model's defaults and the file's keys; no texts, no seed */
    Template *prompt, *negative, *seed; /* seed NULL: derived from campaign and row */
    Template *trunk;                    /* what a trunk is told; NULL: there is none */
    char *cache_adapters;               /* that reuse.cache was measured with */
    char *trunk_prompt;   /* the same for all rows: the prompt without its variables; NULL where trunk has the word */
    CampaignMedia *media; /* pictures and videos: media.h */
    CampaignCameo *cameo; /* people: cameo.h; NULL: none */
    FinishKeys *finish;   /* what is made of a shot: finish_keys.h */
    Landing *landing;     /* a page for each clip: landing.h; NULL: none */
    Suppress *suppress;   /* who gets nothing: suppress.h; NULL: everybody may get something */
} CampaignLoad;

/* Of a key's text: it is there, and is not "none". */
static inline bool campaign_is_given(const char *text) { return text && strcmp(text, "none") != 0; }
/* Where the file gives this key; line 0: it does not. */
Place campaign_place(const CampaignLoad *l, const char *key);
/* What the file says of the shots, over what is in s. */
void campaign_settings(const CampaignLoad *l, ShotSpec *s);
/* Adds what is wrong with the rows' prompts, seeds and pictures to the faults. */
void campaign_check_rows(CampaignLoad *l);
/* Gates, watermark and credentials: proofs.c. The first adds what is wrong to the faults, the second what is asked for to the finish document. */
void campaign_check_proofs(CampaignLoad *l);
void campaign_add_proofs(const CampaignLoad *l, json_t *keys);
/* The keys that say how it is run, into the settings: run_keys.c. */
void campaign_read_run_keys(CampaignLoad *l);
/* Adds a fault unless it is https://HOST/..., or http on this machine: something with customers' ids is posted there. */
void campaign_check_address(CampaignLoad *l, const char *key, const char *address);
/* The keys of `deliver`, into the settings; and why a row gets no clip, NULL: it does. free() it. delivery_keys.c. */
void campaign_read_delivery(CampaignLoad *l);
char *campaign_suppressed(const CampaignLoad *l, int64_t row);
/* Needs input without faults: clips, shots, stems, fingerprint. */
void campaign_plan(CampaignLoad *l);

#endif
