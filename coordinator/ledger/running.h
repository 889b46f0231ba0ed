/* running.h - within the ledger: what it keeps in memory. The leases that this epoch has given and that have not ended, as their rows say. Nobody
 * else writes these rows while the epoch lasts (ledger_begin), so a result is compared with what was ordered without reading it
 * back. A transaction that is rolled back empties the list, and with it ends what the epoch may do with leases. */
#ifndef REELWRIGHT_LEDGER_RUNNING_H
#define REELWRIGHT_LEDGER_RUNNING_H

#include "coordinator/ledger/sql.h"

struct RunningLease {
    LeaseKind kind;
    int64_t lease, shot;
    int64_t step;  /* of the shot, the highest so far: of a render */
    int64_t clip;  /* of a finish */
    char *clip_id; /* likewise, owned by the list */
};
typedef struct RunningLease RunningLease;

/* Copies its id. The lease's number is above all others of the list. */
void ledger_running_add(Ledger *l, const RunningLease *lease);
/* ERR_FATAL: it is not running. Borrowed until it ends. */
Status ledger_running_find(const Ledger *l, int64_t lease, RunningLease **out);
void ledger_running_end(Ledger *l, int64_t lease); /* harmless when it is not there */
void ledger_running_clear(Ledger *l);

/* ---- masters ----
 * The shots that are mastered, and what is still to be made of each: read at an epoch's beginning and after each request, and kept up
 * to date in between, because counting a shot's clips at each result would read them all. */
struct LedgerMaster {
    int64_t shot;
    int64_t open;  /* clips that are planned (they wait for the pilot's approval), waiting or finishing */
    int64_t ready; /* of them, waiting or finishing */
};
typedef struct LedgerMaster LedgerMaster;

Status ledger_masters_read(Ledger *l);
void ledger_masters_add(Ledger *l, LedgerMaster m);
LedgerMaster *ledger_masters_find(const Ledger *l, int64_t shot); /* NULL: the shot has none */
void ledger_masters_remove(Ledger *l, int64_t shot);              /* harmless when it has none */
void ledger_masters_clear(Ledger *l);

#endif
