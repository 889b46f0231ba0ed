/* launch_ranks.h - mpirun for one shot: a group of ranks on this machine, for `reelwright render --group-size T`. */
#ifndef REELWRIGHT_LAUNCH_RANKS_H
#define REELWRIGHT_LAUNCH_RANKS_H

#include "common/work.h"

/* A signal is passed on: the ranks stop after a checkpoint; a second one, or one before all ranks have begun, ends them.
 * ERR_STOP then. ERR_NODE: the ranks ended without a word, or never began. */
LaunchRanks launch_ranks;

#endif
