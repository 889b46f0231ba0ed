/* launch.h - mpirun as a child: started, listened to, stopped, and started again when the job died.
 *
 * mpirun's exit status proves nothing (it can be 0 after a node was lost), so the launcher reads the ledger: the epoch's
 * outcome and what is left. It lives outside MPI and survives what kills a job: a node's loss too, which ends a whole job. The
 * next one starts on the hosts that answer. A launcher whose campaign was taken over ends its job and itself. */
#ifndef REELWRIGHT_LAUNCH_H
#define REELWRIGHT_LAUNCH_H

#include <stdbool.h>

#include "common/status.h"
#include "coordinator/launch/hosts.h"
#include "coordinator/ledger/claim.h"

enum {
    LAUNCH_MOST_WITHOUT_PROGRESS = 3, /* on this machine alone */
    LAUNCH_MOST_ON_HOSTS = 8          /* with growing pauses, about five minutes in all */
};

typedef struct {
    const char *folder; /* of the campaign, with a ledger that has its plan */
    const Claim *claim;
    Hosts *hosts;           /* asked before each launch: it goes to those that answer */
    int workers;            /* on each of them */
    int finishers;          /* likewise, beside those; 0: workers do both */
    char *const *arguments; /* of `reelwright`, NULL at the end: what every rank is started with */
    int grace_s;            /* how long a stop waits before the job is killed */
    bool quiet;
    /* Asked now and then, when it is not NULL: true stops the job with checkpoints, for another campaign. */
    bool (*must_yield)(void *self);
    void *self;
} LaunchOptions;

/* Until the campaign is complete. OK: nothing is left to render. ERR_STOP: a signal stopped it (or it was cancelled).
 * ERR_FATAL: the farm could not go on; the message says why and where the log is. *yielded: it was stopped by must_yield. */
Status launch_campaign(const LaunchOptions *o, bool *yielded);

/* True in a process whose launcher is launch_campaign (and shows progress, writes lists, knows the plan is in the ledger). */
bool launch_is_parent(void);

#endif
