/* owner.h - whose the campaign is: the launcher that came last.
 *
 * Theory of operation
 * - A launcher (`run` outside mpirun) takes the campaign over once, at its start: the next launch number, above all earlier
 *   ones. It starts jobs again and again, and each job's coordinator takes an epoch; the number stays the same.
 * - Every epoch, and every transaction of a coordinator, is refused (ERR_FATAL "fenced") when the campaign has been taken over
 *   since its launcher did. So a batch script that was left behind on a node that its scheduler gave up, with a launcher, a
 *   coordinator and workers that all still run, writes nothing any more, whatever it starts.
 * - Under a batch system a launch also carries the job and its attempt: an older attempt that wakes up late, and would be the
 *   newest launch if it only counted, is refused as well. */
#ifndef REELWRIGHT_LEDGER_LAUNCH_H
#define REELWRIGHT_LEDGER_LAUNCH_H

#include "coordinator/ledger/ledger.h"

typedef struct {
    const char *host;
    int pid;
    const char *job; /* of the batch system; "" without one */
    int attempt;     /* how often that job was requeued */
} Launcher;

/* The campaign is this launcher's from now on; so is this ledger. ERR_FATAL: a later attempt of the same job has begun. */
Status ledger_begin_launch(Ledger *l, const Launcher *who, double now_s, int64_t *launch);
/* What this ledger writes belongs to that launch; 0: to none, and only epochs count. */
void ledger_join_launch(Ledger *l, int64_t launch);
/* ERR_FATAL when the campaign has been taken over from the launch that this ledger belongs to; it names the new one. */
Status ledger_check_launch(Ledger *l);
/* True when the last launch was an earlier attempt of this job: its successor need not wait for its lock. */
Status ledger_is_successor(Ledger *l, const Launcher *who, bool *yes);

/* One change by a process that is no coordinator: an epoch of its own, one transaction, the end of the epoch with this outcome. When the
 * body fails nothing has changed. The ledger has joined its launch. */
typedef Status LedgerBody(Ledger *l, void *self);
Status ledger_amend(Ledger *l, const char *outcome, LedgerBody *body, void *self);
/* The same of a folder's ledger, opened and closed here. launch: as in ledger_join_launch. */
Status ledger_amend_folder(const char *folder, int64_t launch, const char *outcome, LedgerBody *body, void *self);

#endif
