/* machine.h - how much memory this process may have, by the smallest of all that bound it: the machine, the control groups that it is in
 * (a container, a job of Slurm), and its own limits (ulimit -v, ulimit -d). Linux's /proc and /sys. */
#ifndef REELWRIGHT_MACHINE_H
#define REELWRIGHT_MACHINE_H

#include <stdint.h>

int64_t machine_memory_bytes(void);    /* that it can have at most, with all that it has; 0 = unknown */
int64_t machine_available_bytes(void); /* that it could still take now, without anything being swapped; 0 = unknown */

#endif
