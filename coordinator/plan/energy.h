/* energy.h - what this machine's processors have used, where the kernel shows it (RAPL by /sys/class/powercap; since 2020 readable by root
 * alone). Packages are counted, without memory, disks and GPUs. */
#ifndef REELWRIGHT_ENERGY_H
#define REELWRIGHT_ENERGY_H

#include <stdbool.h>

enum { ENERGY_PACKAGES = 64 };

typedef struct {
    int packages;
    double uj[ENERGY_PACKAGES], range_uj[ENERGY_PACKAGES]; /* counters, and where they begin again at 0 */
} EnergyReading;

/* folder: NULL for the kernel's. False: nothing can be read. */
bool energy_read(const char *folder, EnergyReading *out);
/* Joules between two readings. Right while no counter has begun again more than once: an hour or so at full power. */
double energy_between(const EnergyReading *before, const EnergyReading *after);

#endif
