/* reach.h - when a person takes a consent back, finds the campaigns that used it and withdraws or erases their clips. The trust store
 * knows the folders (trust.h). */
#ifndef REELWRIGHT_REACH_H
#define REELWRIGHT_REACH_H

#include <stdint.h>

#include "trust/trust.h"

typedef enum {
    REACH_DONE,    /* clips that may not be shown are out of clips/ and delivery/; with erase: their rows are erased */
    REACH_NOTHING, /* nothing there shows anybody who does not agree */
    REACH_TOLD,    /* clips were withdrawn before, and who had got them did not take that; now they have */
    REACH_RUNS,    /* a run is going on: it takes back by itself; to erase, ask again when it has ended */
    REACH_AWAY,    /* the folder is not there: moved, deleted, or on a disk that is not mounted here */
    REACH_FAILED
} Reached;

typedef struct {
    const char *folder;
    Reached how;
    int64_t clips;   /* REACH_DONE, REACH_TOLD: so many */
    const char *why; /* REACH_FAILED, else "" */
} ReachedFolder;
typedef struct {
    void (*folder)(void *self, const ReachedFolder *f);
    void *self;
} ReachSink;

/* Each folder in turn, whatever happens with the others. cameo: the person whose rows are erased there, NULL: clips are withdrawn. by: who
 * does it, for the record. */
Status reach_folders(TrustStore *s, const char *cameo, const char *by, ReachSink sink);

#endif
