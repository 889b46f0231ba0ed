/* campaign.h - a campaign file and its customers, read and checked: every fault named at once, with file, line and field. */
#ifndef REELWRIGHT_CAMPAIGN_H
#define REELWRIGHT_CAMPAIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clip.h"
#include "common/model_config.h"

typedef struct { /* customers.csv (or .jsonl) as it stands: all values are UTF-8 text */
    int column_count;
    char **column; /* names, in the customer's order */
    int64_t row_count;
    char **value; /* [row_count * column_count] */
    int *line;    /* [row_count]: line in the file */
    int id_column;
} Customers;

typedef struct {   /* one clip to be: what a row asks for after template expansion */
    char *clip_id; /* the row's id, borrowed from Customers */
    char *stem;    /* file name: the id made safe and unique */
    int64_t shot;  /* index into Campaign.shot, -1 when refused */
    char *refusal; /* NULL, or why this row gets no clip */
} PlannedClip;

typedef struct {
    char key[HASH_TEXT];
    ShotSpec spec;
} PlannedShot;

typedef struct {
    char *file, *name, *folder; /* campaign file, its name, the folder that relative paths start from */
    char *model_folder, *customers_file;
    char model_hash[HASH_TEXT];
    char fingerprint
        [HASH_TEXT]; /* of everything that determines the plan: an output folder belongs to one fingerprint */
    ModelConfig *model;
    Customers customers;
    int rendition_count;
    Rendition rendition[MAX_RENDITIONS];
    int checkpoint_every; /* 0 = auto */
    int64_t priority;
    bool share_shots; /* reuse: {shots: true} */
    int64_t clip_count, shot_count;
    PlannedClip *clip; /* one per row, in row order */
    PlannedShot *shot; /* distinct, in order of first use */
} Campaign;

/* Reads, validates, expands and plans. On bad input: ERR_INPUT whose message is the whole list of faults, one per line,
 * "postcards.csv:7: field id: duplicate \"anna\" (first in line 3); ids must be unique". */
Status campaign_load(const char *file, Campaign **out);
void campaign_free(Campaign **c);

#endif
