/* finish_spec.h - what decides a clip's files beside its shot: one JSON object for the whole campaign, and one for each clip that has
 * something of its own (texts with the customer's name in them, a voice). The coordinator makes both when it plans; the ledger and
 * the wire carry them as text and look at neither; the worker lays the clip's over the campaign's, key by key.
 *
 * The keys are the campaign file's (configs/campaign.reference.yaml), with templates expanded and paths absolute. Each is read by the
 * file in worker/finish that uses it, by finish_spec_get; only what several of them need is a field here. A new key therefore
 * concerns the campaign's schema, the file that uses it, and the documentation. */
#ifndef REELWRIGHT_FINISH_SPEC_H
#define REELWRIGHT_FINISH_SPEC_H

#include <jansson.h>

#include "common/clip.h"

typedef struct {
    json_t *keys; /* the clip's over the campaign's; owned */
    int rendition_count;
    Rendition rendition[MAX_RENDITIONS];
} FinishSpec;

/* "renditions": a JSON list of objects with Rendition's fields; the reference is the caller's. */
json_t *finish_spec_renditions(const Rendition *r, int count);
/* The rate of a rendition's file: the shot's, unless the platform takes no such one; and what its name ends with: mp4, jpg or gif. */
int finish_spec_fps(const Rendition *r, int shot_fps);
const char *finish_spec_ending(const Rendition *r);
/* One line with sorted keys, so that equal documents are equal texts. Takes the reference; free() the text. */
char *finish_spec_text(json_t *keys);

/* clip: "" when it has nothing of its own. ERR_FATAL names the key that is damaged. finish_spec_clear in every case. */
Status finish_spec_read(const char *campaign, const char *clip, FinishSpec *out);
void finish_spec_clear(FinishSpec *s);
/* NULL when neither document has the key; borrowed. */
const json_t *finish_spec_get(const FinishSpec *s, const char *key);
/* SHA-256 of both documents: a clip whose number has changed must be finished again. */
void finish_spec_hash(const char *campaign, const char *clip, char hash[HASH_TEXT]);

#endif
