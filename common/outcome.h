/* outcome.h - how the ranks of a launched group ended, told to the launcher through a file: what a rank writes to stderr before
 * MPI_Abort is sometimes lost, and mpirun's exit status is 0 after some deaths (Open MPI 5.0.11). */
#ifndef REELWRIGHT_OUTCOME_H
#define REELWRIGHT_OUTCOME_H

#include "common/status.h"

/* The launcher: a new file, named to the ranks by an environment variable. The caller frees the path: outcome_end. */
Status outcome_begin(char **path);
/* A rank, at its end. Does nothing in a process that no such launcher started. */
void outcome_tell(int rank, Status s);
/* The launcher: what the first rank said; else the death that another one saw; else what any said; else ERR_NODE with `words`
 * (mpirun's). Removes the file, frees and clears path. */
Status outcome_end(char **path, const char *words);

#endif
