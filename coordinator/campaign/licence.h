/* licence.h - what models' licences allow: a table of those that are known (configs/licences.yaml, inside the program), what each part of
 * a model says of its own, and whether the two fit who makes the clips and where they are shown.
 *
 * A model is its parts: transformer(s), autoencoder, text and image encoder, adapters. Each may have a licence of its own, and a part that
 * was taken from elsewhere often does: an autoencoder that may not be used in the EU makes the whole model unusable there, whatever the
 * model's card says. A part's licence is, in this order: what reelwright.json says under "licences" for the part, the model card in the
 * part's own folder, "licences" of the model's card, the model's licence. Cards are README.md or MODEL_CARD.md with YAML in front. */
#ifndef REELWRIGHT_CAMPAIGN_LICENCE_H
#define REELWRIGHT_CAMPAIGN_LICENCE_H

#include <jansson.h>

#include "coordinator/campaign/load.h"

enum { LICENCE_MAX_PARTS = 24 };

typedef struct {
    char part[64];     /* "vae", "transformer", "lora brand-style.safetensors" */
    char *licence;     /* as it was written; "" when nobody says anything */
    char *from;        /* the file that says so, relative to the model's folder; "" */
    char *training;    /* what it says of its training data; "" */
    const char *known; /* the name of its entry in the table; NULL: none */
} LicencePart;

typedef struct {
    int count;
    LicencePart part[LICENCE_MAX_PARTS];
} LicenceParts;

/* The parts of a model folder that hold weights. Files that cannot be read say nothing. */
void licence_read_parts(const char *model_folder, LicenceParts *out);
/* An adapter: what its safetensors header says. */
void licence_add_adapter(const char *file, LicenceParts *out);
/* A campaign's: its model's, and the adapters that all of its rows have. */
void licence_read_campaign(const CampaignLoad *l, LicenceParts *out);
/* The engine that speaks; card_file: what says its licences, NULL: none. */
void licence_add_voice(const char *engine, const char *card_file, LicenceParts *out);
void licence_clear_parts(LicenceParts *p);

/* Compares every part with operator and audience. What does not fit is a fault at `model`, what the campaign accepts by
 * `licence: {accept, reason}` a warning. */
void licence_check(CampaignLoad *l);
/* The same of the adapters that the rows name, when all rows have been looked at: a fault at `loras`. */
void licence_check_adapters(CampaignLoad *l);

/* For the dossier: [{"part","licence","from","training_data","known","excludes","commercial","revenue_limit_usd","source","date"}] */
json_t *licence_to_json(const LicenceParts *p);

extern const char licence_text[];
extern const size_t licence_text_bytes;

#endif
