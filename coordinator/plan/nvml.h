/* nvml.h - what NVIDIA's GPUs have used, by the driver's own library (NVML), which is looked for when it is asked: nothing is linked with it. */
#ifndef REELWRIGHT_NVML_H
#define REELWRIGHT_NVML_H

enum { NVML_GPUS = 64 };

/* -> joules of each GPU of this machine since its driver was loaded (Volta and later count them); how many: 0 where there is no
 * library, no GPU, or one that does not count. library: NULL for the driver's. */
int nvml_read_energy(const char *library, double joules[NVML_GPUS]);

#endif
