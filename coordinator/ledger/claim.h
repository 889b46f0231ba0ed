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
/* ERR_FATAL when the campaign was taken over since, or its folder or ledger is not there any more: nothing there is ours to write. */
Status claim_check(const char *folder, const Claim *c);

/* How a launcher tells the processes that it starts which launch they belong to: this variable, in their environment only, so that
 * one process can lead the launches of several campaigns. */
extern const char claim_variable[];
/* The launch that this process belongs to; 0: none started it. */
int64_t claim_inherited(void);

#endif
