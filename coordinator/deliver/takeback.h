/* takeback.h - tells those who got a clip that it is withdrawn, and notes who got one (ledger/handed.h). */
#ifndef REELWRIGHT_TAKEBACK_H
#define REELWRIGHT_TAKEBACK_H

#include "coordinator/deliver/handover.h"

/* Begins a round; with an epoch of this host's process when it has none. */
Status takeback_begin(Ledger *l, const char *host);

/* In a round of its own: these are about to be handed over. Then whatever happens to this process, a withdrawal asks for them. */
Status takeback_note_meant(Ledger *l, const char *host, HandoverWay way, Handover *const *h, int count);
/* Inside a round: what became of this handover. */
Status takeback_note(Ledger *l, HandoverWay way, const Handover *h);

typedef struct {
    HandoverFrom from;
    const char *host;
    /* what became of it */
    int64_t told, untold; /* clips */
    char *first_failed;   /* why one was not taken; NULL: all were. free() it */
} Takeback;

/* Everything that is owed by the ways that the campaign has; what is not taken is owed as before, and no failure. */
Status takeback_all(Ledger *l, const Settings *s, Takeback *t);

#endif
