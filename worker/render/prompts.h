/* prompts.h - prompt embeddings, each made once. They are kept in this process, and of a campaign also in its folder (shared/KEY.text),
 * where all its workers find them: the negative is encoded once for the campaign, a prompt once for all rows and attempts that have it.
 * A worker that needs what another one encodes at this moment waits for it, and so need not load the text encoder itself.
 *
 * KEY covers the text, the model and the kind of machine (engine_kind), so that what is found is what this engine would make, bit for
 * bit. A file is sealed with its SHA-256 (against damage), readable by its owner alone, and appears whole. The coordinator removes the folder
 * when the campaign is complete: embeddings say what a prompt says. */
#ifndef REELWRIGHT_PROMPTS_H
#define REELWRIGHT_PROMPTS_H

#include "engine/engine.h"
#include "worker/render/render.h"

Prompts *prompts_new(void);
void prompts_free(Prompts **t);        /* NULL is fine */
int prompts_encoded(const Prompts *t); /* how many texts this process has encoded */

/* As engine_encode, collective over the group, of which the first rank alone looks. folder: shared/ of the campaign, or NULL; model_hash: may
 * be "". While it waits for another worker it calls `waiting`, whose failure ends the wait. A folder that cannot be written or a file
 * that is damaged costs the encoding, not the shot. *out: prompt_embeds_free. */
Status prompts_encode(Prompts *t, Engine *e, const char *folder, const char *model_hash, const char *text,
                      Progress waiting, PromptEmbeds *out);

#endif
