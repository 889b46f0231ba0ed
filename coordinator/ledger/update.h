/* update.h - a campaign that has changed, taken into its ledger; and what is to be deleted after that.
 *
 * Within one transaction: rows that left the table leave the ledger, but for a tombstone (id, last state, hash, time: no cell of the
 * table); who had got their clips is to be told that they are withdrawn (handed.h). Rows whose clip is to be made again are planned.
 * New rows and shots are added; shots that nobody wants any more go. Numbers of clips are their order in the table; a number is never
 * used again for another clip, because leases name it.
 *
 * A row that is refused now gets no clip. A clip that is made already keeps its state here; when clips are delivered it is decided
 * whether it may be.
 *
 * Files are deleted after the transaction, and those of a clip that is made again only when its new ones are there. What is to be
 * deleted stands in the ledger until it is gone, so a kill in between leaves nothing behind for ever. */
#ifndef REELWRIGHT_LEDGER_UPDATE_H
#define REELWRIGHT_LEDGER_UPDATE_H

#include "coordinator/ledger/changes.h"

/* Within the ledger: deletes what a clip says of its files, its reviewer and its failures. */
Status update_forget_result(Ledger *l, int64_t clip);

/* Inside a round. `changes` were found in this ledger, and nobody has written it since. */
Status ledger_update(Ledger *l, const Campaign *c, const Changes *changes);

typedef enum {
    LEAVING_ROW,  /* name: a stem whose row is gone: all its files go */
    LEAVING_CLIP, /* a stem whose clip is made again: files of before that the new clip has not */
    LEAVING_SHOT, /* a shot's key: checkpoint and master go */
    LEAVING_KINDS
} LeavingKind;

/* Inside a round: deletes a shot that no clip wants any more, and notes that its files are to be deleted. */
Status ledger_drop_shot(Ledger *l, int64_t shot);
/* Inside a round: notes that the files of this name are to be deleted. */
Status ledger_leave(Ledger *l, LeavingKind kind, const char *name);

typedef struct {
    LeavingKind kind;
    char *name;
    double since_s; /* of the update */
    bool ready;     /* the files may be deleted now */
    char *kept;     /* LEAVING_CLIP: what the clip has now, paths and documents in one text; else NULL */
} Leaving;

/* Lists what is still to be deleted. ledger_free_leavings in every case. */
Status ledger_read_leavings(Ledger *l, Leaving **list, int64_t *count);
void ledger_free_leavings(Leaving *list, int64_t count);
/* Inside a round: the files are deleted now, so the ledger forgets them. */
Status ledger_forget_leaving(Ledger *l, const Leaving *x);

#endif
