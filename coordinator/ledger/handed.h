/* handed.h - what others have got: each upload and each webhook that was taken, under its key, until it is withdrawn; and which clips were
 * revoked, and when they were delivered again.
 *
 * A clip that is made and delivered again has another key, so one clip may have several. When it is revoked or erased, or its row leaves
 * the table, all of them are owed: whoever took one is told that it is withdrawn (deliver/takeback.h), and asked again until they take
 * that. A key that is delivered once more before that is not owed any more.
 *
 * A handover is noted before it begins: "meant". Then it is "taken", or, when the receiver says no, the note goes again. Where nobody
 * knows, because the receiver did not answer in time or this process died before its second note, it is "perhaps" taken, and is owed
 * with the others. */
#ifndef REELWRIGHT_LEDGER_HANDED_H
#define REELWRIGHT_LEDGER_HANDED_H

#include "coordinator/ledger/ledger.h"

/* Inside a round: it is about to be handed over. Nothing changes where the key is known already. */
Status handed_note_meant(Ledger *l, const char *way, const char *key, const char *clip_id, const char *document);
/* Inside a round: the receiver did not take what was meant for it; unknown: or perhaps it did. */
Status handed_note_missed(Ledger *l, const char *way, const char *key, bool unknown);
/* Inside a round: the receiver took it. way: "upload" or "webhook"; document: JSON, all that a withdrawal has to say beside the key. */
Status handed_note(Ledger *l, const char *way, const char *key, const char *clip_id, const char *document);

/* Inside a round: all that was taken of this clip is owed. */
Status handed_take_back(Ledger *l, const char *clip_id);

typedef struct { /* texts borrowed until the next */
    int64_t id;
    const char *clip_id, *key, *document, *state;
    /* of the last time that its receiver did not take the withdrawal */
    int64_t tries;
    const char *reason; /* "": it was not asked yet */
} HandedRow;
typedef struct {
    Status (*row)(void *self, const HandedRow *row);
    void *self;
} HandedSink;
/* What is owed by one way, in the order of ids: the first `most` above `after`. */
Status handed_read_owed(Ledger *l, const char *way, int64_t after, int most, HandedSink sink);
/* What was handed over by one way and does not count as taken: perhaps taken, owed, withdrawn. */
Status handed_read_open(Ledger *l, const char *way, HandedSink sink);
/* Of how many clips something is owed by one of these two ways; "": by none. */
Status handed_count_owed(Ledger *l, const char *way, const char *other, int64_t *clips);
/* Inside a round: the receiver has taken that it is withdrawn. Nothing stays of an erased clip; of others the key. */
Status handed_note_told(Ledger *l, int64_t id);
/* Inside a round: the receiver has not taken that, so often as it was asked, for this reason. */
Status handed_note_untold(Ledger *l, int64_t id, int64_t tries, const char *reason);
/* How many keys of this clip were withdrawn. */
Status handed_count_withdrawn(Ledger *l, const char *clip_id, int64_t *keys);

/* Inside a round: the row becomes a tombstone of this name. What is not owed goes; the rest keeps no file and no text of it, but its key
 * and what the upload answered. */
Status handed_erase(Ledger *l, const char *clip_id, const char *tombstone);

/* ---- revocations ---- */

/* Inside a round, before the clip leaves the state that it is in. */
Status handed_note_revocation(Ledger *l, int64_t clip, const char *reason);
/* Inside a round: the clip is delivered, maybe again after a revocation. */
Status handed_note_return(Ledger *l, int64_t clip);

typedef struct {                                              /* texts borrowed until the next */
    const char *clip_id, *reason, *was, *file, *sha256, *now; /* now: its state; "removed": its row left the table */
    double revoked_s, delivered_again_s;                      /* 0: it was not */
} RevocationRow;
typedef struct {
    Status (*row)(void *self, const RevocationRow *row);
    void *self;
} RevocationSink;
/* All, in the order of their time. */
Status handed_read_revocations(Ledger *l, RevocationSink sink);

#endif
