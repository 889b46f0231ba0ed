/* machine.h - what this machine has for a run: cores, GPUs, and room for mpirun. */
#ifndef REELWRIGHT_MACHINE_H
#define REELWRIGHT_MACHINE_H

#include <stdbool.h>

int machine_cores(void); /* that this process may use */
/* How many GPUs this job may use: CUDA_VISIBLE_DEVICES says it, else Slurm, else the devices that are there are counted. */
int machine_gpus(void);
/* Whether this program was built with CUDA: its module lies beside it. */
bool machine_has_cuda_module(void);
/* What keeps mpirun from starting here, for a person: no room where it keeps its session, a limit on memory, processes or files, no
 * mpirun. NULL: nothing that is known. free() it. */
char *machine_obstacle(void);

#endif
