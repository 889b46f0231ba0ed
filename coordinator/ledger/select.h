/* select.h - within the ledger: which clips a request means. The rows are read once, in a million of them in a third of a
 * second: a filter is compared with the bytes of a row as the plan wrote them, and no row is parsed. */
#ifndef REELWRIGHT_LEDGER_MEANT_H
#define REELWRIGHT_LEDGER_MEANT_H

#include "coordinator/ledger/sql.h"
#include "coordinator/ledger/steer.h"

typedef struct {
    int64_t clip, shot, lease; /* shot -1: the row gets none; lease: its last, 0: none yet */
    ClipState state;
    bool by_shot; /* failed with its shot, not at its own finish; of MEANT_OF_FAILED only */
} MeantClip;

typedef struct {
    MeantClip *clip; /* free() */
    int64_t count, room;
} MeantClips;

/* Of which clips the meant ones are wanted: the fewer, the sooner they are found. */
typedef enum { MEANT_OF_ALL, MEANT_OF_FAILED, MEANT_OF_RUNNING /* leases */ } MeantOf;

typedef struct {
    void (*clip)(void *self, const MeantClip *c);
    void *self;
} MeantSink;

/* Gives every clip that the request means (its clip_id, its filter, or all) to the sink, which changes nothing in the ledger. */
Status ledger_meant_read(Ledger *l, const LedgerRequest *r, MeantOf of, MeantSink sink);
void ledger_meant_add(MeantClips *list, const MeantClip *c);

#endif
