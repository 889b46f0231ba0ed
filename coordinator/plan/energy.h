/* energy.h - what this machine has used: its processors, where the kernel shows it (RAPL by /sys/class/powercap; since 2020 readable
 * by root alone), and its NVIDIA GPUs (nvml.h). Not counted are memory, disks, fans and power supplies. */
#ifndef REELWRIGHT_ENERGY_H
#define REELWRIGHT_ENERGY_H

#include <stdbool.h>

#include "coordinator/plan/nvml.h"

enum { ENERGY_PACKAGES = 64 };

typedef struct {
    int packages;
    double uj[ENERGY_PACKAGES], range_uj[ENERGY_PACKAGES]; /* counters, and where they begin again at 0 */
    int gpus;
    double gpu_j[NVML_GPUS];
} EnergyReading;

/* Of the processors. folder: NULL for the kernel's. False: nothing can be read. */
bool energy_read_processors(const char *folder, EnergyReading *out);
void energy_read(EnergyReading *out); /* whatever can be read */
/* Joules of the processors between two readings. Right while no counter has begun again more than once: an hour or so at full power. */
double energy_between(const EnergyReading *before, const EnergyReading *after);
double energy_between_gpus(const EnergyReading *before,
                           const EnergyReading *after); /* likewise; 0 where they could not be read both times */

#endif
