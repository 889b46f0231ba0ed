/* boxes.h - a group of processes of one program over memory that they share: what MPI is for the farm, for tests without MPI. */
#ifndef REELWRIGHT_TESTS_GPU_BOXES_H
#define REELWRIGHT_TESTS_GPU_BOXES_H

#include "kernels/coll.h"

enum { BOXES_MOST = 4 }; /* processes */

void boxes_new(void); /* empty boxes, before the processes are forked */
void boxes_end(void); /* tells all groups that a process died */
Coll *boxes_open(int rank, int size);

#endif
