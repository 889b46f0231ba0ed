/* machine.h - what this machine has for a run: cores, GPUs, and room for mpirun. */
#ifndef REELWRIGHT_MACHINE_H
#define REELWRIGHT_MACHINE_H

#include <stdbool.h>

int machine_cores(void); /* that this process may use */
/* What a job may use counts before what there is: CUDA_VISIBLE_DEVICES, Slurm, the devices. */
int machine_gpus(void);
/* Whether this program was built with CUDA: its module lies beside it. */
bool machine_has_cuda_module(void);
/* What keeps mpirun from starting here, for a person: no room where it keeps its session, a limit on memory, processes or files, no
 * mpirun. NULL: nothing that is known. free() it. */
char *machine_obstacle(void);

#endif
