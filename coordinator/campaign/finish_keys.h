/* finish_keys.h - the keys of a campaign that concern what is made of a shot: voice, music, subtitles, overlays, label, variants. They
 * become the documents that a finisher reads (common/finish_spec.h), one for the campaign and one for each clip that has something of
 * its own. */
#ifndef REELWRIGHT_FINISH_KEYS_H
#define REELWRIGHT_FINISH_KEYS_H

#include <jansson.h>

#include "common/finish_look.h"
#include "coordinator/campaign/load.h"

typedef struct FinishKeys FinishKeys;

/* Compiles the templates, reads lexicon and styles. Faults go to l->faults. Never NULL; borrows l. */
FinishKeys *finish_keys_new(CampaignLoad *l);
void finish_keys_free(FinishKeys **k);
/* What is wrong with one row: a variable without a value, a text that is too long, a file that is missing. */
void finish_keys_check(FinishKeys *k, int64_t row);

/* What is the same for all clips, into the campaign's document. */
void finish_keys_campaign(FinishKeys *k, json_t *document);
/* A row's own document, free() it; NULL: it has nothing of its own. with: members that it has besides, a JSON object, or NULL. */
char *finish_keys_clip(FinishKeys *k, int64_t row, const char *with);

/* What is said in the row, as its shot has it (common/shot.h), where the model speaks; free() it. NULL: nothing is. cameo: the voice it is said with,
 * NULL: none of a person. */
char *finish_keys_speech(FinishKeys *k, int64_t row, const ShotFile *cameo);

/* ---- what only the worker's libraries can tell: fonts, pictures, how long a text takes to say ---- */

void finish_keys_use(FinishLook *look); /* NULL, the default: nothing is looked at */
/* Looks at the documents of the plan; faults name the row and the column. */
Status finish_keys_look(FinishKeys *k);

#endif
