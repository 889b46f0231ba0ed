/* select.h - within the ledger: the clips that a request selects, by one id, by a filter ("place=Rome"), or all of them.
 *
 * All rows are read once, a million of them in a third of a second: a filter is compared with the bytes of a row as the plan wrote
 * them, and no row is parsed. */
#ifndef REELWRIGHT_LEDGER_SELECT_H
#define REELWRIGHT_LEDGER_SELECT_H

#include "coordinator/ledger/sql.h"
#include "coordinator/ledger/steer.h"

typedef struct {
    int64_t clip, shot,
        lease; /* shot -1: the row is refused and has none; lease: the clip's last one, 0: it had none yet */
    ClipState state;
    bool by_shot; /* the shot failed, and the clip with it; else its own finish did. Set by SELECT_FROM_FAILED only */
} SelectedClip;

typedef struct {
    SelectedClip *clip; /* free() */
    int64_t count, room;
} SelectedClips;

/* Among which clips the request selects. Fewer clips are searched faster. */
typedef enum {
    SELECT_FROM_ALL,
    SELECT_FROM_FAILED,
    SELECT_FROM_RUNNING /* clips that a worker finishes now */
} SelectFrom;

typedef struct {
    void (*clip)(void *self, const SelectedClip *c);
    void *self;
} SelectSink;

/* Calls the sink with every clip that the request selects. The sink must not change the ledger. */
Status ledger_select_read(Ledger *l, const LedgerRequest *r, SelectFrom of, SelectSink sink);
void ledger_select_add(SelectedClips *list, const SelectedClip *c);

#endif
