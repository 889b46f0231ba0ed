/* claim.h - the right to run a campaign: the folder's lock where processes can see each other, the ledger's launch number
 * (owner.h) everywhere. */
#ifndef REELWRIGHT_CLAIM_H
#define REELWRIGHT_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

typedef struct {
    int lock; /* lock.h; -1: none */
    int64_t launch;
} Claim;

/* The folder has its ledger. ERR_FATAL: another run has it (named). take_over: go on all the same, that one is fenced. The
 * next attempt of a requeued batch job takes over from the last one by itself. */
Status claim_take(const char *folder, bool take_over, Claim *out);
void claim_release(Claim *c);
/* False when the campaign was taken over since: nothing in the folder is ours to write any more. */
bool claim_holds(const char *folder, const Claim *c);

/* The processes that this one starts belong to the same launch. */
Status claim_export(const Claim *c);
extern const char claim_variable[]; /* the environment's name for it */
/* The launch that this process belongs to; 0: none started it. */
int64_t claim_inherited(void);

#endif
