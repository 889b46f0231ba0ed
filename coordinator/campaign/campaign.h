/* campaign.h - a campaign file and its customers, read, checked (every fault named at once) and planned. */
#ifndef REELWRIGHT_CAMPAIGN_H
#define REELWRIGHT_CAMPAIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clip.h"
#include "common/model_config.h"
#include "common/model_probe.h"
#include "coordinator/campaign/customers.h"
#include "coordinator/campaign/part.h"
#include "coordinator/campaign/settings.h"

typedef struct {     /* one clip to be: what a row asks for after template expansion */
    char *clip_id;   /* the row's id, borrowed from Customers */
    char *stem;      /* file name: the id made safe and unique (stem.h) */
    int64_t shot;    /* index into Campaign.shot, -1 when refused */
    char *refusal;   /* NULL, or why this row gets no clip */
    bool suppressed; /* because of deliver.suppress */
    bool erased;     /* because the customer was erased from the folder before (deliver/returned.h) */
    char *finish;    /* what it is finished with beside Campaign.finish (finish_spec.h), in plan_text; NULL: nothing */
} PlannedClip;

typedef struct {
    char key[HASH_TEXT]; /* shot_key; without sharing, SHA-256 of that and the row's id, so that it is the row's own */
    ShotSpec spec;       /* its texts belong to the campaign: shot_copy to keep one longer */
    int64_t trunk;       /* which of the trunks it begins with, where there are any; trunk_count and more: none */
} PlannedShot;

typedef struct {
    char *file, *name, *folder; /* campaign file, its name, the folder that relative paths start from */
    char *model_folder, *customers_file;
    char model_hash[HASH_TEXT];
    /* SHA-256 of everything that determines the clips (ids, stems, shots, frames per second, renditions): an output
     * folder belongs to one fingerprint. Priority, checkpoints and columns that no template uses may change in
     * between. */
    char fingerprint[HASH_TEXT];
    ModelConfig *model;
    Customers customers;
    int rendition_count;
    Rendition rendition[MAX_RENDITIONS];
    char *finish;         /* what every clip is finished with: finish_spec.h */
    int checkpoint_every; /* 0 = auto */
    Settings settings;    /* how it is run; paths absolute */
    bool share_shots;     /* reuse: {shots: true} */
    char *reused_steps;   /* of every shot, as reuse.cache says; NULL: none */
    Part part;            /* what of the plan goes into the ledger: all of it, or one part */
    ShotSpec base;        /* what all shots share: no texts, no seed */
    int64_t clip_count, shot_count;
    int64_t trunk_count; /* different trunks that the shots begin with; 0: none */
    int64_t media_count; /* distinct pictures and videos that the rows name */
    PlannedClip *clip;   /* one per row, in row order */
    PlannedShot *shot;   /* distinct, in order of first use */
    char **shot_keys;    /* of each column of the customers: shot_keys.h */
    bool row_seeds;      /* the file gives no seed: each row has one of its own */
    Texts *plan_text;    /* owns stems, prompts and negatives */
    Warnings warnings;   /* what is no fault and may yet be a mistake */
} Campaign;

enum {
    CAMPAIGN_MAX_PROMPT_BYTES = 16 << 10
}; /* after expansion; the text encoders read 512 tokens, about 2,000 bytes */

/* Reads, validates, expands and plans. On bad input: ERR_INPUT whose message is the whole list of faults, one per
 * line, "postcards.csv:7: field id: duplicate \"anna\" (first in line 3); ids must be unique".
 *
 * A seed that the file does not give is the first 63 bits of SHA-256 over the campaign's name and the row's id (two
 * fields as hash_add_field writes them, "campaign" and "id"): every customer another clip, the same one in every
 * run. A million rows take 5 s on one core of a busy Xeon and 460 MB; where they share a seed and 1,000 shots 1.5 s and 150 MB. */
Status campaign_load(const char *file, Campaign **out);
/* The same, whatever reuse.cache says: for who measures it. */
Status campaign_load_without_cache(const char *file, Campaign **out);
void campaign_free(Campaign **c);
/* From now on campaign_load asks it about the model; NULL: nobody. Borrowed for ever. */
void campaign_use_probe(const ModelProbe *probe);
/* Its warnings, as lines on stderr. */
void campaign_tell_warnings(const Campaign *c);

#endif
