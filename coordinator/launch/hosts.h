/* hosts.h - the machines of a run, and which of them answer.
 *
 * They come from a host file (Open MPI's format: "NAME [slots=N]" a line, # comments; slots: how many workers there), else from
 * the allocation of Slurm that this process runs in. Without either a run uses this machine alone.
 *
 * The coordinator runs on the launcher's machine: both write the ledger, and SQLite's log is shared memory (ledger.h). That
 * machine comes first in the list. */
#ifndef REELWRIGHT_HOSTS_H
#define REELWRIGHT_HOSTS_H

#include <stdbool.h>

#include "common/status.h"

typedef struct {
    char *name;
    int slots;    /* workers there; 0: as many as the run says */
    bool here;    /* the launcher's machine; at most one */
    bool answers; /* as of the last probe */
} Host;

typedef struct {
    int count; /* 0: this machine alone */
    Host *host;
    bool allocated;    /* by Slurm, which also starts what runs there */
    const char *agent; /* else: the command that does, "AGENT HOST COMMAND"; borrowed */
} Hosts;

extern const char hosts_default_agent[];

/* hostfile NULL: the allocation, if there is one. ERR_INPUT names file and line. */
Status hosts_open(const char *hostfile, const char *agent, Hosts *out);
void hosts_clear(Hosts *h);
/* Asks every other machine at once whether it can run this program and write in this folder, and says (once, as a warning)
 * which cannot and why. One that does not answer in time does not answer. ERR_RETRY: none does, this one included. */
Status hosts_probe(Hosts *h, const char *program, const char *folder);

#endif
