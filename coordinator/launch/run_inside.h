/* run_inside.h - what the parts of `run` share: run.c (options, ranks), run_prepare.c (before anything starts), run_alone.c (the
 * launcher's side, with several campaigns). */
#ifndef REELWRIGHT_RUN_INSIDE_H
#define REELWRIGHT_RUN_INSIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"
#include "common/work.h"
#include "coordinator/campaign/campaign.h"
#include "coordinator/ledger/claim.h"
#include "coordinator/watch/notify.h"

enum {
    RUN_MOST_CAMPAIGNS = 64,
    RUN_NOTIFY_MS = 30000 /* for the last events, at the end */
};

typedef struct {
    char *const *campaign; /* files, [campaign_count] */
    int campaign_count;
    const char *out, *hostfile, *agent, *listen;
    const char *part_text, *whole; /* with --part: of what, and the folder of the whole campaign; out is the part's */
    Part part;
    const char *max_fails, *deadline; /* NULL: as the campaign says */
    int workers, finishers, group_size, step_limit_s, grace_s, wait_s;
    WorkSettings work;
    bool quiet, take_over, update;
} RunOptions;

/* Reads the campaign and looks at the folder; writes nothing. Every failure is ERR_INPUT: the user must mend it. */
Status run_load(const RunOptions *o, const char *campaign, const char *folder, Campaign **out);
/* Makes the folder, checks every page of a ledger that is there, and claims the campaign. Then writes the plan into the ledger, or finds it
 * there and brings its settings up to date. A run that is refused has changed nothing. */
Status run_begin(const RunOptions *o, const Campaign *c, const char *folder, Claim *claim);
/* Writes lists, report and the last event, if this run still owns the campaign. Returns so_far, or who took the campaign over. */
Status run_conclude(const char *folder, const Claim *claim, Status so_far, bool quiet);
Status run_start_notify(const char *folder, Notify **out);

/* Outside mpirun: starts it, again and again, until the campaigns are complete or cannot go on. */
Status run_alone(RunOptions *o);

#endif
