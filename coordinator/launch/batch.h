/* batch.h - the batch scripts of slurm/, filled in for one campaign and handed to sbatch. */
#ifndef REELWRIGHT_BATCH_H
#define REELWRIGHT_BATCH_H

#include <stdbool.h>

#include "common/options.h"

extern const char batch_campaign_text[], batch_merge_text[]; /* the files in slurm/ */

typedef struct {
    const char *name;                      /* of the campaign: the job is called after it, and singleton goes by that */
    const char *campaign, *folder;         /* absolute */
    const char *program, *home;            /* this executable; the copy of reelwright that it was built in */
    int nodes, minutes, parts;             /* parts 1: no array */
    long long deadline;                    /* seconds since 1970; 0: none */
    bool own_deadline;                     /* it is not the campaign file's: the run is told */
    long long rows;                        /* of the campaign: their list and report need time at the end */
    const char *partition, *account, *qos; /* NULL: Slurm's defaults */
    OptionTexts sbatch;                    /* further options of sbatch, as they are */
    char *const *run_options;              /* of `reelwright run`, NULL at the end */
} Batch;

/* The text of the script; free() it. ERR_INPUT: an option that cannot stand in a script's comment. */
Status batch_fill(const Batch *b, char **text);
Status batch_fill_merge(const Batch *b, char **text);
/* sbatch of that file. *job: its number; free() it. after: a job that has to end first, or NULL. ERR_INPUT: there is no
 * sbatch, or it refused and said why. */
Status batch_submit(const char *script, const char *after, char **job);

#endif
