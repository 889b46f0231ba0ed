/* outcome.h - how the ranks of a launched group began and ended, told to the launcher through a file: what a rank writes to stderr
 * before MPI_Abort is sometimes lost, mpirun's exit status is 0 after some deaths, and after some it never ends (Open MPI
 * 5.0.11). A rank holds a shared lock on the file while it lives, so that a dead one needs no last word. */
#ifndef REELWRIGHT_OUTCOME_H
#define REELWRIGHT_OUTCOME_H

#include <stdbool.h>

#include "common/status.h"

/* The launcher: a new file, named to the ranks by an environment variable. The caller frees the path: outcome_end. */
Status outcome_begin(char **path);
/* A rank, when it has joined the group and hears signals. Does nothing in a process that no such launcher started. */
void outcome_join(int rank);
/* A rank, at its end. Does nothing in a process that no such launcher started. */
void outcome_tell(int rank, Status s);
typedef struct {
    int joined; /* ranks that did */
    bool told;  /* one has come to its end: all have, or will at once */
    bool alive; /* one that joined still lives */
} OutcomeSoFar;
/* The launcher, now and then. */
OutcomeSoFar outcome_look(const char *path);
/* The launcher: what the first rank said; else the death that another one saw; else what any said; else ERR_NODE with `words`
 * (mpirun's). Removes the file, frees and clears path. */
Status outcome_end(char **path, const char *words);

#endif
