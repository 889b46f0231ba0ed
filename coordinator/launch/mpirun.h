/* mpirun.h - mpirun as a child: started, listened to, and ended when it does not end by itself. It sometimes does not: when a rank
 * hangs in MPI_Finalize (link_mpi.c), or after a rank's death, when its main thread waits for ever for a lock and hears no SIGTERM
 * (PRRTE of Open MPI 5.0.11: 2 of about 200 deaths of a first rank). So its launcher learns from elsewhere that the ranks are at their
 * end (the ledger; outcome.h), leaves it MPIRUN_END_MS from then, and ends it. Ranks die with their mpirun.
 *
 * With ULFM a rank that dies before all have joined (in MPI_Init) leaves the others waiting there for ever. mpirun is told to say
 * which rank died, on whatever host (launch_command.h); its launcher ends it when nobody has joined MPIRUN_JOIN_MS after that. */
#ifndef REELWRIGHT_MPIRUN_H
#define REELWRIGHT_MPIRUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/status.h"
#include "coordinator/launch/launch.h"

enum {
    MPIRUN_END_MS = 10000,     /* it may take so long after the ranks' end */
    MPIRUN_JOIN_MS = 5000,     /* from a death on: ranks that joined before it have said so by then */
    MPIRUN_SILENT_MS = 120000, /* ranks that have not begun after so long will not; a coordinator writes every 5 s */
    MPIRUN_LINE_BYTES = 8192
};

typedef struct {
    /* Set by the caller, before the start. */
    void (*take)(void *self, const char *line); /* each line that it and the ranks print */
    void *self;
    bool errors_only; /* lines are those of stderr; its stdout is the caller's own */
    /* Looked at by the caller. */
    int64_t started_ms;
    int how; /* it ended, as waitpid says */
    struct {
        int64_t at_ms; /* 0: none */
        int rank;
        char how[32]; /* "ABORTED BY SIGNAL" */
    } death;          /* the first that it told of */
    /* Its own. */
    pid_t child;       /* 0 when none */
    int output, ended; /* to be polled: what it prints, that it has ended */
    bool output_closed;
    char line[MPIRUN_LINE_BYTES];
    size_t line_bytes;
    int64_t term_ms;
    bool killed;
} Mpirun;

/* With the command of launch_command.h for these options. program: the file of this executable. */
Status mpirun_start(Mpirun *m, const LaunchOptions *o, const char *program);
/* Waits for output, at most so long, and gives its lines to `take`. False: it has ended, and the last line is given. */
bool mpirun_listen(Mpirun *m, int wait_ms);
/* mpirun has no child processes: neither ranks on this host nor the connections to other hosts. False where the kernel does not say. */
bool mpirun_has_nobody(const Mpirun *m);
/* A rank died MPIRUN_JOIN_MS ago or longer: if nobody has joined by now, nobody will. */
bool mpirun_lost_one(const Mpirun *m);
void mpirun_stop(const Mpirun *m); /* SIGUSR1, which it passes on to every rank */
/* Ends mpirun and its ranks, stopped ones too: SIGTERM at the first call, SIGKILL at a call some seconds later. So it is called until
 * mpirun_listen says that it has ended. True at the first call. */
bool mpirun_end(Mpirun *m);

#endif
