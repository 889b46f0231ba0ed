/* guard.h - whether the people whose likeness a campaign uses still agree: the trust store is asked again whenever it changes, before a
 * lease is given, when its result comes, and before a clip is delivered. Each clip carries the question with it, as "cameo" of its
 * finish document; "trust" of the campaign's says which store, and the rest of the question. */
#ifndef REELWRIGHT_LEDGER_GUARD_H
#define REELWRIGHT_LEDGER_GUARD_H

#include "coordinator/ledger/ledger.h"

typedef struct Guard Guard;

/* *out NULL: the campaign uses nobody's likeness, and nothing below costs anything (all take NULL). A store that cannot be read is no
 * failure: it refuses. One that can learns of the campaign's folder (trust_note_folder). */
Status guard_open(Ledger *l, Guard **out);
void guard_close(Guard **g);

/* True when it is time to call guard_find for all clips: the store has changed since the last time, or a minute has passed. Looks at the
 * store once a second at most. */
bool guard_is_due(Guard *g, int64_t now_ms);
void guard_look_again(Guard *g); /* the last look could not be finished: the next one is due at once */

typedef struct {               /* owns its texts */
    int64_t clip, shot, lease; /* lease: its last one; 0: none */
    ClipState state;
    char *clip_id, *stem, *reason;
} GuardedClip;
typedef struct {
    int64_t count;
    GuardedClip *clip;
} GuardedClips;
void guard_clear(GuardedClips *c);

/* The clips that may not be made, kept or shown any more: of one shot, of one clip, or of all (both -1). A delivered clip is among them
 * when the consent was revoked, not when it has expired since; and not, as one that is only approved, while the store cannot be read. */
Status guard_find(Guard *g, Ledger *l, int64_t shot, int64_t clip, GuardedClips *out);
/* Whether one clip may be delivered; not while the store cannot be read. *reason: why not, to be freed; NULL: it may. */
Status guard_may_deliver(Guard *g, Ledger *l, int64_t clip, char **reason);
/* The same once more, when its files are about to be published: somebody may have said no while they were copied. Between guard_hold and
 * guard_release each person is read once. */
Status guard_still_may(Guard *g, Ledger *l, int64_t clip, char **reason);
void guard_hold(Guard *g);
void guard_release(Guard *g);

/* The number of the consent that allows a clip with this finish document now; 0: none. */
int guard_consent(Guard *g, const char *finish);

/* Inside a round, of clips that no lease runs for: they are revoked, with the reason; their files are to be deleted (update.h),
 * and who had got them is to be told (handed.h). */
Status guard_revoke(Ledger *l, const GuardedClip *c);

/* Inside a round: renders that only revoked clips have go, and their checkpoints and masters with them. Not those that a lease runs for. */
Status guard_drop_shots(Ledger *l);
Status guard_has_shots(Ledger *l, bool *yes); /* whether there are such */

#endif
